#include "client/planning/inputs.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/planning/document.h"
#include "proto/spec/job_spec.h"
#include "proto/spec/nearest.h"

namespace ds::client {
namespace {

using plan::Transformer;

Transformer gpt(const char* name, int64_t layers, int64_t hidden, int64_t heads, int64_t batch) {
  Transformer m;
  m.name = name;
  m.layers = layers, m.hidden = hidden, m.heads = m.kv_heads = heads, m.ffn = 4 * hidden;
  m.vocab = 51200, m.sequence = 2048, m.batch = batch;
  return m;
}

Transformer llama(const char* name, int64_t layers, int64_t hidden, int64_t heads, int64_t ffn) {
  Transformer m = gpt(name, layers, hidden, heads, 1024);
  m.kv_heads = 8, m.ffn = ffn, m.vocab = 128256, m.sequence = 8192;
  m.gated = true, m.tied = false;
  return m;
}

// The models of arXiv 2104.04473 and 2205.05198, and of arXiv 2407.21783.
std::vector<Transformer> models() {
  return {gpt("gpt-1.7b", 24, 2304, 24, 512),      gpt("gpt-22b", 48, 6144, 64, 512),
          gpt("gpt-175b", 96, 12288, 96, 1536),    gpt("gpt-530b", 105, 20480, 128, 2240),
          gpt("gpt-1t", 128, 25600, 160, 2048),    llama("llama-8b", 32, 4096, 32, 14336),
          llama("llama-70b", 80, 8192, 64, 28672), llama("llama-405b", 126, 16384, 128, 53248)};
}

bool is_job(const Json& document) { return document.contains("model") && document["model"].is_object(); }

absl::StatusOr<Transformer> from_job(const std::string& text, const std::string& path) {
  auto job = spec::parse_job(text);
  if (!job.ok()) return job.status();
  const v1::ModelSpec& model = job->model();
  if (model.family() != "gpt") {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the planner lays out transformers: model.family gpt, got \"", model.family(), "\""));
  }
  Transformer m;
  m.name = job->name();
  m.layers = model.layers(), m.hidden = model.width(), m.heads = m.kv_heads = model.heads(), m.ffn = 4 * model.width();
  m.vocab = model.vocab(), m.sequence = model.context(), m.batch = job->train().batch_size();
  return m;
}

absl::StatusOr<Transformer> from_description(const Json& document, const std::string& path) {
  Transformer m;
  m.name = std::filesystem::path(path).stem().string();
  Fields fields(document, path);
  fields.take("name", &m.name);
  fields.take("layers", &m.layers);
  fields.take("hidden", &m.hidden);
  fields.take("heads", &m.heads);
  m.kv_heads = m.heads, m.ffn = 4 * m.hidden;
  fields.take("kv_heads", &m.kv_heads);
  fields.take("ffn", &m.ffn);
  fields.take("vocab", &m.vocab);
  fields.take("sequence", &m.sequence);
  fields.take("batch", &m.batch);
  // Three matrices of 8h/3 hold what two of 4h hold: a width that is no multiple of 4h tells a gated MLP.
  m.gated = m.ffn != 4 * m.hidden;
  m.tied = !m.gated;
  fields.take("gated", &m.gated);
  fields.take("tied", &m.tied);
  if (absl::Status status = fields.done(); !status.ok()) return status;
  if (absl::Status status = plan::check(m); !status.ok()) return status;
  return m;
}

// Gigabytes a second in the file, bytes a second in the model.
void take_giga(Fields* fields, const std::string& key, double* out, double unit = 1e9) {
  double value = *out / unit;
  fields->take(key, &value);
  *out = value * unit;
}

// A thing by the name of a preset, or a mapping that may build on one and then says what `take` takes.
template <class T, class Take>
absl::Status read_part(const Json& json, const std::string& where, absl::StatusOr<T> (*preset)(const std::string&),
                       const Take& take, T* out) {
  if (json.is_string()) {
    auto named = preset(json.get<std::string>());
    if (!named.ok()) return absl::InvalidArgumentError(absl::StrCat(where, ": ", named.status().message()));
    *out = *named;
    return absl::OkStatus();
  }
  Fields fields(json, where);
  std::string base;
  fields.take("preset", &base);
  if (!base.empty()) {
    if (absl::Status status = read_part(Json(base), where, preset, take, out); !status.ok()) return status;
  }
  fields.take("name", &out->name);
  take(&fields);
  return fields.done();
}

absl::Status read_device(const Json& json, const std::string& where, plan::Device* device) {
  const auto take = [device](Fields* fields) {
    take_giga(fields, "peak_bf16_tflops", &device->peak_bf16, 1e12);
    take_giga(fields, "peak_fp8_tflops", &device->peak_fp8, 1e12);
    take_giga(fields, "memory_gib", &device->memory, 1024.0 * 1024 * 1024);
    take_giga(fields, "bandwidth_gbps", &device->bandwidth);
    fields->take("units", &device->units);
    fields->take("matmul_efficiency", &device->matmul_efficiency);
    fields->take("stream_efficiency", &device->stream_efficiency);
    fields->take("flash_forward", &device->flash_forward);
    fields->take("flash_backward", &device->flash_backward);
  };
  return read_part(json, where, plan::device_preset, take, device);
}

