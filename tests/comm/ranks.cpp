#include "tests/comm/ranks.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <thread>

namespace ds::comm::testing {
namespace {

using Clock = std::chrono::steady_clock;

int notes = -1;  // in a child: where note() writes

void write_all(int fd, const std::string& bytes) {
  const uint32_t n = static_cast<uint32_t>(bytes.size());
  std::string framed(reinterpret_cast<const char*>(&n), sizeof n);
  framed += bytes;
  for (size_t at = 0; at < framed.size();) {
    const ssize_t wrote = write(fd, framed.data() + at, framed.size() - at);
    if (wrote <= 0) return;
    at += static_cast<size_t>(wrote);
  }
}

std::string read_exactly(int fd, size_t bytes) {
  std::string data(bytes, '\0');
  for (size_t at = 0; at < bytes;) {
    const ssize_t got = read(fd, data.data() + at, bytes - at);
    if (got <= 0) throw std::runtime_error("the other end of a pipe is gone");
    at += static_cast<size_t>(got);
  }
  return data;
}

std::string read_all(int fd) {
  uint32_t n = 0;
  read_exactly(fd, sizeof n).copy(reinterpret_cast<char*>(&n), sizeof n);
  return read_exactly(fd, n);
}

std::string run_rank(const Where& where, int rank, int from, int to, const Body& body) {
  try {
    auto endpoint = make_endpoint(where.transport, where.options);
    write_all(to, endpoint->address());
    std::vector<std::string> addresses;
    for (int r = 0; r < where.ranks; ++r) addresses.push_back(read_all(from));
    const auto communicator = endpoint->connect(rank, addresses, 30);
    body(*communicator);
    return "";
  } catch (const std::exception& e) {
    return e.what();
  }
}

void run_threads(const Where& where, const Body& body) {
  std::vector<std::unique_ptr<Endpoint>> endpoints;
  std::vector<std::string> addresses, errors(where.ranks);
  for (int r = 0; r < where.ranks; ++r) {
    endpoints.push_back(make_endpoint(where.transport, where.options));
    addresses.push_back(endpoints.back()->address());
  }
  std::vector<std::thread> threads;
  for (int r = 0; r < where.ranks; ++r) {
    threads.emplace_back([&, r] {
      try {
        const auto communicator = endpoints[r]->connect(r, addresses, 30);
        try {
          body(*communicator);
        } catch (const std::exception& e) {
          communicator->abort(e.what());
          throw;
        }
      } catch (const std::exception& e) {
        errors[r] = e.what();
      }
    });
  }
  for (auto& t : threads) t.join();
  for (int r = 0; r < where.ranks; ++r) EXPECT_EQ(errors[r], "") << "rank " << r;
}

}  // namespace

std::string Where::name() const {
  std::string text = transport + (options.share_memory ? "" : "_messages");
  if (!options.ucx_transports.empty()) text += "_tcp";
  return text + "_" + std::to_string(ranks);
}

void require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

void on_ranks(const Where& where, const Body& body, int seconds) {
  if (where.transport != "ucx") return run_threads(where, body);
  Processes processes(where, [&](Communicator& c) {
    try {
      body(c);
    } catch (const std::exception& e) {
      c.abort(e.what());
      throw;
    }
  });
  for (int r = 0; r < where.ranks; ++r) EXPECT_EQ(processes.outcome(r, seconds), "") << "rank " << r;
}

Processes::Processes(const Where& where, const Body& body) {
  for (int r = 0; r < where.ranks; ++r) {
    int up[2], down[2], told[2];
    if (pipe(up) || pipe(down) || pipe(told)) throw std::runtime_error("pipe failed");
    Child child;
    child.pid = fork();
    if (child.pid == 0) {
      for (Child& c : children_) {
        close(c.from);
        close(c.to);
        close(c.notes);
      }
      close(up[0]);
      close(down[1]);
      close(told[0]);
      notes = told[1];
      write_all(up[1], run_rank(where, r, down[0], up[1], body));
      _exit(0);
    }
    close(up[1]);
    close(down[0]);
    close(told[1]);
    child.from = up[0];
    child.to = down[1];
    child.notes = told[0];
    children_.push_back(child);
  }
  std::vector<std::string> addresses;
  for (Child& c : children_) addresses.push_back(read_all(c.from));
  for (Child& c : children_) {
    for (const std::string& a : addresses) write_all(c.to, a);
  }
}

Processes::~Processes() {
  for (Child& c : children_) {
    if (!c.reaped) {
      kill(c.pid, SIGKILL);
      waitpid(c.pid, nullptr, 0);
    }
    close(c.from);
    close(c.to);
    close(c.notes);
  }
}

void Processes::signal(int rank, int number) { kill(children_[rank].pid, number); }

bool Processes::noted(int rank, double seconds) {
  pollfd ready{children_[rank].notes, POLLIN, 0};
  char byte;
  return poll(&ready, 1, static_cast<int>(seconds * 1000)) == 1 && read(children_[rank].notes, &byte, 1) == 1;
}

void Processes::note() {
  const char byte = 1;
  if (write(notes, &byte, 1) != 1) throw std::runtime_error("note failed");
}

std::string Processes::outcome(int rank, double seconds) {
  Child& c = children_[rank];
  if (c.reaped) return c.outcome;
  pollfd ready{c.from, POLLIN, 0};
  if (poll(&ready, 1, static_cast<int>(seconds * 1000)) != 1)
    return "has not ended within " + std::to_string(seconds) + " s";
  try {
    c.outcome = read_all(c.from);
  } catch (const std::exception&) {
    c.outcome = "died";
  }
  waitpid(c.pid, nullptr, 0);
  c.reaped = true;
  return c.outcome;
}

}  // namespace ds::comm::testing
