// Runs one function on every rank of a group: on threads (inproc), or in processes of their own (ucx).
#pragma once
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/comm/communicator.h"

namespace ds::comm::testing {

struct Where {
  std::string transport = "inproc";
  int ranks = 2;
  EndpointOptions options = {};
  std::string name() const;  // a test's suffix
};

using Body = std::function<void(Communicator&)>;

// Fails the test for every rank whose body throws, or that has not ended within `seconds`.
void on_ranks(const Where&, const Body&, int seconds = 60);

// Throws unless the condition holds: ranks are not test processes, so EXPECT_* would be lost.
void require(bool condition, const std::string& what);

// Ranks as child processes whose fate the test decides.
class Processes {
 public:
  Processes(const Where&, const Body&);
  ~Processes();  // kills what is left
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;
  pid_t pid(int rank) const { return children_[rank].pid; }
  void signal(int rank, int number);
  // What the rank's body threw, "" when it came to its end, or how the process ended otherwise.
  std::string outcome(int rank, double seconds);
  // Waits until the rank has written a line with note().
  bool noted(int rank, double seconds);

  static void note();  // called by a body

 private:
  struct Child {
    pid_t pid = -1;
    int from = -1, to = -1, notes = -1;
    bool reaped = false;
    std::string outcome;
  };
  std::vector<Child> children_;
};

}  // namespace ds::comm::testing
