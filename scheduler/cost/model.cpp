#include "scheduler/cost/model.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_format.h"

namespace ds::plan {
namespace {

constexpr std::array<const char*, 3> kRecomputes = {"none", "selective", "full"};
constexpr std::array<const char*, 9> kSchedules = {"gpipe", "1f1b",   "interleaved", "zb-h1",     "zb-h2",
                                                   "zb-v",  "v-half", "v-min",       "dualpipe-v"};

template <typename E, size_t N>
bool named(const std::array<const char*, N>& names, const std::string& name, E* out) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return false;
  *out = static_cast<E>(found - names.begin());
  return true;
}

absl::Status at_least_one(const char* field, int64_t value) {
  if (value >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("[plan] %s must be >= 1, got %d", field, value));
}

absl::Status divides(const char* part, int64_t value, const char* whole, int64_t of) {
  if (value >= 1 && of % value == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("[plan] %s %d does not divide %s %d", part, value, whole, of));
}

absl::Status first_of(std::initializer_list<absl::Status> all) {
  for (const absl::Status& status : all) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

const char* name_of(Recompute recompute) { return kRecomputes[static_cast<size_t>(recompute)]; }
const char* name_of(Schedule schedule) { return kSchedules[static_cast<size_t>(schedule)]; }
bool recompute_named(const std::string& name, Recompute* out) { return named(kRecomputes, name, out); }
bool schedule_named(const std::string& name, Schedule* out) { return named(kSchedules, name, out); }

double Transformer::layer_matmul_parameters() const {
  const double attention = static_cast<double>(hidden) * (2.0 * hidden + 2.0 * kv_width());
  return attention + static_cast<double>(hidden) * ffn * (gated ? 3 : 2);
}

double Transformer::layer_parameters() const {
  const double biases = gated ? 0 : 2.0 * hidden + 2.0 * kv_width() + ffn + hidden;
  return layer_matmul_parameters() + biases + (gated ? 2.0 : 4.0) * hidden;
}

double Transformer::parameters() const {
  return layers * layer_parameters() + embedding_parameters() * (tied ? 1 : 2) + 2.0 * hidden;
}

absl::Status check(const Transformer& m) {
  return first_of({at_least_one("layers", m.layers), at_least_one("hidden", m.hidden), at_least_one("heads", m.heads),
                   at_least_one("kv_heads", m.kv_heads), at_least_one("ffn", m.ffn), at_least_one("vocab", m.vocab),
                   at_least_one("sequence", m.sequence), at_least_one("batch", m.batch),
                   m.heads >= 1 ? divides("heads", m.heads, "hidden", m.hidden) : absl::OkStatus(),
                   divides("kv_heads", m.kv_heads, "heads", m.heads)});
}

absl::Status check(const Transformer& m, const Layout& l) {
  absl::Status status =
      first_of({at_least_one("tensor_parallel", l.tensor), at_least_one("pipeline_parallel", l.pipeline),
                at_least_one("data_parallel", l.data), at_least_one("context_parallel", l.context),
                at_least_one("micro_batch", l.micro_batch), at_least_one("interleave", l.interleave)});
  if (!status.ok()) return status;
  status = first_of({divides("tensor_parallel", l.tensor, "heads", m.heads),
                     divides("tensor_parallel", l.tensor, "ffn", m.ffn),
                     divides("context_parallel", l.context, "sequence", m.sequence),
                     divides("data_parallel", l.data, "batch", m.batch),
                     divides("micro_batch", l.micro_batch, "the batch of one data-parallel rank,", m.batch / l.data)});
  if (!status.ok()) return status;
  if (l.zero < 0 || l.zero > 3) {
    return absl::InvalidArgumentError(absl::StrFormat("[plan] zero must be 0 to 3, got %d", l.zero));
  }
  const int64_t chunks = static_cast<int64_t>(l.pipeline) * l.interleave;
  if (chunks > m.layers) {
    return absl::InvalidArgumentError(absl::StrFormat("[plan] %d stages x interleave %d need more than the %d layers",
                                                      l.pipeline, l.interleave, m.layers));
  }
  if (l.interleave > 1 && l.schedule == Schedule::kOneFOneB) {
    return absl::InvalidArgumentError(
        absl::StrFormat("[plan] schedule 1f1b has one chunk a device, got interleave %d", l.interleave));
  }
  if (!l.stage_layers.empty()) {
    int64_t sum = 0;
    for (int layers : l.stage_layers) sum += layers;
    if (sum != m.layers || static_cast<int>(l.stage_layers.size()) != l.pipeline) {
      return absl::InvalidArgumentError(
          absl::StrFormat("[plan] stage_layers: %d stages with %d layers, need %d with %d", l.stage_layers.size(), sum,
                          l.pipeline, m.layers));
    }
  }
  return absl::OkStatus();
}

int64_t micro_batches(const Transformer& m, const Layout& l) { return m.batch / l.data / l.micro_batch; }

int layers_of(const Transformer& m, const Layout& l, int stage) {
  if (!l.stage_layers.empty()) return l.stage_layers[static_cast<size_t>(stage)];
  const int even = static_cast<int>(m.layers / l.pipeline), more = static_cast<int>(m.layers % l.pipeline);
  const int first = (l.pipeline - more + 1) / 2;
  return even + (stage >= first && stage < first + more ? 1 : 0);
}

std::vector<StageKind> stage_kinds(const Transformer& m, const Layout& l, bool each) {
  std::vector<StageKind> kinds;
  if (each || !l.stage_layers.empty()) {
    for (int i = 0; i < l.pipeline; ++i) kinds.push_back({i, 1});
    return kinds;
  }
  kinds.push_back({0, 1});
  if (l.pipeline > 1) kinds.push_back({l.pipeline - 1, 1});
  const int more = static_cast<int>(m.layers % l.pipeline), first = (l.pipeline - more + 1) / 2;
  const int last = std::min(first + more, l.pipeline - 1), begin = std::max(first, 1);
  if (more > 0 && last > begin) kinds.push_back({begin, last - begin});
  const int rest = l.pipeline - 2 - (more > 0 ? std::max(0, last - begin) : 0);
  if (rest > 0) {
    int stage = 1;  // the earliest of them: it holds the most micro-batches
    if (more > 0 && stage >= first && stage < first + more) stage = first + more;
    kinds.push_back({stage, rest});
  }
  return kinds;
}

double model_flops(const Transformer& m) {
  const double tokens = static_cast<double>(m.batch) * m.sequence;
  const double attention = 12.0 * m.layers * m.sequence * m.hidden;
  return tokens * (6 * (m.layers * m.layer_matmul_parameters() + m.embedding_parameters()) + attention);
}

double hardware_flops(const Transformer& m, Recompute recompute) {
  const double tokens = static_cast<double>(m.batch) * m.sequence;
  const double core = 4.0 * m.layers * m.sequence * m.hidden;
  if (recompute == Recompute::kNone) return model_flops(m);
  if (recompute == Recompute::kSelective) return model_flops(m) + tokens * core;
  return model_flops(m) + tokens * (core + 2 * m.layers * m.layer_matmul_parameters());
}

}  // namespace ds::plan
