#include "scheduler/plan/space.h"

#include <algorithm>
#include <cmath>

namespace ds::plan {
namespace {

constexpr int kMostMicroBatch = 64, kMostContext = 8, kMostInterleave = 16;
constexpr int64_t kLeastContextRows = 1024;  // of a sequence on one context-parallel rank: fewer starve the GEMMs

std::vector<int> divisors(int64_t n, int64_t most) {
  std::vector<int> all;
  for (int64_t i = 1; i <= std::min(n, most); ++i) {
    if (n % i == 0) all.push_back(static_cast<int>(i));
  }
  return all;
}

template <typename T>
bool allowed(const std::optional<T>& wish, const T& value) {
  return !wish || *wish == value;
}

void micro_batches_of(const Cluster& cluster, const Transformer& m, const Wish& wish, Family family,
                      std::vector<Family>* all) {
  for (int micro : divisors(m.batch / family.data, wish.micro_batch.value_or(kMostMicroBatch))) {
    if (!allowed(wish.micro_batch, micro)) continue;
    family.micro_batch = micro;
    for (bool sequence : {false, true}) {
      if (!allowed(wish.sequence_parallel, sequence)) continue;
      if (sequence && family.tensor == 1 && !wish.sequence_parallel) continue;
      family.sequence_parallel = sequence;
      for (Recompute recompute : {Recompute::kNone, Recompute::kSelective, Recompute::kFull}) {
        if (!allowed(wish.recompute, recompute)) continue;
        // Fused attention keeps nothing that the selective kind would drop.
        if (recompute == Recompute::kSelective && cluster.software.flash_attention && !wish.recompute) continue;
        family.recompute = recompute;
        all->push_back(family);
      }
    }
  }
}

void add_zero(const Wish& wish, Layout layout, std::vector<Layout>* all) {
  for (int zero = 0; zero <= 3; ++zero) {
    if (!allowed(wish.zero, zero)) continue;
    if (zero > 0 && layout.data * layout.context == 1 && !wish.zero) continue;
    layout.zero = zero;
    all->push_back(layout);
  }
}

void add_interleaved(const Transformer& m, const Wish& wish, Layout layout, std::vector<Layout>* all) {
  if (m.layers % layout.pipeline != 0 || micro_batches(m, layout) % layout.pipeline != 0) return;
  layout.schedule = Schedule::kInterleaved;
  for (int chunks : divisors(m.layers / layout.pipeline, wish.interleave.value_or(kMostInterleave))) {
    if (chunks == 1 || !allowed(wish.interleave, chunks)) continue;
    layout.interleave = chunks;
    add_zero(wish, layout, all);
  }
}

}  // namespace

std::vector<Family> families(const Cluster& cluster, const Transformer& m, const Wish& wish) {
  std::vector<Family> all;
  const int devices = cluster.devices();
  int node = cluster.groups[0].devices;
  for (const NodeGroup& g : cluster.groups) node = std::min(node, g.devices);
  for (int tensor : divisors(devices, wish.tensor.value_or(node))) {
    if (!allowed(wish.tensor, tensor) || m.heads % tensor != 0 || m.ffn % tensor != 0) continue;
    const int most_context = static_cast<int>(std::clamp<int64_t>(m.sequence / kLeastContextRows, 1, kMostContext));
    for (int context : divisors(devices / tensor, wish.context.value_or(most_context))) {
      if (!allowed(wish.context, context) || m.sequence % context != 0) continue;
      for (int pipeline : divisors(devices / tensor / context, m.layers)) {
        Family family;
        family.tensor = tensor, family.context = context, family.pipeline = pipeline;
        family.data = devices / tensor / context / pipeline;
        if (!allowed(wish.pipeline, pipeline) || !allowed(wish.data, family.data) || m.batch % family.data != 0)
          continue;
        micro_batches_of(cluster, m, wish, family, &all);
      }
    }
  }
  return all;
}

std::vector<int> balanced_layers(const Cluster& cluster, const Transformer& m, const Layout& l,
                                 const std::vector<Pieces>& pieces) {
  const size_t stages = static_cast<size_t>(l.pipeline);
  std::vector<int> layers(stages, 1);
  std::vector<double> busy(stages), layer(stages);
  for (size_t i = 0; i < stages; ++i) {
    const Pieces& piece = pieces[static_cast<size_t>(group_of(cluster, l, static_cast<int>(i)))];
    const auto time = [](const PieceTime& t) { return t.forward_total() + t.backward_total(); };
    layer[i] = time(piece.layer);
    busy[i] = layer[i] + (i == 0 ? time(piece.embedding) : 0) + (i + 1 == stages ? time(piece.logits) : 0);
  }
  for (int64_t left = m.layers - l.pipeline; left > 0; --left) {
    size_t best = 0;
    for (size_t i = 1; i < stages; ++i) {
      // Later stages hold fewer micro-batches: equal times go there, but never to the first.
      if (busy[i] + layer[i] <= busy[best] + layer[best]) best = i;
    }
    ++layers[best];
    busy[best] += layer[best];
  }
  return layers;
}

std::vector<Layout> members(const Cluster& cluster, const Transformer& m, const Wish& wish, const Family& family,
                            const std::vector<Pieces>& pieces) {
  std::vector<Layout> all;
  Layout layout = family;
  if (layout.pipeline == 1) {
    if (allowed(wish.interleave, 1)) add_zero(wish, layout, &all);
    if (wish.schedule) {
      for (Layout& one : all) one.schedule = *wish.schedule;
    }
    return all;
  }
  const bool even = m.layers % layout.pipeline == 0;
  if (allowed(wish.schedule, Schedule::kInterleaved)) add_interleaved(m, wish, layout, &all);
  if (!allowed(wish.interleave, 1)) return all;
  std::vector<int> balanced;
  if (layout.pipeline <= m.layers) balanced = balanced_layers(cluster, m, layout, pieces);
  for (Schedule schedule : {Schedule::kOneFOneB, Schedule::kGpipe, Schedule::kZbH1, Schedule::kZbH2, Schedule::kZbV,
                            Schedule::kVHalf, Schedule::kVMin, Schedule::kDualPipeV}) {
    if (!allowed(wish.schedule, schedule)) continue;
    layout = family;
    layout.schedule = schedule;
    // Their time takes a play of their lists, and they are slower than ZB-V wherever that fits: only on demand.
    if ((schedule == Schedule::kVHalf || schedule == Schedule::kVMin) && !wish.schedule) continue;
    const bool two_chunks = schedule >= Schedule::kZbV;
    if (two_chunks && 2 * layout.pipeline > m.layers) continue;
    if (schedule == Schedule::kDualPipeV && micro_batches(m, layout) < 2 * layout.pipeline) continue;
    if (even || cluster.groups.size() == 1) add_zero(wish, layout, &all);
    if (two_chunks || balanced.empty()) continue;
    layout.stage_layers = balanced;
    bool differs = false;
    for (int i = 0; i < layout.pipeline; ++i) differs |= layers_of(m, family, i) != balanced[static_cast<size_t>(i)];
    if (differs) add_zero(wish, layout, &all);
  }
  return all;
}

}  // namespace ds::plan
