// Jobs with data_parallel: auto: a worker is asked for the model's profile, and the scheduler plans on it.
#include "absl/strings/str_cat.h"
#include "coordinator/core/machine.h"

namespace ds::coordinator {
namespace {

bool waits(const v1::JobRecord& record) {
  const v1::JobState state = record.job().state();
  return (state == v1::PENDING || state == v1::RECOVERING) && record.stop() == v1::STOP_NOTHING;
}

}  // namespace

bool needs_profile(const v1::JobRecord& record) {
  return record.job().spec().strategy().data_parallel() == kAutomatic && !record.has_profile();
}

v1::Plan plan_message(const plan::DataParallelPlan& plan) {
  v1::Plan out;
  out.set_data_parallel(plan.ranks);
  out.set_step_seconds(plan.parts.total());
  out.mutable_parts()->set_compute(plan.parts.compute);
  out.mutable_parts()->set_optimizer(plan.parts.optimizer);
  out.mutable_parts()->set_all_reduce(plan.parts.all_reduce);
  out.set_one_rank_seconds(plan.one_rank_seconds);
  out.set_why(plan.why);
  for (const plan::RankAlternative& a : plan.alternatives) {
    v1::PlanAlternative* alternative = out.add_alternatives();
    alternative->set_data_parallel(a.ranks);
    alternative->set_step_seconds(a.step_seconds);
    alternative->set_why(a.why);
  }
  return out;
}

// Another worker after each failure, in the order of their names.
void Machine::ask_profile(v1::JobRecord& record) {
  if (!needs_profile(record) || !waits(record) || !record.profiler().empty()) return;
  std::vector<std::string> ready;
  for (const auto& [name, worker] : state_.workers)
    if (worker.state() == v1::WORKER_READY) ready.push_back(name);
  if (ready.empty())
    return set_state(record, record.job().state(), "no worker is ready to profile its model, for data_parallel: auto");
  const std::string& worker = ready[record.profile_failures() % ready.size()];
  touch(record);
  record.set_profiler(worker);
  v1::ProfileModel* ask = send(worker).mutable_profile();
  ask->set_job(record.job().id());
  *ask->mutable_spec() = record.job().spec();
  set_state(record, record.job().state(),
            absl::StrCat("its model is profiled on ", worker, ", for data_parallel: auto"));
}

void Machine::ask_profiles() {
  if (!replan_) {
    if (fresh_) ask_profile(*fresh_);
    return;
  }
  const std::set<int64_t> live = state_.live;
  for (int64_t order : live) ask_profile(state_.jobs.at(state_.by_order.at(order)));
}

// The worker has forgotten, or takes it along; `died`: perhaps of the model.
void Machine::lose_profiler(const std::string& worker, bool died) {
  const std::set<int64_t> live = state_.live;
  for (int64_t order : live) {
    v1::JobRecord& record = state_.jobs.at(state_.by_order.at(order));
    if (record.profiler() != worker) continue;
    record.clear_profiler();
    if (died) profile_failed(record, absl::StrCat("worker ", worker, " was lost"));
  }
  replan_ = true;
}

void Machine::profile_failed(v1::JobRecord& record, const std::string& reason) {
  record.set_profile_failures(record.profile_failures() + 1);
  touch(record);
  replan_ = true;
  if (record.profile_failures() > kWorkerBudget)
    end(record, v1::FAILED,
        absl::StrCat("its model could not be profiled in ", record.profile_failures(), " tries; last: ", reason),
        v1::FAILURE_INFRASTRUCTURE);
}

void Machine::on(const v1::JobProfiled& event) {
  const v1::ProfileResult& result = event.result();
  v1::JobRecord* record = find(result.job());
  if (!record || ended(record->job().state()) || record->profiler() != event.worker()) return;
  record->clear_profiler();
  if (result.has_profile()) {
    touch(*record);
    *record->mutable_profile() = result.profile();
    replan_ = true;
  } else if (result.retryable()) {
    profile_failed(*record, result.error());
  } else {
    end(*record, v1::FAILED, result.error(), v1::FAILURE_USER_ERROR);
  }
}

}  // namespace ds::coordinator
