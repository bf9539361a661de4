#include "proto/spec/reader.h"

#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "proto/spec/nearest.h"

namespace ds::spec {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kLongestFile = 1 << 20;

std::string join(absl::string_view path, absl::string_view key) {
  return path.empty() ? std::string(key) : absl::StrCat(path, ".", key);
}

// "train.optimizer.lr" as YAML: train: {optimizer: {lr: ...}}
std::string nested(const std::string& path) {
  const auto depth = static_cast<size_t>(std::count(path.begin(), path.end(), '.'));
  return absl::StrCat(absl::StrReplaceAll(path, {{".", ": {"}}), ": ...", std::string(depth, '}'));
}

// Whether a problem at `a` makes one at `b` no news: the same field, or one inside it.
bool covers(absl::string_view a, absl::string_view b) {
  return b.substr(0, a.size()) == a && (b.size() == a.size() || b[a.size()] == '.' || b[a.size()] == '[');
}

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

}  // namespace

std::string describe(const YAML::Node& node) {
  if (node.IsNull()) return "nothing";
  if (node.IsMap()) return "a mapping";
  if (node.IsSequence()) return "a list";
  const bool in_quotes = node.Tag() == "!";
  return in_quotes ? absl::StrCat("the text ", quoted(node.Scalar())) : quoted(node.Scalar());
}

std::string printable(const std::string& key) {
  const std::string text = quoted(key);
  return text.size() == key.size() + 2 ? key : text;
}

std::vector<std::string> paths_of(const Descriptor* type, const std::string& path) {
  std::vector<std::string> out;
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    out.push_back(join(path, field->name()));
    if (field->message_type() == nullptr || field->is_repeated()) continue;
    for (std::string& below : paths_of(field->message_type(), join(path, field->name())))
      out.push_back(std::move(below));
  }
  return out;
}

Reader::Reader(std::vector<std::string> known, std::map<std::string, Take> beside)
    : known_(std::move(known)), beside_(std::move(beside)) {}

void Reader::read_map(const YAML::Node& node, Message* into, const std::string& path) {
  if (node.IsNull()) return;  // `strategy:` with nothing below it
  const Descriptor* type = into->GetDescriptor();
  if (!node.IsMap()) {
    problem(path.empty() ? "the file" : path, node,
            absl::StrCat("expected a mapping of ", keys_of(type, path), "; got ", describe(node)));
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
    note(below, key);
    const auto other = path.empty() ? beside_.find(key.Scalar()) : beside_.end();
    const FieldDescriptor* field = type->FindFieldByName(key.Scalar());
    if (field == nullptr && other == beside_.end()) {
      unknown_key(key, path, type);
    } else if (!seen.insert(key.Scalar()).second) {
      problem(below, key, "stands twice; keep one");
    } else if (other != beside_.end()) {
      other->second(value);
    } else {
      read_field(value, into, field, below);
    }
  }
}

void Reader::problem(const std::string& path, const YAML::Node& node, std::string text) {
  problems_.push_back({path, std::move(text), node.Mark().line + 1});
}

void Reader::note(const std::string& path, const YAML::Node& key) { lines_.emplace(path, key.Mark().line + 1); }

// The line of a path, or of the nearest mapping around it; 0: not in the file.
int Reader::line_of(std::string path) const {
  for (;;) {
    if (const auto it = lines_.find(path); it != lines_.end()) return it->second;
    const size_t cut = path.find_last_of(".[");
    if (cut == path.npos) return 0;
    path.resize(cut);
  }
}

std::vector<Problem> Reader::with_rules(std::vector<Problem> found) {
  std::vector<Problem> all = problems_;
  for (Problem& p : found) {
    const auto known = [&](const Problem& earlier) {
      return covers(earlier.path, p.path) || covers(p.path, earlier.path) || earlier.path == "the file";
    };
    if (std::any_of(problems_.begin(), problems_.end(), known)) continue;
    p.line = line_of(p.path);
    all.push_back(std::move(p));
  }
  return all;
}

std::string Reader::keys_of(const Descriptor* type, const std::string& path) const {
  std::vector<std::string> keys;
  for (int i = 0; i < type->field_count(); ++i) keys.push_back(type->field(i)->name());
  if (path.empty())
    for (const auto& [key, take] : beside_) keys.push_back(key);
  return absl::StrJoin(keys, ", ");
}

void Reader::unknown_key(const YAML::Node& key, const std::string& parent, const Descriptor* type) {
  const std::string path = join(parent, printable(key.Scalar()));
  const bool exact = std::find(known_.begin(), known_.end(), path) != known_.end();
  const std::string meant = exact ? path : nearest_path(path, known_);
  if (!meant.empty() && absl::StrContains(key.Scalar(), '.')) {
    return problem(path, key, absl::StrCat("a dot does not nest keys; write ", nested(meant)));
  }
  problem(path, key,
          meant.empty() ? absl::StrCat("unknown key; known here: ", keys_of(type, parent))
                        : absl::StrCat("unknown key; did you mean ", meant, "?"));
}

void Reader::read_field(const YAML::Node& node, Message* into, const FieldDescriptor* field, const std::string& path) {
  if (field->message_type() == v1::ScriptParam::descriptor()) {
    read_params(node, static_cast<v1::ModelSpec*>(into), path);
  } else if (field->message_type() != nullptr) {
    read_map(node, into->GetReflection()->MutableMessage(into, field), path);
  } else if (field->is_repeated()) {
    read_list(node, into, field, path);
  } else {
    read_scalar(node, into, field, path);
  }
}

void Reader::read_list(const YAML::Node& node, Message* into, const FieldDescriptor* field, const std::string& path) {
  const Field* row = find_field(path);
  const absl::string_view fallback = row == nullptr ? "" : row->fallback;
  if (!node.IsSequence()) {
    problem(path, node,
            absl::StrCat("expected a list", fallback.empty() ? "" : absl::StrCat(" such as [", fallback, "]"), ", got ",
                         describe(node)));
  } else if (node.size() == 0 || node.size() > kLongestList) {
    problem(path, node,
            absl::StrCat("a list of ", node.size(), " is not allowed; 1 to ", kLongestList, " elements are"));
  } else {
    for (size_t i = 0; i < node.size(); ++i) read_scalar(node[i], into, field, absl::StrCat(path, "[", i, "]"));
  }
}

void Reader::read_scalar(const YAML::Node& node, Message* into, const FieldDescriptor* field, const std::string& path) {
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

absl::Status read_document(std::string_view text, const std::string& kind,
                           const std::function<std::vector<Problem>(const YAML::Node& root)>& read) {
  if (text.size() > kLongestFile)
    return absl::InvalidArgumentError(
        absl::StrCat("a ", kind, " of ", text.size(), " bytes is too long; the most is ", kLongestFile));
  try {
    const std::string yaml(text);
    if (!one_document(yaml)) return absl::InvalidArgumentError("the file holds more than one YAML document");
    const YAML::Node root = YAML::Load(yaml);
    return as_status(root.IsNull() ? std::vector<Problem>{{"the file", "is empty", 0}} : read(root));
  } catch (const YAML::Exception& e) {
    const std::string where = e.mark.is_null() ? "" : absl::StrCat("line ", e.mark.line + 1, ": ");
    return absl::InvalidArgumentError(absl::StrCat(where, "not YAML: ", e.msg));
  }
}

}  // namespace ds::spec