absl::Status read_nodes(const Json& json, const std::string& where, plan::NodeGroup* group) {
  Fields fields(json, where);
  if (const Json* device = fields.child("device")) {
    if (absl::Status status = read_device(*device, where + ": device", &group->device); !status.ok()) return status;
  }
  fields.take("count", &group->nodes);
  fields.take("devices", &group->devices);
  take_giga(&fields, "island_gbps", &group->island_bandwidth);
  take_giga(&fields, "nvls_gbps", &group->nvls_bandwidth);
  take_giga(&fields, "nic_gbps", &group->nic_bandwidth);
  fields.take("generation", &group->generation);
  fields.take("nvlink", &group->nvlink);
  return fields.done();
}

absl::Status read_network(const Json& json, const std::string& where, plan::Network* network) {
  Fields fields(json, where);
  fields.take("efficiency", &network->efficiency);
  fields.take("ring_efficiency", &network->ring_efficiency);
  fields.take("oversubscription", &network->oversubscription);
  fields.take("send_latency_seconds", &network->send_latency);
  return fields.done();
}

absl::Status read_software(const Json& json, const std::string& where, plan::Software* software) {
  const auto take = [software](Fields* fields) {
    fields->take("flash_attention", &software->flash_attention);
    fields->take("overlap_data", &software->overlap_data);
    fields->take("overlap_tensor", &software->overlap_tensor);
    fields->take("overlap_pipeline", &software->overlap_pipeline);
    fields->take("dropout", &software->dropout);
    fields->take("gradient_bytes", &software->gradient_bytes);
    fields->take("host_seconds", &software->host_seconds);
    fields->take("step_seconds", &software->step_seconds);
  };
  return read_part(json, where, plan::software_preset, take, software);
}

absl::StatusOr<plan::Cluster> from_file(const Json& document, const std::string& path) {
  Fields fields(document, path);
  std::string base = "eos";
  fields.take("preset", &base);
  auto cluster = plan::preset(base);
  if (!cluster.ok()) return absl::InvalidArgumentError(absl::StrCat(path, ": preset: ", cluster.status().message()));
  cluster->name = std::filesystem::path(path).stem().string();
  fields.take("name", &cluster->name);
  fields.take("dollars_per_device_hour", &cluster->dollars_per_device_hour);
  absl::Status status;
  if (const Json* nodes = fields.child("nodes")) {
    const plan::NodeGroup like = cluster->groups[0];
    cluster->groups.clear();
    if (!nodes->is_array()) return absl::InvalidArgumentError(path + ": nodes must be a list");
    for (size_t i = 0; i < nodes->size() && status.ok(); ++i) {
      cluster->groups.push_back(like);
      cluster->groups.back().nodes = 1;
      status = read_nodes((*nodes)[i], absl::StrCat(path, ": nodes[", i, "]"), &cluster->groups.back());
    }
  }
  if (const Json* network = fields.child("network"); network != nullptr && status.ok()) {
    status = read_network(*network, path + ": network", &cluster->network);
  }
  if (const Json* software = fields.child("software"); software != nullptr && status.ok()) {
    status = read_software(*software, path + ": software", &cluster->software);
  }
  if (status.ok()) status = fields.done();
  if (status.ok()) status = plan::check(*cluster);
  if (!status.ok()) return status;
  return cluster;
}

template <typename T>
absl::Status take_number(const std::string& key, const std::string& value, std::optional<T>* out) {
  int number = 0;
  if (!absl::SimpleAtoi(value, &number)) {
    return absl::InvalidArgumentError(absl::StrCat("--fix: ", key, " must be a whole number, got \"", value, "\""));
  }
  *out = number;
  return absl::OkStatus();
}

absl::Status one_of(const std::string& key, const std::string& value, const std::string& names) {
  return absl::InvalidArgumentError(absl::StrCat("--fix: ", key, " must be one of ", names, ", got \"", value, "\""));
}

