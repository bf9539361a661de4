// What users ask for: submit, cancel, pause, resume; and how far their jobs are.
#include "absl/strings/str_cat.h"
#include "coordinator/core/machine.h"

namespace ds::coordinator {

v1::JobRecord* Machine::find(const std::string& id) {
  auto found = state_.jobs.find(id);
  return found == state_.jobs.end() ? nullptr : &found->second;
}

void Machine::touch(v1::JobRecord& record) { touched_.try_emplace(record.order(), record.job().state()); }

void Machine::set_state(v1::JobRecord& record, v1::JobState state, const std::string& reason) {
  if (record.job().state() == state && record.job().reason() == reason) return;
  touch(record);
  record.mutable_job()->set_state(state);
  record.mutable_job()->set_reason(reason);
}

// Into the queue, as PENDING or RECOVERING.
void Machine::enqueue(v1::JobRecord& record, v1::JobState state, const std::string& reason) {
  set_state(record, state, reason);
  record.set_queued_us(now_);
  replan_ = true;
}

void Machine::end(v1::JobRecord& record, v1::JobState state, const std::string& reason, v1::FailureClass failure) {
  set_state(record, state, reason);
  record.mutable_job()->set_failure(failure);
  record.clear_stop_failure();
  if (!record.job().study().empty()) ended_jobs_.push_back(record.order());
  record.mutable_job()->set_finished_at_us(now_);
  record.set_stop(v1::STOP_NOTHING);
  record.clear_stop_reason();
  record.clear_not_before_us();
  record.clear_stop_by_us();
  record.clear_queued_us();
  record.clear_failed_us();
  state_.live.erase(record.order());
  replan_ = true;
}

void Machine::on(const v1::JobSubmitted& event) {
  if (!event.client_key().empty() && state_.by_key.count(event.client_key())) return;
  fresh_ = &submit(event.spec(), event.client_key());
}

v1::JobRecord& Machine::submit(const v1::JobSpec& spec, const std::string& client_key) {
  const std::string id = next_id(state_, spec.name());
  v1::JobRecord& record = state_.jobs[id];
  record.set_order(++state_.submitted);
  record.set_client_key(client_key);
  v1::Job* job = record.mutable_job();
  job->set_id(id);
  *job->mutable_spec() = spec;
  job->set_created_at_us(now_);
  state_.by_order[record.order()] = id;
  state_.live.insert(record.order());
  if (!client_key.empty()) state_.by_key[client_key] = id;
  set_state(record, v1::PENDING, "waits for its turn");
  record.set_queued_us(now_);
  return record;
}

void Machine::on(const v1::JobChanged& event) {
  v1::JobRecord* record = find(event.id());
  if (!record || ended(record->job().state())) return;
  switch (event.change()) {
    case v1::JobChanged::CANCEL:
      return cancel(*record, event.reason());
    case v1::JobChanged::PAUSE:
      return pause(*record, event.reason());
    case v1::JobChanged::RESUME:
      return resume(*record);
    default:
      return;
  }
}

void Machine::cancel(v1::JobRecord& record, const std::string& reason) {
  const std::string why = reason.empty() ? "cancelled by the user" : absl::StrCat("cancelled: ", reason);
  if (!holds_slots(record)) return end(record, v1::CANCELLED, why);
  begin_stop(record, v1::STOP_TO_CANCEL, why);
}

void Machine::pause(v1::JobRecord& record, const std::string& reason) {
  const std::string why = reason.empty() ? "paused by the user" : absl::StrCat("paused: ", reason);
  if (record.job().state() == v1::PAUSED || record.stop() == v1::STOP_TO_PAUSE) return;
  if (record.stop() == v1::STOP_TO_CANCEL || record.stop() == v1::STOP_TO_FAIL) return;
  if (!holds_slots(record)) {
    record.set_ran(false);
    record.clear_not_before_us();
    record.clear_queued_us();
    record.clear_failed_us();
    replan_ = true;
    return set_state(record, v1::PAUSED, why);
  }
  begin_stop(record, v1::STOP_TO_PAUSE, why);
}

void Machine::resume(v1::JobRecord& record) {
  record.clear_worker_losses();  // the user wants it tried again
  if (record.job().state() == v1::PAUSED) return enqueue(record, v1::PENDING, "waits for its turn");
  if (record.stop() != v1::STOP_TO_PAUSE) return;
  record.set_stop(v1::STOP_TO_MOVE);
  record.set_stop_reason("resumed while it paused");
  set_state(record, v1::RECOVERING, record.stop_reason());
}

void Machine::on(const v1::JobsProgressed& event) {
  for (const v1::JobProgress& p : event.jobs()) progress(p);
}

void Machine::progress(const v1::JobProgress& p) {
  v1::JobRecord* record = find(p.job());
  if (!record || p.generation() != record->job().generation()) return;
  touch(*record);
  v1::Job* job = record->mutable_job();
  job->mutable_metrics()->MergeFrom(p.metrics());
  if (!p.checkpoint().empty()) {
    job->set_checkpoint(p.checkpoint());
    if (p.checkpoint_step() > record->checkpoint_step()) record->clear_worker_losses();
    record->set_checkpoint_step(p.checkpoint_step());
  }
  if (!p.warning().empty()) job->set_warning(p.warning());
  if (p.has_progress()) *job->mutable_progress() = p.progress();
  if (job->progress().step() > record->best_step()) {
    record->set_best_step(job->progress().step());
    record->clear_failures_us();
    record->clear_worker_losses();
    record->clear_cause();
    if (!record->failure().empty() && job->state() == v1::RUNNING) set_state(*record, v1::RUNNING, "");
    record->clear_failure();  // overcome: it explains nothing from here on
  }
  if (record->failed_us() > 0 && record->met() && record->stop() == v1::STOP_NOTHING && p.progress().step() > 0) {
    effects_.push_back(Measure{Measure::kRecovery, job->id(), double(now_ - record->failed_us()) / kSecondUs});
    record->clear_failed_us();
  }
  if (!job->study().empty()) trial_progressed(*record, p);
}

void Machine::on(const v1::Tick&) {
  forget_workers();
  for (int64_t order : state_.live) {
    v1::JobRecord& record = state_.jobs.at(state_.by_order.at(order));
    if (record.stop_by_us() > 0 && record.stop_by_us() <= now_) harden(record);
    if (record.not_before_us() > 0 && record.not_before_us() <= now_) {
      record.clear_not_before_us();
      replan_ = true;
    }
  }
}

}  // namespace ds::coordinator
