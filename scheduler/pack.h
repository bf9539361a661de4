// Where a gang goes among free slots.
#pragma once
#include <optional>
#include <vector>

#include "scheduler/schedule.h"

namespace ds::scheduler {

// The machine a worker is on: its label "host", or its name.
std::string host_of(const WorkerView& worker);

// Takes `ranks` slots from the ready workers' free lists, neighbouring ranks on one worker. nullopt, with nothing
// taken, when fewer are free.
std::optional<std::vector<RankPlace>> pack(std::vector<WorkerView>& workers, int ranks);

}  // namespace ds::scheduler
