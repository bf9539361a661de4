#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "scheduler/schedules/generators.h"

namespace ds::pipeline {
namespace {

// Writes a stage's list; counts which micro-batch each kind of piece is at.
class DualWriter {
 public:
  explicit DualWriter(List& list) : list_(list) {}
  void forward(int chunk) { list_.push_back({Kind::forward, forwards_[chunk]++, chunk}); }
  void backward(int chunk) { list_.push_back({Kind::backward, backwards_[chunk]++, chunk}); }
  void input_gradient(int chunk) {
    pending_.push_back({Kind::weight_gradient, backwards_[chunk], chunk});
    list_.push_back({Kind::input_gradient, backwards_[chunk]++, chunk});
  }
  bool weight_gradient() {
    if (done_ == pending_.size()) return false;
    list_.push_back(pending_[done_++]);
    return true;
  }

 private:
  List& list_;
  List pending_;
  size_t done_ = 0;
  int forwards_[2] = {0, 0}, backwards_[2] = {0, 0};
};

void write(int p, int m, int s, DualWriter& out) {
  int below = p - s - 1;  // stages nearer to the turn of the vee
  for (int i = 0; i < 2 * below; ++i) out.forward(0);
  for (int i = 0; i <= s; ++i) out.forward(0), out.forward(1);
  for (int i = 0; i < below; ++i) out.input_gradient(1), out.weight_gradient(), out.forward(1);
  for (int i = 0; i < m - 2 * p + s + 1; ++i) {  // each forward beside a backward of another micro-batch
    out.forward(0), out.backward(1);
    out.forward(1), out.backward(0);
  }
  for (int i = 0; i < below; ++i) out.backward(1), out.forward(1), out.backward(0);
  for (int i = 0; i <= s; ++i) {  // from half of them on, weight gradients wait for the drain's holes
    bool split = 2 * i >= s + 1;
    split ? out.input_gradient(1) : out.backward(1);
    split ? out.input_gradient(0) : out.backward(0);
  }
  for (int i = 0; i < below; ++i) out.weight_gradient(), out.input_gradient(0);
  while (out.weight_gradient()) continue;
}

}  // namespace

// DualPipeV, the vee form of DeepSeek-V3's DualPipe (arXiv 2412.19437, section 3.2.1): a stage holds the model's s-th
// piece from both ends, and in the long middle runs a forward beside a backward so that each hides the other's
// transfers.
absl::StatusOr<Schedule> dualpipe_v(const Request& request) {
  int p = request.stages, m = request.micro_batches;
  if (m < 2 * p) {
    return absl::InvalidArgumentError(
        absl::StrCat("[dualpipe-v] micro_batches must be at least twice the stages (", 2 * p, "): got ", m));
  }
  Schedule schedule = blank(request, Placement::vee);
  for (int s = 0; s < p; ++s) {
    DualWriter out(schedule.lists[s]);
    write(p, m, s, out);
  }
  schedule.activation_limit.assign(p, p + 0.5);
  return schedule;
}

}  // namespace ds::pipeline
