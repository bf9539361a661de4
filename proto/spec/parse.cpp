// YAML to JobSpec: a walk over the nodes, setting fields through reflection and gathering what is wrong.
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "proto/spec/fields.h"
#include "proto/spec/job_spec.h"
#include "proto/spec/nearest.h"

namespace ds::spec {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kLongestFile = 1 << 20;
constexpr size_t kLongestList = 256;

std::string join(absl::string_view path, absl::string_view key) {
  return path.empty() ? std::string(key) : absl::StrCat(path, ".", key);
}

void paths_below(const Descriptor* type, const std::string& path, std::vector<std::string>* out) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const std::string below = join(path, field->name());
    out->push_back(below);
    if (field->message_type() != nullptr) paths_below(field->message_type(), below, out);
  }
}

const std::vector<std::string>& all_paths() {
  static const auto* paths = [] {
    auto* out = new std::vector<std::string>;
    paths_below(v1::JobSpec::descriptor(), "", out);
    return out;
  }();
  return *paths;
}

std::string describe(const YAML::Node& node) {
  if (node.IsNull()) return "nothing";
  if (node.IsMap()) return "a mapping";
  if (node.IsSequence()) return "a list";
  const bool in_quotes = node.Tag() == "!";
  return in_quotes ? absl::StrCat("the text ", quoted(node.Scalar())) : quoted(node.Scalar());
}

class Reader {
 public:
  // `path` is "" for the whole file.
  void read_map(const YAML::Node& node, Message* into, const std::string& path) {
    if (node.IsNull()) return;  // `strategy:` with nothing below it
    if (!node.IsMap()) {
      problem(path.empty() ? "the file" : path, node,
              absl::StrCat("expected a mapping of ", keys_of(into->GetDescriptor()), "; got ", describe(node)));
      return;
    }
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const YAML::Node &key = entry.first, &value = entry.second;
      if (!key.IsScalar()) {
        problem(path.empty() ? "the file" : path, key, absl::StrCat("a key must be a word, got ", describe(key)));
        continue;
      }
      const std::string below = join(path, key.Scalar());
      lines_.emplace(below, key.Mark().line + 1);
      const FieldDescriptor* field = into->GetDescriptor()->FindFieldByName(key.Scalar());
      if (field == nullptr) {
        unknown_key(key, join(path, printable(key.Scalar())), into->GetDescriptor());
      } else if (!seen.insert(key.Scalar()).second) {
        problem(below, key, "stands twice; keep one");
      } else {
        read_field(value, into, field, below);
      }
    }
  }

  std::vector<Problem> take_problems() { return std::move(problems_); }

  // The line of a path, or of the nearest mapping around it; 0: not in the file.
  int line_of(std::string path) const {
    for (;;) {
      if (const auto it = lines_.find(path); it != lines_.end()) return it->second;
      const size_t cut = path.find_last_of(".[");
      if (cut == path.npos) return 0;
      path.resize(cut);
    }
  }

 private:
  static std::string printable(const std::string& key) {
    const std::string text = quoted(key);
    return text.size() == key.size() + 2 ? key : text;
  }

  static std::string keys_of(const Descriptor* type) {
    std::vector<std::string> keys;
    for (int i = 0; i < type->field_count(); ++i) keys.push_back(type->field(i)->name());
    return absl::StrJoin(keys, ", ");
  }

  // "train.optimizer.lr" as YAML: train: {optimizer: {lr: ...}}
  static std::string nested(const std::string& path) {
    const auto depth = static_cast<size_t>(std::count(path.begin(), path.end(), '.'));
    return absl::StrCat(absl::StrReplaceAll(path, {{".", ": {"}}), ": ...", std::string(depth, '}'));
  }

  void problem(const std::string& path, const YAML::Node& node, std::string text) {
    problems_.push_back({path, std::move(text), node.Mark().line + 1});
  }

  void unknown_key(const YAML::Node& key, const std::string& path, const Descriptor* type) {
    const bool exact = std::find(all_paths().begin(), all_paths().end(), path) != all_paths().end();
    const std::string meant = exact ? path : nearest_path(path, all_paths());
    if (!meant.empty() && absl::StrContains(key.Scalar(), '.')) {
      return problem(path, key, absl::StrCat("a dot does not nest keys; write ", nested(meant)));
    }
    problem(path, key,
            meant.empty() ? absl::StrCat("unknown key; known here: ", keys_of(type))
                          : absl::StrCat("unknown key; did you mean ", meant, "?"));
  }

  void read_field(const YAML::Node& node, Message* into, const FieldDescriptor* field, const std::string& path) {
    if (field->message_type() != nullptr) {
      read_map(node, into->GetReflection()->MutableMessage(into, field), path);
    } else if (field->is_repeated()) {
      read_list(node, into, field, path);
    } else {
      read_scalar(node, into, field, path);
    }
  }

  void read_list(const YAML::Node& node, Message* into, const FieldDescriptor* field, const std::string& path) {
    const absl::string_view fallback = find_field(path)->fallback;
    if (!node.IsSequence()) {
      problem(path, node,
              absl::StrCat("expected a list", fallback.empty() ? "" : absl::StrCat(" such as [", fallback, "]"),
                           ", got ", describe(node)));
    } else if (node.size() == 0 || node.size() > kLongestList) {
      problem(path, node,
              absl::StrCat("a list of ", node.size(), " is not allowed; 1 to ", kLongestList, " elements are"));
    } else {
      for (size_t i = 0; i < node.size(); ++i) read_scalar(node[i], into, field, absl::StrCat(path, "[", i, "]"));
    }
  }

  void read_scalar(const YAML::Node& node, Message* into, const FieldDescriptor* field, const std::string& path) {
    static const char* const kExpected[] = {"",         "an integer", "an integer",    "an integer", "an integer",
                                            "a number", "a number",   "true or false", "",           "text"};
    if (!node.IsScalar()) {
      problem(path, node, absl::StrCat("expected ", kExpected[field->cpp_type()], ", got ", describe(node)));
      return;
    }
    const Field* row = find_field(path);
    if (row != nullptr && row->automatic && node.Scalar() == kAutoWord)
      return into->GetReflection()->SetInt32(into, field, kAutomatic);
    std::string expected = set_from_text(into, field, node.Scalar(), node.Tag() != "!");
    if (row != nullptr && row->automatic && expected == "an integer") expected = "an integer or auto";
    if (row != nullptr && row->automatic && expected.empty() &&
        into->GetReflection()->GetInt32(*into, field) == kAutomatic)
      expected = "an integer of at least 1, or auto";
    if (!expected.empty()) problem(path, node, absl::StrCat("expected ", expected, ", got ", describe(node)));
  }

  std::vector<Problem> problems_;
  std::map<std::string, int> lines_;
};

