// One algorithm is one file under algorithms/, which registers itself; the cheapest one that serves is chosen by model.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/comm/task.h"

namespace ds::comm {

class Group;

enum class Collective : uint8_t { all_reduce, reduce_scatter, all_gather, broadcast, barrier };
const char* name_of(Collective);

// What the caller asked for. `count` is the contract's: of a rank's chunk in reduce_scatter and all_gather.
struct Call {
  Collective collective;
  DType type = DType::u8;
  ReduceOp op = ReduceOp::sum;
  void* out = nullptr;
  const void* in = nullptr;  // equals out in all_reduce and broadcast
  size_t count = 0;
  int root = 0;
  uint64_t sequence = 0;  // of collectives of this group
  size_t bytes() const { return count * size_of(type); }
};

struct Algorithm {
  Collective collective;
  const char* name;
  const char* about;                                  // one line
  bool deterministic;                                 // sums in the fixed tree (or sums nothing)
  const char* (*refusal)(const Group&, const Call&);  // null when it serves; else a sentence
  double (*seconds)(const Group&, size_t bytes);      // by the latency-bandwidth model
  Task (*run)(Group&, Call);
};

struct Register {
  explicit Register(const Algorithm&);
};

std::vector<const Algorithm*> registered(Collective);  // by name

// By name when forced, else the cheapest that serves. Every rank of a call comes to the same answer. Throws CommError.
const Algorithm& choose(const Group&, const Call&, const Options&);

}  // namespace ds::comm
