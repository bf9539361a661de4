#include "worker/memory.h"

#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace ds::worker {
namespace {

constexpr int kLikelier = 900, kNever = -1000;  // of -1000 (never) to 1000 (first)

// The number behind `key` in a file of lines "key number"; -1 if there is none.
int64_t count_in(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  for (int64_t number = 0; file >> word >> number;) {
    if (word == key) return number;
  }
  return -1;
}

// The files that may count our group's kills, likeliest first: in a container the path that the kernel names is often
// the host's, and the group is what is mounted.
std::vector<std::string> candidates(const std::string& root) {
  std::vector<std::string> files;
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "ID:CONTROLLERS:PATH"
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    if (parts[1].empty()) {
      for (const std::string& group : {parts[2], std::string()})
        files.push_back(absl::StrCat(root, "/sys/fs/cgroup", group, "/memory.events"));
    } else if (absl::StrContains(absl::StrCat(",", parts[1], ","), ",memory,")) {
      for (const std::string& group : {parts[2], std::string()})
        files.push_back(absl::StrCat(root, "/sys/fs/cgroup/memory", group, "/memory.oom_control"));
    }
  }
  files.push_back(root + "/proc/vmstat");
  return files;
}

}  // namespace

void prefer_for_oom(pid_t pid) { std::ofstream(absl::StrCat("/proc/", pid, "/oom_score_adj")) << kLikelier; }

void spare_from_oom() { std::ofstream("/proc/self/oom_score_adj") << kNever; }

int64_t oom_kills(const std::string& root) {
  for (const std::string& file : candidates(root)) {
    if (const int64_t count = count_in(file, "oom_kill"); count >= 0) return count;
  }
  return -1;
}

}  // namespace ds::worker