// Hears a document and keeps nothing.
class Deaf : public YAML::EventHandler {
  using Mark = YAML::Mark;
  using Style = YAML::EmitterStyle::value;
  void OnDocumentStart(const Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const Mark&, YAML::anchor_t) override {}
  void OnAlias(const Mark&, YAML::anchor_t) override {}
  void OnScalar(const Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const Mark&, const std::string&, YAML::anchor_t, Style) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const Mark&, const std::string&, YAML::anchor_t, Style) override {}
  void OnMapEnd() override {}
};

// YAML::LoadAll() loops for ever on a stray "," or "}" between documents, so nothing here asks for a third one.
bool one_document(const std::string& yaml) {
  std::istringstream stream(yaml);
  YAML::Parser parser(stream);
  Deaf deaf;
  return !parser.HandleNextDocument(deaf) || !parser.HandleNextDocument(deaf);
}

absl::Status as_status(std::vector<Problem> problems) {
  if (problems.empty()) return absl::OkStatus();
  std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    return (a.line == 0 ? 1 << 30 : a.line) < (b.line == 0 ? 1 << 30 : b.line);  // what is missing comes last
  });
  std::vector<std::string> lines;
  for (const Problem& p : problems)
    lines.push_back(absl::StrCat(p.line > 0 ? absl::StrCat("line ", p.line, ": ") : "", p.path, ": ", p.text));
  return absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
}

// Whether a problem at `a` makes one at `b` no news: the same field, or one inside it.
bool covers(absl::string_view a, absl::string_view b) {
  return b.substr(0, a.size()) == a && (b.size() == a.size() || b[a.size()] == '.' || b[a.size()] == '[');
}

std::vector<Problem> problems_of(const YAML::Node& root, std::string_view name, v1::JobSpec* spec) {
  Reader reader;
  reader.read_map(root, spec, "");
  if (root.IsNull()) return {{"the file", "is empty", 0}};
  if (!name.empty()) spec->set_name(std::string(name));
  std::vector<Problem> problems = reader.take_problems();
  const size_t read = problems.size();
  fill_defaults(*spec);
  for (Problem& p : check(*spec)) {
    const auto known = [&](const Problem& earlier) {
      return covers(earlier.path, p.path) || covers(p.path, earlier.path) || earlier.path == "the file";
    };
    if (std::any_of(problems.begin(), problems.begin() + read, known)) continue;
    p.line = reader.line_of(p.path);
    problems.push_back(std::move(p));
  }
  return problems;
}

}  // namespace

absl::StatusOr<v1::JobSpec> parse_job(std::string_view text, std::string_view name) {
  if (text.size() > kLongestFile)
    return absl::InvalidArgumentError(
        absl::StrCat("a job file of ", text.size(), " bytes is too long; the most is ", kLongestFile));
  v1::JobSpec spec;
  try {
    const std::string yaml(text);
    if (!one_document(yaml)) return absl::InvalidArgumentError("the file holds more than one YAML document");
    if (absl::Status status = as_status(problems_of(YAML::Load(yaml), name, &spec)); !status.ok()) return status;
  } catch (const YAML::Exception& e) {
    const std::string where = e.mark.is_null() ? "" : absl::StrCat("line ", e.mark.line + 1, ": ");
    return absl::InvalidArgumentError(absl::StrCat(where, "not YAML: ", e.msg));
  }
  return spec;
}

absl::Status validate(const v1::JobSpec& spec) {
  std::vector<Problem> problems = check(spec);
  const auto known = [&](const Problem& p) {
    return std::any_of(problems.begin(), problems.end(), [&](const Problem& other) { return other.path == p.path; });
  };
  for (Problem& p : check_artifacts(spec, false)) {
    if (!known(p)) problems.push_back(std::move(p));
  }
  return as_status(std::move(problems));
}

}  // namespace ds::spec
