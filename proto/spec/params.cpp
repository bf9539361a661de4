// model.params: a script's parameters, whose names and types are the job file's own.
#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "proto/spec/reader.h"

namespace ds::spec {
namespace {

constexpr size_t kLongestName = 63;
constexpr char kValues[] = "an integer, a number, true or false, or a text";

bool is_name(absl::string_view name) {
  const auto allowed = [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_'; };
  return !name.empty() && name.size() <= kLongestName && absl::ascii_isalpha(name[0]) &&
         std::all_of(name.begin(), name.end(), allowed);
}

// YAML's words for what no finite number is, and those that other languages write.
bool is_not_finite(absl::string_view text) {
  static constexpr absl::string_view kWords[] = {"inf", "infinity", "nan"};
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  if (!text.empty() && text[0] == '.') text.remove_prefix(1);
  return std::any_of(std::begin(kWords), std::end(kWords),
                     [&](absl::string_view word) { return absl::EqualsIgnoreCase(text, word); });
}

// The first type that has such a value. Returns what was expected, or "".
std::string set_value(v1::ScriptParam* param, absl::string_view text, bool plain) {
  const auto* type = v1::ScriptParam::descriptor();
  const std::string integer = set_from_text(param, type->FindFieldByName("integer"), text, plain);
  if (integer != "an integer") return integer;  // it is one, or too large a one
  double number = 0;
  const bool overflows = absl::SimpleAtod(text, &number) && !std::isfinite(number);
  if (plain && (overflows || is_not_finite(text))) return "a finite number, or a text in quotes";
  for (const char* field : {"number", "flag"})
    if (set_from_text(param, type->FindFieldByName(field), text, plain).empty()) return "";
  return set_from_text(param, type->FindFieldByName("text"), text, plain);
}

}  // namespace

void Reader::read_params(const YAML::Node& node, v1::ModelSpec* into, const std::string& path) {
  if (!node.IsMap())
    return problem(path, node,
                   absl::StrCat("expected a mapping of names to values, such as {lr: 0.001}, got ", describe(node)));
  for (const auto& entry : node) {
    const YAML::Node &key = entry.first, &value = entry.second;
    if (!key.IsScalar()) {
      problem(path, key, absl::StrCat("a name must be a word, got ", describe(key)));
      continue;
    }
    const std::string below = absl::StrCat(path, ".", printable(key.Scalar()));
    note(below, key);
    if (!value.IsScalar()) {
      problem(below, value, absl::StrCat("expected ", kValues, ", got ", describe(value)));
      continue;
    }
    v1::ScriptParam* param = into->add_params();
    param->set_name(key.Scalar());
    if (std::string expected = set_value(param, value.Scalar(), value.Tag() != "!"); !expected.empty())
      problem(below, value, absl::StrCat("expected ", expected, ", got ", describe(value)));
  }
}

void check_params(const v1::ModelSpec& model, std::vector<Problem>* problems) {
  std::set<std::string> seen;
  if (model.params_size() > static_cast<int>(kLongestList))
    problems->push_back(
        {std::string(kParams), absl::StrCat(model.params_size(), " of them; the most is ", kLongestList)});
  for (const v1::ScriptParam& param : model.params()) {
    const std::string path = absl::StrCat(kParams, ".", printable(param.name()));
    if (!is_name(param.name()))
      problems->push_back({path, absl::StrCat("a name is at most ", kLongestName,
                                              " letters, digits, - and _, beginning with a letter")});
    else if (!seen.insert(param.name()).second)
      problems->push_back({path, "stands twice; keep one"});
    else if (param.value_case() == v1::ScriptParam::VALUE_NOT_SET)
      problems->push_back({path, absl::StrCat("has no value; give ", kValues)});
    else if (param.has_number() && !std::isfinite(param.number()))
      problems->push_back({path, absl::StrCat(show(param.number()), " is not finite")});
    else if (param.text().find('\0') != std::string::npos)
      problems->push_back({path, "holds a zero byte, which no command line does"});
  }
}

}  // namespace ds::spec
