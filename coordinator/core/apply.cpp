#include "coordinator/core/apply.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/str_cat.h"
#include "coordinator/core/machine.h"

namespace ds::coordinator {
namespace {

absl::Status check_change(const State& state, const v1::JobChanged& change) {
  auto found = state.jobs.find(change.id());
  if (found == state.jobs.end()) return absl::NotFoundError(absl::StrCat("no job \"", change.id(), "\""));
  const v1::JobRecord& record = found->second;
  const v1::JobState now = record.job().state();
  auto refuse = [&](const char* what) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot ", what, " ", change.id(), ": it is ", v1::JobState_Name(now)));
  };
  const bool leaving = record.stop() == v1::STOP_TO_CANCEL || record.stop() == v1::STOP_TO_FAIL;
  switch (change.change()) {
    case v1::JobChanged::CANCEL:
      return ended(now) && now != v1::CANCELLED ? refuse("cancel") : absl::OkStatus();
    case v1::JobChanged::PAUSE:
      return ended(now) || leaving ? refuse("pause") : absl::OkStatus();
    case v1::JobChanged::RESUME:
      return now != v1::PAUSED && record.stop() != v1::STOP_TO_PAUSE ? refuse("resume") : absl::OkStatus();
    default:
      return absl::InvalidArgumentError("no such change of a job");
  }
}

absl::Status check_study_change(const State& state, const v1::StudyChanged& change) {
  auto found = state.studies.find(change.id());
  if (found == state.studies.end()) return absl::NotFoundError(absl::StrCat("no study \"", change.id(), "\""));
  const v1::StudyState now = found->second.study().state();
  auto refuse = [&](const char* what) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot ", what, " ", change.id(), ": it is ", v1::StudyState_Name(now)));
  };
  switch (change.change()) {
    case v1::JobChanged::CANCEL:
      return ended(now) && now != v1::STUDY_CANCELLED ? refuse("cancel") : absl::OkStatus();
    case v1::JobChanged::PAUSE:
      return ended(now) ? refuse("pause") : absl::OkStatus();
    case v1::JobChanged::RESUME:
      return now != v1::STUDY_PAUSED ? refuse("resume") : absl::OkStatus();
    default:
      return absl::InvalidArgumentError("no such change of a study");
  }
}

// `why_not` says what hinders the change of a worker that is known; "" where nothing does.
absl::Status check_worker(const State& state, const char* what, const std::string& name,
                          std::string (*why_not)(const v1::WorkerRecord&)) {
  auto found = state.workers.find(name);
  if (found == state.workers.end()) return absl::NotFoundError(absl::StrCat("no worker \"", name, "\""));
  const std::string why = why_not(found->second);
  if (why.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("cannot ", what, " ", name, ": ", why));
}

std::string gone(const v1::WorkerRecord& worker) {
  if (worker.state() == v1::WORKER_LOST) return "it is WORKER_LOST";
  return worker.lost_us() > 0 ? "its daemon has ended" : "";
}

std::string ending(const v1::WorkerRecord& worker) {
  return worker.leaving() && worker.lost_us() == 0 ? "its daemon is ending" : gone(worker);
}

std::string still_there(const v1::WorkerRecord& worker) {
  if (worker.lost_us() > 0) return "";
  return absl::StrCat("it is ", v1::WorkerState_Name(worker.state()), " and its daemon is connected; end that first");
}

absl::Status check_hello(const v1::Register& hello) {
  if (hello.worker().empty()) return absl::InvalidArgumentError("Register.worker is empty");
  if (hello.slots() < 1) {
    return absl::InvalidArgumentError(absl::StrCat("Register.slots is ", hello.slots(), "; at least 1 is needed"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status check(const State& state, const v1::Event& event) {
  if (event.has_changed()) return check_change(state, event.changed());
  if (event.has_study_changed()) return check_study_change(state, event.study_changed());
  if (event.has_draining()) return check_worker(state, "drain", event.draining().worker(), gone);
  if (event.has_undrained()) return check_worker(state, "undrain", event.undrained().worker(), ending);
  if (event.has_removed()) return check_worker(state, "remove", event.removed().worker(), still_there);
  if (event.has_registered()) return check_hello(event.registered().register_());
  return absl::OkStatus();
}

std::vector<Effect> apply(State& state, const v1::Event& event) {
  ++state.revision;
  Machine machine(state, event.time_us());
  switch (event.event_case()) {
    case v1::Event::kSubmitted:
      machine.on(event.submitted());
      break;
    case v1::Event::kChanged:
      machine.on(event.changed());
      break;
    case v1::Event::kRegistered:
      machine.on(event.registered());
      break;
    case v1::Event::kLost:
      machine.on(event.lost());
      break;
    case v1::Event::kDraining:
      machine.on(event.draining());
      break;
    case v1::Event::kDrained:
      machine.on(event.drained());
      break;
    case v1::Event::kUndrained:
      machine.on(event.undrained());
      break;
    case v1::Event::kRemoved:
      machine.on(event.removed());
      break;
    case v1::Event::kExecutor:
      machine.on(event.executor());
      break;
    case v1::Event::kProgressed:
      machine.on(event.progressed());
      break;
    case v1::Event::kProfiled:
      machine.on(event.profiled());
      break;
    case v1::Event::kStudySubmitted:
      machine.on(event.study_submitted());
      break;
    case v1::Event::kStudyChanged:
      machine.on(event.study_changed());
      break;
    case v1::Event::kSuggested:
      machine.on(event.suggested());
      break;
    case v1::Event::kAdvised:
      machine.on(event.advised());
      break;
    case v1::Event::kRecommended:
      machine.on(event.recommended());
      break;
    case v1::Event::kTick:
      machine.on(event.tick());
      break;
    case v1::Event::EVENT_NOT_SET:
      break;
  }
  return machine.finish();
}

int64_t next_deadline_us(const State& state) {
  int64_t next = 0;
  auto consider = [&next](int64_t due) {
    if (due > 0 && (next == 0 || due < next)) next = due;
  };
  for (int64_t order : state.live) {
    const v1::JobRecord& record = state.jobs.at(state.by_order.at(order));
    consider(record.not_before_us());
    consider(record.stop_by_us());
  }
  for (const auto& [name, worker] : state.workers) {
    if (worker.lost_us() > 0) consider(worker.lost_us() + kForgetUs);
  }
  return next;
}

namespace {

std::string slug(const std::string& name, const char* fallback) {
  std::string slug;
  for (char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      slug += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!slug.empty() && slug.back() != '-') {
      slug += '-';
    }
  }
  slug.resize(std::min<size_t>(slug.size(), 40));
  while (!slug.empty() && slug.back() == '-') slug.pop_back();
  return slug.empty() ? fallback : slug;
}

}  // namespace

std::string next_id(const State& state, const std::string& name) {
  return absl::StrCat(slug(name, "job"), "-", state.submitted + 1);
}

std::string next_study_id(const State& state, const std::string& name) {
  return absl::StrCat(slug(name, "study"), "-", state.studies_submitted + 1);
}

}  // namespace ds::coordinator
