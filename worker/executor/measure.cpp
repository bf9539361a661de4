// Slots are measured as ranks run: one pinned process each, over the real transport. The processes are forked before
// anything here has threads, and do what their parent says through a socket pair.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "engine/comm/communicator.h"
#include "engine/core/device.h"
#include "engine/train/profile.h"
#include "worker/cores.h"
#include "worker/executor/inquiry.h"

namespace ds::worker {
namespace {

constexpr unsigned kPatience = 30;  // seconds; a measurement that takes longer is given up

[[noreturn]] void broken(const char* what) {
  throw std::system_error(errno ? errno : EPIPE, std::generic_category(), std::string("[measure] ") + what);
}

void put(int fd, const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::write(fd, at, bytes);
    if (n <= 0) broken("a process is gone");
    at += n, bytes -= static_cast<size_t>(n);
  }
}
void take(int fd, void* data, size_t bytes) {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::read(fd, at, bytes);
    if (n <= 0) broken("a process is gone");
    at += n, bytes -= static_cast<size_t>(n);
  }
}
void put(int fd, const std::string& text) {
  const size_t size = text.size();
  put(fd, &size, sizeof size);
  put(fd, text.data(), size);
}
std::string take_text(int fd) {
  size_t size = 0;
  take(fd, &size, sizeof size);
  std::string text(size, '\0');
  take(fd, text.data(), size);
  return text;
}

enum class Order : char { kRates, kCollective, kEnd };

// One slot: obeys until it is told to end.
void serve(int fd, const std::string& share, int rank, int ranks) {
  run_on(share);
  const auto cores = parse_cores(share);
  set_threads(cores.ok() ? static_cast<int>(cores->size()) : 1);
  for (Order order{}; take(fd, &order, sizeof order), order != Order::kEnd;) {
    if (order == Order::kRates) {
      const train::SlotRates rates = train::measure_rates();
      put(fd, &rates, sizeof rates);
      continue;
    }
    const auto endpoint = comm::make_endpoint("ucx");
    put(fd, endpoint->address());
    std::vector<std::string> addresses;
    for (int r = 0; r < ranks; ++r) addresses.push_back(take_text(fd));
    const auto communicator = endpoint->connect(rank, addresses, kPatience);
    const train::AllReduceRates rates = train::measure_all_reduce(*communicator);
    put(fd, &rates, sizeof rates);
    put(fd, communicator->transport());
  }
}

class Slot {
 public:
  Slot(const std::string& share, int rank, int ranks) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) broken("socketpair");
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) broken("fork");
    fd_ = ends[pid_ == 0 ? 1 : 0];
    ::close(ends[pid_ == 0 ? 0 : 1]);
    if (pid_ > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    try {
      serve(fd_, share, rank, ranks);
      _exit(0);
    } catch (const std::exception& e) {
      dprintf(STDERR_FILENO, "%s\n", e.what());
      _exit(1);
    }
  }
  ~Slot() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    finish();
    ::close(fd_);
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  void order(Order what) { put(fd_, &what, sizeof what); }
  int fd() const { return fd_; }
  // Waits for its end: what it shared with the others is given back then.
  void finish() {
    if (pid_ > 0) ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
  int fd_ = -1;
};
using Slots = std::vector<std::unique_ptr<Slot>>;

train::SlotRates rates_of(Slots& slots, size_t count) {
  for (size_t i = 0; i < count; ++i) slots[i]->order(Order::kRates);
  train::SlotRates first{};
  for (size_t i = 0; i < count; ++i) {
    train::SlotRates rates;
    take(slots[i]->fd(), &rates, sizeof rates);
    if (i == 0) first = rates;
  }
  return first;
}

void fill_rates(v1::SlotRates* to, const train::SlotRates& rates) {
  to->set_matmul_flops(rates.matmul_flops);
  to->set_conv_flops(rates.conv_flops);
  to->set_memory_bytes(rates.memory_bytes);
  to->set_kernel_seconds(rates.kernel_seconds);
}

// An all_reduce is as slow as its slowest rank.
void fill_collective(v1::Constants* to, Slots& slots) {
  for (auto& slot : slots) slot->order(Order::kCollective);
  std::vector<std::string> addresses;
  for (auto& slot : slots) addresses.push_back(take_text(slot->fd()));
  for (auto& slot : slots)
    for (const std::string& address : addresses) put(slot->fd(), address);
  for (auto& slot : slots) {
    train::AllReduceRates rates;
    take(slot->fd(), &rates, sizeof rates);
    const bool first = to->all_reduce_bytes() == 0;
    to->set_all_reduce_seconds(std::max(to->all_reduce_seconds(), rates.seconds));
    to->set_all_reduce_bytes(first ? rates.bytes : std::min(to->all_reduce_bytes(), rates.bytes));
    to->set_transport(take_text(slot->fd()));
  }
}

// The lock is on this very program, which every worker of the machine has open.
class OneAtATime {
 public:
  OneAtATime() : fd_(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0 || flock(fd_, LOCK_EX) != 0) broken("the lock on this program");
  }
  ~OneAtATime() { ::close(fd_); }

 private:
  int fd_;
};

}  // namespace

v1::Constants measure(const std::vector<std::string>& shares) {
  const OneAtATime lock;
  signal(SIGPIPE, SIG_IGN);
  alarm(kPatience);
  v1::Constants constants;
  Slots slots;
  for (size_t r = 0; r < shares.size(); ++r)
    slots.push_back(std::make_unique<Slot>(shares[r], static_cast<int>(r), static_cast<int>(shares.size())));
  fill_rates(constants.mutable_alone(), rates_of(slots, 1));
  fill_rates(constants.mutable_busy(), rates_of(slots, slots.size()));
  constants.set_ranks(static_cast<int>(slots.size()));
  if (slots.size() > 1) fill_collective(&constants, slots);
  for (auto& slot : slots) slot->order(Order::kEnd);
  for (auto& slot : slots) slot->finish();
  alarm(0);
  return constants;
}

}  // namespace ds::worker
