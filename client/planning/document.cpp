#include "client/planning/document.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/spec/nearest.h"

namespace ds::client {
namespace {

Json to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    Json object = Json::object();
    for (const auto& entry : node) object[entry.first.Scalar()] = to_json(entry.second);
    return object;
  }
  if (node.IsSequence()) {
    Json list = Json::array();
    for (const auto& entry : node) list.push_back(to_json(entry));
    return list;
  }
  if (!node.IsScalar()) return nullptr;
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;  // quoted
  if (text == "true" || text == "false") return text == "true";
  int64_t whole = 0;
  if (absl::SimpleAtoi(text, &whole)) return whole;
  double number = 0;
  if (absl::SimpleAtod(text, &number)) return number;
  return text;
}

}  // namespace

absl::StatusOr<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read"));
  return text.str();
}

absl::StatusOr<Json> parse_document(const std::string& text, const std::string& name) {
  try {
    const Json document = to_json(YAML::Load(text));
    if (document.is_object()) return document;
    return absl::InvalidArgumentError(absl::StrCat(name, ": is no document of keys and values"));
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": line ", e.mark.line + 1, ": ", e.msg));
  }
}

Fields::Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (!object.is_object()) problem_ = absl::InvalidArgumentError(absl::StrCat(where_, ": must hold keys and values"));
}

const Json* Fields::look(const std::string& key, bool right_kind(const Json&), const char* kind) {
  known_.push_back(key);
  if (!object_.is_object() || !object_.contains(key)) return nullptr;
  const Json& value = object_[key];
  if (right_kind(value)) return &value;
  if (problem_.ok()) {
    problem_ = absl::InvalidArgumentError(absl::StrCat(where_, ": ", key, " must be ", kind, ", got ", value.dump()));
  }
  return nullptr;
}

void Fields::take(const std::string& key, double* out) {
  const Json* value = look(
      key, [](const Json& v) { return v.is_number(); }, "a number");
  if (value != nullptr) *out = value->get<double>();
}
void Fields::take(const std::string& key, int64_t* out) {
  const Json* value = look(
      key, [](const Json& v) { return v.is_number_integer(); }, "a whole number");
  if (value != nullptr) *out = value->get<int64_t>();
}
void Fields::take(const std::string& key, int* out) {
  int64_t whole = *out;
  take(key, &whole);
  *out = static_cast<int>(std::clamp<int64_t>(whole, -1, 1 << 30));
}
void Fields::take(const std::string& key, bool* out) {
  const Json* value = look(
      key, [](const Json& v) { return v.is_boolean(); }, "true or false");
  if (value != nullptr) *out = value->get<bool>();
}
void Fields::take(const std::string& key, std::string* out) {
  const Json* value = look(
      key, [](const Json& v) { return v.is_string(); }, "a text");
  if (value != nullptr) *out = value->get<std::string>();
}
const Json* Fields::child(const std::string& key) {
  return look(
      key, [](const Json&) { return true; }, "anything");
}

absl::Status Fields::done() {
  if (!problem_.ok()) return problem_;
  for (const auto& [key, value] : object_.items()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const std::string meant = spec::nearest(key, known_);
    return absl::InvalidArgumentError(absl::StrCat(where_, ": ", key, ": unknown key; ",
                                                   meant.empty()
                                                       ? absl::StrCat("there are ", absl::StrJoin(known_, ", "))
                                                       : absl::StrCat("did you mean ", meant, "?")));
  }
  return absl::OkStatus();
}

}  // namespace ds::client
