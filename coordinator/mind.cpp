#include "coordinator/mind.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "coordinator/log.h"

namespace ds::coordinator {
namespace {

constexpr absl::Duration kMetricsWindow = absl::Milliseconds(100);
constexpr int64_t kSnapshotEvery = 4096;  // events

void log_change(const v1::Job& job, v1::JobState before) {
  if (job.state() == before) return;
  spdlog::info("event=state job={} generation={} state={} before={} reason={}", job.id(), job.generation(),
               v1::JobState_Name(job.state()), v1::JobState_Name(before), in_quotes(job.reason()));
}

// What a study measures its trial by: evaluations, or of the steps of an epoch the last one.
void add_marks(const v1::MetricsBatch& batch, const v1::StudySpec& study, v1::JobProgress& progress) {
  const bool by_steps = measured_by_steps(study);
  for (const v1::MetricRecord& record : batch.records()) {
    if (record.kind() != (by_steps ? "train" : "eval")) continue;
    const int marks = progress.marks_size();
    const bool same = by_steps && marks > 0 && progress.marks(marks - 1).epoch() == record.epoch();
    *(same ? progress.mutable_marks(marks - 1) : progress.add_marks()) = record;
  }
}

void log_study(const v1::StudyRecord& record, const NotifyStudy& how) {
  const v1::Study& study = record.study();
  for (const int64_t id : how.trials) {
    const v1::Trial& t = record.trials(static_cast<int>(id)).trial();
    spdlog::info("event=trial study={} trial={} job={} state={} source={} value={} reason={}", study.id(), id, t.job(),
                 v1::TrialState_Name(t.state()), t.source(),
                 t.values().empty() ? "none" : absl::StrJoin(t.values(), ","), in_quotes(t.reason()));
  }
  if (how.before == how.after) return;
  spdlog::info("event=study study={} state={} before={} reason={}", study.id(), v1::StudyState_Name(how.after),
               v1::StudyState_Name(how.before), in_quotes(study.reason()));
}

}  // namespace

Mind::Mind(Store& store, State state, World& world)
    : store_(store), world_(world), state_(std::move(state)), snapshot_revision_(state_.revision) {
  thread_ = std::thread([this] { run(); });
}

Mind::~Mind() { stop(); }

void Mind::stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void Mind::push(Command command) {
  absl::MutexLock lock(&mutex_);
  commands_.push_back(std::move(command));
}

void Mind::post(v1::Event event, Reply reply, Wanted wanted) {
  push({std::move(event), false, std::move(reply), std::move(wanted)});
}

void Mind::ask(std::function<void(const State&)> question) {
  push({{}, true, [question = std::move(question)](const absl::Status&, const State& s) { question(s); }, {}});
}

void Mind::post_metrics(v1::MetricsBatch batch, std::function<void()> stored) {
  absl::MutexLock lock(&mutex_);
  if (metrics_.empty()) metrics_due_ = absl::Now() + kMetricsWindow;
  metrics_.push_back({std::move(batch), std::move(stored)});
}

bool Mind::has_work() const { return stopping_ || !commands_.empty() || !metrics_.empty(); }

// Sleeps until there is something to do: a command, metrics that waited long enough, a deadline of the state.
Mind::Work Mind::next_work() {
  const int64_t tick = next_deadline_us(state_);
  const absl::Time tick_due = tick > 0 ? absl::FromUnixMicros(tick) : absl::InfiniteFuture();
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithDeadline(absl::Condition(this, &Mind::has_work), tick_due);
  auto urgent = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !commands_.empty(); };
  mutex_.AwaitWithDeadline(absl::Condition(&urgent), std::min(tick_due, metrics_due_));
  Work work;
  work.commands = std::exchange(commands_, {});
  if (!work.commands.empty() || stopping_ || absl::Now() >= metrics_due_) {
    work.metrics = std::exchange(metrics_, {});
    metrics_due_ = absl::InfiniteFuture();
  }
  return work;
}

void Mind::run() {
  while (true) {
    Work work = next_work();
    take_metrics(std::move(work.metrics));
    for (Command& command : work.commands) handle(std::move(command));
    tick();
    commit();
    absl::MutexLock lock(&mutex_);
    if (stopping_ && commands_.empty() && metrics_.empty()) break;
  }
  if (absl::Status status = store_.snapshot(state_); !status.ok())
    spdlog::error("event=snapshot error={}", in_quotes(status.message()));
}

