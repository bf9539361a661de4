// The body of apply(): one event at work on one state. Private to core/.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/core/apply.h"
#include "scheduler/schedule.h"

namespace ds::coordinator {

inline constexpr int64_t kSecondUs = 1'000'000;
inline constexpr int64_t kCheckpointStopUs = 60 * kSecondUs;  // a stop with a checkpoint that takes longer is forced
inline constexpr int64_t kBudgetWindowUs = 60 * kSecondUs;
inline constexpr int kBudget = 5;                      // restarts within the window that get no further
inline constexpr int kWorkerBudget = 3;                // lost workers, each with a start of the job that got no further
inline constexpr int64_t kForgetUs = 600 * kSecondUs;  // a worker that is gone for so long
inline constexpr int64_t kHeartbeatMs = 500;

inline constexpr int kMostLost = 5;                         // trials in a row that a study may lose to infrastructure
inline constexpr int kFirstTrials = 3;                      // if all of them fail by the user's error, the study does
inline constexpr int kMostRetrainings = 3;                  // of a study's recommendation, each a job of its own
inline constexpr int64_t kRetrainPauseUs = 15 * kSecondUs;  // before the second, and twice that before the third

inline constexpr int kAutomatic = -1;  // StrategySpec.data_parallel: auto

// profiles.cpp: messages and the planner's values
bool needs_profile(const v1::JobRecord& record);
v1::Plan plan_message(const plan::DataParallelPlan& plan);

using Values = google::protobuf::RepeatedField<double>;  // of objectives

class Machine {
 public:
  Machine(State& state, int64_t now_us) : state_(state), now_(now_us) {}

  // jobs.cpp: what users ask for
  void on(const v1::JobSubmitted& event);
  void on(const v1::JobChanged& event);
  void on(const v1::JobsProgressed& event);
  void on(const v1::Tick& event);
  // workers.cpp: what workers say
  void on(const v1::WorkerRegistered& event);
  void on(const v1::WorkerLost& event);
  void on(const v1::WorkerDraining& event);
  void on(const v1::WorkerDrained& event);
  void on(const v1::WorkerUndrained& event);
  void on(const v1::WorkerRemoved& event);
  void on(const v1::ExecutorReported& event);
  // profiles.cpp: what data_parallel: auto is planned on
  void on(const v1::JobProfiled& event);
  // studies.cpp: what users ask for; trials.cpp: what the tuner answers
  void on(const v1::StudySubmitted& event);
  void on(const v1::StudyChanged& event);
  void on(const v1::TrialSuggested& event);
  void on(const v1::TrialAdvised& event);
  void on(const v1::StudyRecommended& event);

  // Places what can be placed, and gives the effects.
  std::vector<Effect> finish();

 private:
  // jobs.cpp
  v1::JobRecord& submit(const v1::JobSpec& spec, const std::string& client_key);
  void set_state(v1::JobRecord& record, v1::JobState state, const std::string& reason);
  void touch(v1::JobRecord& record);
  void enqueue(v1::JobRecord& record, v1::JobState state, const std::string& reason);
  void end(v1::JobRecord& record, v1::JobState state, const std::string& reason,
           v1::FailureClass failure = v1::FAILURE_UNSPECIFIED);
  void cancel(v1::JobRecord& record, const std::string& reason);
  void pause(v1::JobRecord& record, const std::string& reason);
  void resume(v1::JobRecord& record);
  void progress(const v1::JobProgress& p);

  // stop.cpp: how a generation ends
  void begin_stop(v1::JobRecord& record, v1::StopFor why, const std::string& reason);
  void begin_to_fail(v1::JobRecord& record, v1::FailureClass failure, const std::string& reason);
  void harden(v1::JobRecord& record);
  void stop_rank(const v1::JobRecord& record, int rank);
  void rank_failed(v1::JobRecord& record, const std::string& reason, v1::FailureClass failure);
  void worker_failed(v1::JobRecord& record, const std::string& reason, bool ran);  // ran: had a process there
  void recover(v1::JobRecord& record, const std::string& reason);
  void maybe_ended(v1::JobRecord& record);

