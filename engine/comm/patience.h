// How a blocked rank passes the time: spins while its peers run on cores of their own, then yields, then sleeps.
#pragma once
#include <chrono>

#include "engine/comm/group.h"

namespace ds::comm {

class Patience {
 public:
  explicit Patience(Group&);
  ~Patience();
  // Returns true now and then, when it is time to see whether the peers still live.
  bool pause();

 private:
  void sleep();

  Group& group_;
  int spins_, yields_;  // polls until then
  int polls_ = 0;
  uint32_t seen_ = 0;
  std::chrono::steady_clock::time_point looked_;
};

}  // namespace ds::comm
