// The threads of the cpu device. The caller is one of them; workers spin briefly for the next piece of work, then
// sleep.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/context.h"

namespace ds {

class ThreadPool final : public kernels::Context {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool() override;
  int threads() const override { return static_cast<int>(workers_.size()) + 1; }
  void parallel_for(int64_t n, int64_t grain, kernels::FunctionRef<void(int64_t, int64_t)> body) override;
  void* scratch(size_t bytes) override;  // one buffer a calling thread

 private:
  struct Job {
    const kernels::FunctionRef<void(int64_t, int64_t)>* body;
    int64_t n, chunk;
    std::atomic<int64_t> next{0};
    std::exception_ptr error;
    std::mutex error_mutex;
  };
  void run(Job& job);
  void worker();

  std::vector<std::thread> workers_;
  std::atomic<Job*> job_{nullptr};
  std::atomic<uint64_t> epoch_{0};  // grows with every job; workers wait for it to change
  std::atomic<int> busy_{0};        // workers that have not finished the job of this epoch
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::mutex use_;  // one job at a time: a second caller runs its own inline
};

}  // namespace ds
