// Fields of JobSpec by path, through protobuf's reflection.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "proto/spec/fields.h"

namespace ds::spec {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Of YAML's 0x1f and 0o17 the digits, and their base; 0: it is no such integer.
std::pair<absl::string_view, int> based_digits(absl::string_view text) {
  const int base = absl::StartsWith(text, "0x") ? 16 : absl::StartsWith(text, "0o") ? 8 : 0;
  const char* const allowed = base == 16 ? "0123456789abcdefABCDEF" : "01234567";
  const absl::string_view digits = base == 0 ? "" : text.substr(2);
  if (digits.empty() || digits.find_first_not_of(allowed) != digits.npos) return {"", 0};
  return {digits, base};
}

// False: beyond the type.
template <class Int>
bool read_based(absl::string_view digits, int base, Int* value) {
  return std::from_chars(digits.data(), digits.data() + digits.size(), *value, base).ec == std::errc();
}

template <class Int>
std::string set_integer(absl::string_view text, bool plain, Int* value) {
  if (plain && absl::SimpleAtoi(text, value)) return "";
  const auto [based, base] = based_digits(text);
  if (plain && base != 0 && read_based(based, base, value)) return "";
  // Digits only, yet not read: outside the type. Say the limit rather than "an integer".
  absl::string_view digits = text;
  if (!digits.empty() && digits.front() == '-') digits.remove_prefix(1);
  const bool number =
      plain && (base != 0 || (!digits.empty() && digits.find_first_not_of("0123456789") == digits.npos));
  if (!number) return "an integer";
  return text.front() == '-' ? absl::StrCat("an integer of at least ", std::numeric_limits<Int>::min())
                             : absl::StrCat("an integer of at most ", std::numeric_limits<Int>::max());
}

bool is_one_of(absl::string_view text, std::initializer_list<absl::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_utf8(absl::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(at + i < text.size() ? text[at + i] : 0); };
    const unsigned char lead = byte(0);
    const size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < length; ++i) {
      if ((byte(i) & 0xc0) != 0x80) return false;
    }
    const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
    const bool beyond = (lead == 0xed && byte(1) > 0x9f) || (lead == 0xf4 && byte(1) > 0x8f);  // surrogates; the end
    if (length == 0 || overlong || beyond) return false;
    at += length;
  }
  return true;
}

template <class T, class Set, class Add>
void store(const FieldDescriptor* descriptor, T&& value, Set set, Add add) {
  if (descriptor->is_repeated()) {
    add(std::forward<T>(value));
  } else {
    set(std::forward<T>(value));
  }
}

// "lr" of "model.params.lr".
bool consume_params(absl::string_view* path) {
  absl::string_view rest = *path;
  if (!absl::ConsumePrefix(&rest, kParams) || !absl::ConsumePrefix(&rest, ".")) return false;
  *path = rest;
  return true;
}

// The one of its fields that says what a parameter is; null: none.
const FieldDescriptor* value_field(const v1::ScriptParam& param) {
  static const auto* const value = v1::ScriptParam::descriptor()->FindOneofByName("value");
  return param.GetReflection()->GetOneofFieldDescriptor(param, value);
}

}  // namespace

Slot look(const v1::JobSpec& spec, absl::string_view path) {
  if (consume_params(&path)) {
    for (const v1::ScriptParam& param : spec.model().params())
      if (param.name() == path && value_field(param) != nullptr) return {&param, value_field(param)};
    return {};
  }
  const Message* owner = &spec;
  const FieldDescriptor* descriptor = nullptr;
  for (absl::string_view part : absl::StrSplit(path, '.')) {
    if (descriptor != nullptr && owner != nullptr) {
      const auto* reflection = owner->GetReflection();
      owner = reflection->HasField(*owner, descriptor) ? &reflection->GetMessage(*owner, descriptor) : nullptr;
    }
    const auto* type = descriptor == nullptr ? spec.GetDescriptor() : descriptor->message_type();
    descriptor = type->FindFieldByName(std::string(part));
    if (descriptor == nullptr) return {};
  }
  return {owner, descriptor};
}

Message* owner_of(v1::JobSpec& spec, absl::string_view path, const FieldDescriptor** descriptor) {
  Message* owner = &spec;
  *descriptor = nullptr;
  if (consume_params(&path)) {
    for (v1::ScriptParam& param : *spec.mutable_model()->mutable_params()) {
      if (param.name() != path || value_field(param) == nullptr) continue;
      *descriptor = value_field(param);
      return &param;
    }
    return owner;
  }
  for (absl::string_view part : absl::StrSplit(path, '.')) {
    if (*descriptor != nullptr) owner = owner->GetReflection()->MutableMessage(owner, *descriptor);
    *descriptor = owner->GetDescriptor()->FindFieldByName(std::string(part));
  }
  return owner;
}

