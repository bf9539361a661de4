#include "engine/io/checkpoint.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/io/checkpoint_layout.h"
#include "engine/io/crc32c.h"
#include "engine/io/file.h"

namespace ds::io {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr int kFormatVersion = 1;
constexpr const char* kManifest = "manifest.json";
constexpr std::string_view kSetPrefix = "step-", kTemporaryPrefix = ".tmp-", kTrashPrefix = ".trash-",
                           kGenerationPrefix = "generation-";

std::string hex(uint32_t value) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", value);
  return text;
}

uint32_t from_hex(const std::string& text) {
  if (text.size() != 8 || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw IoError("a checksum reads \"" + text + "\"");
  }
  return static_cast<uint32_t>(std::stoul(text, nullptr, 16));
}

Json to_json(const ShardReport& shard) {
  return {{"file", shard.file}, {"size", shard.summary.size}, {"crc32c", hex(shard.summary.crc32c)}};
}

ShardReport shard_from(const Json& json) {
  const std::string file = json.at("file").get<std::string>();
  if (file.empty() || fs::path(file).filename() != file) throw IoError("a shard is named \"" + file + "\"");
  return {file, {json.at("size").get<uint64_t>(), from_hex(json.at("crc32c").get<std::string>())}};
}

struct Manifest {
  int64_t generation = 0;
  TrainingState state;
  std::vector<ShardReport> shards;
};

// The body and its checksum, as text: the one spelling of a manifest. A reader refuses any other.
std::string render(const Json& body) {
  const std::string text = body.dump();
  return Json{{"body", body}, {"crc32c", hex(crc32c(text.data(), text.size()))}}.dump(1) + "\n";
}

std::string render(const Manifest& manifest) {
  const TrainingState& state = manifest.state;
  Json shards = Json::array();
  for (const ShardReport& shard : manifest.shards) shards.push_back(to_json(shard));
  return render(Json{{"format_version", kFormatVersion},
                     {"generation", manifest.generation},
                     {"step", state.step},
                     {"epoch", state.epoch},
                     {"position", state.position},
                     {"seed", state.seed},
                     {"optimizer_step", state.optimizer_step},
                     {"world_size", state.world_size},
                     {"schedule", state.schedule},
                     {"extra", state.extra},
                     {"shards", shards}});
}

Manifest parse_manifest(const std::string& text) try {
  const Json whole = Json::parse(text);
  const Json& body = whole.at("body");
  if (render(body) != text) throw IoError("manifest.json does not agree with its checksum");
  if (body.at("format_version") != kFormatVersion) {
    throw IoError("manifest.json has format_version " + body.at("format_version").dump() + ", this program reads " +
                  std::to_string(kFormatVersion));
  }
  Manifest manifest;
  manifest.generation = body.at("generation").get<int64_t>();
  TrainingState& state = manifest.state;
  body.at("step").get_to(state.step);
  body.at("epoch").get_to(state.epoch);
  body.at("position").get_to(state.position);
  body.at("seed").get_to(state.seed);
  body.at("optimizer_step").get_to(state.optimizer_step);
  body.at("world_size").get_to(state.world_size);
  body.at("schedule").get_to(state.schedule);
  body.at("extra").get_to(state.extra);
  for (const Json& shard : body.at("shards")) manifest.shards.push_back(shard_from(shard));
  if (manifest.shards.empty()) throw IoError("manifest.json names no shard");
  return manifest;
} catch (const Json::exception& error) {
  throw IoError(std::string("manifest.json cannot be read: ") + error.what());
}

Manifest read_manifest(const fs::path& folder) {
  Manifest manifest = parse_manifest(read_text(folder / kManifest));
  if (folder.filename() != set_name(manifest.state.step)) {
    throw IoError("manifest.json is of step " + std::to_string(manifest.state.step));
  }
  return manifest;
}

void check_size(const fs::path& file, uint64_t expected) {
  std::error_code error;
  const uint64_t size = fs::file_size(file, error);
  if (error) throw IoError(file.filename().string() + ": " + error.message());
  if (size != expected) {
    throw IoError(file.filename().string() + " has " + std::to_string(size) + " bytes, the manifest says " +
                  std::to_string(expected));
  }
}

