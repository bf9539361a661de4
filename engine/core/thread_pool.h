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
  bool run_one();  // claims a piece and runs it; false: nothing left to claim
  void worker();

  std::vector<std::thread> workers_;
  // The job under way: its number above, pieces not yet claimed below. A worker that comes late finds none and touches
  // nothing; the caller waits only for pieces that were claimed.
  std::atomic<uint64_t> state_{0};
  std::atomic<int64_t> done_{0};                                        // pieces finished
  const kernels::FunctionRef<void(int64_t, int64_t)>* body_ = nullptr;  // valid while a claimed piece is not done
  int64_t n_ = 0, chunk_ = 0;
  std::exception_ptr error_;
  std::mutex error_mutex_;
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::mutex use_;  // one job at a time: a second caller runs its own inline
};

}  // namespace ds
