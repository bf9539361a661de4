#include "scheduler/plan/plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "absl/strings/str_format.h"
#include "scheduler/plan/space.h"

namespace ds::plan {
namespace {

constexpr double kUsable = 0.98;  // the driver keeps the rest

// Everything of a group but how many nodes it has; the fastest comes first.
auto kind_of(const NodeGroup& g) {
  const Device& d = g.device;
  return std::make_tuple(-d.peak_bf16, d.name, -d.memory, d.peak_fp8, d.bandwidth, d.units, d.matmul_efficiency,
                         d.stream_efficiency, d.flash_forward, d.flash_backward, d.kernel_seconds, g.devices,
                         g.island_bandwidth, g.nvls_bandwidth, g.nic_bandwidth, g.generation, g.nvlink);
}

// The stage that misses its memory by most, by bytes over; its memory. Negative: all fit.
struct Tightest {
  int stage = 0;
  double over = -std::numeric_limits<double>::infinity(), needed = 0, available = 0;
};

Tightest tightest(const Cluster& cluster, const Transformer& m, const Layout& l) {
  Tightest worst;
  for (const StageKind& kind : stage_kinds(m, l, cluster.groups.size() > 1)) {
    const NodeGroup& group = cluster.groups[static_cast<size_t>(group_of(cluster, l, kind.stage))];
    const double needed = stage_memory(cluster, m, l, kind.stage).total(), available = usable_bytes(group.device);
    if (needed - available > worst.over) worst = {kind.stage, needed - available, needed, available};
  }
  return worst;
}

// Times of layers that families share.
class PieceTable {
 public:
  PieceTable(const Cluster& cluster, const Transformer& model) : cluster_(cluster), model_(model) {}

  const std::vector<Pieces>& of(const Layout& l) {
    const auto key = std::make_tuple(l.tensor, l.context, l.micro_batch, l.sequence_parallel, l.recompute);
    const auto [found, fresh] = table_.try_emplace(key);
    if (fresh) {
      for (const NodeGroup& group : cluster_.groups) found->second.push_back(pieces_of(cluster_, group, model_, l));
    }
    return found->second;
  }

 private:
  const Cluster& cluster_;
  const Transformer& model_;
  std::map<std::tuple<int, int, int, bool, Recompute>, std::vector<Pieces>> table_;
};

// The layouts a user would call different; of each the fastest is kept.
auto shape_of(const Layout& l) { return std::make_tuple(l.tensor, l.pipeline, l.data, l.context, l.schedule); }

// A total order, so that two searches agree to the last field.
auto order_of(const Candidate& c) {
  const Layout& l = c.layout;
  return std::make_tuple(c.step.seconds, l.zero, l.interleave, l.schedule, l.pipeline, l.tensor, l.context,
                         l.micro_batch, l.recompute, l.sequence_parallel, l.stage_layers);
}

// The `most` fastest of different shapes.
class Best {
 public:
  explicit Best(int most) : most_(static_cast<size_t>(most)) {}

  double bar() const {
    return kept_.size() < most_ ? std::numeric_limits<double>::infinity() : kept_.back().step.seconds;
  }
  void offer(Candidate candidate) {
    const auto shape = shape_of(candidate.layout);
    const auto twin =
        std::find_if(kept_.begin(), kept_.end(), [&](const Candidate& c) { return shape_of(c.layout) == shape; });
    if (twin != kept_.end()) {
      if (order_of(candidate) >= order_of(*twin)) return;
      kept_.erase(twin);
    }
    const auto place =
        std::upper_bound(kept_.begin(), kept_.end(), candidate,
                         [](const Candidate& a, const Candidate& b) { return order_of(a) < order_of(b); });
    kept_.insert(place, std::move(candidate));
    if (kept_.size() > most_) kept_.pop_back();
  }
  std::vector<Candidate> take() { return std::move(kept_); }

