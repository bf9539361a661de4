#include "scheduler/plan/calibrate.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ds::plan {
namespace {

constexpr size_t kKnobs = 5;
using Knobs = std::array<double, kKnobs>;  // factors

Cluster turned(Cluster c, const Knobs& k) {
  for (NodeGroup& g : c.groups) {
    g.device.matmul_efficiency = std::min(1.0, g.device.matmul_efficiency * k[0]);
    g.device.stream_efficiency = std::min(1.0, g.device.stream_efficiency * k[1]);
    g.island_bandwidth *= k[2];
  }
  c.software.host_seconds *= k[3];
  c.software.step_seconds *= k[4];
  return c;
}

}  // namespace

double mean_relative_error(const Cluster& base, const std::vector<Measured>& rows) {
  double sum = 0;
  for (const Measured& row : rows) {
    const absl::StatusOr<Cluster> cluster = with_devices(base, row.devices, true);
    if (!cluster.ok()) continue;
    sum += std::abs(step_time(*cluster, row.model, row.layout).seconds / row.seconds - 1);
  }
  return rows.empty() ? 0 : sum / static_cast<double>(rows.size());
}

Cluster calibrated(const Cluster& base, const std::vector<Measured>& rows) {
  Knobs best;
  best.fill(1);
  double least = mean_relative_error(base, rows);
  for (double step = 0.4; step > 0.02; step /= 2) {
    bool moved = true;
    for (int round = 0; moved && round < 8; ++round) {
      moved = false;
      for (size_t i = 0; i < kKnobs; ++i) {
        for (double factor : {1 + step, 1 / (1 + step)}) {
          Knobs next = best;
          next[i] *= factor;
          const double error = mean_relative_error(turned(base, next), rows);
          if (error < least) least = error, best = next, moved = true;
        }
      }
    }
  }
  return turned(base, best);
}

std::vector<size_t> random_part(size_t n, size_t part, uint64_t seed) {
  std::vector<size_t> chosen;
  for (size_t i = 0; i < n; ++i) {
    uint64_t x = seed + 0x9e3779b97f4a7c15ULL * (i + 1);  // SplitMix64
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    x ^= x >> 31;
    if (x % part == 0) chosen.push_back(i);
  }
  return chosen;
}

}  // namespace ds::plan
