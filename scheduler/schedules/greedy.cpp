#include <algorithm>
#include <limits>
#include <queue>

#include "scheduler/pipeline/play.h"
#include "scheduler/schedules/generators.h"
#include "scheduler/schedules/search.h"

namespace ds::pipeline {
namespace {

constexpr double never = std::numeric_limits<double>::infinity();

// A pipeline in which every stage does, whenever it is free, what its policy likes best. Decisions are taken in the
// order of time and know what has been started by then, never what is decided later.
class Play {
 public:
  Play(const Request& request, Placement placement, double limit, const Policy& policy, const std::vector<List>* order)
      : request_(request), limit_(limit), policy_(policy), order_(order), schedule_(blank(request, placement)) {
    arrival_.assign(2 * schedule_.depth() * request.micro_batches, never);
    next_.assign(2 * schedule_.depth(), 0);
    stages_.resize(request.stages);
    for (int i = 0; i < request.micro_batches; ++i) arrival_[forward_slot(schedule_, 0, i)] = 0;
    wake(0, 0);
  }

  Schedule run() {
    while (!events_.empty()) {
      auto [time, stage] = events_.top();
      events_.pop();
      if (stages_[stage].free <= time) decide(stage, time);
    }
    return std::move(schedule_);
  }

 private:
  struct Stage {
    double free = 0;
    double held = 0;
    double held_later = 0;  // of it, by chunks after the first
    double idle = 0;
    bool begun = false;
    int in_flight = 0;  // forwards whose backward has not been
    bool after_backward = false;
    List pending;  // weight gradients
    size_t weights = 0;
    size_t done = 0;  // forwards and backwards
  };
  struct Choice {
    int position = -1;
    bool forward = false;
    double at = never;  // when its input is there
  };

  void wake(double time, int stage) { events_.push({time, stage}); }
  double share(int stage, int chunk) const { return request_.costs.activation_of(stage, chunk, request_.chunks); }

  // A forward may start if the stage can still take the later chunks' forwards of what it holds then: without this
  // first chunks could fill the memory that their own second chunks need. In a vee the later chunk's share grows with
  // the way from the turn back to the stage.
  bool fits(int stage, int chunk) const {
    const Stage& own = stages_[stage];
    double needs = 0, later = 0;
    for (int c = chunk; c < request_.chunks; ++c) needs += share(stage, c);
    if (schedule_.placement == Placement::vee && chunk == 0) {
      for (int c = 1; c < request_.chunks; ++c) later += share(stage, c) * (1 + policy_.reserve * stage);
      needs = std::max(needs, share(stage, 0) + later - own.held_later);
    }
    return own.held + needs <= limit_ + 1e-9;
  }

  // Only a first chunk's forward may be put off: the others free what the stage holds already.
  bool ahead_enough(int stage, int chunk) const {
    double most = request_.chunks * (1 + policy_.ahead * (request_.stages - 1 - stage));
    return policy_.ahead > 0 && chunk == 0 && stages_[stage].in_flight >= most;
  }

  // The next piece at a position, if it is known when its input is there.
  Choice next(int position, bool forward) const {
    int i = next_[(forward ? 0 : schedule_.depth()) + position];
    if (i == request_.micro_batches) return {};
    return {position, forward,
            arrival_[forward ? forward_slot(schedule_, position, i) : backward_slot(schedule_, position, i)]};
  }

  // The best forward or backward of a stage: of those that are there the one the policy prefers, else the earliest.
  Choice best(int stage, bool forward, double time) const {
    Choice best;
    bool deep = forward ? policy_.deep_forward : policy_.deep_backward;
    for (int k = 0; k < request_.chunks; ++k) {
      int chunk = deep ? request_.chunks - 1 - k : k;
      if (forward && (!fits(stage, chunk) || ahead_enough(stage, chunk))) continue;
      Choice choice = next(schedule_.position(stage, chunk), forward);
      if (choice.at < never && (best.position < 0 || (best.at > time && choice.at < best.at))) best = choice;
    }
    return best;
  }

  Choice preferred(int stage, double time) const {
    Choice forward = best(stage, true, time), backward = best(stage, false, time);
    bool forward_first = policy_.alternate && stages_[stage].after_backward;
    bool may = backward.at > time || (forward_first && forward.at <= time);
    return may && (forward.at < backward.at || forward.at <= time) ? forward : backward;
  }

