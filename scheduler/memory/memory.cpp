#include "scheduler/memory/memory.h"

#include <algorithm>

namespace ds::plan {
namespace {

constexpr double kContext = 1.2e9;       // the device's context, libraries' handles and workspaces
constexpr double kChannels = 0.4e9;      // NCCL's buffers of a communicator
constexpr double kFragmentation = 0.04;  // of activations: the caching allocator's blocks do not fit exactly

// Bytes an element of the residual stream and of the others; mask bytes where there is dropout.
struct Bytes {
  double whole, divided;  // without sequence parallelism, the first stays on every tensor-parallel rank
};

Bytes layer_bytes(const Transformer& m, const Software& software) {
  const double mask = software.dropout ? 1 : 0;
  const double h = static_cast<double>(m.hidden), kv = static_cast<double>(m.kv_width());
  Bytes bytes;
  bytes.whole = h * (4 + 2 + 2 + 2 * mask);  // two norms' inputs, the inputs of QKV and of the MLP, two masks
  const double inner = static_cast<double>(m.ffn) * (m.gated ? 6 : 4);
  bytes.divided = 2 * h + 4 * kv + 2 * h + inner;  // Q, K and V; the projection's input; the activation's two sides
  return bytes;
}

}  // namespace

double layer_activation_bytes(const Transformer& m, const Layout& l, const Software& software) {
  const double tokens = static_cast<double>(l.micro_batch) * static_cast<double>(m.sequence) / l.context;
  const double t = l.tensor;
  const double split = l.sequence_parallel ? t : 1;
  if (l.recompute == Recompute::kFull) return 2 * tokens * static_cast<double>(m.hidden) / split;
  const Bytes bytes = layer_bytes(m, software);
  double sum = tokens * (bytes.whole / split + bytes.divided / t);
  const double score = static_cast<double>(m.heads) / t * tokens;
  if (software.flash_attention) {
    sum += 4 * score;  // the log-sum-exp of each row
  } else if (l.recompute == Recompute::kNone) {
    sum += score * static_cast<double>(m.sequence) * (software.dropout ? 5 : 2);
  }
  return sum;
}

double in_flight(const Transformer& m, const Layout& l, int stage) {
  const double micro = static_cast<double>(micro_batches(m, l)), p = l.pipeline, i = stage;
  const auto at_most = [&](double n) { return std::min(n, micro); };
  switch (l.schedule) {
    case Schedule::kGpipe:
      return micro;
    case Schedule::kInterleaved:
      return l.interleave == 1 ? at_most(p - i) : at_most(p - i + (p - 1 - i) / l.interleave);
    case Schedule::kZbH2:
      return at_most(std::max(1.0, 2 * p - 1 - 2 * i));
    case Schedule::kZbV:
      return at_most(p);
    case Schedule::kDualPipeV:
      return at_most(p + 0.5);
    case Schedule::kVHalf:
      return at_most(p / 2 + 1);
    case Schedule::kVMin:
      return at_most((p + 4) / 3);
    case Schedule::kZbH1:
    case Schedule::kOneFOneB:
      return at_most(p - i);
  }
  return micro;
}

double stage_parameters(const Transformer& m, const Layout& l, int stage) {
  double sum = layers_of(m, l, stage) * m.layer_parameters();
  const bool wraps = l.schedule == Schedule::kZbV || l.schedule == Schedule::kVHalf || l.schedule == Schedule::kVMin ||
                     l.schedule == Schedule::kDualPipeV;  // the first rank holds the last chunk too
  const bool first = stage == 0, last = wraps ? stage == 0 : stage == l.pipeline - 1;
  if (first) sum += m.embedding_parameters();
  if (last && !(m.tied && (l.pipeline == 1 || wraps))) sum += m.embedding_parameters();
  return sum / l.tensor;
}

Memory stage_memory(const Cluster& cluster, const Transformer& m, const Layout& l, int stage) {
  const Software& software = cluster.software;
  const double parameters = stage_parameters(m, l, stage), ranks = static_cast<double>(l.data) * l.context;
  Memory memory;
  memory.weights = 2 * parameters / (l.zero >= 3 ? ranks : 1);
  memory.gradients = 4 * parameters / (l.zero >= 2 ? ranks : 1);
  memory.optimizer = 12 * parameters / (l.zero >= 1 ? ranks : 1);

  const double tokens = static_cast<double>(l.micro_batch) * static_cast<double>(m.sequence) / l.context;
  const double state = tokens * static_cast<double>(m.hidden), split = l.sequence_parallel ? l.tensor : 1;
  const double layers = layers_of(m, l, stage), flight = in_flight(m, l, stage);
  memory.activations = layers * flight * layer_activation_bytes(m, l, software);
  if (stage == 0 && software.dropout) memory.activations += flight * state / split;
  if (stage == l.pipeline - 1) {  // the last norm's and the logits' inputs, and the fp32 logits
    memory.activations += 4 * state / split + 4 * tokens * static_cast<double>(m.vocab) / l.tensor;
  }
  double workspace = 0;  // one layer at work: recomputed activations, or the gradient of what is kept
  if (l.recompute == Recompute::kFull) {
    Layout whole = l;
    whole.recompute = Recompute::kNone;
    workspace = layer_activation_bytes(m, whole, software);
  }
  if (l.zero >= 3) workspace += 2 * 2 * m.layer_parameters() / l.tensor;  // two layers gathered: at work and next
  const int communicators = (l.tensor > 1) + (l.pipeline > 1) + (l.data > 1) + (l.context > 1);
  memory.other = kContext + kChannels * communicators + workspace + kFragmentation * (memory.activations + workspace);
  return memory;
}

}  // namespace ds::plan