 private:
  size_t most_;
  std::vector<Candidate> kept_;
};

// No member of a family is faster: the layers' compute of all micro-batches shared out evenly over the pipeline, with
// neither bubble nor communication between stages, nor the optimizer. Where groups differ, as if all were the fastest.
double lower_bound(const Transformer& m, const Family& family, const std::vector<Pieces>& pieces) {
  double fastest = std::numeric_limits<double>::infinity();
  for (const Pieces& piece : pieces) {
    const auto time = [](const PieceTime& t) { return t.forward_total() + t.backward_total(); };
    fastest = std::min(fastest,
                       static_cast<double>(m.layers) * time(piece.layer) + time(piece.embedding) + time(piece.logits));
  }
  return static_cast<double>(micro_batches(m, family)) * fastest / family.pipeline;
}

struct Search {
  const Cluster& cluster;
  const Transformer& model;
  const Wish& wish;
  const SearchOptions& options;
  PieceTable pieces{cluster, model};
  int64_t candidates = 0, evaluated = 0;

  std::vector<Candidate> run() {
    std::vector<std::pair<double, Family>> queue;
    for (const Family& family : families(cluster, model, wish)) {
      queue.emplace_back(lower_bound(model, family, pieces.of(family)), family);
    }
    if (!options.exhaustive) {
      std::stable_sort(queue.begin(), queue.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    }
    Best best(options.top);
    for (const auto& [bound, family] : queue) {
      if (!options.exhaustive && bound > best.bar()) break;
      for (const Layout& layout : members(cluster, model, wish, family, pieces.of(family))) {
        ++candidates;
        consider(layout, &best);
      }
    }
    return best.take();
  }

  void consider(const Layout& layout, Best* best) {
    if (options.exhaustive) {
      const bool fits = tightest(cluster, model, layout).over <= 0;
      ++evaluated;
      Step step = step_time(cluster, model, layout, pieces.of(layout));
      if (fits) best->offer({layout, step, ""});
      return;
    }
    ++evaluated;
    Step step = step_time(cluster, model, layout, pieces.of(layout));
    if (step.seconds > best->bar() || tightest(cluster, model, layout).over > 0) return;
    best->offer({layout, step, ""});
  }
};

std::string why_slower(const Candidate& best, const Candidate& other) {
  struct Part {
    const char* name;
    double more;
  };
  const Parts &a = best.step.parts, &b = other.step.parts;
  Part parts[] = {{"compute", b.compute - a.compute},
                  {"pipeline bubble", b.bubble - a.bubble},
                  {"exposed tensor-parallel communication", b.tensor_comm - a.tensor_comm},
                  {"exposed pipeline communication", b.pipeline_comm - a.pipeline_comm},
                  {"exposed data-parallel communication", b.data_comm - a.data_comm},
                  {"optimizer", b.optimizer - a.optimizer}};
  const Part* most = std::max_element(std::begin(parts), std::end(parts),
                                      [](const Part& x, const Part& y) { return x.more < y.more; });
  std::string why =
      absl::StrFormat("%.1f %% slower: %.3g s more %s", 100 * (other.step.seconds / best.step.seconds - 1),
                      std::max(0.0, most->more), most->name);
  if (most->more <= 0) why = "as fast";
  if (other.layout.recompute > best.layout.recompute) why += "; recomputes more to fit";
  return why;
}

std::vector<std::string> warnings_of(const Cluster& cluster, const Transformer& m, const Candidate& best) {
  std::vector<std::string> all;
  const Tightest tight = tightest(cluster, m, best.layout);
  if (tight.needed > 0.95 * tight.available) {
    all.push_back(absl::StrFormat("stage %d uses %.1f %% of its memory: a longer step of the allocator may not fit",
                                  tight.stage, 100 * tight.needed / tight.available));
  }
  if (best.step.parts.bubble > 0.25 * best.step.seconds) {
    all.push_back(absl::StrFormat("%.0f %% of the step is pipeline bubble: %d micro-batches for %d stages",
                                  100 * best.step.parts.bubble / best.step.seconds, micro_batches(m, best.layout),
                                  best.layout.pipeline));
  }
  if (best.step.parts.data_comm > 0.25 * best.step.seconds) {
    all.push_back(
        absl::StrFormat("%.0f %% of the step is exposed data-parallel communication: a larger batch would hide it",
                        100 * best.step.parts.data_comm / best.step.seconds));
  }
  return all;
}

Plan plan_of(const Cluster& cluster, const Transformer& m, std::vector<Candidate> ranked) {
  Plan plan;
  plan.best = std::move(ranked.front());
  for (size_t i = 1; i < ranked.size(); ++i) {
    ranked[i].why = why_slower(plan.best, ranked[i]);
    plan.alternatives.push_back(std::move(ranked[i]));
  }
  for (int i = 0; i < plan.best.layout.pipeline; ++i)
    plan.stages.push_back(stage_memory(cluster, m, plan.best.layout, i));
  plan.warnings = warnings_of(cluster, m, plan.best);
  return plan;
}

// How far apart two layouts are: the factors that change count most, then how memory is saved.
double distance(const Layout& a, const Layout& b) {
  const auto factor = [](int x, int y) { return std::abs(std::log2(static_cast<double>(x) / y)); };
  return 4 * (factor(a.tensor, b.tensor) + factor(a.pipeline, b.pipeline) + factor(a.context, b.context)) +
         factor(a.micro_batch, b.micro_batch) + 0.5 * std::abs(a.zero - b.zero) +
         0.25 * factor(a.interleave, b.interleave) +
         std::abs(static_cast<int>(a.recompute) - static_cast<int>(b.recompute)) + 0.5 * (a.schedule != b.schedule) +
         0.25 * (a.sequence_parallel != b.sequence_parallel) + 0.5 * (a.stage_layers != b.stage_layers);
}

// The layout closest to `wanted` that fits the cluster, or where none does, one of twice the devices, and so on.
std::optional<Layout> nearest_fit(Cluster cluster, const Transformer& m, const Layout& wanted) {
  for (int doubling = 0; doubling <= 6; ++doubling) {
    PieceTable pieces(cluster, m);
    std::optional<Layout> best;
    for (const Family& family : families(cluster, m, {})) {
      for (const Layout& layout : members(cluster, m, {}, family, pieces.of(family))) {
        if (best && distance(layout, wanted) >= distance(*best, wanted)) continue;
        if (tightest(cluster, m, layout).over <= 0) best = layout;
      }
    }
    if (best) return best;
    for (NodeGroup& g : cluster.groups) g.nodes *= 2;
  }
  return std::nullopt;
}

Infeasible refusal(const Cluster& cluster, const Transformer& m, const Layout& layout) {
  const Tightest tight = tightest(cluster, m, layout);
  const Memory memory = stage_memory(cluster, m, layout, tight.stage);
  Infeasible no;
  no.stage = tight.stage;
  no.needed_bytes = tight.needed;
  no.available_bytes = tight.available;
  const double giga = 1e9;
  no.reason = absl::StrFormat(
      "stage %d needs %.1f GB a device and has %.1f: weights %.1f, gradients %.1f, optimizer %.1f, activations %.1f, "
      "other %.1f",
      tight.stage, tight.needed / giga, tight.available / giga, memory.weights / giga, memory.gradients / giga,
      memory.optimizer / giga, memory.activations / giga, memory.other / giga);
  no.nearest = nearest_fit(cluster, m, layout);
  if (no.nearest && no.nearest->devices() != cluster.devices()) {
    no.reason += absl::StrFormat("; nothing fits %d devices, %d would do", cluster.devices(), no.nearest->devices());
  }
  return no;
}

// What of a wish no layout of these devices can have: said before the search finds nothing.
absl::Status check(const Cluster& cluster, const Transformer& m, const Wish& wish) {
  const int devices = cluster.devices();
  const std::pair<const char*, std::optional<int>> parts[] = {{"tensor_parallel", wish.tensor},
                                                              {"pipeline_parallel", wish.pipeline},
                                                              {"data_parallel", wish.data},
                                                              {"context_parallel", wish.context}};
  for (const auto& [name, value] : parts) {
    if (value && (*value < 1 || devices % *value != 0)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("[plan] %s %d does not divide %d devices", name, *value, devices));
    }
  }
  Layout layout;
  layout.tensor = wish.tensor.value_or(1), layout.pipeline = wish.pipeline.value_or(1);
  layout.data = wish.data.value_or(1), layout.context = wish.context.value_or(1);
  layout.zero = wish.zero.value_or(0), layout.micro_batch = wish.micro_batch.value_or(1);
  return check(m, layout);
}

absl::Status devices_match(const Cluster& cluster, const Layout& l) {
  if (l.devices() == cluster.devices()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("[plan] tensor_parallel %d x pipeline_parallel %d x data_parallel %d x context_parallel %d = %d "
                      "devices, the cluster has %d",
                      l.tensor, l.pipeline, l.data, l.context, l.devices(), cluster.devices()));
}

}  // namespace

double usable_bytes(const Device& device) { return device.memory * kUsable; }

Cluster normal(Cluster cluster) {
  std::vector<NodeGroup> groups;
  for (const NodeGroup& g : cluster.groups) {
    const auto twin =
        std::find_if(groups.begin(), groups.end(), [&](const NodeGroup& have) { return kind_of(have) == kind_of(g); });
    if (twin == groups.end()) {
      groups.push_back(g);
    } else {
      twin->nodes += g.nodes;
    }
  }
  std::sort(groups.begin(), groups.end(),
            [](const NodeGroup& a, const NodeGroup& b) { return kind_of(a) < kind_of(b); });
  cluster.groups = groups;
  return cluster;
}

absl::StatusOr<Answer> search(const Cluster& given, const Transformer& m, const Wish& wish,
                              const SearchOptions& options) {
  if (absl::Status status = check(given); !status.ok()) return status;
  if (absl::Status status = check(m); !status.ok()) return status;
  const Cluster cluster = normal(given);
  if (absl::Status status = check(cluster, m, wish); !status.ok()) return status;
  Search search{cluster, m, wish, options};
  std::vector<Candidate> ranked = search.run();
  if (!ranked.empty()) {
    Plan plan = plan_of(cluster, m, std::move(ranked));
    plan.candidates = search.candidates;
    plan.evaluated = search.evaluated;
    return Answer(std::move(plan));
  }
  // Nothing fits: the layout that misses by least speaks for all.
  std::optional<Layout> closest;
  double least = std::numeric_limits<double>::infinity();
  for (const Family& family : families(cluster, m, wish)) {
    for (const Layout& layout : members(cluster, m, wish, family, search.pieces.of(family))) {
      const double over = tightest(cluster, m, layout).over;
      if (over < least) least = over, closest = layout;
    }
  }
  if (!closest) {
    return absl::InvalidArgumentError(
        absl::StrFormat("[plan] no layout of %d devices honours the wish: batch %d, layers %d and heads %d must divide",
                        cluster.devices(), m.batch, m.layers, m.heads));
  }
  return Answer(refusal(cluster, m, *closest));
}

absl::StatusOr<Answer> evaluate(const Cluster& given, const Transformer& m, const Layout& layout) {
  if (absl::Status status = check(given); !status.ok()) return status;
  if (absl::Status status = check(m); !status.ok()) return status;
  if (absl::Status status = check(m, layout); !status.ok()) return status;
  const Cluster cluster = normal(given);
  if (absl::Status status = devices_match(cluster, layout); !status.ok()) return status;
  if (tightest(cluster, m, layout).over > 0) return Answer(refusal(cluster, m, layout));
  return Answer(plan_of(cluster, m, {{layout, step_time(cluster, m, layout), ""}}));
}

}  // namespace ds::plan
