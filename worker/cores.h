// Which cores a slot may use. Pure, except allowed_cores and run_on.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace ds::worker {

// "0,2-3" -> {0, 2, 3}; refuses anything else.
absl::StatusOr<std::vector<int>> parse_cores(std::string_view text);
std::string format_cores(const std::vector<int>& cores);

// The cores this process may run on.
std::vector<int> allowed_cores();

// Runs the calling thread, and those it makes, on these cores only. False where that is not possible.
bool run_on(const std::string& cores);

// The share of slot `slot` of `slots`: cores split evenly and in order; with fewer cores than slots, one core in turn.
std::vector<int> slot_cores(const std::vector<int>& cores, int slot, int slots);

struct CpuShare {
  std::vector<int> cores;
  int threads = 1;
};
// `wanted_threads` 0: one for each core of the slot. More threads than the slot has cores may use all of the worker's.
CpuShare cpu_share(const std::vector<int>& cores, int slot, int slots, int wanted_threads);

// "cpu:3" -> 3; refuses other devices.
absl::StatusOr<int> slot_of_device(std::string_view device);

}  // namespace ds::worker
