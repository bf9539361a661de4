#include "client/view.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace ds::client {
namespace {

constexpr auto kReplace = Json::error_handler_t::replace;

// A word that YAML reads as that text, and not as a number, a truth value or nothing.
bool plain_word(const std::string& text) {
  static const auto* const kTaken =
      new std::set<std::string>{"true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "infinity", "nan"};
  if (text.empty() || !(absl::ascii_isalpha(text[0]) || text[0] == '/' || text[0] == '_')) return false;
  const bool letters = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == '/';
  });
  return letters && kTaken->count(absl::AsciiStrToLower(text)) == 0;
}

// JSON's text of a number, as YAML 1.1 takes it for a number too: it wants a point before an exponent, 1.0e-08.
std::string yaml_number(const Json& value) {
  std::string text = value.dump();
  const size_t exponent = text.find('e');
  if (exponent != text.npos && text.find('.') == text.npos) text.insert(exponent, ".0");
  return text;
}

std::string yaml_scalar(const Json& value) {
  if (value.is_number_float()) return yaml_number(value);
  if (value.is_string() && plain_word(value.get_ref<const std::string&>())) return value;
  return value.dump(-1, ' ', false, kReplace);  // JSON's scalars, and its empty {} and [], are YAML's too
}

bool block(const Json& value) { return value.is_structured() && !value.empty(); }

void append_yaml(const Json& value, int indent, std::string* out) {
  const std::string margin(indent, ' ');
  for (const auto& [key, item] : value.items()) {
    const std::string head = value.is_array() ? "- " : yaml_scalar(key) + ":";
    if (!block(item)) {
      absl::StrAppend(out, margin, head, value.is_array() ? "" : " ", yaml_scalar(item), "\n");
    } else if (value.is_array()) {
      std::string below;
      append_yaml(item, indent + 2, &below);
      absl::StrAppend(out, margin, head, below.substr(indent + 2));
    } else {
      absl::StrAppend(out, margin, head, "\n");
      append_yaml(item, indent + 2, out);
    }
  }
}

// Columns a screen shows, so that accented names keep their column: bytes that are not continuations of UTF-8.
size_t width(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; });
}

std::string rows_table(const View& view) {
  std::vector<std::vector<std::string>> lines(1);
  for (const Column& column : view.columns) lines[0].push_back(column.title);
  for (const Json& row : view.document) {
    lines.emplace_back();
    for (const Column& column : view.columns) lines.back().push_back(column.cell(row));
  }
  std::vector<size_t> widths(view.columns.size());
  for (const auto& line : lines)
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
  std::string out;
  for (const auto& line : lines) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i)
      absl::StrAppend(&text, line[i], std::string(widths[i] + 2 - width(line[i]), ' '));
    absl::StrAppend(&out, std::string(absl::StripTrailingAsciiWhitespace(text)), "\n");
  }
  return out;
}

std::string upright_table(const View& view) {
  size_t widest = 0;
  for (const Column& column : view.columns) widest = std::max(widest, width(column.title));
  std::string out;
  for (const Column& column : view.columns) {
    const std::string cell = column.cell(view.document);
    if (cell.empty() || cell == "-") continue;
    absl::StrAppend(&out, absl::AsciiStrToLower(column.title), std::string(widest + 2 - width(column.title), ' '), cell,
                    "\n");
  }
  return out;
}

std::string names(const Json& document) {
  const Json rows = document.is_array() ? document : Json::array({document});
  std::string out;
  for (const Json& row : rows) {
    const auto name = row.contains("id") ? row.find("id") : row.find("name");
    if (name != row.end()) absl::StrAppend(&out, name->is_string() ? name->get<std::string>() : name->dump(), "\n");
  }
  return out;
}

const Json* at(const Json& row, const std::string& pointer) {
  const Json::json_pointer path(pointer);
  if (!row.contains(path)) return nullptr;
  const Json& value = row.at(path);
  return value.is_null() ? nullptr : &value;
}

}  // namespace

std::string to_yaml(const Json& document) {
  if (!block(document)) return yaml_scalar(document) + "\n";
  std::string out;
  append_yaml(document, 0, &out);
  return out;
}

std::string one_line(const Json& object) {
  std::string out;
  for (const auto& [key, value] : object.items())
    absl::StrAppend(&out, out.empty() ? "{" : ", ", Json(key).dump(), ": ", value.dump(-1, ' ', false, kReplace));
  return out + "}";
}

std::string render(const View& view, Format format) {
  switch (format) {
    case Format::kJson:
      return view.document.dump(2, ' ', false, kReplace) + "\n";
    case Format::kYaml:
      return to_yaml(view.document);
    case Format::kName:
      return names(view.document);
    case Format::kTable:
      break;
  }
  if (!view.document.is_array()) return upright_table(view);
  return view.document.empty() && !view.empty.empty() ? view.empty + "\n" : rows_table(view);
}

std::function<std::string(const Json&)> text_at(const std::string& pointer) {
  return [pointer](const Json& row) -> std::string {
    const Json* value = at(row, pointer);
    if (value == nullptr) return "-";
    return value->is_string() ? value->get<std::string>() : value->dump(-1, ' ', false, kReplace);
  };
}

std::function<std::string(const Json&)> number_at(const std::string& pointer, int digits) {
  return [pointer, digits](const Json& row) -> std::string {
    const Json* value = at(row, pointer);
    if (value == nullptr || !value->is_number()) return "-";
    const double number = value->get<double>();
    return std::abs(number) >= std::pow(10, digits) ? absl::StrFormat("%.0f", number)
                                                    : absl::StrFormat("%.*g", digits, number);
  };
}

std::function<std::string(const Json&)> age_at(const std::string& pointer) {
  return [pointer](const Json& row) -> std::string {
    const Json* value = at(row, pointer);
    absl::Time time;
    std::string error;
    if (value == nullptr || !absl::ParseTime(absl::RFC3339_full, value->get<std::string>(), &time, &error)) return "-";
    return duration_text(absl::ToDoubleSeconds(absl::Now() - time));
  };
}

std::string duration_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "?";
  const int64_t s = std::llround(seconds);
  if (s < 60) return absl::StrCat(s, "s");
  if (s < 3600) return absl::StrCat(s / 60, "m", s % 60, "s");
  if (s < 86400) return absl::StrCat(s / 3600, "h", s / 60 % 60, "m");
  return absl::StrCat(s / 86400, "d", s / 3600 % 24, "h");
}

}  // namespace ds::client
