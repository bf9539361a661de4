#include "worker/agent.h"

#include <signal.h>

#include "absl/strings/str_cat.h"
#include "proto/digest/digest.h"
#include "worker/cores.h"
#include "worker/logging.h"

namespace ds::worker {
namespace {
constexpr int kFencedExit = 3;
}

Agent::Agent(AgentOptions options, Supervisor& supervisor, ArtifactCache& artifacts)
    : options_(std::move(options)), supervisor_(supervisor), artifacts_(artifacts) {
  absl::MutexLock lock(&mutex_);
  tails_ = LogTail::leftovers(options_.data);
}

v1::WorkerMessage Agent::make_register() const {
  v1::WorkerMessage message;
  v1::Register& m = *message.mutable_register_();
  m.set_worker(options_.name);
  m.set_incarnation(options_.incarnation);
  m.set_slots(options_.slots);
  m.mutable_labels()->insert(options_.labels.begin(), options_.labels.end());
  m.set_metrics_address(options_.metrics_address);
  if (options_.constants) *m.mutable_constants() = *options_.constants;
  for (const auto& [id, rank] : ranks_) {
    if (rank.end_stored) continue;
    v1::ExecutorReport& report = *m.add_executors();
    report = rank.report;
    if (rank.ended()) {  // its end follows, after the metrics that came before it
      report.set_state(report.address().empty() ? v1::RANK_SPAWNED : v1::RANK_RUNNING);
    }
  }
  return message;
}

void Agent::opened() {
  absl::MutexLock lock(&mutex_);
  stream_ended_ = false;
  registered_ = false;
  outbox_.open(make_register());
  double now = Supervisor::now();
  for (auto& [id, rank] : ranks_) {
    if (!rank.ended() || rank.end_stored) continue;
    rank.reported_at = now;
    tell(rank);
  }
  for (auto& tail : tails_) tail->rewind();
  log_ready_ = true;
  drained_told_ = false;
  beat_now_ = shut_down_at_ != kNever;  // it is ending: before all else
}

void Agent::ended() {
  absl::MutexLock lock(&mutex_);
  stream_ended_ = true;
  registered_ = false;
  outbox_.close();
  for (auto& [id, rank] : ranks_) {
    if (!rank.end_stored) rank.reported_at = kNever;
  }
}

bool Agent::something_to_send() const {
  return stream_ended_ || !outbox_.empty() || (registered_ && (log_ready_ || beat_now_));
}

MessagePtr Agent::next_outgoing() {
  absl::MutexLock lock(&mutex_);
  while (true) {
    auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return something_to_send(); };
    mutex_.AwaitWithDeadline(absl::Condition(&ready), registered_ ? heartbeat_due_ : absl::InfiniteFuture());
    if (stream_ended_) return nullptr;
    if (registered_ && (beat_now_ || absl::Now() >= heartbeat_due_)) {
      beat_now_ = false;
      heartbeat_due_ = absl::Now() + heartbeat_;
      auto message = std::make_shared<v1::WorkerMessage>();
      message->mutable_heartbeat()->set_time_us(absl::ToUnixMicros(absl::Now()));
      message->mutable_heartbeat()->set_draining(shut_down_at_ != kNever);
      return message;
    }
    if (MessagePtr message = outbox_.pop()) return message;
    for (auto& tail : tails_) {
      if (std::optional<v1::LogBatch> batch = tail->next()) {
        auto message = std::make_shared<v1::WorkerMessage>();
        *message->mutable_log() = *std::move(batch);
        return message;
      }
    }
    log_ready_ = false;
  }
}

void Agent::received(const v1::CoordinatorMessage& message) {
  absl::MutexLock lock(&mutex_);
  switch (message.message_case()) {
    case v1::CoordinatorMessage::kRegistered:
      return registered(message.registered());
    case v1::CoordinatorMessage::kStart:
      return start(message.start());
    case v1::CoordinatorMessage::kStop:
      return stop(message.stop());
    case v1::CoordinatorMessage::kMeet:
      return meet(message.meet());
    case v1::CoordinatorMessage::kAck:
      return acknowledge(message.ack());
    case v1::CoordinatorMessage::kFenced:
      return fenced(message.fenced());
    case v1::CoordinatorMessage::kDrain:
      spdlog::info("drain: no new ranks");
      draining_ = true;
      return supervisor_.wake();
    case v1::CoordinatorMessage::kUndrain:
      return undrain();
    case v1::CoordinatorMessage::kProfile:
      return profile(message.profile());
    default:
      return;
  }
}

void Agent::registered(const v1::Registered& m) {
  spdlog::info("registered incarnation={} executors={}", options_.incarnation, ranks_.size());
  registered_ = true;
  log_ready_ = true;
  if (m.heartbeat_ms() > 0) heartbeat_ = absl::Milliseconds(m.heartbeat_ms());
  heartbeat_due_ = absl::Now() + heartbeat_;
  draining_ = m.draining() || shut_down_at_ != kNever;
  supervisor_.wake();
}

void Agent::undrain() {
  if (shut_down_at_ != kNever) return;  // too late: it ends
  spdlog::info("undrained: takes ranks again");
  draining_ = drained_told_ = false;
}