void Mind::handle(Command command) {
  absl::Status status;
  if (!command.question && (!command.wanted || command.wanted(state_))) {
    status = check(state_, command.event);
    if (status.ok()) apply_now(std::move(command.event));
  }
  if (!command.reply) return;
  deliveries_.push_back([this, reply = std::move(command.reply), status] { reply(status, state_); });
}

void Mind::apply_now(v1::Event event) {
  event.set_time_us(now_us());
  if (batch_.events.empty()) batch_.first_seq = state_.revision + 1;
  batch_.events.push_back(serialise(event));
  for (Effect& effect : apply(state_, event)) stage(std::move(effect));
}

void Mind::stage(Effect effect) {
  if (auto* send = std::get_if<Send>(&effect)) {
    deliveries_.push_back(
        [this, send = std::move(*send)]() mutable { world_.send(send.worker, std::move(send.message)); });
  } else if (auto* notify = std::get_if<Notify>(&effect)) {
    if (notify->before == notify->after && !world_.watched(notify->job)) return;
    deliveries_.push_back([this, job = view(state_.jobs.at(notify->job)), before = notify->before] {
      log_change(job, before);
      world_.changed(job, before);
    });
  } else if (auto* study = std::get_if<NotifyStudy>(&effect)) {
    deliveries_.push_back([this, how = std::move(*study)] {
      const v1::StudyRecord& record = state_.studies.at(how.study);
      log_study(record, how);
      world_.changed(record, how);
    });
  } else if (auto* question = std::get_if<Tune>(&effect)) {
    deliveries_.push_back(
        [this, question = std::move(*question)] { world_.asked(question, state_.studies.at(question.study)); });
  } else {
    deliveries_.push_back([this, measure = std::get<Measure>(effect)] { world_.measured(measure); });
  }
}

// Every job's newest progress becomes one event; the records go to their own table.
void Mind::take_metrics(std::vector<Metrics> metrics) {
  v1::Event event;
  std::map<std::pair<std::string, int64_t>, v1::JobProgress*> by_job;
  for (Metrics& m : metrics) {
    if (state_.jobs.count(m.batch.job())) {
      v1::JobProgress*& p = by_job[{m.batch.job(), m.batch.generation()}];
      if (!p) p = event.mutable_progressed()->add_jobs();
      const std::string& study = state_.jobs.at(m.batch.job()).job().study();
      if (!study.empty()) add_marks(m.batch, state_.studies.at(study).study().spec(), *p);
      for (v1::MetricRecord& record : *m.batch.mutable_records()) {
        record.set_generation(m.batch.generation());
        batch_.metrics.push_back({m.batch.job(), std::move(record)});
      }
      p->set_job(m.batch.job());
      p->set_generation(m.batch.generation());
      if (m.batch.has_progress()) *p->mutable_progress() = m.batch.progress();
      p->mutable_metrics()->MergeFrom(m.batch.metrics());
      if (!m.batch.warning().empty()) p->set_warning(m.batch.warning());
      if (!m.batch.checkpoint().empty()) {
        p->set_checkpoint(m.batch.checkpoint());
        p->set_checkpoint_step(m.batch.checkpoint_step());
      }
    }
    deliveries_.push_back(std::move(m.stored));
  }
  if (event.has_progressed()) apply_now(std::move(event));
}

void Mind::tick() {
  const int64_t due = next_deadline_us(state_);
  if (due == 0 || due > now_us()) return;
  v1::Event event;
  event.mutable_tick();
  apply_now(std::move(event));
}

// Durable first: when the disk fails nothing that was applied may be heard of, so the process ends.
void Mind::commit() {
  if (!batch_.events.empty() || !batch_.metrics.empty()) {
    const absl::Time begin = absl::Now();
    if (absl::Status status = store_.commit(batch_); !status.ok()) {
      spdlog::critical("event=commit error={}", in_quotes(status.message()));
      spdlog::shutdown();
      std::_Exit(1);
    }
    world_.committed(static_cast<int>(batch_.events.size()), absl::Now() - begin);
    batch_ = {};
  }
  for (Delivery& deliver : std::exchange(deliveries_, {})) deliver();
  if (state_.revision - snapshot_revision_ < kSnapshotEvery) return;
  absl::Status status = store_.snapshot(state_);
  if (!status.ok()) spdlog::error("event=snapshot error={}", in_quotes(status.message()));
  snapshot_revision_ = state_.revision;
}

int64_t Mind::now_us() { return last_us_ = std::max(last_us_, absl::ToUnixMicros(absl::Now())); }

}  // namespace ds::coordinator
