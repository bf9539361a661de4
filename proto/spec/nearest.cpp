#include "proto/spec/nearest.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace ds::spec {
namespace {

absl::string_view parent(absl::string_view path) {
  const size_t dot = path.rfind('.');
  return dot == path.npos ? absl::string_view() : path.substr(0, dot);
}

absl::string_view last(absl::string_view path) {
  const size_t dot = path.rfind('.');
  return dot == path.npos ? path : path.substr(dot + 1);
}

}  // namespace

int edit_distance(absl::string_view a, absl::string_view b) {
  constexpr size_t kLongest = 64;  // the cost is quadratic, and no key is longer
  a = a.substr(0, kLongest);
  b = b.substr(0, kLongest);
  std::vector<int> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = static_cast<int>(j);
  const auto same = [&](size_t i, size_t j) { return absl::ascii_tolower(a[i]) == absl::ascii_tolower(b[j]); };
  for (size_t i = 0; i < a.size(); ++i) {
    row[0] = static_cast<int>(i) + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      row[j + 1] = std::min({row[j] + 1, above[j + 1] + 1, above[j] + (same(i, j) ? 0 : 1)});
      if (i > 0 && j > 0 && same(i, j - 1) && same(i - 1, j)) row[j + 1] = std::min(row[j + 1], before[j - 1] + 1);
    }
    before.swap(above);
    above.swap(row);
  }
  return above[b.size()];
}

std::string nearest(absl::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  int least = 1 << 20;
  for (const std::string& candidate : candidates) {
    const int distance = edit_distance(word, candidate);
    const int allowed = std::max<int>(1, static_cast<int>(std::max(word.size(), candidate.size())) / 3);
    if (distance <= allowed && distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

std::string nearest_path(absl::string_view path, const std::vector<std::string>& paths) {
  std::vector<std::string> brothers;
  for (const std::string& p : paths)
    if (parent(p) == parent(path)) brothers.emplace_back(last(p));
  if (const std::string found = nearest(last(path), brothers); !found.empty())
    return parent(path).empty() ? found : absl::StrCat(parent(path), ".", found);
  std::string best;
  int least = 2;  // elsewhere only the name itself, or one letter off
  for (const std::string& p : paths) {
    const int distance = edit_distance(last(path), last(p));
    if (distance < least && last(path).size() > 1) {
      least = distance;
      best = p;
    }
  }
  return best;
}

}  // namespace ds::spec
