#include "scheduler/pipeline/play.h"

#include "absl/strings/str_cat.h"

namespace ds::pipeline {

absl::Status check_ranges(const Schedule& schedule) {
  auto refuse = [&](auto... what) {
    return absl::InvalidArgumentError(absl::StrCat("[", schedule.name, "] ", what...));
  };
  if (schedule.stages < 1 || schedule.micro_batches < 1 || schedule.chunks < 1) {
    return refuse("stages, micro_batches and chunks must be at least 1: got ", schedule.stages, ", ",
                  schedule.micro_batches, ", ", schedule.chunks);
  }
  if (schedule.lists.size() != static_cast<size_t>(schedule.stages)) {
    return refuse("must have a list a stage (", schedule.stages, "): got ", schedule.lists.size());
  }
  for (int s = 0; s < schedule.stages; ++s) {
    for (const Operation& op : schedule.lists[s]) {
      bool in = op.micro_batch >= 0 && op.micro_batch < schedule.micro_batches && op.chunk >= 0 &&
                op.chunk < schedule.chunks && op.peer >= -1 && op.peer < schedule.stages;
      if (in) continue;
      return refuse("stage ", s, ": ", name_of(op.kind), " of micro-batch ", op.micro_batch, ", chunk ", op.chunk,
                    ", peer ", op.peer, " is out of range");
    }
  }
  return absl::OkStatus();
}

absl::Status deadlock(const Schedule& schedule, const std::vector<int>& next) {
  std::string waits;
  for (int s = 0; s < schedule.stages; ++s) {
    if (next[s] == static_cast<int>(schedule.lists[s].size())) continue;
    const Operation& op = schedule.lists[s][next[s]];
    int input = input_slot(schedule, op, schedule.position(s, op.chunk));
    bool forward = input < schedule.depth() * schedule.micro_batches;
    int position = input / schedule.micro_batches % schedule.depth();
    absl::StrAppend(&waits, waits.empty() ? "" : "; ", "stage ", s, " at ", name_of(op.kind), " of micro-batch ",
                    op.micro_batch, ", chunk ", op.chunk, " waits for the ", forward ? "forward" : "backward",
                    " of stage ", schedule.stage_at(position), ", chunk ", schedule.chunk_at(position));
  }
  return absl::FailedPreconditionError(absl::StrCat("[", schedule.name, "] deadlock: ", waits));
}

}  // namespace ds::pipeline