bool is_set(const Slot& slot) {
  if (slot.owner == nullptr) return false;
  const auto* reflection = slot.owner->GetReflection();
  return slot.descriptor->is_repeated() ? reflection->FieldSize(*slot.owner, slot.descriptor) > 0
                                        : reflection->HasField(*slot.owner, slot.descriptor);
}

bool holds(const v1::JobSpec& spec, const Condition& condition) {
  if (condition.path.empty()) return true;
  const Slot slot = look(spec, condition.path);
  if (condition.kind != Condition::kIs) return is_set(slot) == (condition.kind == Condition::kGiven);
  if (!is_set(slot)) return false;
  const std::string value = show(slot);
  const std::vector<absl::string_view> wanted = absl::StrSplit(condition.value, '|');
  return std::any_of(wanted.begin(), wanted.end(),
                     [&](absl::string_view w) { return value == w || value == quoted(w); });
}

std::string describe(const Condition& condition, absl::string_view quote) {
  const std::string either = absl::StrCat(quote, " or ", quote);
  const std::string values = absl::StrReplaceAll(condition.value, {{"|", either}});
  const std::string what = condition.kind == Condition::kIs      ? absl::StrCat(quote, values, quote)
                           : condition.kind == Condition::kGiven ? "given"
                                                                 : "not given";
  return absl::StrCat(quote, condition.path, quote, " is ", what);
}

std::string quoted(absl::string_view text) {
  constexpr size_t kLongest = 80;
  const bool cut = text.size() > kLongest;
  return absl::StrCat("\"", absl::Utf8SafeCEscape(text.substr(0, kLongest)), cut ? "..." : "", "\"");
}

std::string show(double value) {
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return std::string(text, end);
}

std::string show(const Slot& slot, int index) {
  const Message& m = *slot.owner;
  const auto* r = m.GetReflection();
  const FieldDescriptor* d = slot.descriptor;
  const bool list = d->is_repeated();
  switch (d->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(list ? r->GetRepeatedInt32(m, d, index) : r->GetInt32(m, d));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(list ? r->GetRepeatedInt64(m, d, index) : r->GetInt64(m, d));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(list ? r->GetRepeatedUInt64(m, d, index) : r->GetUInt64(m, d));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return show(list ? r->GetRepeatedDouble(m, d, index) : r->GetDouble(m, d));
    case FieldDescriptor::CPPTYPE_BOOL:
      return (list ? r->GetRepeatedBool(m, d, index) : r->GetBool(m, d)) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_STRING:
      return quoted(list ? r->GetRepeatedString(m, d, index) : r->GetString(m, d));
    default:
      return "";
  }
}

std::string set_from_text(Message* m, const FieldDescriptor* d, absl::string_view text, bool plain) {
  const auto* r = m->GetReflection();
  std::string expected;
  switch (d->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      int32_t v = 0;
      if (expected = set_integer(text, plain, &v); !expected.empty()) return expected;
      store(
          d, v, [&](auto x) { r->SetInt32(m, d, x); }, [&](auto x) { r->AddInt32(m, d, x); });
      return "";
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      int64_t v = 0;
      if (expected = set_integer(text, plain, &v); !expected.empty()) return expected;
      store(
          d, v, [&](auto x) { r->SetInt64(m, d, x); }, [&](auto x) { r->AddInt64(m, d, x); });
      return "";
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      uint64_t v = 0;
      if (expected = set_integer(text, plain, &v); !expected.empty()) return expected;
      store(
          d, v, [&](auto x) { r->SetUInt64(m, d, x); }, [&](auto x) { r->AddUInt64(m, d, x); });
      return "";
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double v = 0;
      uint64_t whole = 0;
      if (const auto [digits, base] = based_digits(text); base != 0 && read_based(digits, base, &whole)) {
        v = static_cast<double>(whole);
      } else if (!absl::SimpleAtod(text, &v)) {
        return "a number";
      }
      if (!plain || !std::isfinite(v)) return "a number";
      store(
          d, v, [&](auto x) { r->SetDouble(m, d, x); }, [&](auto x) { r->AddDouble(m, d, x); });
      return "";
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      if (!plain || !is_one_of(text, {"true", "True", "TRUE", "false", "False", "FALSE"})) return "true or false";
      store(
          d, text[0] == 't' || text[0] == 'T', [&](auto x) { r->SetBool(m, d, x); },
          [&](auto x) { r->AddBool(m, d, x); });
      return "";
    case FieldDescriptor::CPPTYPE_STRING:
      if (!is_utf8(text)) return "text in UTF-8";  // what else would not pass the wire
      store(
          d, std::string(text), [&](auto x) { r->SetString(m, d, std::move(x)); },
          [&](auto x) { r->AddString(m, d, std::move(x)); });
      return "";
    default:
      return "a mapping";
  }
}

}  // namespace ds::spec
