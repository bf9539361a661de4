// The emulation itself: what it must catch, or the other tests prove nothing.
#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "tests/cuda/emulation.h"

namespace {

void on(unsigned threads, const std::function<void()>& body) { emulation::run({1, 1, 1}, {threads, 1, 1}, 0, body); }

TEST(Emulation, BarriersOrderTheThreadsOfABlock) {
  for (auto order : {emulation::Order::forward, emulation::Order::backward}) {
    emulation::set_order(order);
    std::vector<int> shared(64), seen(64);
    on(64, [&] {
      unsigned t = threadIdx.x;
      shared[t] = static_cast<int>(t);
      __syncthreads();
      seen[t] = shared[63 - t];
    });
    for (int t = 0; t < 64; ++t) EXPECT_EQ(seen[static_cast<size_t>(t)], 63 - t);
  }
  emulation::set_order(emulation::Order::forward);
}

TEST(Emulation, AMissingBarrierDependsOnTheOrder) {
  auto last = [](emulation::Order order) {
    emulation::set_order(order);
    unsigned winner = 99;
    on(32, [&] { winner = threadIdx.x; });
    emulation::set_order(emulation::Order::forward);
    return winner;
  };
  EXPECT_NE(last(emulation::Order::forward), last(emulation::Order::backward));
}

TEST(Emulation, WarpOperations) {
  std::vector<unsigned> down(64), votes(64);
  on(64, [&] {
    unsigned t = threadIdx.x;
    down[t] = __shfl_down_sync(0xffffffffu, t, 16);
    votes[t] = __ballot_sync(0xffffffffu, t % 2 == 1);
  });
  EXPECT_EQ(down[3], 19u);
  EXPECT_EQ(down[35], 51u);
  EXPECT_EQ(down[20], 20u);  // past the warp's end: its own
  EXPECT_EQ(votes[40], 0xaaaaaaaau);
}

TEST(Emulation, ABarrierThatSomeThreadsMissIsAnError) {
  EXPECT_THROW(on(64,
                  [] {
                    if (threadIdx.x < 10) __syncthreads();
                  }),
               std::runtime_error);
  EXPECT_THROW(on(64,
                  [] {
                    if (threadIdx.x != 40) __shfl_down_sync(0xffffffffu, 1, 1);
                  }),
               std::runtime_error);
}

TEST(Emulation, ErrorsOfAThreadReachTheCaller) {
  EXPECT_THROW(on(32, [] { throw std::out_of_range("x"); }), std::out_of_range);
}

}  // namespace
