// Log lines are `key=value`; a value with spaces is quoted, on one line.
#pragma once
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace ds::coordinator {

inline std::string in_quotes(absl::string_view text) { return absl::StrCat("\"", absl::Utf8SafeCEscape(text), "\""); }

}  // namespace ds::coordinator
