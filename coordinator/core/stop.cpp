// How a generation ends: every rank is stopped, and when the last slot is released the job goes where it was bound.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/core/machine.h"

namespace ds::coordinator {
namespace {

bool with_checkpoint(const v1::JobRecord& record) { return record.stop_by_us() > 0; }

// 0 for the first failure, then 0.25 s, 0.5 s, 1 s ...
int64_t back_off_us(int failures) { return failures < 2 ? 0 : (kSecondUs / 4) << std::min(failures - 2, 6); }

}  // namespace

void Machine::stop_rank(const v1::JobRecord& record, int rank) {
  v1::StopRank* stop = send(record.ranks(rank).worker()).mutable_stop();
  stop->set_job(record.job().id());
  stop->set_generation(record.job().generation());
  stop->set_rank(rank);
  stop->set_checkpoint(with_checkpoint(record));
}

// A reason to stop replaces the one before, except that a stop that has been forced stays forced.
void Machine::begin_stop(v1::JobRecord& record, v1::StopFor why, const std::string& reason) {
  const bool gentle = why == v1::STOP_TO_PAUSE || why == v1::STOP_TO_MOVE;
  const bool news = record.stop() == v1::STOP_NOTHING || (!gentle && with_checkpoint(record));
  if (gentle && record.stop() == v1::STOP_NOTHING) {
    record.set_stop_by_us(now_ + kCheckpointStopUs);
  } else if (!gentle) {
    record.clear_stop_by_us();
  }
  record.set_stop(why);
  record.set_stop_reason(reason);
  const bool again = why == v1::STOP_TO_MOVE || why == v1::STOP_TO_RECOVER;
  set_state(record, again ? v1::RECOVERING : record.job().state(), reason);
  if (!news) return;
  for (int r = 0; r < record.ranks_size(); ++r) {
    if (!released(record.ranks(r))) stop_rank(record, r);
  }
}

void Machine::begin_to_fail(v1::JobRecord& record, v1::FailureClass failure, const std::string& reason) {
  record.set_stop_failure(failure);
  begin_stop(record, v1::STOP_TO_FAIL, reason);
}

// A checkpoint can no longer be had: stop at once.
void Machine::harden(v1::JobRecord& record) {
  if (!with_checkpoint(record)) return;
  record.clear_stop_by_us();
  for (int r = 0; r < record.ranks_size(); ++r) {
    if (!released(record.ranks(r))) stop_rank(record, r);
  }
}

// A rank ended that should not have. Too many times without getting any further: the job fails.
void Machine::rank_failed(v1::JobRecord& record, const std::string& reason, v1::FailureClass failure) {
  const bool telling = failure == v1::FAILURE_OOM || failure == v1::FAILURE_TIMEOUT;  // its peers just lost a peer
  if (telling || record.cause() == v1::FAILURE_UNSPECIFIED)
    record.set_cause(telling ? failure : v1::FAILURE_INFRASTRUCTURE);
  if (record.stop() != v1::STOP_NOTHING) return harden(record);
  auto* failures = record.mutable_failures_us();
  failures->erase(
      std::remove_if(failures->begin(), failures->end(), [this](int64_t at) { return at < now_ - kBudgetWindowUs; }),
      failures->end());
  failures->Add(now_);
  if (failures->size() > kBudget) {
    return begin_to_fail(record, record.cause(),
                         absl::StrCat("gave up after ", kBudget, " restarts in ", (now_ - failures->Get(0)) / kSecondUs,
                                      " s that got no further than step ", record.best_step(), "; last: ", reason));
  }
  if (int64_t wait = back_off_us(failures->size())) record.set_not_before_us(now_ + wait);
  recover(record, reason);
}

// A machine's fault, unless it happens wherever the job goes: a job that eats its worker's memory would take down one
// after the other. Without a window of time, since workers may take long to come back; getting further makes it 0
// again.
void Machine::worker_failed(v1::JobRecord& record, const std::string& reason, bool ran) {
  if (record.stop() != v1::STOP_NOTHING) return harden(record);
  if (ran) record.set_worker_losses(record.worker_losses() + 1);
  if (record.worker_losses() > kWorkerBudget) {
    return begin_to_fail(
        record, v1::FAILURE_INFRASTRUCTURE,
        absl::StrCat("gave up after ", record.worker_losses(), " losses of a worker that ran it, with no step after ",
                     record.best_step(), " completed in between; last: ", reason));
  }
  recover(record, reason);
}

void Machine::recover(v1::JobRecord& record, const std::string& reason) {
  record.set_failure(reason);
  if (record.failed_us() == 0) record.set_failed_us(now_);
  record.mutable_job()->set_restarts(record.job().restarts() + 1);
  begin_stop(record, v1::STOP_TO_RECOVER, reason);
}

void Machine::maybe_ended(v1::JobRecord& record) {
  if (holds_slots(record) || ended(record.job().state())) return;
  const v1::StopFor why = record.stop();
  const std::string reason = record.stop_reason();
  record.set_stop(v1::STOP_NOTHING);
  record.clear_stop_reason();
  record.clear_stop_by_us();
  if (why == v1::STOP_TO_CANCEL) return end(record, v1::CANCELLED, reason);
  if (why == v1::STOP_TO_FAIL) return end(record, v1::FAILED, reason, record.stop_failure());
  const bool complete = std::all_of(record.ranks().begin(), record.ranks().end(),
                                    [](const v1::RankRecord& rank) { return rank.complete(); });
  if (complete) return end(record, v1::SUCCEEDED, "");
  if (why == v1::STOP_TO_PAUSE) {
    record.set_ran(false);
    record.clear_failed_us();
    record.clear_not_before_us();
    replan_ = true;
    return set_state(record, v1::PAUSED, reason);
  }
  if (why == v1::STOP_TO_MOVE) record.set_failure(reason);  // what it goes on after, not an older loss
  enqueue(record, v1::RECOVERING, reason);
}

}  // namespace ds::coordinator
