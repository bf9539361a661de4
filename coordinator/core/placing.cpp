// From the state to the scheduler's question, and from its answers to starts.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "coordinator/core/machine.h"
#include "scheduler/plan/messages.h"
#include "scheduler/schedule.h"

namespace ds::coordinator {
namespace {

int ranks_wanted(const v1::JobRecord& record) { return std::max(1, record.job().spec().strategy().data_parallel()); }

scheduler::Turn turn_of(const v1::JobRecord& record, bool resumed) {
  return {resumed, record.job().spec().priority(), record.order()};
}

scheduler::QueuedJob queued_job(const v1::JobRecord& record) {
  scheduler::QueuedJob job{record.job().id(), turn_of(record, record.ran()), ranks_wanted(record)};
  if (record.has_profile()) job.automatic = plan::data_parallel_job(record.profile(), record.job().spec());
  return job;
}

bool queued(const v1::JobRecord& record) {
  const v1::JobState state = record.job().state();
  return (state == v1::PENDING || state == v1::RECOVERING) && record.stop() == v1::STOP_NOTHING &&
         record.not_before_us() == 0 && !holds_slots(record) && !needs_profile(record);
}

std::string joined(const std::string& failure, const std::string& reason) {
  return failure.empty() ? reason : absl::StrCat(failure, "; ", reason);
}

}  // namespace

// What the scheduler sees: the workers, and who holds their slots.
scheduler::Cluster Machine::cluster() const {
  scheduler::Cluster cluster;
  std::map<std::string, std::set<int>> busy;
  for (int64_t order : state_.live) {
    const v1::JobRecord& record = state_.jobs.at(state_.by_order.at(order));
    scheduler::Holding holding{turn_of(record, false), 0};
    for (const v1::RankRecord& rank : record.ranks()) {
      if (released(rank)) continue;
      busy[rank.worker()].insert(rank.slot());
      auto worker = state_.workers.find(rank.worker());
      if (worker != state_.workers.end() && worker->second.state() == v1::WORKER_READY) ++holding.slots;
    }
    if (holding.slots > 0) cluster.running.push_back(holding);
  }
  for (const auto& [name, worker] : state_.workers) {
    scheduler::WorkerView w{name, worker.state() == v1::WORKER_READY, worker.slots(), {}, {}};
    w.labels.insert(worker.labels().begin(), worker.labels().end());
    if (worker.has_constants()) w.constants = plan::slot_constants(worker.constants());
    for (int slot = 0; slot < worker.slots(); ++slot) {
      if (!busy[name].count(slot)) w.free.push_back(slot);
    }
    cluster.workers.push_back(std::move(w));
  }
  return cluster;
}

void Machine::place() {
  std::vector<scheduler::QueuedJob> queue;
  for (int64_t order : state_.live) {
    const v1::JobRecord& record = state_.jobs.at(state_.by_order.at(order));
    if (queued(record)) queue.push_back(queued_job(record));
  }
  if (queue.empty()) return;
  for (const scheduler::Decision& decision : scheduler::schedule(cluster(), std::move(queue))) carry_out(decision);
}

// A new job changes nothing for those that wait already. If it would have to wait even if it were alone, that is its
// answer, and a long queue is not gone through for every submit.
void Machine::place_fresh() {
  const scheduler::Decision alone = scheduler::schedule(cluster(), {queued_job(*fresh_)}).front();
  if (std::holds_alternative<scheduler::Placed>(alone.answer)) return place();
  carry_out(alone);
}

void Machine::carry_out(const scheduler::Decision& decision) {
  v1::JobRecord& record = state_.jobs.at(decision.job);
  if (auto* placed = std::get_if<scheduler::Placed>(&decision.answer)) {
    touch(record);
    if (placed->plan) *record.mutable_job()->mutable_plan() = plan_message(*placed->plan);
    record.clear_ranks();
    for (const scheduler::RankPlace& p : placed->ranks) {
      v1::RankRecord* rank = record.add_ranks();
      rank->set_worker(p.worker);
      rank->set_slot(p.slot);
      rank->set_state(v1::RANK_ASSIGNED);
    }
    start(record, record.job().generation() + 1);
  } else if (auto* wait = std::get_if<scheduler::Wait>(&decision.answer)) {
    const bool recovers = record.job().state() == v1::RECOVERING;
    set_state(record, record.job().state(), joined(recovers ? record.failure() : "", wait->reason));
  } else {
    end(record, v1::FAILED, std::get<scheduler::Infeasible>(decision.answer).reason, v1::FAILURE_USER_ERROR);
  }
}

void Machine::start(v1::JobRecord& record, int64_t generation) {
  effects_.push_back(Measure{Measure::kQueueWait, record.job().id(), double(now_ - record.queued_us()) / kSecondUs});
  record.mutable_job()->set_generation(generation);
  record.set_met(false);
  record.set_ran(true);
  record.clear_queued_us();
  set_state(record, v1::ADMITTED, record.failure().empty() ? "" : absl::StrCat("goes on after: ", record.failure()));
  for (int r = 0; r < record.ranks_size(); ++r) send_start(record, r);
}

void Machine::send_start(const v1::JobRecord& record, int rank) {
  v1::StartRank* start = send(record.ranks(rank).worker()).mutable_start();
  start->set_job(record.job().id());
  start->set_generation(record.job().generation());
  start->set_rank(rank);
  start->set_ranks(record.ranks_size());
  start->set_device(device(record.ranks(rank)));
  *start->mutable_spec() = record.job().spec();
  start->set_checkpoint_step(record.checkpoint_step());
}

void Machine::settle_drains() {
  for (auto& [name, worker] : state_.workers) {
    if (worker.state() == v1::WORKER_DRAINING && jobs_on(name).empty()) worker.set_state(v1::WORKER_DRAINED);
  }
}

void Machine::place_due() {
  ask_profiles();
  if (replan_) {
    place();
    settle_drains();
  } else if (fresh_ && queued(*fresh_)) {
    place_fresh();
  }
}

// Jobs that end may end a study, which cancels others, which makes room.
std::vector<Effect> Machine::finish() {
  do {
    settle_studies();
    place_due();
  } while (!ended_jobs_.empty());
  for (const auto& [order, before] : touched_) {
    v1::Job* job = state_.jobs.at(state_.by_order.at(order)).mutable_job();
    job->set_revision(state_.revision);
    effects_.push_back(Notify{job->id(), before, job->state()});
  }
  for (auto& [order, touched] : touched_studies_) {
    v1::Study* study = state_.studies.at(state_.studies_by_order.at(order)).mutable_study();
    study->set_revision(state_.revision);
    effects_.push_back(NotifyStudy{study->id(), touched.before, study->state(), std::move(touched.trials)});
  }
  return std::move(effects_);
}

}  // namespace ds::coordinator
