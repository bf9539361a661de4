#include <deque>
#include <map>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "scheduler/pipeline/play.h"
#include "scheduler/pipeline/simulate.h"

namespace ds::pipeline {
namespace {

template <class... Text>
absl::Status wrong(const Schedule& schedule, int stage, const Text&... what) {
  return absl::FailedPreconditionError(absl::StrCat("[", schedule.name, "] stage ", stage, ": ", what...));
}

std::string name_piece(const Operation& op) {
  return absl::StrCat(name_of(op.kind), " of micro-batch ", op.micro_batch, ", chunk ", op.chunk);
}

// Every piece once and F, B, W in this order.
absl::Status check_complete(const Schedule& schedule, int stage) {
  enum Done : uint8_t { forward = 1, input = 2, weights = 4, all = 7 };
  std::vector<uint8_t> done(schedule.chunks * schedule.micro_batches, 0);
  for (const Operation& op : schedule.lists[stage]) {
    uint8_t& own = done[op.chunk * schedule.micro_batches + op.micro_batch];
    uint8_t needs = 0, does = 0;
    if (op.kind == Kind::forward) does = forward;
    if (op.kind == Kind::backward) needs = forward, does = input | weights;
    if (op.kind == Kind::input_gradient) needs = forward, does = input;
    if (op.kind == Kind::weight_gradient) needs = forward | input, does = weights;
    if (own & does) return wrong(schedule, stage, name_piece(op), " stands twice");
    if ((own & needs) != needs) return wrong(schedule, stage, name_piece(op), " stands before what it needs");
    own |= does;
  }
  for (int chunk = 0; chunk < schedule.chunks; ++chunk) {
    for (int i = 0; i < schedule.micro_batches; ++i) {
      uint8_t own = done[chunk * schedule.micro_batches + i];
      if (own == all) continue;
      const char* lacks = !(own & forward) ? "F" : !(own & input) ? "B" : "W";
      return wrong(schedule, stage, "no ", lacks, " of micro-batch ", i, ", chunk ", chunk);
    }
  }
  return absl::OkStatus();
}

absl::Status check_memory(const Schedule& schedule) {
  if (schedule.activation_limit.empty()) return absl::OkStatus();
  if (schedule.activation_limit.size() != static_cast<size_t>(schedule.stages)) {
    return wrong(schedule, 0, "activation_limit must be none or one a stage: got ", schedule.activation_limit.size());
  }
  std::vector<double> peaks = peak_activations(schedule, schedule.counted);
  for (int s = 0; s < schedule.stages; ++s) {
    if (peaks[s] <= schedule.activation_limit[s] + 1e-9) continue;
    return wrong(schedule, s, "holds ", peaks[s], " activations, more than its limit of ",
                 schedule.activation_limit[s]);
  }
  return absl::OkStatus();
}

// Plays lists with sends and receives as an engine does: sends go out at once, a receive waits for its message, and a
// channel (from, to, activation or gradient) delivers in the order of its sends.
class Channels {
 public:
  explicit Channels(const Schedule& schedule)
      : schedule_(schedule), state_(2 * schedule.depth() * schedule.micro_batches, absent), next_(schedule.stages, 0) {}

  absl::Status play() {
    for (bool moved = true; moved;) {
      moved = false;
      for (int s = 0; s < schedule_.stages; ++s) {
        for (; next_[s] < schedule_.lists[s].size(); ++next_[s], moved = true) {
          auto done = step(s, schedule_.lists[s][next_[s]]);
          if (!done.ok()) return done.status();
          if (!*done) break;
        }
      }
    }
    return conclude();
  }

 private:
  enum State : uint8_t { absent, computed, sent, received };
  using Channel = std::tuple<int, int, bool>;

