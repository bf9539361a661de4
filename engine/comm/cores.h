// Processor cores this process may run on, as bytes that can be sent to others.
#pragma once
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace ds::comm {

class Cores {
 public:
  Cores() { CPU_ZERO(&set_); }
  explicit Cores(const std::string& bytes) : Cores() {
    std::memcpy(&set_, bytes.data(), std::min(bytes.size(), sizeof set_));
  }
  std::string bytes() const { return {reinterpret_cast<const char*>(&set_), sizeof set_}; }
  int count() const { return CPU_COUNT(&set_); }
  void add(const Cores& other) { CPU_OR(&set_, &set_, &other.set_); }
  friend Cores usable_cores();

 private:
  cpu_set_t set_;
};

inline Cores usable_cores() {
  Cores cores;
  if (sched_getaffinity(getpid(), sizeof cores.set_, &cores.set_) != 0) CPU_SET(0, &cores.set_);
  return cores;
}

}  // namespace ds::comm
