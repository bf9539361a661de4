// YAML into messages: a walk over the nodes, setting fields through reflection and gathering what is wrong.
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "proto/spec/fields.h"

namespace ds::spec {

inline constexpr size_t kLongestList = 256;

class Reader {
 public:
  using Take = std::function<void(const YAML::Node& value)>;
  // `known`: the paths of the keys that such a file may have. `beside`: keys of the root that are no fields of its
  // message, and what is done with each.
  explicit Reader(std::vector<std::string> known, std::map<std::string, Take> beside = {});

  // `path` is "" for the whole file.
  void read_map(const YAML::Node& node, google::protobuf::Message* into, const std::string& path);
  void read_field(const YAML::Node& node, google::protobuf::Message* into,
                  const google::protobuf::FieldDescriptor* field, const std::string& path);
  // Sets a scalar, or appends to a list.
  void read_scalar(const YAML::Node& node, google::protobuf::Message* into,
                   const google::protobuf::FieldDescriptor* field, const std::string& path);

  void problem(const std::string& path, const YAML::Node& node, std::string text);
  void note(const std::string& path, const YAML::Node& key);  // where it stands
  size_t problems() const { return problems_.size(); }

  // All problems: those of reading, then what the rules found, with their lines, that is news.
  std::vector<Problem> with_rules(std::vector<Problem> found);

 private:
  int line_of(std::string path) const;
  std::string keys_of(const google::protobuf::Descriptor* type, const std::string& path) const;
  void unknown_key(const YAML::Node& key, const std::string& parent, const google::protobuf::Descriptor* type);
  void read_params(const YAML::Node& node, v1::ModelSpec* into, const std::string& path);
  void read_list(const YAML::Node& node, google::protobuf::Message* into,
                 const google::protobuf::FieldDescriptor* field, const std::string& path);

  const std::vector<std::string> known_;
  const std::map<std::string, Take> beside_;
  std::vector<Problem> problems_;
  std::map<std::string, int> lines_;
};

// "a list", "the text \"12\"", ...
std::string describe(const YAML::Node& node);
// The key as it can be shown.
std::string printable(const std::string& key);
// "model", "model.family", ... of a message.
std::vector<std::string> paths_of(const google::protobuf::Descriptor* type, const std::string& path = "");

// Reads the one document of a text. `kind`: "job file". Errors are one InvalidArgument, one line a problem.
absl::Status read_document(std::string_view text, const std::string& kind,
                           const std::function<std::vector<Problem>(const YAML::Node& root)>& read);
absl::Status as_status(std::vector<Problem> problems);

}  // namespace ds::spec
