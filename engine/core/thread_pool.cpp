#include "engine/core/thread_pool.h"

#include <immintrin.h>

#include <algorithm>
#include <cstdlib>
#include <new>

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
    epoch_.fetch_add(1);
  }
  wake_.notify_all();
  for (auto& w : workers_) w.join();
}

void ThreadPool::parallel_for(int64_t n, int64_t grain, kernels::FunctionRef<void(int64_t, int64_t)> body) {
  if (n <= 0) return;
  std::unique_lock use(use_, std::defer_lock);
  if (n <= grain || workers_.empty() || !use.try_lock()) return body(0, n);
  Job job{&body, n, std::max(grain, (n + threads() - 1) / threads()), {}, {}, {}};
  busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  job_.store(&job, std::memory_order_relaxed);
  epoch_.fetch_add(1);  // seq_cst: pairs with the check of epoch_ after sleepers_ grew
  if (sleepers_.load() > 0) {
    std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
  run(job);
  for (int spins = 0; busy_.load(std::memory_order_acquire) > 0;)
    if (++spins < kSpins)
      _mm_pause();
    else
      std::this_thread::yield();
  if (job.error) std::rethrow_exception(job.error);
}

void ThreadPool::run(Job& job) {
  for (;;) {
    int64_t begin = job.next.fetch_add(job.chunk, std::memory_order_relaxed);
    if (begin >= job.n) return;
    try {
      (*job.body)(begin, std::min(begin + job.chunk, job.n));
    } catch (...) {
      std::lock_guard lock(job.error_mutex);
      if (!job.error) job.error = std::current_exception();
    }
  }
}

void ThreadPool::worker() {
  uint64_t seen = 0;
  for (;;) {
    for (int spins = 0; epoch_.load(std::memory_order_acquire) == seen;) {
      if (++spins < kSpins) {
        _mm_pause();
        continue;
      }
      std::unique_lock lock(mutex_);
      sleepers_.fetch_add(1);
      wake_.wait(lock, [&] { return epoch_.load() != seen; });
      sleepers_.fetch_sub(1);
    }
    ++seen;  // jobs come one at a time: the caller waits for busy_ to reach 0
    if (stop_) return;
    run(*job_.load(std::memory_order_acquire));
    busy_.fetch_sub(1, std::memory_order_release);
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
    buffer.bytes = (bytes + bytes / 4 + 4095) / 4096 * 4096;
    buffer.data = std::aligned_alloc(4096, buffer.bytes);
    if (!buffer.data) throw std::bad_alloc();
  }
  return buffer.data;
}

}  // namespace ds
