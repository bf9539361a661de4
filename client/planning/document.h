// YAML or JSON documents that the planning commands read, and fields with the nearest name in their errors.
#pragma once
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/view.h"

namespace ds::client {

// A file's text. NotFound names the path.
absl::StatusOr<std::string> read_text(const std::string& path);
// JSON is YAML too. InvalidArgument with the line.
absl::StatusOr<Json> parse_document(const std::string& text, const std::string& name);

// Takes the fields of an object; what nobody took is unknown. The first problem is kept.
class Fields {
 public:
  Fields(const Json& object, std::string where);

  bool has(const std::string& key) const { return object_.contains(key); }
  void take(const std::string& key, double* out);
  void take(const std::string& key, int64_t* out);
  void take(const std::string& key, int* out);
  void take(const std::string& key, bool* out);
  void take(const std::string& key, std::string* out);
  const Json* child(const std::string& key);  // null where absent
  // InvalidArgument: `cluster.yaml: memoy_gib: unknown key; did you mean memory_gib?`
  absl::Status done();

 private:
  const Json* look(const std::string& key, bool right_kind(const Json&), const char* kind);

  const Json& object_;
  std::string where_;
  std::vector<std::string> known_;
  absl::Status problem_;
};

}  // namespace ds::client
