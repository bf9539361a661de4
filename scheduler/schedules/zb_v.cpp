#include "scheduler/schedules/generators.h"
#include "scheduler/schedules/search.h"

namespace ds::pipeline {
namespace {

// Counts off the pieces of one stage.
class VeeWriter {
 public:
  VeeWriter(List& list, int micro_batches) : list_(list), micro_batches_(micro_batches) {}
  int forwards(int chunk) const { return forwards_[chunk]; }
  int backwards(int chunk) const { return backwards_[chunk]; }
  void forward(int chunk) { write(Kind::forward, forwards_[chunk], chunk); }
  void backward(int chunk) { write(Kind::input_gradient, backwards_[chunk], chunk); }

 private:
  void write(Kind kind, int& next, int chunk) {
    if (next < micro_batches_) list_.push_back({kind, next++, chunk});
  }
  List& list_;
  int micro_batches_;
  int forwards_[2] = {0, 0}, backwards_[2] = {0, 0};
};

// The order of forwards and backwards: first chunks fill the time until the first micro-batch is back from the turn of
// the vee, then both chunks in turn until every stage holds 2p chunk activations; from then on a backward and a forward
// in turn, so that each piece has a whole round to reach the next stage and transfers are hidden.
Schedule rhythm(const Request& request) {
  Schedule order = blank(request, Placement::vee);
  int m = request.micro_batches;
  for (int s = 0; s < request.stages; ++s) {
    VeeWriter out(order.lists[s], m);
    int below = request.stages - 1 - s;  // stages nearer to the turn
    for (int k = 0; k < 2 * below + 1; ++k) out.forward(0);
    out.forward(1);
    for (int k = 0; k < s; ++k) out.forward(0), out.forward(1);
    for (int k = 0; k < below; ++k) out.backward(1), out.forward(1);
    while (out.forwards(0) < m) out.backward(1), out.forward(0), out.backward(0), out.forward(1);
    while (out.forwards(1) < m) out.backward(1), out.forward(1), out.backward(0);
    while (out.backwards(1) < m) out.backward(1), out.backward(0);
    while (out.backwards(0) < m) out.backward(0);
  }
  return order;
}

}  // namespace

// ZB-V, arXiv 2401.10241 section 6: two chunks a stage in a vee, within 1f1b's memory. Searched: weight gradients are
// placed for the costs given.
absl::StatusOr<Schedule> zb_v(const Request& request) {
  double limit = request.memory_limit > 0 ? request.memory_limit : request.stages;
  return search(request, Placement::vee, limit, {.seeds = {}, .orders = {rhythm(request)}});
}

}  // namespace ds::pipeline
