// What the rank programs share: they wait for commands on a pipe of their own, without using a core, so that the groups
// can be measured in turn on the same machine.
#pragma once
#include <cstddef>
#include <string>

namespace ds::bench {

class Library {
 public:
  virtual ~Library() = default;
  virtual void* memory(size_t bytes) = 0;  // of its own making; stays valid until the next call
  virtual void all_reduce_sum(float* data, size_t count) = 0;
  virtual void barrier() = 0;
};

// Serves commands until "quit". Files in `folder`: in.RANK brings commands, out takes rank 0's answers.
//   all_reduce BYTES CALLS SAMPLES -> median and least microseconds of a call
//   bandwidth BYTES SAMPLES        -> GB/s that the ranks together read and write, the best of several kernels
void serve(Library&, int rank, int size, const std::string& folder);

}  // namespace ds::bench