  // workers.cpp
  void report(const std::string& worker, const v1::ExecutorReport& report);
  void exited(v1::JobRecord& record, int rank, const v1::ExecutorReport& report);
  void reconcile(v1::JobRecord& record, int rank, const v1::Register& hello);
  void lose_ranks(const std::string& worker, const std::string& reason);
  void forget_workers();
  void meet_if_ready(v1::JobRecord& record);
  void send_meet(const v1::JobRecord& record, int rank);
  std::vector<v1::JobRecord*> jobs_on(const std::string& worker);

  // profiles.cpp
  void ask_profile(v1::JobRecord& record);
  void ask_profiles();
  void lose_profiler(const std::string& worker, bool died);
  void profile_failed(v1::JobRecord& record, const std::string& reason);

  // studies.cpp: a study as a whole
  v1::StudyRecord* find_study(const std::string& id);
  void touch(v1::StudyRecord& record);
  void set_study(v1::StudyRecord& record, v1::StudyState state, const std::string& reason);
  void end_study(v1::StudyRecord& record, v1::StudyState state, const std::string& reason);
  void pause_study(v1::StudyRecord& record, const std::string& reason);
  void resume_study(v1::StudyRecord& record);
  void ask(v1::StudyRecord& record, Tune::What what, int64_t trial, int64_t prefix);
  void settle_studies();
  void advance(v1::StudyRecord& record);
  void conclude(v1::StudyRecord& record);
  void retrain(v1::StudyRecord& record, const std::string& after);
  void retrained(v1::StudyRecord& record, const v1::JobRecord& job);

  // trials.cpp: one trial
  void touch(v1::StudyRecord& record, v1::TrialRecord& trial);
  void begin_trial(v1::StudyRecord& record, const v1::TrialSuggested& event);
  void resume_trial(v1::StudyRecord& record, int64_t id);
  void stopped_trial_ended(v1::StudyRecord& record, v1::TrialRecord& trial, const v1::JobRecord& job);
  static std::optional<v1::MetricRecord> epoch_end(v1::TrialRecord& trial, const v1::MetricRecord& mark);
  static void reported(v1::StudyRecord& record, v1::TrialRecord& trial, const v1::TrialReport& report);
  void trial_progressed(const v1::JobRecord& job, const v1::JobProgress& p);
  void trial_ended(v1::StudyRecord& record, v1::TrialRecord& trial, const v1::JobRecord& job);
  void end_trial(v1::StudyRecord& record, v1::TrialRecord& trial, v1::TrialState state);
  void tell(v1::StudyRecord& record, v1::TrialRecord& trial, const Values& measured, bool stopped);
  void fail(v1::StudyRecord& record, v1::TrialRecord& trial, v1::FailureClass failure, const std::string& reason);

  // placing.cpp
  void place_due();
  scheduler::Cluster cluster() const;
  void place();
  void place_fresh();
  void carry_out(const scheduler::Decision& decision);
  void start(v1::JobRecord& record, int64_t generation);
  void send_start(const v1::JobRecord& record, int rank);
  void settle_drains();

  v1::JobRecord* find(const std::string& id);
  v1::CoordinatorMessage& send(const std::string& worker);

  State& state_;
  const int64_t now_;
  bool replan_ = false;             // slots or the queue changed
  v1::JobRecord* fresh_ = nullptr;  // was submitted; nothing else changed
  std::vector<Effect> effects_;
  std::map<int64_t, v1::JobState> touched_;  // by order: the state before
  struct TouchedStudy {
    v1::StudyState before;
    std::vector<int64_t> trials;
  };
  std::map<int64_t, TouchedStudy> touched_studies_;  // by order
  std::vector<int64_t> ended_jobs_;                  // of studies, not yet settled: orders
};

}  // namespace ds::coordinator
