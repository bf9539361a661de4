// Checkpoints: a folder `DIR/step-00000200/` with one safetensors file a shard and manifest.json, which is whole or
// absent.
//
// How a set becomes durable: shards are written into `DIR/.tmp-step-00000200-gen-3/` and fsynced; whoever commits (rank
// 0) has every shard's report (file, size, CRC32C), writes the manifest with them, fsyncs it and the folder, renames
// the folder, fsyncs DIR. A crash at any point leaves the sets before it, or the new one complete.
//
// Generations fence: opening a CheckpointWriter records its generation in DIR/generation; a commit of an older one
// throws StaleGeneration. Where a set of the same step is already there, a newer generation exchanges it atomically;
// the same generation keeps the one there if it is whole.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/safetensors.h"

namespace ds::io {

// What a training run needs besides tensors in order to go on exactly.
struct TrainingState {
  int64_t step = 0;      // completed optimizer steps; names the folder
  int64_t epoch = 0;     // of the next batch
  int64_t position = 0;  // steps already taken in that epoch
  uint64_t seed = 0;
  int64_t optimizer_step = 0;  // t of AdamW's bias correction
  int64_t world_size = 1;      // ranks of the run that wrote it
  std::string schedule;        // name and parameters, as the trainer likes to have them
  std::map<std::string, std::string> extra;

  bool operator==(const TrainingState&) const = default;
};

// A newer start of the same job owns the folder; the caller should end.
struct StaleGeneration : IoError {
  using IoError::IoError;
};

// What a rank tells rank 0 of its shard: a small string, sent by any means.
struct ShardReport {
  std::string file;
  FileSummary summary;
  std::string encode() const;
  static ShardReport decode(std::string_view text);  // throws IoError
};

// A set that was read whole: manifest and every shard agree with their checksums.
class Checkpoint {
 public:
  // Throws IoError with the reason.
  static Checkpoint open(const std::string& folder);

  const std::string& folder() const { return folder_; }
  int64_t generation() const { return generation_; }
  const TrainingState& state() const { return state_; }
  const std::vector<SafetensorsFile>& shards() const { return shards_; }  // in the order of ranks
  // From the first shard that has it; throws IoError when none does.
  const TensorView& tensor(std::string_view name) const;

 private:
  std::string folder_;
  int64_t generation_ = 0;
  TrainingState state_;
  std::vector<SafetensorsFile> shards_;
};

struct Latest {
  std::optional<Checkpoint> checkpoint;  // empty: start from the beginning
  std::vector<std::string> refused;      // "step-00000400: ...why", newest first
};

// The newest set that reads whole; a missing DIR is an empty one.
Latest latest(const std::string& dir);

// The two halves of a save, for callers with their own threads. Both are synchronous and throw IoError.
// write_shard: any rank. commit: once, with the reports of all shards; returns the folder; removes sets beyond `keep`.
ShardReport write_shard(const std::string& dir, int64_t step, int64_t generation, int rank, int world,
                        std::span<const TensorView> tensors);
std::string commit(const std::string& dir, int64_t generation, const TrainingState& state,
                   std::span<const ShardReport> reports, int keep);

// Records `generation` as the owner of DIR (made if missing) and removes what crashed saves of this and older
// generations left. Throws StaleGeneration when a newer one is recorded. CheckpointWriter does it on rank 0.
void claim(const std::string& dir, int64_t generation);

}  // namespace ds::io
