// The cuda device as the engine sees it. Where the driver reports no GPU, the refusal is what is tested.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "engine/core/device.h"
#include "engine/core/error.h"

namespace ds {
namespace {

Backend* gpu() {
  try {
    return &backend({DeviceKind::cuda, 0});
  } catch (const Error&) {
    return nullptr;
  }
}

std::string refusal(int index) {
  try {
    backend({DeviceKind::cuda, index});
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(CudaDevice, ADeviceThatIsNotThereIsRefusedByName) {
  EXPECT_EQ(refusal(99).find("[device] cuda:99 was asked for, but "), 0u) << refusal(99);
  if (gpu() != nullptr) return;
  EXPECT_EQ(refusal(0).find("[device] cuda:0 was asked for, but "), 0u) << refusal(0);
}

TEST(CudaDevice, BytesOfEverySizeComeBack) {
  Backend* b = gpu();
  if (b == nullptr) GTEST_SKIP() << refusal(0);
  for (size_t n : {size_t{0}, size_t{1}, size_t{2 << 20}, size_t{(9 << 20) + 3}}) {
    std::vector<uint8_t> out(n), in(n);
    for (size_t i = 0; i < n; ++i) out[i] = static_cast<uint8_t>(i * 37 + i / 4096);
    void* memory = b->pool().allocate(n);
    b->from_host(memory, out.data(), n);
    b->to_host(in.data(), memory, n);
    EXPECT_EQ(in, out);
    b->pool().release(memory, n);
  }
}

TEST(CudaDevice, AProductWithItsEpilogueAndAFoldRun) {
  Backend* b = gpu();
  if (b == nullptr) GTEST_SKIP() << refusal(0);
  constexpr int64_t m = 33, n = 65, k = 17;
  std::vector<float> x(m * k), w(k * n), bias(n), y(m * n), sums(m);
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
  for (size_t i = 0; i < w.size(); ++i) w[i] = std::cos(static_cast<float>(i));
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = 0.1f * static_cast<float>(i % 7);
  auto send = [&](const std::vector<float>& v) {
    auto* p = static_cast<float*>(b->pool().allocate(v.size() * 4));
    b->from_host(p, v.data(), v.size() * 4);
    return p;
  };
  float *dx = send(x), *dw = send(w), *dbias = send(bias), *dy = send(y), *dsums = send(sums);
  kernels::Matmul p{DType::f32, 1, m, n, k, dx, dw, dy, k, n, n, 0, 0, 0, false, false};
  p.bias = dbias;
  p.relu = true;
  b->kernels().matmul(b->context(), p);
  b->kernels().reduce(b->context(), kernels::Reduce::sum, DType::f32, dsums, dy, m, n, 1);
  b->to_host(sums.data(), dsums, sums.size() * 4);
  for (int64_t i = 0; i < m; ++i) {
    double want = 0;
    for (int64_t j = 0; j < n; ++j) {
      double v = bias[static_cast<size_t>(j)];
      for (int64_t q = 0; q < k; ++q)
        v += double{x[static_cast<size_t>(i * k + q)]} * w[static_cast<size_t>(q * n + j)];
      want += std::max(v, 0.0);
    }
    EXPECT_NEAR(sums[static_cast<size_t>(i)], want, 1e-3);
  }
}

}  // namespace
}  // namespace ds
