// What the planning commands read: a model, a cluster, a wish.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ds/v1/job.pb.h"
#include "scheduler/plan/plan.h"

namespace ds::client {

// A plain description {layers, hidden, heads, kv_heads, ffn, vocab, sequence, batch, gated, tied}, a job file of the
// gpt family, or the name of a known model.
absl::StatusOr<plan::Transformer> read_model(const std::string& file_or_name);
// A job file whose model is traced to be planned: any but the gpt family's, which has a closed form. nullopt: the file
// is none. InvalidArgument as of parse_job().
absl::StatusOr<std::optional<v1::JobSpec>> read_traced_job(const std::string& file);
absl::StatusOr<plan::Transformer> known_model(const std::string& name);
std::vector<std::string> known_models();

// A preset's name, or a YAML file: {name, preset, nodes: [{device, count, devices, ...}], network: {...}, software}.
absl::StatusOr<plan::Cluster> read_cluster(const std::string& name_or_file);
bool is_preset(const std::string& name);

// "tensor_parallel=8,pipeline_parallel=4,...". What is given holds.
absl::StatusOr<plan::Wish> parse_wish(const std::string& text);
// Whether the wish says where every device goes: then it is one layout, the rest at its defaults.
std::optional<plan::Layout> whole_layout(const plan::Wish& wish);

}  // namespace ds::client