// Manifest and sizes only: enough to not count a torn set when old ones are removed.
bool looks_whole(const fs::path& folder) {
  try {
    for (const ShardReport& shard : read_manifest(folder).shards) check_size(folder / shard.file, shard.summary.size);
    return true;
  } catch (const IoError&) {
    return false;
  }
}

bool reads_whole(const std::string& folder) {
  try {
    Checkpoint::open(folder);
    return true;
  } catch (const IoError&) {
    return false;
  }
}

// The step of a complete set's folder name; -1 for any other name.
int64_t step_of(const std::string& name) {
  if (!name.starts_with(kSetPrefix)) return -1;
  const std::string digits = name.substr(kSetPrefix.size());
  if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos) return -1;
  const int64_t step = std::stoll(digits);
  return set_name(step) == name ? step : -1;
}

std::vector<std::string> names_in(const std::string& dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dir, error)) names.push_back(entry.path().filename().string());
  if (error && error != std::errc::no_such_file_or_directory) throw IoError("[list] " + dir + ": " + error.message());
  return names;
}

// Steps of all sets, newest first.
std::vector<int64_t> steps_in(const std::string& dir) {
  std::vector<int64_t> steps;
  for (const std::string& name : names_in(dir)) {
    if (const int64_t step = step_of(name); step >= 0) steps.push_back(step);
  }
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

// Out of sight in one step, then away: a crash between leaves no half set under a set's name.
void remove_set(const std::string& dir, int64_t step, int64_t generation) {
  const std::string trash =
      (fs::path(dir) / (std::string(kTrashPrefix) + set_name(step) + generation_suffix(generation))).string();
  remove_tree(trash);
  rename_path((fs::path(dir) / set_name(step)).string(), trash);
  remove_tree(trash);
}

// Keeps `step` and the newest keep - 1 before it. Newer ones stay: they are of another timeline, and not ours to judge.
void remove_old(const std::string& dir, int64_t step, int64_t generation, int keep) {
  int good = 1;
  for (int64_t other : steps_in(dir)) {
    if (other >= step) continue;
    if (good >= keep) {
      remove_set(dir, other, generation);
    } else if (looks_whole(fs::path(dir) / set_name(other))) {
      ++good;
    }
  }
}

// A generation owns the folder by an empty file of its name, so that claims that race cannot undo each other.
// -1 for any other name.
int64_t claimed_generation(const std::string& name) {
  int64_t generation = -1;
  if (name.starts_with(kGenerationPrefix)) std::sscanf(name.c_str() + kGenerationPrefix.size(), "%ld", &generation);
  return generation;
}

void check_generation(const std::string& dir, int64_t generation) {
  int64_t owner = -1;
  for (const std::string& name : names_in(dir)) owner = std::max(owner, claimed_generation(name));
  if (owner > generation) {
    throw StaleGeneration("[checkpoint] generation " + std::to_string(generation) + " lost " + dir + " to generation " +
                          std::to_string(owner));
  }
}

// A generation in ".tmp-step-00000200-gen-3" or ".trash-...-gen-3"; -1 for any other name.
int64_t leftover_generation(const std::string& name) {
  if (!name.starts_with(kTemporaryPrefix) && !name.starts_with(kTrashPrefix)) return -1;
  const size_t at = name.rfind("-gen-");
  int64_t generation = -1;
  if (at != std::string::npos) std::sscanf(name.c_str() + at, "-gen-%ld", &generation);
  return generation;
}

// Puts the finished temporary folder in its place.
void publish(const std::string& dir, const std::string& temporary, const std::string& final_folder,
             int64_t generation) {
  check_generation(dir, generation);
  if (!fs::exists(final_folder)) {
    rename_path(temporary, final_folder);
  } else if (const bool whole = reads_whole(final_folder);
             whole && Checkpoint::open(final_folder).generation() >= generation) {
    remove_tree(temporary);  // the same step of the same start, done twice
  } else if (exchange_paths(temporary, final_folder)) {
    remove_tree(temporary);  // now the old set
  } else {
    remove_set(dir, step_of(fs::path(final_folder).filename().string()), generation);
    rename_path(temporary, final_folder);
  }
  sync_folder(dir);
}

}  // namespace

