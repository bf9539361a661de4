#include "worker/supervisor.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace ds::worker {
namespace {
constexpr uint64_t kWake = 0;  // ids of processes start at 1
}

Supervisor::Supervisor() : epoll_(epoll_create1(EPOLL_CLOEXEC)), event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWake;
  if (epoll_.get() < 0 || event_.get() < 0 || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, event_.get(), &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "[worker] epoll");
  }
}

double Supervisor::now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void Supervisor::run(const Callbacks& callbacks) {
  double due = now();
  while (!stopping_) {
    double at = now();
    int wait_ms = callbacks.tick(at, std::max(0.0, at - due));
    due = now() + 1e-3 * wait_ms;
    epoll_event events[32];
    int count = epoll_wait(epoll_.get(), events, 32, wait_ms);
    for (int i = 0; i < count; ++i) {
      if (events[i].data.u64 != kWake) {
        callbacks.ended(events[i].data.u64);
        continue;
      }
      uint64_t drained = 0;
      [[maybe_unused]] ssize_t n = ::read(event_.get(), &drained, sizeof drained);
    }
  }
}

void Supervisor::stop() {
  stopping_ = true;
  wake();
}

void Supervisor::wake() {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t n = ::write(event_.get(), &one, sizeof one);
}

void Supervisor::watch(const Process& process, uint64_t id) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, process.pidfd.get(), &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "[worker] watching a process");
  }
}

void Supervisor::forget(const Process& process) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, process.pidfd.get(), nullptr);
}

}  // namespace ds::worker
