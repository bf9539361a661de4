// A plain transformer, a layout of it over devices, and the arithmetic that both imply.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace ds::plan {

struct Transformer {
  std::string name;
  int64_t layers = 0, hidden = 0, heads = 0, kv_heads = 0, ffn = 0, vocab = 0, sequence = 0;
  int64_t batch = 0;   // sequences a step, over all devices
  bool gated = false;  // the MLP multiplies two projections (SwiGLU): three matrices, not two
  bool tied = true;    // the logits use the embedding's weights

  int64_t head_width() const { return hidden / heads; }
  int64_t kv_width() const { return head_width() * kv_heads; }
  double layer_matmul_parameters() const;  // weights of one layer's GEMMs
  double layer_parameters() const;         // those, biases and norms
  double embedding_parameters() const { return static_cast<double>(vocab) * hidden; }
  double parameters() const;
};

enum class Recompute { kNone, kSelective, kFull };
enum class Schedule { kGpipe, kOneFOneB, kInterleaved, kZbH1, kZbH2, kZbV, kVHalf, kVMin, kDualPipeV };
const char* name_of(Recompute recompute);
const char* name_of(Schedule schedule);
bool recompute_named(const std::string& name, Recompute* out);
bool schedule_named(const std::string& name, Schedule* out);

struct Layout {
  int tensor = 1, pipeline = 1, data = 1, context = 1;
  int zero = 0;
  Schedule schedule = Schedule::kOneFOneB;
  int interleave = 1;  // model chunks a device
  int micro_batch = 1;
  Recompute recompute = Recompute::kNone;
  bool sequence_parallel = false;
  std::vector<int> stage_layers;  // layers a pipeline rank; empty: as even as can be, the ends get fewer

  int devices() const { return tensor * pipeline * data * context; }
  bool operator==(const Layout&) const = default;
};

// InvalidArgument naming the field: `[plan] heads must be >= 1, got 0`.
absl::Status check(const Transformer& model);
// What no memory could mend: divisibility of heads, batch, layers, devices. `[plan] tensor_parallel 8 does not divide
// 7 devices`.
absl::Status check(const Transformer& model, const Layout& layout);
int64_t micro_batches(const Transformer& model, const Layout& layout);
// Layers of a pipeline rank. What does not divide goes to the middle: the ends own the embedding and the logits.
int layers_of(const Transformer& model, const Layout& layout, int stage);

// Stages that are alike, by one of them.
struct StageKind {
  int stage = 0, count = 1;
};
// The stages of a layout by kind: the ends, and the middle's with more and with fewer layers. Every stage by itself
// where `each`, or where the layout lists its layers.
std::vector<StageKind> stage_kinds(const Transformer& model, const Layout& layout, bool each);

// FLOPs of one step on all devices. Korthikanti et al., arXiv 2205.05198, appendix A, with the MLP's and the key-value
// heads' widths left free; attention is counted whole, though causal kernels skip half.
double model_flops(const Transformer& model);
double hardware_flops(const Transformer& model, Recompute recompute);

}  // namespace ds::plan
