// The scheduler's side of data_parallel: auto: what each number of ranks would cost where it would lie.
#pragma once
#include <vector>

#include "scheduler/schedule.h"

namespace ds::scheduler {

// The workers whose slots were measured; the others are not for automatic jobs.
std::vector<WorkerView> measured(const std::vector<WorkerView>& workers);
// The same with every slot free.
std::vector<WorkerView> emptied(std::vector<WorkerView> workers);

// The choice among the job's numbers of ranks up to `most`, each packed into the free slots of `workers` as it would be
// placed. ranks is 0 where none fits.
plan::DataParallelPlan plan_ranks(const plan::DataParallelJob& job, const std::vector<WorkerView>& workers, int most);

}  // namespace ds::scheduler