absl::Status take_word(const std::string& key, const std::string& value, plan::Wish* wish) {
  if (key == "schedule") {
    plan::Schedule schedule;
    if (!plan::schedule_named(value, &schedule)) {
      return one_of(key, value, "gpipe, 1f1b, interleaved, zb-h1, zb-h2, zb-v, v-half, v-min, dualpipe-v");
    }
    wish->schedule = schedule;
  } else if (key == "recompute") {
    plan::Recompute recompute;
    if (!plan::recompute_named(value, &recompute)) return one_of(key, value, "none, selective, full");
    wish->recompute = recompute;
  } else {
    if (value != "true" && value != "false") return one_of(key, value, "true, false");
    wish->sequence_parallel = value == "true";
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> known_models() {
  std::vector<std::string> names;
  for (const Transformer& m : models()) names.push_back(m.name);
  return names;
}

absl::StatusOr<Transformer> known_model(const std::string& name) {
  for (const Transformer& m : models()) {
    if (m.name == name) return m;
  }
  const std::string meant = spec::nearest(name, known_models());
  return absl::InvalidArgumentError(absl::StrCat("no model \"", name, "\"",
                                                 meant.empty() ? "" : ", did you mean " + meant + "?", "; there are ",
                                                 absl::StrJoin(known_models(), ", "), ", and files"));
}

absl::StatusOr<Transformer> read_model(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return known_model(path);
  auto text = read_text(path);
  if (!text.ok()) return text.status();
  auto document = parse_document(*text, path);
  if (!document.ok()) return document.status();
  if (is_job(*document)) return from_job(*text, path);
  return from_description(*document, path);
}

absl::StatusOr<std::optional<v1::JobSpec>> read_traced_job(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  auto text = read_text(path);
  if (!text.ok()) return text.status();
  auto document = parse_document(*text, path);
  if (!document.ok()) return document.status();
  if (!is_job(*document)) return std::nullopt;
  auto job = spec::parse_job(*text);
  if (!job.ok()) return absl::Status(job.status().code(), absl::StrCat(path, ": ", job.status().message()));
  if (job->model().family() == "gpt") return std::nullopt;
  return *std::move(job);
}

bool is_preset(const std::string& name) { return plan::preset(name).ok(); }

absl::StatusOr<plan::Cluster> read_cluster(const std::string& name) {
  std::error_code error;
  if (is_preset(name)) return plan::preset(name);
  if (!std::filesystem::exists(name, error)) {
    const std::string meant = spec::nearest(name, plan::preset_names());
    return absl::InvalidArgumentError(absl::StrCat("no cluster \"", name, "\"",
                                                   meant.empty() ? "" : ", did you mean " + meant + "?", "; there are ",
                                                   absl::StrJoin(plan::preset_names(), ", "), ", and files"));
  }
  auto text = read_text(name);
  if (!text.ok()) return text.status();
  auto document = parse_document(*text, name);
  if (!document.ok()) return document.status();
  return from_file(*document, name);
}

absl::StatusOr<plan::Wish> parse_wish(const std::string& text) {
  plan::Wish wish;
  const std::map<std::string, std::optional<int>*> numbers = {{"tensor_parallel", &wish.tensor},
                                                              {"pipeline_parallel", &wish.pipeline},
                                                              {"data_parallel", &wish.data},
                                                              {"context_parallel", &wish.context},
                                                              {"zero", &wish.zero},
                                                              {"interleave", &wish.interleave},
                                                              {"micro_batch", &wish.micro_batch}};
  std::vector<std::string> keys = {"schedule", "recompute", "sequence_parallel"};
  for (const auto& [key, out] : numbers) keys.push_back(key);
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    const std::vector<std::string> pair = absl::StrSplit(part, absl::MaxSplits('=', 1));
    const std::string key(absl::StripAsciiWhitespace(pair[0]));
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      const std::string meant = spec::nearest(key, keys);
      return absl::InvalidArgumentError(
          absl::StrCat("--fix: ", key, ": unknown key", meant.empty() ? "" : "; did you mean " + meant + "?"));
    }
    if (pair.size() != 2) return absl::InvalidArgumentError(absl::StrCat("--fix: ", key, " needs =VALUE"));
    const std::string value(absl::StripAsciiWhitespace(pair[1]));
    const auto number = numbers.find(key);
    const absl::Status status =
        number != numbers.end() ? take_number(key, value, number->second) : take_word(key, value, &wish);
    if (!status.ok()) return status;
  }
  return wish;
}

std::optional<plan::Layout> whole_layout(const plan::Wish& wish) {
  if (!wish.tensor || !wish.pipeline || !wish.data) return std::nullopt;
  plan::Layout l;
  l.tensor = *wish.tensor, l.pipeline = *wish.pipeline, l.data = *wish.data, l.context = wish.context.value_or(1);
  l.zero = wish.zero.value_or(0), l.interleave = wish.interleave.value_or(1);
  l.micro_batch = wish.micro_batch.value_or(1);
  l.schedule = wish.schedule.value_or(plan::Schedule::kOneFOneB);
  // 1F1B of several chunks a device is the interleaved schedule.
  if (l.schedule == plan::Schedule::kOneFOneB && l.interleave > 1) l.schedule = plan::Schedule::kInterleaved;
  l.recompute = wish.recompute.value_or(plan::Recompute::kNone);
  l.sequence_parallel = wish.sequence_parallel.value_or(false);
  return l;
}

}  // namespace ds::client
