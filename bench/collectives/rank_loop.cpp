#include "bench/collectives/rank_loop.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

namespace ds::bench {
namespace {

using Clock = std::chrono::steady_clock;

double microseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

std::string all_reduce(Library& library, size_t bytes, int calls, int samples) {
  float* const data = static_cast<float*>(library.memory(bytes));
  std::memset(data, 0, bytes);
  for (int i = 0; i < std::max(1, calls / 10); ++i) library.all_reduce_sum(data, bytes / sizeof(float));
  std::vector<double> times;
  for (int s = 0; s < samples; ++s) {
    library.barrier();
    const auto begin = Clock::now();
    for (int i = 0; i < calls; ++i) library.all_reduce_sum(data, bytes / sizeof(float));
    times.push_back(microseconds_since(begin) / calls);
  }
  std::sort(times.begin(), times.end());
  std::ostringstream out;
  out << times[times.size() / 2] << ' ' << times.front();
  return out.str();
}

// STREAM's triad counts 24 bytes an element; scaling in place 16, and it writes only lines it has read, as a reduction
// in place does. Both are what the machine's memory gives; the better one is the bandwidth.
std::string bandwidth(Library& library, int size, size_t bytes, int samples) {
  const size_t n = bytes / sizeof(double);
  std::vector<double> a(n, 1.0), b(n, 2.0), c(n, 3.0);
  double best = 0;
  for (int s = 0; s < samples; ++s) {
    library.barrier();
    auto begin = Clock::now();
    for (size_t i = 0; i < n; ++i) a[i] = b[i] + 3.0 * c[i];
    library.barrier();
    best = std::max(best, 24.0 * static_cast<double>(n) * size / microseconds_since(begin) / 1e3);
    library.barrier();
    begin = Clock::now();
    for (size_t i = 0; i < n; ++i) b[i] = 0.5 * b[i];
    library.barrier();
    best = std::max(best, 16.0 * static_cast<double>(n) * size / microseconds_since(begin) / 1e3);
  }
  std::ostringstream out;
  out << best + (a[n / 2] + b[n / 3] < 0 ? 1 : 0);  // the arrays are looked at
  return out.str();
}

}  // namespace

void serve(Library& library, int rank, int size, const std::string& folder) {
  std::ifstream commands(folder + "/in." + std::to_string(rank));
  std::ofstream answers(rank == 0 ? folder + "/out" : "/dev/null");
  for (std::string line; std::getline(commands, line);) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "quit") break;
    size_t bytes = 0;
    int calls = 0, samples = 0;
    if (command == "bandwidth") {
      words >> bytes >> samples;
      answers << bandwidth(library, size, bytes, samples) << std::endl;
    } else {
      words >> bytes >> calls >> samples;
      answers << all_reduce(library, bytes, calls, samples) << std::endl;
    }
  }
}

}  // namespace ds::bench
