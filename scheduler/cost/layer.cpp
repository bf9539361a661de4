#include "scheduler/cost/layer.h"

#include <algorithm>

#include "scheduler/cost/collectives.h"
#include "scheduler/cost/kernels.h"

namespace ds::plan {
namespace {

// Everything that a piece's formulas share.
struct Sizes {
  const Cluster& cluster;
  const NodeGroup& group;
  const Device& device;
  const Software& software;
  const Transformer& m;
  int64_t t, rows;  // rows: tokens of a micro-batch on a context-parallel rank
  double state;     // elements of the residual stream that a pointwise kernel of this rank touches
  bool sequence;

  Sizes(const Cluster& c, const NodeGroup& g, const Transformer& model, const Layout& l)
      : cluster(c),
        group(g),
        device(g.device),
        software(c.software),
        m(model),
        t(l.tensor),
        rows(l.micro_batch * model.sequence / l.context),
        sequence(l.sequence_parallel && l.tensor > 1) {
    state = static_cast<double>(rows) * m.hidden / (sequence ? static_cast<double>(t) : 1.0);
  }
};

// Gradient GEMMs read one operand across its rows: arXiv 2205.05198 table 4 gives 11.9 ms backward for 7.7 forward
// where forward holds 1.6 ms of all-reduce that backward hides.
constexpr double kGradientEfficiency = 0.9;
// A hidden collective still takes SMs and memory bandwidth: NCCL's 16 to 24 channels of an A100's 108 SMs.
constexpr double kContention = 0.2;

// A layer's GEMM and its two gradients: y (rows x out) = x (rows x in) w (in x out).
void linear(const Sizes& s, int64_t in, int64_t out, PieceTime* time) {
  time->forward += gemm_seconds(s.device, s.rows, out, in);
  time->backward_input += gemm_seconds(s.device, s.rows, in, out) / kGradientEfficiency;
  time->backward_weight +=
      gemm_seconds(s.device, in, out, s.rows, 1, s.software.fused_accumulation ? 8 : 2) / kGradientEfficiency;
  if (!s.software.fused_accumulation) {  // reads the gradient, reads and writes the sum
    const double parameters = static_cast<double>(in) * static_cast<double>(out);
    time->backward_weight += stream_seconds(s.device, parameters * 3 * s.software.gradient_bytes);
  }
}

// Scores, softmax, dropout and the weighted sum. Unfused: the s x s matrices go through memory; 9 and 11 bytes an
// element of them are what the softmax and dropout kernels move (arXiv 2205.05198 section 4.1 lists the tensors).
// Fused: FLOPs over the kernel's measured rate, causal, backward 2.5 times the forward's FLOPs (arXiv 2307.08691).
PieceTime core_attention(const Sizes& s, const Layout& l) {
  PieceTime time;
  const int64_t heads = s.m.heads / s.t * l.micro_batch, width = s.m.head_width();
  const int64_t queries = s.m.sequence / l.context, keys = s.m.sequence;
  const double square = static_cast<double>(heads) * queries * keys;
  if (s.software.flash_attention) {
    const double flops = 4 * square * static_cast<double>(width) / 2;
    const double narrow = s.software.flash_share * (width >= 128 ? 1.0 : width >= 96 ? 0.92 : 0.85);
    time.forward = flops / (s.device.peak_bf16 * s.device.flash_forward * narrow) + s.device.kernel_seconds;
    time.backward_input =
        2.5 * flops / (s.device.peak_bf16 * s.device.flash_backward * narrow) + 3 * s.device.kernel_seconds;
    return time;
  }
  const double dropout = s.software.dropout ? 5 : 0;
  const double scores = gemm_seconds(s.device, queries, keys, width, heads);
  const double sums = gemm_seconds(s.device, queries, width, keys, heads);
  time.forward = scores + sums + stream_seconds(s.device, square * (4 + dropout), s.software.dropout ? 2 : 1);
  time.backward_input =
      2 * (scores + sums) + stream_seconds(s.device, square * (6 + dropout), s.software.dropout ? 2 : 1);
  return time;
}

// Norms, biases, dropout, residuals, activation, head transposes; bytes an element by what each kernel must read and
// write in two-byte numbers.
void pointwise(const Sizes& s, PieceTime* time) {
  const double qkv = static_cast<double>(s.rows) * static_cast<double>(s.m.hidden + 2 * s.m.kv_width()) / s.t;
  const double inner = static_cast<double>(s.rows) * static_cast<double>(s.m.ffn) / s.t;
  const double mask = s.software.dropout ? 1 : 0;
  const double residual = 6 + mask;  // branch, stream in, stream out
  time->forward += stream_seconds(s.device, 2 * s.state * (4 + residual), 4);
  time->backward_input += stream_seconds(s.device, 2 * s.state * (10 + 2 + mask), 6);
  if (!s.software.fused_pointwise) {  // biases by kernels of their own
    time->forward += stream_seconds(s.device, 2 * s.state * 4 + inner * 4, 3);
    time->backward_input += stream_seconds(s.device, 2 * s.state * 4 + inner * 2, 3);
  }
  const double activation = s.m.gated ? 6 : 4;
  time->forward += stream_seconds(s.device, inner * activation + qkv * 4, 3);
  time->backward_input += stream_seconds(s.device, inner * (s.m.gated ? 10 : 6) + qkv * 4, 4);
}

// The two pairs of tensor-parallel collectives of a layer, one direction: all-reduces, or with sequence parallelism
// an all-gather and a reduce-scatter each (arXiv 2205.05198 section 4.2.2).
double tensor_collectives(const Sizes& s) {
  const Ring ring = ring_of(s.group, static_cast<int>(s.t), 1);
  const double bytes = 2.0 * static_cast<double>(s.rows) * static_cast<double>(s.m.hidden);
  if (!s.sequence) return 2 * collective_seconds(s.cluster, s.group, Collective::kAllReduce, ring, bytes);
  return 2 * (collective_seconds(s.cluster, s.group, Collective::kAllGather, ring, bytes) +
              collective_seconds(s.cluster, s.group, Collective::kReduceScatter, ring, bytes));
}

// Keys and values go once around the context-parallel ring in forward, twice in backward, under the attention.
double context_seconds(const Sizes& s, const Layout& l, double attention) {
  if (l.context == 1) return 0;
  const double bytes =
      4.0 * l.micro_batch * static_cast<double>(s.m.sequence) * static_cast<double>(s.m.kv_width()) / s.t;
  const Ring ring = ring_of(s.group, l.context, l.tensor);
  const double all = collective_seconds(s.cluster, s.group, Collective::kAllGather, ring, bytes);
  return std::max(0.0, all - attention * (l.context - 1) / l.context);
}

// The host launches the kernels: a device that is faster waits for it.
double no_faster_than_host(const Sizes& s, double device, int kernels) {
  return std::max(device, kernels * s.software.host_seconds);
}

// Kernels of a layer: counted from Megatron-LM's layer, unfused attention taking more.
constexpr int kForwardKernels = 24, kBackwardKernels = 40, kUnfusedAttention = 8;

}  // namespace

PieceTime& PieceTime::operator+=(const PieceTime& o) {
  forward += o.forward, forward_comm += o.forward_comm;
  backward_input += o.backward_input, backward_weight += o.backward_weight, backward_comm += o.backward_comm;
  recompute += o.recompute, recompute_comm += o.recompute_comm;
  return *this;
}

PieceTime PieceTime::operator*(double n) const {
  PieceTime r = *this;
  r.forward *= n, r.forward_comm *= n;
  r.backward_input *= n, r.backward_weight *= n, r.backward_comm *= n;
  r.recompute *= n, r.recompute_comm *= n;
  return r;
}

PieceTime layer_time(const Cluster& cluster, const NodeGroup& group, const Transformer& m, const Layout& l) {
  const Sizes s(cluster, group, m, l);
  PieceTime time;
  linear(s, m.hidden, (m.hidden + 2 * m.kv_width()) / s.t, &time);
  linear(s, m.hidden / s.t, m.hidden, &time);
  linear(s, m.hidden, m.ffn * (m.gated ? 2 : 1) / s.t, &time);
  linear(s, m.ffn / s.t, m.hidden, &time);
  const PieceTime core = core_attention(s, l);
  time += core;
  pointwise(s, &time);
  const int unfused = s.software.flash_attention ? 0 : kUnfusedAttention;
  time.forward = no_faster_than_host(s, time.forward, kForwardKernels + unfused);
  const double backward = time.backward_input + time.backward_weight;
  time.backward_input += no_faster_than_host(s, backward, kBackwardKernels + unfused) - backward;

  const double comm = tensor_collectives(s);
  const double exposed = comm * (1 - s.software.overlap_tensor * (1 - kContention));
  time.forward_comm = exposed + context_seconds(s, l, core.forward);
  // Under the weight-gradient GEMMs of the two column-parallel linears, about half of all.
  const double under = s.software.overlap_tensor_wgrad ? time.backward_weight / 2 : 0;
  const double gathered = s.sequence ? 1.5 : 1;  // the inputs are gathered once more for their weight gradients
  time.backward_comm = std::max(exposed * gathered - under * (1 - kContention), exposed * gathered * kContention) +
                       2 * context_seconds(s, l, core.backward_input / 2);
  if (l.recompute == Recompute::kFull) time.recompute = time.forward, time.recompute_comm = time.forward_comm;
  if (l.recompute == Recompute::kSelective) time.recompute = core.forward;
  return time;
}

PieceTime embedding_time(const Cluster& cluster, const NodeGroup& group, const Transformer& m, const Layout& l) {
  const Sizes s(cluster, group, m, l);
  const double all = static_cast<double>(s.rows) * static_cast<double>(m.hidden);
  PieceTime time;
  time.forward = stream_seconds(s.device, all * 4 + s.state * (s.software.dropout ? 5 : 0), 3);
  time.backward_input = stream_seconds(s.device, all * 6, 3);
  time.forward_comm =
      collective_seconds(cluster, group, s.sequence ? Collective::kReduceScatter : Collective::kAllReduce,
                         ring_of(group, l.tensor, 1), 2 * all);
  return time;
}

PieceTime logits_time(const Cluster& cluster, const NodeGroup& group, const Transformer& m, const Layout& l) {
  const Sizes s(cluster, group, m, l);
  const int64_t vocab = (m.vocab + s.t - 1) / s.t;
  PieceTime time;
  linear(s, m.hidden, vocab, &time);
  // fp32 logits: cast 2+4; maximum 4; subtract and exponentiate 8+8; sum 4; normalise 8; gradient back to two bytes.
  const double logits = static_cast<double>(s.rows) * static_cast<double>(vocab);
  time.forward += stream_seconds(s.device, logits * 38 + s.state * 4, 8);
  time.backward_input += stream_seconds(s.device, logits * 14 + s.state * 8, 4);
  const double bytes = 2.0 * static_cast<double>(s.rows) * static_cast<double>(m.hidden);
  const Ring ring = ring_of(group, l.tensor, 1);
  if (s.sequence) time.forward_comm = collective_seconds(cluster, group, Collective::kAllGather, ring, bytes);
  time.backward_comm =
      collective_seconds(cluster, group, s.sequence ? Collective::kReduceScatter : Collective::kAllReduce, ring, bytes);
  return time;
}

double optimizer_seconds(const NodeGroup& group, const Software& software, double parameters, const Layout& l) {
  const double share = l.zero >= 1 ? parameters / (static_cast<double>(l.data) * l.context) : parameters;
  // Adam reads and writes master weight and two moments in fp32, reads the gradient, writes the two-byte weight: 30;
  // the norm reads the gradient once more: 4. The gradient buffer of all parameters is zeroed.
  return stream_seconds(group.device, share * 34 + parameters * software.gradient_bytes, 20);
}

}  // namespace ds::plan
