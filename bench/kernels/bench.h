// Timing and printing of kernel benches: one JSON object a case, the peer measured in the same run.
#pragma once
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "kernels/table.h"
#include "tests/kernels/test_context.h"

namespace ds::kernels::bench {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// One thread is timed by its own CPU clock, which a busy machine does not disturb; several by the wall's.
inline double read_clock(int threads) {
  if (threads > 1) return now();
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Seconds of a call of each, of the quickest of many batches of calls, by turns: both meet the same neighbours.
struct Pair {
  double ours, peer;
};
template <class F, class G>
Pair best_of(int threads, F&& ours, G&& peer, double seconds = 0.3) {
  auto batch = [threads](auto& f, int calls) {
    double start = read_clock(threads);
    for (int i = 0; i < calls; ++i) f();
    return (read_clock(threads) - start) / calls;
  };
  auto calls_for = [&](auto& f) {
    return std::max(1, static_cast<int>(100e-6 / std::max(1e-9, std::min(batch(f, 1), batch(f, 1)))));
  };
  int a = calls_for(ours), b = calls_for(peer);
  Pair p{1e30, 1e30};
  for (double until = now() + seconds; now() < until;) {
    for (int i = 0; i < 5; ++i) p.ours = std::min(p.ours, batch(ours, a));
    for (int i = 0; i < 5; ++i) p.peer = std::min(p.peer, batch(peer, b));
  }
  return p;
}

// Values are times or rates in `unit`; ratio is ours / peer.
inline void print(const std::string& bench, const std::string& name, double ours, const std::string& peer,
                  double peer_value, const std::string& unit) {
  std::printf(
      R"({"bench": "%s", "case": "%s", "ours": %.5g, "peer": "%s", "peer_value": %.5g, "unit": "%s", "ratio": %.3f})"
      "\n",
      bench.c_str(), name.c_str(), ours, peer.c_str(), peer_value, unit.c_str(), ours / peer_value);
  std::fflush(stdout);
}

inline std::vector<float> randoms(size_t n, unsigned seed = 1) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<float> d(-1, 1);
  std::vector<float> v(n);
  for (float& x : v) x = d(rng);
  return v;
}

// `program [filter]`: only the cases whose name contains the filter.
inline bool chosen(int argc, char** argv, const std::string& name) {
  return argc < 2 || name.find(argv[1]) != std::string::npos;
}

}  // namespace ds::kernels::bench
