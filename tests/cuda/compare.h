// Every kernel's check: the cuda kernels under emulation, threads in both orders, against the cpu backend.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "tests/cuda/emulation.h"
#include "tests/kernels/array.h"

namespace ds::kernels {

using Make = std::function<std::vector<Array>(const Table&, Context&)>;

// What the cuda backend makes; the same bits in both orders of threads, and nothing written behind an output.
inline std::vector<Array> emulate(const Make& make) {
  TestContext ctx(1);
  emulation::set_order(emulation::Order::forward);
  std::vector<Array> first = make(cuda(), ctx);
  emulation::set_order(emulation::Order::backward);
  std::vector<Array> second = make(cuda(), ctx);
  emulation::set_order(emulation::Order::forward);
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].bits(), second[i].bits()) << "output " << i << " depends on the order of threads";
    EXPECT_TRUE(first[i].guard()) << "wrote behind output " << i;
  }
  return first;
}

inline std::vector<Array> on_cpu(const Make& make) {
  TestContext ctx(1);
  return make(cpu(), ctx);
}

// The cpu backend's bits.
inline void expect_same_bits(const std::string& what, const Make& make) {
  std::vector<Array> got = emulate(make), want = on_cpu(make);
  for (size_t i = 0; i < want.size(); ++i) {
    for (size_t j = 0; j < want[i].size() && got[i].bits() != want[i].bits(); ++j) {
      std::complex<double> g = got[i].complex(j), w = want[i].complex(j);
      auto same = [](double a, double b) { return a == b || (a != a && b != b); };
      ASSERT_TRUE(same(g.real(), w.real()) && same(g.imag(), w.imag()))
          << what << " output " << i << " element " << j << ": " << g << ", not " << w;
    }
  }
}

// The cpu backend's values within rounding, for sums of another order.
inline void expect_close(const std::string& what, double scale, const Make& make) {
  std::vector<Array> got = emulate(make), want = on_cpu(make);
  for (size_t i = 0; i < want.size(); ++i) {
    std::vector<double> values(want[i].size());
    for (size_t j = 0; j < values.size(); ++j) values[j] = want[i][j];
    expect_near(got[i], values, scale, what + " output " + std::to_string(i));
  }
}

}  // namespace ds::kernels
