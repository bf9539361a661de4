// A context for tests and benches of kernels: a pool that hands out ranges, and scratch that is poisoned before use.
#pragma once
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "kernels/context.h"

namespace ds::kernels {

class TestContext : public Context {
 public:
  explicit TestContext(int threads, bool poison = true) : threads_(threads), poison_(poison) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  ~TestContext() override {
    stop_ = true;
    generation_.fetch_add(1);
    generation_.notify_all();
    for (auto& w : workers_) w.join();
  }

  int threads() const override { return threads_; }

  void parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> body) override {
    if (n <= 0) return;
    int64_t parts = std::min<int64_t>(threads_, n / std::max<int64_t>(grain, 1));
    if (parts <= 1) return body(0, n);
    n_ = n;
    share_ = (n + parts - 1) / parts;
    body_ = &body;
    next_ = 0;
    left_ = static_cast<int>(workers_.size());
    generation_.fetch_add(1);
    generation_.notify_all();
    take_ranges();
    for (int spin = 0; left_.load() != 0; ++spin) {
      if (spin > 2000) std::this_thread::yield();
    }
  }

  void* scratch(size_t bytes) override {
    if (bytes > capacity_) {
      scratch_.reset(static_cast<char*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)));
      if (scratch_ == nullptr) throw std::bad_alloc();
      capacity_ = bytes;
    }
    if (poison_) std::memset(scratch_.get(), 0xff, bytes);  // NaN in every float
    return scratch_.get();
  }

 private:
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };

  void take_ranges() {
    for (;;) {
      int64_t begin = next_.fetch_add(1) * share_;
      if (begin >= n_) return;
      (*body_)(begin, std::min(n_, begin + share_));
    }
  }
  void work() {
    uint32_t seen = 0;
    for (;;) {
      for (int spin = 0; spin < 20000 && generation_.load() == seen; ++spin) __builtin_ia32_pause();
      generation_.wait(seen);
      seen = generation_.load();
      if (stop_) return;
      take_ranges();
      left_.fetch_sub(1);
    }
  }

  const int threads_;
  const bool poison_;
  std::vector<std::thread> workers_;
  std::atomic<uint32_t> generation_{0};
  std::atomic<bool> stop_{false};
  std::atomic<int> left_{0};
  std::atomic<int64_t> next_{0};
  int64_t n_ = 0, share_ = 0;
  FunctionRef<void(int64_t, int64_t)>* body_ = nullptr;
  std::unique_ptr<char, Free> scratch_;
  size_t capacity_ = 0;
};

}  // namespace ds::kernels
