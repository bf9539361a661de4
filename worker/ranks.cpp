// The life of an executor inside the agent: launched, greeted, watched, ended.
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "proto/digest/digest.h"
#include "worker/agent.h"
#include "worker/cores.h"
#include "worker/logging.h"

namespace ds::worker {
namespace {

constexpr double kTermGrace = 0.2;  // from SIGTERM to SIGKILL
constexpr double kExitGrace = 2;    // from "done" to the end of the process
constexpr double kDrainGrace = 20;  // for the checkpoints of a graceful end
constexpr double kReadGrace = 1;    // for the rest of a dead executor's stream
constexpr double kSettled = 30;     // a report on a stream that stood for so long has arrived
constexpr double kTotalsKept = 180;
constexpr double kFlush = 2;  // for the last reports of a worker that ends
constexpr int kBusyTickMs = 100, kIdleTickMs = 1000;
constexpr double kOverslept = 0.5;
constexpr double kTellFetch = 2, kFirstWord = 0.5;  // between two words on how far a fetch is; before the first

void add(v1::ExecutorBeat& sum, const v1::ExecutorBeat& beat) {
  sum.set_allreduce_seconds(sum.allreduce_seconds() + beat.allreduce_seconds());
  sum.set_allreduce_bytes(sum.allreduce_bytes() + beat.allreduce_bytes());
  sum.set_step_seconds(sum.step_seconds() + beat.step_seconds());
  sum.set_checkpoint_seconds(sum.checkpoint_seconds() + beat.checkpoint_seconds());
  sum.set_checkpoints(sum.checkpoints() + beat.checkpoints());
  sum.set_samples(sum.samples() + beat.samples());
  sum.set_steps(sum.steps() + beat.steps());
}

}  // namespace

Rank* Agent::find(uint64_t id) {
  auto at = ranks_.find(id);
  return at == ranks_.end() ? nullptr : &at->second;
}

Rank* Agent::find(const std::string& job, int64_t generation, int32_t rank) {
  for (auto& [id, candidate] : ranks_) {
    if (candidate.is(job, generation, rank)) return &candidate;
  }
  return nullptr;
}

LogTail* Agent::tail_of(const Rank& rank) {
  for (auto& tail : tails_) {
    if (tail->is(rank.job(), rank.generation(), rank.rank())) return tail.get();
  }
  return nullptr;
}

void Agent::tell(const Rank& rank) {
  v1::WorkerMessage message;
  *message.mutable_executor() = rank.report;
  outbox_.push(std::move(message));
}

bool Agent::anything_alive() const {
  return std::any_of(ranks_.begin(), ranks_.end(), [](const auto& entry) { return !entry.second.ended(); });
}

bool Agent::older_alive(const Rank& rank) const {
  return std::any_of(ranks_.begin(), ranks_.end(), [&](const auto& entry) {
    const Rank& other = entry.second;
    return other.job() == rank.job() && other.generation() < rank.generation() && other.has_process();
  });
}

absl::StatusOr<Process> Agent::spawn_executor(const Rank& rank) {
  std::string log = LogTail::path_of(options_.data, rank.job(), rank.generation(), rank.rank());
  std::string folder = log.substr(0, log.rfind('/'));
  if (absl::Status made = make_folders(folder); !made.ok()) return made;
  std::string job_file = absl::StrCat(folder, "/gen-", rank.generation(), "-rank-", rank.rank(), ".start");
  absl::Status written = write_file_atomically(job_file, rank.start.SerializeAsString());
  if (!written.ok()) return written;
  absl::StatusOr<int> slot = slot_of_device(rank.start.device());
  if (!slot.ok()) return slot.status();
  CpuShare share =
      cpu_share(options_.cores, *slot, options_.slots, static_cast<int>(rank.start.spec().train().threads()));
  return spawn({options_.executor, "--job-file", job_file, "--socket", options_.socket, "--parent",
                absl::StrCat(getpid()), "--cores", format_cores(share.cores), "--threads", absl::StrCat(share.threads),
                "--python", options_.python, "--log-level", options_.log_level},
               log);
}

void Agent::tell_fetch(Rank& rank, const std::string& digest, const ArtifactCache::View& view) {
  std::string words = absl::StrCat("fetching ", digest::brief(digest));
  if (view.size > 0) {
    const double part = 100.0 * static_cast<double>(view.got) / static_cast<double>(view.size);
    absl::StrAppendFormat(&words, ", %.0f%% of %d bytes", part, view.size);
  }
  rank.report.set_detail(std::move(words));
  tell(rank);
}

// Whether all files that the rank needs are here. Tells how far they are, and of one that will not come.
bool Agent::artifacts_ready(Rank& rank, double now) {
  for (const ArtifactCache::Lease& lease : rank.artifacts) {
    const ArtifactCache::View view = artifacts_.look(lease);
    if (view.ready) {
      (*rank.start.mutable_artifacts())[lease.digest()] = view.path;
      continue;
    }
    if (!view.status.ok()) {
      rank.done.emplace();
      // What the coordinator does not have, or has damaged, comes no better by another start.
      rank.done->set_retryable(!absl::IsNotFound(view.status) && !absl::IsDataLoss(view.status));
      rank.done->set_failure(rank.done->retryable() ? v1::FAILURE_INFRASTRUCTURE : v1::FAILURE_USER_ERROR);
      rank.done->set_error(
          absl::StrCat("worker ", options_.name, " cannot fetch ", lease.digest(), ": ", view.status.message()));
      finish(rank);
      return false;
    }
    if (rank.tell_at == kNever) rank.tell_at = now + kFirstWord;
    if (now < rank.tell_at) return false;
    rank.tell_at = now + kTellFetch;
    tell_fetch(rank, lease.digest(), view);
    return false;
  }
  rank.report.clear_detail();
  return true;
}

void Agent::launch(Rank& rank, double now) {
  absl::StatusOr<Process> process = spawn_executor(rank);
  if (!process.ok()) {
    rank.verdict = std::string(process.status().message());
    return finish(rank);
  }
  rank.process = *std::move(process);
  prefer_for_oom(rank.process.pid);
  rank.watchdog = Watchdog(now);
  supervisor_.watch(rank.process, rank.id);
  tails_.push_back(
      std::make_unique<LogTail>(LogTail::path_of(options_.data, rank.job(), rank.generation(), rank.rank()), rank.job(),
                                rank.generation(), rank.rank()));
  rank.report.set_pid(rank.process.pid);
  rank.report.set_state(v1::RANK_SPAWNED);
  RankTotals& totals = totals_[{rank.job(), rank.rank()}];
  totals.alive = true;
  totals.ended_at = kNever;
  if (rank.generation() > 1) ++totals.restarts;
  log_rank(spdlog::level::info, rank.job(), rank.generation(), rank.rank(), "spawned pid={} device={}",
           rank.process.pid, rank.start.device());
  tell(rank);
}

absl::StatusOr<uint64_t> Agent::hello(const v1::ExecutorHello& hello, std::shared_ptr<CommandStream> commands) {
  absl::MutexLock lock(&mutex_);
  Rank* rank = find(hello.job(), hello.generation(), hello.rank());
  if (!rank || rank->process.pid != hello.pid() || rank->exit || rank->stream_open) {
    return absl::PermissionDeniedError(absl::StrCat("[ExecutorService.Session] this worker awaits no pid ", hello.pid(),
                                                    " for rank ", hello.rank(), " of ", hello.job(), " generation ",
                                                    hello.generation()));
  }
  rank->commands = std::move(commands);
  rank->stream_open = true;
  rank->report.set_address(hello.address());
  rank->report.set_state(v1::RANK_READY);
  log_rank(spdlog::level::info, rank->job(), rank->generation(), rank->rank(), "ready");
  tell(*rank);
  return rank->id;
}

void Agent::beat(uint64_t id, const v1::ExecutorBeat& beat) {
  absl::MutexLock lock(&mutex_);
  Rank* rank = find(id);
  if (!rank) return;
  rank->watchdog.beat(beat, Supervisor::now());
  totals_[{rank->job(), rank->rank()}].now = beat;
}

void Agent::metrics(uint64_t id, v1::ExecutorMetrics metrics) {
  absl::MutexLock lock(&mutex_);
  Rank* rank = find(id);
  if (!rank) return;
  if (metrics.metrics().has_loss()) {
    RankTotals& totals = totals_[{rank->job(), rank->rank()}];
    totals.loss = metrics.metrics().loss();
    totals.has_loss = true;
  }
  outbox_.push_metrics(rank->job(), rank->generation(), std::move(metrics));
}

void Agent::done(uint64_t id, const v1::ExecutorDone& done) {
  absl::MutexLock lock(&mutex_);
  Rank* rank = find(id);
  if (!rank) return;
  rank->done = done;
  rank->kill_at = std::min(rank->kill_at, Supervisor::now() + kExitGrace);
  supervisor_.wake();
}

void Agent::closed(uint64_t id) {
  absl::MutexLock lock(&mutex_);
  Rank* rank = find(id);
  if (!rank) return;
  rank->stream_open = false;
  rank->commands = nullptr;
  // A live executor without its stream ends by itself; one that cannot is ended.
  rank->kill_at = std::min(rank->kill_at, Supervisor::now() + kExitGrace);
  if (rank->exit && !rank->ended()) finish(*rank);
  supervisor_.wake();
}

void Agent::process_ended(uint64_t id) {
  absl::MutexLock lock(&mutex_);
  if (profiler_ended(id)) return;
  Rank* rank = find(id);
  if (!rank || rank->exit) return;
  rank->exit = reap(rank->process);
  rank->oom_kills = oom_.recent();
  rank->exited_at = Supervisor::now();
  supervisor_.forget(rank->process);
  rank->process.pidfd.reset();
  if (!rank->stream_open) finish(*rank);  // else its last messages are still being read
}

void Agent::finish(Rank& rank) {
  rank.artifacts.clear();
  LogTail* tail = tail_of(rank);
  fill_exit_report(rank, tail ? tail->last_lines(4, 1024) : "");
  if (tail) tail->finish();
  log_ready_ = true;
  RankTotals& totals = totals_[{rank.job(), rank.rank()}];
  add(totals.past, totals.now);
  totals.now.Clear();
  totals.alive = false;
  double now = Supervisor::now();
  totals.ended_at = now;
  if (!stream_ended_) rank.reported_at = now;
  bool good = rank.report.exit_code() == 0 || rank.report.stopped() || rank.stop_asked;
  log_rank(good ? spdlog::level::info : spdlog::level::warn, rank.job(), rank.generation(), rank.rank(),
           "exited code={} {}", rank.report.exit_code(), rank.report.detail());
  tell(rank);
  supervisor_.wake();
}

void Agent::kill(Rank& rank, std::string why) {
  if (rank.verdict.empty()) rank.verdict = std::move(why);
  if (rank.process.pid == 0) return finish(rank);
  if (rank.has_process()) send_signal(rank.process, SIGKILL);
}

void Agent::end(Rank& rank, bool checkpoint) {
  rank.stop_asked = true;
  if (rank.process.pid == 0) return kill(rank, "stopped before it was spawned");
  if (!rank.has_process()) return;
  if (checkpoint && rank.commands) {
    v1::ExecutorCommand command;
    command.mutable_stop()->set_checkpoint(true);
    if (rank.commands->send(command)) return;
  }
  if (rank.verdict.empty()) rank.verdict = "stopped on request";
  send_signal(rank.process, SIGTERM);
  rank.kill_at = std::min(rank.kill_at, Supervisor::now() + kTermGrace);
  supervisor_.wake();
}

void Agent::watch(Rank& rank, double now) {
  if (!rank.has_process()) return;
  if (now >= rank.kill_at) {
    send_signal(rank.process, SIGKILL);
    rank.kill_at = kNever;
  }
  if (rank.report.state() == v1::RANK_READY) rank.watchdog.waits(now);
  char state = rank.watchdog.silence(now) > 1 ? process_state(rank.process.pid) : 'S';
  if (std::optional<std::string> wrong = rank.watchdog.check(now, state); wrong && rank.verdict.empty()) {
    std::string why = absl::StrCat("rank ", rank.rank(), " (pid ", rank.process.pid, ") ", *wrong);
    log_rank(spdlog::level::warn, rank.job(), rank.generation(), rank.rank(), "{}", why);
    rank.hung = rank.watchdog.hangs(now);
    kill(rank, why);
  }
}

void Agent::forget_old_ends(double now) {
  if (registered_) {
    std::erase_if(ranks_,
                  [&](const auto& entry) { return entry.second.ended() && now - entry.second.reported_at > kSettled; });
  }
  std::erase_if(totals_, [&](const auto& entry) { return now - entry.second.ended_at > kTotalsKept; });
}

void Agent::finish_drain(double now) {
  if (fenced_at_ != kNever) over_ = over_ || !anything_alive() || now - fenced_at_ > kFlush;
  if (!draining_ || anything_alive()) {
    if (now - shut_down_at_ > kDrainGrace) {
      for (auto& [id, rank] : ranks_) {
        if (!rank.ended()) kill(rank, "its worker ended before it could");
      }
    }
    return;
  }
  if (!drained_told_ && registered_) {
    v1::WorkerMessage message;
    message.mutable_drained();
    outbox_.push(std::move(message));
    drained_told_ = true;
    spdlog::info("drained");
  }
  if (shut_down_at_ == kNever) return;
  drained_at_ = std::min(drained_at_, now);
  bool flushed = drained_told_ && outbox_.empty() && outbox_.all_acknowledged();
  over_ = over_ || flushed || now - drained_at_ > kFlush;
}

int Agent::tick(double now, double late) {
  absl::MutexLock lock(&mutex_);
  oom_.look(now);
  for (auto& [id, rank] : ranks_) {
    if (late > kOverslept) rank.watchdog.excuse(late);
    if (rank.ended()) continue;
    if (rank.process.pid == 0) {
      if (artifacts_ready(rank, now) && !older_alive(rank)) launch(rank, now);
      continue;
    }
    watch(rank, now);
    if (now - rank.exited_at > kReadGrace) finish(rank);
    totals_[{rank.job(), rank.rank()}].silence = rank.watchdog.silence(now);
  }
  advance_profiles();
  log_ready_ = log_ready_ || std::any_of(tails_.begin(), tails_.end(), [](const auto& t) { return t->ready(); });
  forget_old_ends(now);
  finish_drain(now);
  bool busy = anything_alive() || !profiles_.empty() || shut_down_at_ != kNever || fenced_at_ != kNever;
  return busy ? kBusyTickMs : kIdleTickMs;
}

Snapshot Agent::snapshot() {
  absl::MutexLock lock(&mutex_);
  Snapshot s;
  for (const auto& [id, rank] : ranks_) {
    if (!rank.ended()) ++s.executors[rank.report.state()];
  }
  s.ranks = totals_;
  s.registered = registered_;
  s.draining = draining_;
  s.dropped_metrics = outbox_.dropped();
  s.artifacts = artifacts_.stats();
  return s;
}

}  // namespace ds::worker
