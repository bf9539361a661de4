#include "worker/cores.h"

#include <sched.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace ds::worker {

absl::StatusOr<std::vector<int>> parse_cores(std::string_view text) {
  auto refuse = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("[cores] got \"", std::string(text), "\"; allowed: numbers and ranges, like 0,2-3"));
  };
  std::vector<int> cores;
  for (absl::string_view part : absl::StrSplit(absl::string_view(text.data(), text.size()), ',')) {
    std::vector<absl::string_view> ends = absl::StrSplit(part, '-');
    int first = 0, last = 0;
    if (ends.size() > 2 || !absl::SimpleAtoi(ends.front(), &first) || !absl::SimpleAtoi(ends.back(), &last) ||
        first < 0 || last < first || last >= CPU_SETSIZE) {
      return refuse();
    }
    for (int core = first; core <= last; ++core) cores.push_back(core);
  }
  std::sort(cores.begin(), cores.end());
  cores.erase(std::unique(cores.begin(), cores.end()), cores.end());
  return cores;
}

std::string format_cores(const std::vector<int>& cores) { return absl::StrJoin(cores, ","); }

std::vector<int> allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &set)) cores.push_back(core);
    }
  }
  return cores.empty() ? std::vector<int>{0} : cores;
}

bool run_on(const std::string& text) {
  const auto cores = parse_cores(text);
  if (!cores.ok()) return false;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int core : *cores) CPU_SET(core, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

std::vector<int> slot_cores(const std::vector<int>& cores, int slot, int slots) {
  int count = static_cast<int>(cores.size());
  if (count < slots) return {cores[slot % count]};
  return {cores.begin() + slot * count / slots, cores.begin() + (slot + 1) * count / slots};
}

CpuShare cpu_share(const std::vector<int>& cores, int slot, int slots, int wanted_threads) {
  CpuShare share{slot_cores(cores, slot, slots), wanted_threads};
  if (wanted_threads <= 0) {
    share.threads = static_cast<int>(share.cores.size());
  } else if (wanted_threads > static_cast<int>(share.cores.size())) {
    share.cores = cores;
  }
  return share;
}

absl::StatusOr<int> slot_of_device(std::string_view device) {
  int slot = -1;
  absl::string_view text(device.data(), device.size());
  if (text.substr(0, 4) != "cpu:" || !absl::SimpleAtoi(text.substr(4), &slot) || slot < 0) {
    return absl::InvalidArgumentError(absl::StrCat("[StartRank] device \"", text, "\"; this worker has cpu:0 and up"));
  }
  return slot;
}

}  // namespace ds::worker
