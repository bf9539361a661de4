#include "scheduler/cost/kernels.h"

#include <algorithm>
#include <cmath>

namespace ds::plan {
namespace {

struct Tile {
  int64_t m, n;
  double efficiency;  // of a full wave of them, against the largest: smaller tiles load more bytes a FLOP
};
// CUTLASS and cuBLAS tiles; efficiencies from the operand bytes a tile loads for its FLOPs, softened by the cache.
constexpr Tile kTiles[] = {{256, 128, 1.0}, {128, 256, 1.0}, {128, 128, 0.92}, {256, 64, 0.87},
                           {64, 256, 0.87}, {128, 64, 0.78}, {64, 128, 0.78},  {64, 64, 0.6}};
constexpr double kPipelineFill = 96;  // elements of K that a tile's prologue and epilogue cost

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

double gemm_seconds(const Device& device, int64_t m, int64_t n, int64_t k, int64_t batch, double output_bytes) {
  const double unit_rate = device.peak_bf16 * device.matmul_efficiency / device.units;
  double best = 0;
  for (const Tile& tile : kTiles) {
    const int64_t waves = ceil_div(ceil_div(m, tile.m) * ceil_div(n, tile.n) * batch, device.units);
    const double flops = 2.0 * static_cast<double>(tile.m * tile.n) * (static_cast<double>(k) + kPipelineFill);
    const double seconds = static_cast<double>(waves) * flops / (unit_rate * tile.efficiency);
    if (best == 0 || seconds < best) best = seconds;
  }
  const double elements = static_cast<double>(m) * k + static_cast<double>(k) * n;
  const double bytes = static_cast<double>(batch) * (2 * elements + output_bytes * static_cast<double>(m) * n);
  return std::max(best, bytes / (device.bandwidth * device.stream_efficiency)) + device.kernel_seconds;
}

double stream_seconds(const Device& device, double bytes, int kernels) {
  return bytes / (device.bandwidth * device.stream_efficiency) + kernels * device.kernel_seconds;
}

}  // namespace ds::plan
