#include "scheduler/plan/step.h"

#include <algorithm>
#include <cmath>

#include "scheduler/cost/collectives.h"
#include "scheduler/pipeline/simulate.h"
#include "scheduler/schedules/schedule.h"

namespace ds::plan {
namespace {

struct Stage {
  PieceTime time;
  double compute() const { return time.forward + time.backward_input + time.backward_weight + time.recompute; }
  double comm() const { return time.forward_comm + time.backward_comm + time.recompute_comm; }
  double total() const { return compute() + comm(); }
};

double pipeline_comm(const Cluster& cluster, const NodeGroup& group, const Transformer& m, const Layout& l,
                     double slowest) {
  if (l.pipeline == 1) return 0;
  // Ranks of a stage lie together; with sequence parallelism or interleaving each sends its 1/t of the rows and the
  // receivers gather them inside their node (scatter/gather, arXiv 2104.04473 section 4.1).
  const int stride = l.tensor * l.context * l.data;
  const bool scatter = l.tensor > 1;
  double bytes = 2.0 * l.micro_batch * static_cast<double>(m.sequence) * static_cast<double>(m.hidden) / l.context;
  const double whole = bytes;
  if (scatter) bytes /= l.tensor;
  double once = send_seconds(cluster, group, stride, group.devices, bytes);
  if (scatter && !l.sequence_parallel) {
    once += collective_seconds(cluster, group, Collective::kAllGather, ring_of(group, l.tensor, 1), whole);
  }
  const double micro = static_cast<double>(micro_batches(m, l));
  const double chunks = std::max(1, l.interleave);
  const double fill = 2.0 * (l.pipeline - 1) * once;
  if (cluster.software.overlap_pipeline && l.interleave > 1) {
    return fill + std::max(0.0, 2 * micro * chunks * once - micro * slowest);
  }
  // A device sends forward and backward once a micro-batch and chunk and waits for each.
  return fill + 2 * micro * chunks * once;
}

constexpr double kBuckets = 8;       // of a chunk: the last one has nothing left to hide under
constexpr double kContention = 0.2;  // what hidden communication costs the compute above it (see cost/layer.cpp)

// What `window` seconds of compute do not hide of `comm`, and what hiding costs.
double exposed(double comm, double window, double buckets) {
  const double hidden = std::min(comm * (1 - 1 / buckets), window);
  return comm - hidden + kContention * hidden;
}

// Gradients to their owners and new weights back. Without overlap all of it; with it what the last micro-batch's
// backward and the next step's first forward cannot hide.
double data_comm(const Cluster& cluster, const NodeGroup& group, const Transformer& m, const Layout& l, int stage,
                 const PieceTime& pass) {
  const int ranks = l.data * l.context;
  if (ranks == 1) return 0;
  Ring ring = ring_of(group, ranks, l.tensor);
  ring.congested = true;
  const double parameters = stage_parameters(m, l, stage);
  const double gradients = parameters * cluster.software.gradient_bytes, weights = parameters * 2;
  const auto of = [&](Collective what, double bytes) { return collective_seconds(cluster, group, what, ring, bytes); };
  const double micro = static_cast<double>(micro_batches(m, l));
  const Collective reduce = l.zero >= 1 ? Collective::kReduceScatter : Collective::kAllReduce;
  if (l.zero == 3) {
    const double gather = of(Collective::kAllGather, weights), scatter = of(reduce, gradients);
    const double layers = static_cast<double>(m.layers) / l.pipeline;
    if (!cluster.software.overlap_data) return micro * (2 * gather + scatter);
    return micro *
           (exposed(gather, pass.forward_total(), layers) + exposed(gather + scatter, pass.backward_total(), layers));
  }
  // ZeRO-2 reduces every micro-batch: it has no whole gradient to add to.
  const double times = l.zero == 2 ? micro : 1;
  const double scatter = of(reduce, gradients), gather = l.zero >= 1 ? of(Collective::kAllGather, weights) : 0;
  if (!cluster.software.overlap_data) return times * scatter + gather;
  // Interleaved, a chunk's weights are not needed, and its gradients are whole, a chunk's round of p micro-batches
  // apart: all chunks but the first hide under the rounds of the others.
  const double v = l.interleave, rounds = std::min(micro, static_cast<double>(l.pipeline)) * (v - 1) / v;
  const double window = std::max(1.0, rounds);
  return times * exposed(scatter, pass.backward_total() * window, kBuckets * v) +
         exposed(gather, pass.forward_total() * window, kBuckets * v);
}

// Idle time of a schedule's lists, played. It is a line in the micro-batches once the pipeline is full: two short plays
// tell it for any number.
double simulated_idle(const Layout& l, int micro, double f, double b, double w) {
  const auto idle = [&](int n) {
    pipeline::Request request;
    request.stages = l.pipeline;
    request.micro_batches = n;
    request.costs = pipeline::Costs::even(f, b, w, 0, 2);
    const auto schedule = pipeline::make_schedule(name_of(l.schedule), request);
    const auto result = schedule.ok() ? pipeline::simulate(*schedule, request.costs) : schedule.status();
    return result.ok() ? result->makespan - n * (f + b + w) : (l.pipeline - 1) * (f + b + w);
  };
  const int full = 2 * l.pipeline, more = 3 * l.pipeline;
  if (micro <= more) return idle(micro);
  const double at_full = idle(full), at_more = idle(more);
  return at_more + (at_more - at_full) * (micro - more) / (more - full);
}

}  // namespace

double bubble_seconds(const Layout& l, double micro, double others, const PieceTime& slowest) {
  const double f = slowest.forward_total(), w = slowest.backward_weight, b = slowest.backward_total() - w;
  const double p = l.pipeline;
  const double behind = f + b + w > 0 ? others / (f + b + w) : 0;  // p-1 where stages are alike
  switch (l.schedule) {
    case Schedule::kGpipe:
    case Schedule::kOneFOneB:
      return others;
    case Schedule::kInterleaved:
      return others / l.interleave;
    case Schedule::kZbH1:
      return behind * std::max(f, f + b - w);
    case Schedule::kZbH2:
      return behind * std::max(f, f + b - 2 * w);
    case Schedule::kZbV:
      return p * std::max(f, b) / 2;
    case Schedule::kDualPipeV:
      return std::max(p * std::max(f, b) / 2, p * (b - w / 2) - (b - w) - f / 2);
    case Schedule::kVHalf:
    case Schedule::kVMin:
      return simulated_idle(l, static_cast<int>(micro), f, b, w);
  }
  return others;
}

Pieces pieces_of(const Cluster& cluster, const NodeGroup& group, const Transformer& m, const Layout& l) {
  return {layer_time(cluster, group, m, l), embedding_time(cluster, group, m, l), logits_time(cluster, group, m, l)};
}

int group_of(const Cluster& cluster, const Layout& l, int stage) {
  int last = (stage + 1) * l.tensor * l.context * l.data;  // devices up to this stage's end
  for (size_t i = 0; i < cluster.groups.size(); ++i) {
    last -= cluster.groups[i].nodes * cluster.groups[i].devices;
    if (last <= 0) return static_cast<int>(i);
  }
  return static_cast<int>(cluster.groups.size()) - 1;
}

Step step_time(const Cluster& cluster, const Transformer& m, const Layout& l, const std::vector<Pieces>& pieces) {
  Stage slowest;
  double sum = 0, optimizer = 0, data = 0;
  int slow_group = 0;
  for (const auto& [i, count] : stage_kinds(m, l, cluster.groups.size() > 1)) {
    const int g = group_of(cluster, l, i);
    const Pieces& piece = pieces[static_cast<size_t>(g)];
    Stage stage{piece.layer * layers_of(m, l, i)};
    if (i == 0) stage.time += piece.embedding;
    if (i == l.pipeline - 1) stage.time += piece.logits;
    sum += count * stage.total();
    const NodeGroup& group = cluster.groups[static_cast<size_t>(g)];
    if (stage.total() > slowest.total()) slowest = stage, slow_group = g;
    if (i == 0 || i == l.pipeline - 1) {
      optimizer = std::max(optimizer, optimizer_seconds(group, cluster.software, stage_parameters(m, l, i), l));
      data = std::max(data, data_comm(cluster, group, m, l, i, stage.time));
    }
  }
  const NodeGroup& group = cluster.groups[static_cast<size_t>(slow_group)];
  const double micro = static_cast<double>(micro_batches(m, l));
  Step step;
  step.parts.compute = micro * slowest.compute();
  step.parts.tensor_comm = micro * slowest.comm();
  step.parts.bubble = bubble_seconds(l, micro, sum - slowest.total(), slowest.time);
  step.parts.pipeline_comm = pipeline_comm(cluster, group, m, l, slowest.total());
  step.parts.data_comm = data;
  if (m.tied && l.pipeline > 1) {  // the two copies of the embedding agree on their gradient
    Ring pair;
    pair.ranks = 2;
    const int apart = l.devices() / l.pipeline * (l.pipeline - 1);
    if (apart < group.devices) pair.per_node = 2;
    pair.rivals = std::max(1, group.devices / pair.per_node);
    step.parts.data_comm += collective_seconds(cluster, group, Collective::kAllReduce, pair,
                                               m.embedding_parameters() / l.tensor * cluster.software.gradient_bytes);
  }
  step.parts.optimizer = optimizer + cluster.software.step_seconds;
  step.seconds = step.parts.total();
  double peak = 0;
  for (const NodeGroup& g : cluster.groups) peak += g.nodes * g.devices * g.device.peak_bf16;
  peak /= std::max(1, cluster.devices());
  const double devices = l.devices();
  step.model_flops_per_device = model_flops(m) / step.seconds / devices;
  step.hardware_flops_per_device =
      hardware_flops(m, l.recompute == Recompute::kSelective && cluster.software.flash_attention ? Recompute::kNone
                                                                                                 : l.recompute) /
      step.seconds / devices;
  step.mfu = step.model_flops_per_device / peak;
  step.hfu = step.hardware_flops_per_device / peak;
  step.tokens_per_second = static_cast<double>(m.batch) * static_cast<double>(m.sequence) / step.seconds;
  return step;
}

Step step_time(const Cluster& cluster, const Transformer& m, const Layout& l) {
  std::vector<Pieces> pieces;
  for (const NodeGroup& group : cluster.groups) pieces.push_back(pieces_of(cluster, group, m, l));
  return step_time(cluster, m, l, pieces);
}

}  // namespace ds::plan
