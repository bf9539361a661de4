#include "engine/core/thread_pool.h"

#include <immintrin.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace ds {
namespace {
constexpr int kSpins = 4000;  // about 50 us: longer than the gap between two ops of a step
}

ThreadPool::ThreadPool(int threads) {
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { worker(); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (auto& w : workers_) w.join();
}

void ThreadPool::parallel_for(int64_t n, int64_t grain, kernels::FunctionRef<void(int64_t, int64_t)> body) {
  if (n <= 0) return;
  std::unique_lock use(use_, std::defer_lock);
  if (n <= grain || workers_.empty() || !use.try_lock()) return body(0, n);
  body_ = &body;
  n_ = n;
  chunk_ = std::max(grain, (n + threads() - 1) / threads());
  int64_t pieces = (n + chunk_ - 1) / chunk_;
  done_.store(0, std::memory_order_relaxed);
  uint64_t job = (state_.load(std::memory_order_relaxed) >> 32) + 1;
  state_.store(job << 32 | static_cast<uint64_t>(pieces));  // seq_cst: pairs with a worker that is about to sleep
  if (sleepers_.load() > 0) {
    std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
  while (run_one()) {
  }
  for (int spins = 0; done_.load(std::memory_order_acquire) < pieces;)
    if (++spins < kSpins)
      _mm_pause();
    else
      std::this_thread::yield();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

bool ThreadPool::run_one() {
  uint64_t state = state_.load(std::memory_order_acquire);
  do {
    if ((state & 0xffffffffu) == 0) return false;
  } while (!state_.compare_exchange_weak(state, state - 1, std::memory_order_acq_rel));
  int64_t begin = static_cast<int64_t>((state & 0xffffffffu) - 1) * chunk_;
  try {
    (*body_)(begin, std::min(begin + chunk_, n_));
  } catch (...) {
    std::lock_guard lock(error_mutex_);
    if (!error_) error_ = std::current_exception();
  }
  done_.fetch_add(1, std::memory_order_release);
  return true;
}

void ThreadPool::worker() {
  auto idle = [&] { return (state_.load() & 0xffffffffu) == 0 && !stop_; };
  while (!stop_) {
    for (int spins = 0; idle() && spins < kSpins; ++spins) _mm_pause();
    if (idle()) {
      std::unique_lock lock(mutex_);
      sleepers_.fetch_add(1);
      wake_.wait(lock, [&] { return !idle(); });
      sleepers_.fetch_sub(1);
    }
    while (run_one()) {
    }
  }
}

void* ThreadPool::scratch(size_t bytes) {
  struct Buffer {
    void* data = nullptr;
    size_t bytes = 0;
    ~Buffer() { std::free(data); }
  };
  thread_local Buffer buffer;
  if (bytes > buffer.bytes) {
    std::free(buffer.data);
    buffer.bytes = 0;
    size_t size = (bytes + bytes / 4 + 4095) / 4096 * 4096;
    buffer.data = std::aligned_alloc(4096, size);
    if (!buffer.data) throw std::bad_alloc();
    buffer.bytes = size;
  }
  return buffer.data;
}

}  // namespace ds