  // Whether the operation could be done; not OK where it never can.
  absl::StatusOr<bool> step(int stage, const Operation& op) {
    bool gradient = op.kind == Kind::send_gradient || op.kind == Kind::receive_gradient;
    if (op.kind == Kind::send_activation || op.kind == Kind::send_gradient) return send(stage, op, gradient);
    if (op.kind == Kind::receive_activation || op.kind == Kind::receive_gradient) return receive(stage, op, gradient);
    int position = schedule_.position(stage, op.chunk);
    int input = input_slot(schedule_, op, position), output = output_slot(schedule_, op, position);
    if (input >= 0) {
      bool own = schedule_.stage_at(input / schedule_.micro_batches % schedule_.depth()) == stage;
      if (!own && state_[input] != received)
        return wrong(schedule_, stage, name_piece(op), " has no receive before it");
    }
    if (output >= 0) state_[output] = computed;
    return true;
  }

  int slot(const Operation& op, int position, bool gradient) const {
    return gradient ? backward_slot(schedule_, position, op.micro_batch)
                    : forward_slot(schedule_, position, op.micro_batch);
  }

  absl::StatusOr<bool> send(int stage, const Operation& op, bool gradient) {
    int position = schedule_.position(stage, op.chunk), to = position + (gradient ? -1 : 1);
    if (to < 0 || to >= schedule_.depth() || op.peer != schedule_.stage_at(to) || op.peer == stage) {
      return wrong(schedule_, stage, name_piece(op), " names the wrong peer: ", op.peer);
    }
    State& own = state_[slot(op, position, gradient)];
    if (own != computed) return wrong(schedule_, stage, name_piece(op), " does not follow what it sends");
    own = sent;
    in_flight_[{stage, op.peer, gradient}].push_back(op);
    return true;
  }

  absl::StatusOr<bool> receive(int stage, const Operation& op, bool gradient) {
    int from = schedule_.position(stage, op.chunk) + (gradient ? 1 : -1);
    if (from < 0 || from >= schedule_.depth() || op.peer != schedule_.stage_at(from) || op.peer == stage) {
      return wrong(schedule_, stage, name_piece(op), " names the wrong peer: ", op.peer);
    }
    auto& channel = in_flight_[{op.peer, stage, gradient}];
    if (channel.empty()) return false;
    const Operation head = channel.front();
    if (head.micro_batch != op.micro_batch || head.chunk != schedule_.chunk_at(from)) {
      return wrong(schedule_, stage, name_piece(op), " meets stage ", op.peer, "'s ", name_piece(head));
    }
    channel.pop_front();
    state_[slot(op, from, gradient)] = received;
    return true;
  }

  absl::Status conclude() const {
    for (int s = 0; s < schedule_.stages; ++s) {
      if (next_[s] == schedule_.lists[s].size()) continue;
      return wrong(schedule_, s, "deadlock: ", name_piece(schedule_.lists[s][next_[s]]), " waits for ever");
    }
    for (const auto& [channel, rest] : in_flight_) {
      if (!rest.empty()) return wrong(schedule_, std::get<0>(channel), name_piece(rest[0]), " is never received");
    }
    return absl::OkStatus();
  }

  const Schedule& schedule_;
  std::vector<State> state_;
  std::vector<size_t> next_;
  std::map<Channel, std::deque<Operation>> in_flight_;
};

bool communicates(const Schedule& schedule) {
  for (const List& list : schedule.lists) {
    for (const Operation& op : list) {
      if (op.kind >= Kind::send_activation && op.kind <= Kind::receive_gradient) return true;
    }
  }
  return false;
}

}  // namespace

absl::Status check(const Schedule& schedule) {
  if (absl::Status fine = check_ranges(schedule); !fine.ok()) return fine;
  for (int s = 0; s < schedule.stages; ++s) {
    if (absl::Status fine = check_complete(schedule, s); !fine.ok()) return fine;
  }
  absl::Status played = play(schedule, [](int, int, const Operation&, int, int, int) {});
  if (!played.ok()) return played;
  if (communicates(schedule)) {
    if (absl::Status fine = Channels(schedule).play(); !fine.ok()) return fine;
  }
  return check_memory(schedule);
}

}  // namespace ds::pipeline
