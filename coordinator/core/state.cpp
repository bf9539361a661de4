#include "coordinator/core/state.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <vector>

#include "absl/strings/string_view.h"

namespace ds::coordinator {

v1::StateSnapshot to_snapshot(const State& state) {
  v1::StateSnapshot snapshot;
  snapshot.set_revision(state.revision);
  snapshot.set_submitted(state.submitted);
  for (const auto& [order, id] : state.by_order) *snapshot.add_jobs() = state.jobs.at(id);
  for (const auto& [name, worker] : state.workers) *snapshot.add_workers() = worker;
  snapshot.set_studies_submitted(state.studies_submitted);
  for (const auto& [order, id] : state.studies_by_order) *snapshot.add_studies() = state.studies.at(id);
  return snapshot;
}

State from_snapshot(v1::StateSnapshot snapshot) {
  State state;
  state.revision = snapshot.revision();
  state.submitted = snapshot.submitted();
  for (v1::JobRecord& record : *snapshot.mutable_jobs()) {
    const std::string id = record.job().id();
    state.by_order[record.order()] = id;
    if (!record.client_key().empty()) state.by_key[record.client_key()] = id;
    if (!ended(record.job().state())) state.live.insert(record.order());
    state.jobs[id] = std::move(record);
  }
  for (v1::WorkerRecord& worker : *snapshot.mutable_workers()) state.workers[worker.name()] = worker;
  state.studies_submitted = snapshot.studies_submitted();
  for (v1::StudyRecord& record : *snapshot.mutable_studies()) {
    const std::string id = record.study().id();
    state.studies_by_order[record.order()] = id;
    if (!record.client_key().empty()) state.studies_by_key[record.client_key()] = id;
    state.studies[id] = std::move(record);
  }
  return state;
}

bool ended(v1::JobState state) { return state == v1::SUCCEEDED || state == v1::FAILED || state == v1::CANCELLED; }

bool ended(v1::StudyState state) {
  return state == v1::STUDY_SUCCEEDED || state == v1::STUDY_FAILED || state == v1::STUDY_CANCELLED;
}

bool released(const v1::RankRecord& rank) { return rank.state() == v1::RANK_EXITED || rank.state() == v1::RANK_LOST; }

bool holds_slots(const v1::JobRecord& record) {
  return !std::all_of(record.ranks().begin(), record.ranks().end(), released);
}

std::string device(const v1::RankRecord& rank) { return "cpu:" + std::to_string(rank.slot()); }

bool measured_by_steps(const v1::StudySpec& spec) {
  static constexpr absl::string_view kNotEvaluated[] = {"loss", "samples_per_second", "params", "flops"};
  return std::all_of(spec.objectives().begin(), spec.objectives().end(), [](const v1::ObjectiveSpec& o) {
    return std::count(std::begin(kNotEvaluated), std::end(kNotEvaluated), o.metric()) > 0;
  });
}

v1::Job view(const v1::JobRecord& record) {
  v1::Job job = record.job();
  for (int r = 0; r < record.ranks_size(); ++r) {
    const v1::RankRecord& rank = record.ranks(r);
    v1::RankStatus* status = job.add_ranks();
    status->set_rank(r);
    status->set_worker(rank.worker());
    status->set_device(device(rank));
    status->set_pid(rank.pid());
    status->set_state(rank.state());
    status->set_detail(rank.detail());
  }
  return job;
}

namespace {

// Epochs of a trial that is not stopped. A script's are its own: as many as those that came to their end have had, in
// the middle; 0: not known.
int64_t whole_epochs(const v1::StudyRecord& record) {
  const v1::TuneBudgetSpec& budget = record.study().spec().budget();
  if (budget.has_max_epochs()) return budget.max_epochs();
  std::vector<int64_t> whole;
  for (const v1::TrialRecord& t : record.trials())
    if (t.trial().state() == v1::TRIAL_FINISHED) whole.push_back(t.epochs());
  if (whole.empty()) return 0;
  const auto middle = whole.begin() + static_cast<std::ptrdiff_t>(whole.size() / 2);
  std::nth_element(whole.begin(), middle, whole.end());
  return *middle;
}

}  // namespace

v1::Study view(const v1::StudyRecord& record) {
  v1::Study study = record.study();
  const int64_t whole = whole_epochs(record);
  for (const v1::TrialRecord& t : record.trials()) {
    const v1::TrialState state = t.trial().state();
    study.set_trials_running(study.trials_running() + (state == v1::TRIAL_RUNNING));
    study.set_trials_failed(study.trials_failed() + (state == v1::TRIAL_FAILED));
    study.set_epochs(study.epochs() + t.epochs());
    if (state != v1::TRIAL_FINISHED && state != v1::TRIAL_STOPPED) continue;
    study.set_trials_finished(study.trials_finished() + 1);
    if (state == v1::TRIAL_STOPPED)
      study.set_epochs_saved(study.epochs_saved() + std::max<int64_t>(whole - t.epochs(), 0));
  }
  return study;
}

v1::Worker view(const State& state, const v1::WorkerRecord& worker) {
  v1::Worker seen;
  seen.set_name(worker.name());
  seen.set_state(worker.state());
  seen.set_slots(worker.slots());
  *seen.mutable_labels() = worker.labels();
  seen.set_incarnation(worker.incarnation());
  seen.set_metrics_address(worker.metrics_address());
  seen.set_lost_since_us(worker.lost_us());
  if (worker.has_constants()) *seen.mutable_constants() = worker.constants();
  int free = worker.state() == v1::WORKER_READY ? worker.slots() : 0;
  for (int64_t order : state.live) {
    for (const v1::RankRecord& rank : state.jobs.at(state.by_order.at(order)).ranks()) {
      if (rank.worker() == worker.name() && !released(rank)) --free;
    }
  }
  seen.set_free_slots(std::max(free, 0));
  return seen;
}

}  // namespace ds::coordinator
