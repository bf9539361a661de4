#include "client/planning/csv.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace ds::client {
namespace {

std::vector<std::string> cells(std::string_view line) {
  std::vector<std::string> all(1);
  bool quoted = false;
  for (char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      all.emplace_back();
    } else if (c != '\r') {
      all.back() += c;
    }
  }
  return all;
}

size_t index_of(const std::vector<std::string>& header, const std::string& column) {
  return static_cast<size_t>(std::find(header.begin(), header.end(), column) - header.begin());
}

}  // namespace

absl::StatusOr<Table> Table::parse(std::string_view text, const std::string& name) {
  Table table;
  for (const absl::string_view line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    if (line.empty() || line == "\r") continue;
    std::vector<std::string> row = cells({line.data(), line.size()});
    if (table.header_.empty()) {
      table.header_ = std::move(row);
    } else if (row.size() != table.header_.size()) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": line ", table.rows_.size() + 2, " has ", row.size(),
                                                     " columns, the header ", table.header_.size()));
    } else {
      table.rows_.push_back(std::move(row));
    }
  }
  return table;
}

bool Table::has(const std::string& column) const { return index_of(header_, column) < header_.size(); }

const std::string& Table::text(size_t row, const std::string& column) const {
  return rows_.at(row).at(index_of(header_, column));
}

double Table::number(size_t row, const std::string& column) const {
  double value = 0;
  return absl::SimpleAtod(text(row, column), &value) ? value : 0;
}

Table table_of(const std::string& name) { return Table::parse(published(name), name).value(); }

}  // namespace ds::client
