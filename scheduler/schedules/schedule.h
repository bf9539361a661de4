// Pipeline schedules as data: what each stage does, in order. The simulator and the engine's step executor read the
// same lists. Pure: no clock, no file, no randomness.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/pipeline/costs.h"

namespace ds::pipeline {

// A backward pass is two pieces (Zero Bubble, arXiv 2401.10241): B, the gradient of the input, on which the stage
// before waits, and W, the gradient of the weights, on which nobody waits. `backward` is both in one, and passes its
// gradient on at its end.
enum class Kind : uint8_t {
  forward,          // F
  backward,         // B and W as one
  input_gradient,   // B
  weight_gradient,  // W
  send_activation,
  receive_activation,
  send_gradient,
  receive_gradient,
  reduce,     // the data-parallel reduction of a chunk's gradients: after the chunk's last W
  optimizer,  // the stage's last operation
};
const char* name_of(Kind kind);  // "F", "BW", "B", "W", "send activation", ...

struct Operation {
  Kind kind = Kind::forward;
  int micro_batch = 0;  // in [0, micro_batches); of reduce and optimizer: 0
  int chunk = 0;        // the stage's own, in [0, chunks); of optimizer: 0
  int peer = -1;        // of send and receive: the other stage
  bool operator==(const Operation&) const = default;
};
using List = std::vector<Operation>;

// Where chunk c of stage s stands in the model, counted in chunks from the input.
enum class Placement : uint8_t {
  loop,  // c * stages + s: every chunk goes through the stages from first to last
  vee,   // odd chunks go back: c * stages + (stages - 1 - s). The first stage holds the model's both ends
};

struct Schedule {
  std::string name;  // of its generator: "1f1b"
  int stages = 0;    // pipeline devices
  int micro_batches = 0;
  int chunks = 1;  // model pieces a stage holds
  Placement placement = Placement::loop;
  std::vector<List> lists;  // one a stage

  // The most activations a stage ever holds by the generator's own claim, one a stage; the activations of one
  // micro-batch in all chunks of a stage count 1. check() proves it. Empty: no claim.
  std::vector<double> activation_limit;
  Costs counted;  // how the claim counts: `activation` and `held_for_weights`, no other field

  int depth() const { return stages * chunks; }
  int position(int stage, int chunk) const;  // in [0, depth())
  int stage_at(int position) const;
  int chunk_at(int position) const;
};

// What a generator is asked for. Only the searched schedules (zb-1p, zb-2p, zb-v) look at `costs`.
struct Request {
  int stages = 0;
  int micro_batches = 0;
  int chunks = 0;           // 0: the schedule's own (interleaved: 2)
  double memory_limit = 0;  // activations a stage may hold, counted as in Schedule; 0: the schedule's own
  Costs costs = {};         // times: [0] for all stages, or one a stage and chunk
};

// One row a schedule.
struct Generator {
  const char* name;
  const char* summary;  // one sentence: what it is, its bubble and memory for F = B = W
  absl::StatusOr<Schedule> (*make)(const Request&);
  bool searches;       // its lists depend on costs
  bool splits;         // into B and W
  int default_chunks;  // Request::chunks of 0
  bool any_chunks;     // takes other numbers of chunks
};
const std::vector<Generator>& generators();

// The row of that name, or InvalidArgument that lists the names and the nearest one.
absl::StatusOr<const Generator*> find_generator(const std::string& name);

// The lists of F, B and W by the schedule's name. InvalidArgument names the field and its value:
// "[interleaved] micro_batches must be a multiple of stages (4): got 6".
absl::StatusOr<Schedule> make_schedule(const std::string& name, const Request& request);

// The same lists with what the engine needs between them: a receive right before its reader, a send right after its
// writer, one reduce a chunk after its last weight gradient, and the optimizer at the end.
Schedule with_communication(Schedule schedule);

}  // namespace ds::pipeline