// Says of a rank that it is not here, as one that a restart may help.
void Agent::disown(const std::string& job, int64_t generation, int32_t rank, const std::string& why) {
  v1::WorkerMessage message;
  v1::ExecutorReport& report = *message.mutable_executor();
  report.set_job(job);
  report.set_generation(generation);
  report.set_rank(rank);
  report.set_state(v1::RANK_EXITED);
  report.set_exit_code(1);
  report.set_retryable(true);
  report.set_failure(v1::FAILURE_INFRASTRUCTURE);
  report.set_detail(why);
  outbox_.push(std::move(message));
}

std::string Agent::refusal(const v1::StartRank& m) const {
  if (draining_ || fenced_at_ != kNever) return absl::StrCat("worker ", options_.name, " takes no more ranks");
  absl::StatusOr<int> slot = slot_of_device(m.device());
  if (!slot.ok()) return std::string(slot.status().message());
  if (*slot >= options_.slots) {
    return absl::StrCat("[StartRank] device ", m.device(), "; worker ", options_.name, " has ", options_.slots,
                        " slots");
  }
  for (const auto& [id, other] : ranks_) {
    if (other.job() == m.job() && other.generation() > m.generation()) {
      return absl::StrCat("[StartRank] generation ", m.generation(), " of ", m.job(), " is older than ",
                          other.generation(), ", which was started here");
    }
  }
  return "";
}

void Agent::start(const v1::StartRank& m) {
  if (Rank* known = find(m.job(), m.generation(), m.rank())) return tell(*known);
  if (std::string why = refusal(m); !why.empty()) {
    log_rank(spdlog::level::warn, m.job(), m.generation(), m.rank(), "refused: {}", why);
    return disown(m.job(), m.generation(), m.rank(), why);
  }
  for (auto& [id, other] : ranks_) {
    if (other.job() == m.job() && other.generation() < m.generation() && !other.ended()) {
      kill(other, absl::StrCat("replaced by generation ", m.generation()));
    }
  }
  Rank& rank = ranks_[++last_id_];
  rank.id = last_id_;
  rank.start = m;
  rank.report.set_job(m.job());
  rank.report.set_generation(m.generation());
  rank.report.set_rank(m.rank());
  rank.report.set_state(v1::RANK_ASSIGNED);
  const v1::ModelSpec& model = m.spec().model();
  for (const std::string& name : {model.graph(), model.script(), m.spec().data().path()}) {
    if (digest::is_digest(name)) rank.artifacts.push_back(artifacts_.acquire(name));
  }
  supervisor_.wake();  // which launches it
}

void Agent::stop(const v1::StopRank& m) {
  bool found = false;
  for (auto& [id, rank] : ranks_) {
    if (rank.job() != m.job() || rank.rank() != m.rank() || rank.generation() > m.generation()) continue;
    found = found || rank.generation() == m.generation();
    if (rank.ended()) {
      tell(rank);
    } else {
      end(rank, m.checkpoint());
    }
  }
  if (!found) {
    disown(m.job(), m.generation(), m.rank(), absl::StrCat("worker ", options_.name, " runs no such rank"));
  }
}

void Agent::meet(const v1::MeetPeers& m) {
  Rank* rank = find(m.job(), m.generation(), m.rank());
  if (!rank || rank->report.state() != v1::RANK_READY || !rank->commands) return;  // ended, or told before
  v1::ExecutorCommand command;
  *command.mutable_meet()->mutable_addresses() = m.addresses();
  if (!rank->commands->send(command)) return;  // its end is on the way
  rank->report.set_state(v1::RANK_RUNNING);
  log_rank(spdlog::level::info, m.job(), m.generation(), m.rank(), "running");
  tell(*rank);
}

void Agent::acknowledge(const v1::Ack& m) {
  if (m.ended()) {
    Rank* rank = find(m.job(), m.generation(), m.rank());
    if (rank && rank->ended()) rank->end_stored = true;
    return;
  }
  outbox_.acknowledge(m);
  if (m.log_offset() == 0 && m.metrics_sequence() > 0) return;  // says nothing of logs
  std::erase_if(tails_, [&](const std::unique_ptr<LogTail>& tail) {
    if (!tail->is(m.job(), m.generation(), m.rank())) return false;
    tail->acknowledge(m.log_offset());
    return tail->shipped();
  });
  log_ready_ = true;  // an acknowledgement makes room for more
}

void Agent::fenced(const v1::Fenced& m) {
  spdlog::error("fenced: {}; stopping executors and ending", m.reason());
  for (auto& [id, rank] : ranks_) {
    if (!rank.ended()) kill(rank, "its worker was fenced: " + m.reason());
  }
  exit_code_ = kFencedExit;
  fenced_at_ = Supervisor::now();
  supervisor_.wake();
}

void Agent::shut_down() {
  absl::MutexLock lock(&mutex_);
  bool again = shut_down_at_ != kNever;
  spdlog::info("{}", again ? "asked again to end: stopping executors at once"
                           : "asked to end: executors write their checkpoints");
  draining_ = true;
  shut_down_at_ = Supervisor::now();
  beat_now_ = true;  // tells the coordinator to place nothing more here
  for (auto& [id, rank] : ranks_) {
    if (!rank.ended()) end(rank, !again);
  }
  supervisor_.wake();
}

int Agent::wait_until_over() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&over_));
  return exit_code_;
}

bool Agent::wait_until_registered() {
  absl::MutexLock lock(&mutex_);
  auto settled = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return registered_ || over_; };
  mutex_.Await(absl::Condition(&settled));
  return registered_;
}

}  // namespace ds::worker
