// Tables of text with a header line, and the published ones that are built in.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace ds::client {

class Table {
 public:
  // InvalidArgument where a line has not the header's columns.
  static absl::StatusOr<Table> parse(std::string_view text, const std::string& name);

  size_t rows() const { return rows_.size(); }
  // "" and 0 where a cell is empty. The column must exist: a table is built in or checked by has().
  const std::string& text(size_t row, const std::string& column) const;
  double number(size_t row, const std::string& column) const;
  int64_t whole(size_t row, const std::string& column) const { return static_cast<int64_t>(number(row, column)); }
  bool has(const std::string& column) const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

// The text of client/planning/data/NAME.csv; "" if there is none.
std::string_view published(std::string_view name);
Table table_of(const std::string& name);  // there must be one

}  // namespace ds::client
