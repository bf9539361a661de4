// The nearest known word to one that is not known.
#pragma once

#include <string>

#include <vector>

#include "absl/strings/string_view.h"

namespace ds::spec {

// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`; letters' case is not counted.
int edit_distance(absl::string_view a, absl::string_view b);

// The candidate nearest to `word`, or "" if none is near enough to be meant.
std::string nearest(absl::string_view word, const std::vector<std::string>& candidates);

// The key among `paths` (dotted) that was meant by `path`: near among its brothers, else of the same last name
// elsewhere.
std::string nearest_path(absl::string_view path, const std::vector<std::string>& paths);

}  // namespace ds::spec
