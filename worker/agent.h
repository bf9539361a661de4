// The mind of the worker: which ranks it was told to run, how they are, and what the coordinator has yet to hear.
// Commands come from the link, news from the executors' streams and the supervisor; one mutex guards it all.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "worker/coordinator_link.h"
#include "worker/executor_service.h"
#include "worker/log_tail.h"
#include "worker/memory.h"
#include "worker/outbox.h"
#include "worker/rank.h"
#include "worker/supervisor.h"

namespace ds::worker {

struct AgentOptions {
  std::string name, incarnation;
  int slots = 1;
  std::map<std::string, std::string> labels;
  std::string data;                // folder of logs and sockets
  std::string socket;              // where executors find the worker
  std::string executor;            // path of ds-executor
  std::string python = "python3";  // that runs scripts
  std::vector<int> cores;
  std::string metrics_address;
  std::string log_level = "info";
  std::optional<v1::Constants> constants;      // what the slots reach, where it could be measured
  int64_t artifact_bytes = int64_t{32} << 30;  // of the cache of artifacts
};

// Sums over all executors that this worker has run for one rank of one job.
struct RankTotals {
  v1::ExecutorBeat past;  // of those that have ended
  v1::ExecutorBeat now;   // of the one that runs
  int64_t restarts = 0;   // starts in a generation after the first
  double loss = 0;
  bool has_loss = false, alive = false;
  double silence = 0;  // seconds since its last beat
  double ended_at = kNever;
};
struct Snapshot {
  std::map<v1::RankState, int> executors;
  std::map<std::pair<std::string, int32_t>, RankTotals> ranks;  // by job and rank
  bool registered = false, draining = false;
  int64_t dropped_metrics = 0;
  ArtifactCache::Stats artifacts;
};

class Agent final : public LinkEvents, public ExecutorEvents {
 public:
  Agent(AgentOptions options, Supervisor& supervisor, ArtifactCache& artifacts);

  // From the link.
  void opened() override ABSL_LOCKS_EXCLUDED(mutex_);
  void received(const v1::CoordinatorMessage& message) override ABSL_LOCKS_EXCLUDED(mutex_);
  MessagePtr next_outgoing() override ABSL_LOCKS_EXCLUDED(mutex_);
  void ended() override ABSL_LOCKS_EXCLUDED(mutex_);

  // From the executors' streams.
  absl::StatusOr<uint64_t> hello(const v1::ExecutorHello& hello, std::shared_ptr<CommandStream> commands) override
      ABSL_LOCKS_EXCLUDED(mutex_);
  void beat(uint64_t id, const v1::ExecutorBeat& beat) override ABSL_LOCKS_EXCLUDED(mutex_);
  void metrics(uint64_t id, v1::ExecutorMetrics metrics) override ABSL_LOCKS_EXCLUDED(mutex_);
  void done(uint64_t id, const v1::ExecutorDone& done) override ABSL_LOCKS_EXCLUDED(mutex_);
  void closed(uint64_t id) override ABSL_LOCKS_EXCLUDED(mutex_);

  // From the supervisor.
  void process_ended(uint64_t id) ABSL_LOCKS_EXCLUDED(mutex_);
  int tick(double now, double late) ABSL_LOCKS_EXCLUDED(mutex_);

  // Executors write their checkpoints and end, then the worker does. A second call ends them at once.
  void shut_down() ABSL_LOCKS_EXCLUDED(mutex_);
  // Blocks until the worker should end; its exit code.
  int wait_until_over() ABSL_LOCKS_EXCLUDED(mutex_);
  // Blocks until the coordinator has accepted this worker, or the worker is over.
  bool wait_until_registered() ABSL_LOCKS_EXCLUDED(mutex_);
  Snapshot snapshot() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // agent.cpp: the coordinator's commands
  v1::WorkerMessage make_register() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void registered(const v1::Registered& m) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void start(const v1::StartRank& m) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void stop(const v1::StopRank& m) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void meet(const v1::MeetPeers& m) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void acknowledge(const v1::Ack& m) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void fenced(const v1::Fenced& m) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void undrain() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void disown(const std::string& job, int64_t generation, int32_t rank, const std::string& why)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string refusal(const v1::StartRank& m) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool something_to_send() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // profiles.cpp: models that the coordinator asks about
  void profile(const v1::ProfileModel& m) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void advance(Profile& profile) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status spawn_profiler(Profile& profile) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void advance_profiles() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool profiler_ended(uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string profile_path(const Profile& profile, const char* what) const;

  // ranks.cpp: the life of an executor
  Rank* find(uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Rank* find(const std::string& job, int64_t generation, int32_t rank) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  LogTail* tail_of(const Rank& rank) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool older_alive(const Rank& rank) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void tell_fetch(Rank& rank, const std::string& digest, const ArtifactCache::View& view)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool artifacts_ready(Rank& rank, double now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void launch(Rank& rank, double now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Process> spawn_executor(const Rank& rank) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void end(Rank& rank, bool checkpoint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void kill(Rank& rank, std::string why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void watch(Rank& rank, double now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void finish(Rank& rank) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void tell(const Rank& rank) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void forget_old_ends(double now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void finish_drain(double now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool anything_alive() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const AgentOptions options_;
  Supervisor& supervisor_;
  ArtifactCache& artifacts_;
  absl::Mutex mutex_;
  std::map<uint64_t, Rank> ranks_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Profile> profiles_ ABSL_GUARDED_BY(mutex_);  // by job, until they are answered
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  Outbox outbox_ ABSL_GUARDED_BY(mutex_);
  OomWatch oom_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<LogTail>> tails_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::string, int32_t>, RankTotals> totals_ ABSL_GUARDED_BY(mutex_);
  bool log_ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool stream_ended_ ABSL_GUARDED_BY(mutex_) = true;
  bool registered_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration heartbeat_ ABSL_GUARDED_BY(mutex_) = absl::Seconds(1);
  absl::Time heartbeat_due_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  bool beat_now_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool drained_told_ ABSL_GUARDED_BY(mutex_) = false;
  double shut_down_at_ ABSL_GUARDED_BY(mutex_) = kNever;  // when it was asked for
  double fenced_at_ ABSL_GUARDED_BY(mutex_) = kNever;
  double drained_at_ ABSL_GUARDED_BY(mutex_) = kNever;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  int exit_code_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace ds::worker