  // The next F or B of a given order; a forward that the memory has no room for is not there yet.
  Choice ordered(int stage) const {
    const List& list = (*order_)[stage];
    size_t at = stages_[stage].done;
    if (at == list.size()) return {};
    Choice choice = next(schedule_.position(stage, list[at].chunk), list[at].kind == Kind::forward);
    if (choice.forward && stages_[stage].held + share(stage, list[at].chunk) > limit_ + 1e-9) choice.at = never;
    return choice;
  }

  void decide(int stage, double time) {
    Stage& own = stages_[stage];
    bool weights = own.weights < own.pending.size();
    Choice choice = order_ ? ordered(stage) : preferred(stage, time);
    if (choice.at <= time) return start(stage, time, choice);
    if (!weights) return;  // the input's arrival wakes the stage
    int chunk = own.pending[own.weights].chunk;
    double takes = request_.costs.at(stage, chunk, request_.chunks).weight_gradient, gap = choice.at - time;
    bool spare = own.idle + gap <= std::max(policy_.idle, most_idle_);
    if (gap >= takes || (gap >= policy_.patience * takes && !spare)) start_weights(stage, time, takes);
  }

  // Idle time counts once a stage has begun.
  void idle(Stage& own, double time) {
    if (own.begun) own.idle += time - own.free;
    own.begun = true;
    most_idle_ = std::max(most_idle_, own.idle);
  }

  void start(int stage, double time, const Choice& choice) {
    Stage& own = stages_[stage];
    int chunk = schedule_.chunk_at(choice.position), depth = schedule_.depth();
    int i = next_[(choice.forward ? 0 : depth) + choice.position]++;
    const ChunkTimes& times = request_.costs.at(stage, chunk, request_.chunks);
    ++own.done;
    idle(own, time);
    double end = time + (choice.forward ? times.forward : times.input_gradient);
    Operation op{choice.forward ? Kind::forward : Kind::input_gradient, i, chunk};
    schedule_.lists[stage].push_back(op);
    hold(own, chunk, (choice.forward ? 1 : -(1 - request_.costs.held_for_weights)) * share(stage, chunk));
    own.in_flight += choice.forward ? 1 : -1;
    own.after_backward = !choice.forward;
    own.free = end;
    if (!choice.forward) own.pending.push_back({Kind::weight_gradient, i, chunk});
    wake(end, stage);
    if (choice.forward && choice.position + 1 == depth) {
      arrive(stage, stage, backward_slot(schedule_, choice.position, i), end);
    } else if (choice.forward) {
      arrive(stage, schedule_.stage_at(choice.position + 1), forward_slot(schedule_, choice.position + 1, i), end);
    } else if (choice.position > 0) {
      arrive(stage, schedule_.stage_at(choice.position - 1), backward_slot(schedule_, choice.position - 1, i), end);
    }
  }

  static void hold(Stage& own, int chunk, double more) {
    own.held += more;
    if (chunk > 0) own.held_later += more;
  }

  void arrive(int from, int to, int slot, double end) {
    arrival_[slot] = end + request_.costs.edge(from, to, request_.stages);
    wake(arrival_[slot], to);
  }

  void start_weights(int stage, double time, double takes) {
    Stage& own = stages_[stage];
    const Operation& op = own.pending[own.weights++];
    schedule_.lists[stage].push_back(op);
    hold(own, op.chunk, -request_.costs.held_for_weights * share(stage, op.chunk));
    idle(own, time);
    own.free = time + takes;
    wake(own.free, stage);
  }

  const Request& request_;
  double limit_;
  const Policy& policy_;
  const std::vector<List>* order_;  // of forwards and backwards; none: the policy chooses
  Schedule schedule_;
  std::vector<double> arrival_;  // by slot: when the input of a position's piece is there
  std::vector<int> next_;        // by position: the next forward; behind depth(): the next backward
  std::vector<Stage> stages_;
  double most_idle_ = 0;
  std::priority_queue<std::pair<double, int>, std::vector<std::pair<double, int>>, std::greater<>> events_;
};

}  // namespace

Schedule play_policy(const Request& request, Placement placement, double limit, const Policy& policy) {
  return Play(request, placement, limit, policy, nullptr).run();
}

Schedule refill(const Request& request, const Schedule& order, double limit, const Policy& policy) {
  std::vector<List> lists = order.lists;
  for (List& list : lists) std::erase_if(list, [](const Operation& op) { return op.kind == Kind::weight_gradient; });
  return Play(request, order.placement, limit, policy, &lists).run();
}

}  // namespace ds::pipeline
