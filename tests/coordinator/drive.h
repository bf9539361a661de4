// Drives the state machine in tests: events in, effects as short lines out.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/core/apply.h"

namespace ds::coordinator {

struct Exit {
  bool retryable = false;
  bool stopped = false;
  std::string detail = {};
  v1::FailureClass failure = v1::FAILURE_UNSPECIFIED;
};

struct Drive {
  State state;
  int64_t now = 1'700'000'000'000'000;
  std::vector<Measure> measures;
  std::vector<Tune> asked;  // of the tuner, since somebody took them
  std::vector<v1::Event> log;

  absl::Status apply(v1::Event event) {
    event.set_time_us(now += 1000);
    if (absl::Status status = check(state, event); !status.ok()) return status;
    log.push_back(event);
    for (Effect& effect : coordinator::apply(state, event)) {
      if (auto* send = std::get_if<Send>(&effect)) sent_[send->worker].push_back(line(send->message));
      if (auto* measure = std::get_if<Measure>(&effect)) measures.push_back(*measure);
      if (auto* question = std::get_if<Tune>(&effect)) asked.push_back(*question);
    }
    return absl::OkStatus();
  }

  // What went to a worker since the last call.
  std::vector<std::string> sent(const std::string& worker) { return std::exchange(sent_[worker], {}); }
  v1::Job job(const std::string& id) const { return view(state.jobs.at(id)); }
  v1::Worker seen(const std::string& name) const { return view(state, state.workers.at(name)); }

  std::string submit(const std::string& name, int ranks, int priority = 0) {
    const std::string id = next_id(state, name);
    v1::Event event;
    v1::JobSpec* spec = event.mutable_submitted()->mutable_spec();
    spec->set_name(name);
    spec->set_priority(priority);
    spec->mutable_strategy()->set_data_parallel(ranks);
    (void)apply(event);
    return id;
  }
  void worker(const std::string& name, int slots, const std::string& incarnation = "i1",
              std::vector<v1::ExecutorReport> executors = {}) {
    v1::Event event;
    v1::Register* hello = event.mutable_registered()->mutable_register_();
    hello->set_worker(name);
    hello->set_incarnation(incarnation);
    hello->set_slots(slots);
    for (auto& e : executors) *hello->add_executors() = e;
    (void)apply(event);
  }
  v1::ExecutorReport executor(const std::string& id, int64_t generation, int rank, v1::RankState state) const {
    v1::ExecutorReport report;
    report.set_job(id);
    report.set_generation(generation);
    report.set_rank(rank);
    report.set_state(state);
    report.set_pid(100 + rank);
    if (state >= v1::RANK_READY) report.set_address(absl::StrCat("a", rank));
    return report;
  }
  void report(const std::string& worker, const v1::ExecutorReport& report) {
    v1::Event event;
    event.mutable_executor()->set_worker(worker);
    *event.mutable_executor()->mutable_report() = report;
    (void)apply(event);
  }
  void report(const std::string& worker, const std::string& id, int64_t generation, int rank, v1::RankState state) {
    report(worker, executor(id, generation, rank, state));
  }
  void exit(const std::string& worker, const std::string& id, int64_t generation, int rank, int code, Exit how = {}) {
    v1::ExecutorReport r = executor(id, generation, rank, v1::RANK_EXITED);
    r.set_exit_code(code);
    r.set_retryable(how.retryable);
    r.set_stopped(how.stopped);
    r.set_detail(how.detail);
    r.set_failure(how.failure);
    report(worker, r);
  }
  // A job of `ranks` ranks that trains on a worker w1 with as many slots.
  std::string running(const std::string& name, int ranks) {
    worker("w1", ranks);
    const std::string id = submit(name, ranks);
    for (int r = 0; r < ranks; ++r) report("w1", id, 1, r, v1::RANK_READY);
    for (int r = 0; r < ranks; ++r) report("w1", id, 1, r, v1::RANK_RUNNING);
    sent_.clear();
    return id;
  }
  absl::Status change(const std::string& id, v1::JobChanged::Change change) {
    v1::Event event;
    event.mutable_changed()->set_id(id);
    event.mutable_changed()->set_change(change);
    return apply(event);
  }
  void lost(const std::string& worker) {
    v1::Event event;
    event.mutable_lost()->set_worker(worker);
    event.mutable_lost()->set_reason("silent");
    (void)apply(event);
  }
  void drain(const std::string& worker) {
    v1::Event event;
    event.mutable_draining()->set_worker(worker);
    (void)apply(event);
  }
  void drained(const std::string& worker) {
    v1::Event event;
    event.mutable_drained()->set_worker(worker);
    (void)apply(event);
  }
  absl::Status undrain(const std::string& worker) {
    v1::Event event;
    event.mutable_undrained()->set_worker(worker);
    return apply(event);
  }
  absl::Status remove(const std::string& worker) {
    v1::Event event;
    event.mutable_removed()->set_worker(worker);
    return apply(event);
  }
  void progress(const std::string& id, int64_t generation, int64_t step) {
    v1::Event event;
    v1::JobProgress* p = event.mutable_progressed()->add_jobs();
    p->set_job(id);
    p->set_generation(generation);
    p->mutable_progress()->set_step(step);
    (void)apply(event);
  }
  void tick() {
    v1::Event event;
    event.mutable_tick();
    (void)apply(event);
  }

 private:
  static std::string line(const v1::CoordinatorMessage& m) {
    auto rank = [](const auto& x) { return absl::StrCat(" ", x.job(), " g", x.generation(), " r", x.rank()); };
    if (m.has_registered()) return "registered";
    if (m.has_drain()) return "drain";
    if (m.has_undrain()) return "undrain";
    if (m.has_start()) return absl::StrCat("start", rank(m.start()), " ", m.start().device());
    if (m.has_stop()) return absl::StrCat(m.stop().checkpoint() ? "stop+checkpoint" : "stop", rank(m.stop()));
    if (m.has_profile()) return absl::StrCat("profile ", m.profile().job());
    if (m.has_meet()) return absl::StrCat("meet", rank(m.meet()), " ", absl::StrJoin(m.meet().addresses(), ","));
    return "?";
  }

  std::map<std::string, std::vector<std::string>> sent_;
};

}  // namespace ds::coordinator
