// A collective under way is a coroutine: straight-line code that gives way wherever it waits for a peer.
#pragma once
#include <coroutine>
#include <exception>
#include <utility>

namespace ds::comm {

// What a condition answers: kReady, or the rank that is waited for (so that errors can name it).
inline constexpr int kReady = -1;

class Task {
 public:
  struct promise_type {
    const void* condition = nullptr;  // lives in the suspended frame
    int (*ask)(const void*) = nullptr;
    std::exception_ptr error;

    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { error = std::current_exception(); }
  };

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  // Goes on as far as it can. kReady when through; else the rank it waits for. Throws what the body threw.
  int poll() {
    while (!handle_.done()) {
      promise_type& p = handle_.promise();
      const int rank = p.ask(p.condition);
      if (rank != kReady) return rank;
      handle_.resume();
    }
    if (handle_.promise().error) std::rethrow_exception(handle_.promise().error);
    return kReady;
  }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_ = nullptr;
};

// co_await until([&]() -> int { ... }): gives way until the condition answers kReady.
template <class Condition>
class until {
 public:
  explicit until(Condition condition) : condition_(std::move(condition)) {}
  bool await_ready() { return condition_() == kReady; }
  void await_suspend(std::coroutine_handle<Task::promise_type> handle) {
    handle.promise().condition = &condition_;
    handle.promise().ask = [](const void* c) { return (*static_cast<const Condition*>(c))(); };
  }
  void await_resume() {}

 private:
  Condition condition_;
};

}  // namespace ds::comm