std::string generation_suffix(int64_t generation) { return "-gen-" + std::to_string(generation); }

std::string set_name(int64_t step) {
  char text[32];
  std::snprintf(text, sizeof text, "step-%08ld", step);
  return text;
}

std::string temporary_folder(const std::string& dir, int64_t step, int64_t generation) {
  return (fs::path(dir) / (std::string(kTemporaryPrefix) + set_name(step) + generation_suffix(generation))).string();
}

std::string shard_name(int rank, int world) {
  return "rank-" + std::to_string(rank) + "-of-" + std::to_string(world) + ".safetensors";
}

std::string ShardReport::encode() const { return to_json(*this).dump(); }

ShardReport ShardReport::decode(std::string_view text) try {
  return shard_from(Json::parse(text));
} catch (const Json::exception&) {
  throw IoError("[checkpoint] not a shard report: " + std::string(text));
}

Checkpoint Checkpoint::open(const std::string& folder) {
  const Manifest manifest = read_manifest(folder);
  Checkpoint set;
  set.folder_ = folder;
  set.generation_ = manifest.generation;
  set.state_ = manifest.state;
  for (const ShardReport& shard : manifest.shards) {
    const fs::path file = fs::path(folder) / shard.file;
    check_size(file, shard.summary.size);
    SafetensorsFile opened(file.string());
    if (const uint32_t crc = opened.summary().crc32c; crc != shard.summary.crc32c) {
      throw IoError(shard.file + " has the checksum " + hex(crc) + ", the manifest says " + hex(shard.summary.crc32c));
    }
    set.shards_.push_back(std::move(opened));
  }
  return set;
}

const TensorView& Checkpoint::tensor(std::string_view name) const {
  for (const SafetensorsFile& shard : shards_) {
    if (const TensorView* found = shard.find(name)) return *found;
  }
  throw IoError("[checkpoint] " + folder_ + " has no tensor \"" + std::string(name) + "\"");
}

Latest latest(const std::string& dir) {
  Latest result;
  for (int64_t step : steps_in(dir)) {
    try {
      result.checkpoint = Checkpoint::open((fs::path(dir) / set_name(step)).string());
      break;
    } catch (const IoError& error) {
      result.refused.push_back(set_name(step) + ": " + error.what());
    }
  }
  return result;
}

ShardReport write_shard(const std::string& dir, int64_t step, int64_t generation, int rank, int world,
                        std::span<const TensorView> tensors) {
  check_generation(dir, generation);
  const std::string folder = temporary_folder(dir, step, generation);
  make_folder(folder);
  ShardReport report{shard_name(rank, world), {}};
  report.summary =
      write_safetensors((fs::path(folder) / report.file).string(), tensors, {{"step", std::to_string(step)}});
  return report;
}

std::string commit(const std::string& dir, int64_t generation, const TrainingState& state,
                   std::span<const ShardReport> reports, int keep) {
  const std::string temporary = temporary_folder(dir, state.step, generation);
  const std::string final_folder = (fs::path(dir) / set_name(state.step)).string();
  Manifest manifest{generation, state, {reports.begin(), reports.end()}};
  for (const ShardReport& shard : reports) check_size(fs::path(temporary) / shard.file, shard.summary.size);
  write_text((fs::path(temporary) / kManifest).string(), render(manifest));
  sync_folder(temporary);
  publish(dir, temporary, final_folder, generation);
  remove_old(dir, state.step, generation, std::max(keep, 1));
  return final_folder;
}

void claim(const std::string& dir, int64_t generation) {
  make_folder(dir);
  check_generation(dir, generation);
  write_text((fs::path(dir) / (std::string(kGenerationPrefix) + std::to_string(generation))).string(), "");
  sync_folder(dir);
  for (const std::string& name : names_in(dir)) {
    const int64_t owner = leftover_generation(name), claimed = claimed_generation(name);
    const bool leftover = owner >= 0 && owner <= generation, outdated = claimed >= 0 && claimed < generation;
    if (leftover || outdated) remove_tree((fs::path(dir) / name).string());
  }
}

}  // namespace ds::io
