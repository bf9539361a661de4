// What this machine reaches, with the kernels and collectives that training uses.
#include <algorithm>
#include <chrono>
#include <vector>

#include "engine/autograd/grad.h"
#include "engine/ops/functions.h"
#include "engine/train/profile.h"

namespace ds::train {
namespace {

constexpr double kEach = 0.04;  // seconds of repetitions
constexpr int kLeast = 5;

template <class Run>
double seconds_of(const Run& run) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  run();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The lower quartile: what else the machine does for a moment is no constant of it.
double quartile(std::vector<double>& times) {
  const auto at = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 4);
  std::nth_element(times.begin(), at, times.end());
  return *at;
}

// Over kEach seconds; the first run plans and fills the pool, and does not count.
template <class Run>
double typical_seconds(const Run& run) {
  run();
  std::vector<double> times;
  double sum = 0;
  while (sum < kEach || times.size() < kLeast) {
    times.push_back(seconds_of(run));
    sum += times.back();
  }
  return quartile(times);
}

Tensor random(const Shape& shape) {
  Tensor t = random_uniform(shape, 1);
  t.eval();
  return t.detach();
}

double matmul_rate() {
  constexpr int64_t rows = 128, width = 512;  // a dense layer of a small batch
  const Tensor a = random({rows, width}), b = random({width, width});
  const double time = typical_seconds([&] { matmul(a, b).eval(); });
  return 2.0 * rows * width * width / time;
}

// Forward and both gradients, as training runs them.
double conv_rate() {
  constexpr int64_t batch = 16, in = 32, out = 64, side = 14;
  Tensor x = random({batch, in, side, side}), w = random({out, in, 3, 3});
  x.set_requires_grad(true);
  w.set_requires_grad(true);
  const double time = typical_seconds([&] {
    const std::vector<Tensor> of{x, w};
    eval(grad(sum(conv2d(x, w, {}, {.pad_h = 1, .pad_w = 1})), of));
  });
  return 3 * 2.0 * batch * out * side * side * in * 9 / time;
}

double memory_rate() {
  constexpr int64_t count = 1 << 20;  // 12 MiB with the result: more than a core's own cache
  const Tensor a = random({count}), b = random({count});
  return 12.0 * count / typical_seconds([&] { (a * 0.5 + b).eval(); });
}

double kernel_time() {
  constexpr int kernels = 64;
  const Tensor w = random({4, 4});
  return typical_seconds([&] {
           Tensor y = w;
           for (int i = 0; i < kernels; ++i) y = matmul(y, w);
           y.eval();
         }) /
         kernels;
}

}  // namespace

SlotRates measure_rates() { return {matmul_rate(), conv_rate(), memory_rate(), kernel_time()}; }

AllReduceRates measure_all_reduce(comm::Communicator& communicator) {
  constexpr size_t small = 16, large = 1 << 20;  // floats
  constexpr int times = 20, large_times = 8;
  const auto buffer = communicator.allocate(large * sizeof(float));
  auto* data = static_cast<float*>(buffer->data());
  std::fill_n(data, large, 0.0f);
  // As many repetitions on every rank: the quartile is each rank's own, the calls are not.
  const auto typical = [&](size_t count, int repetitions) {
    std::vector<double> seconds;
    communicator.all_reduce(data, count, DType::f32, comm::ReduceOp::sum);  // peers map each other's memory
    for (int i = 0; i < repetitions; ++i)
      seconds.push_back(seconds_of([&] { communicator.all_reduce(data, count, DType::f32, comm::ReduceOp::sum); }));
    return quartile(seconds);
  };
  AllReduceRates rates;
  rates.seconds = typical(small, times);
  const double n = communicator.size();
  const double moved = 2 * (n - 1) / n * static_cast<double>(large * sizeof(float));
  rates.bytes = moved / std::max(1e-9, typical(large, large_times) - rates.seconds);
  communicator.barrier();
  return rates;
}

}  // namespace ds::train
