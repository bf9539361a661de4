// The coordinator without its sockets: everything the RPCs and the HTTP pages stand on.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "coordinator/hub.h"
#include "coordinator/meters.h"
#include "coordinator/mind.h"
#include "coordinator/presence.h"
#include "coordinator/store/artifacts.h"
#include "coordinator/store/logs.h"
#include "coordinator/tuner.h"

namespace ds::coordinator {

struct DaemonOptions {
  int64_t most_artifact_bytes = int64_t{16} << 30;   // of one artifact
  absl::Duration artifact_grace = absl::Hours(168);  // how long one stays that no live job names
};

class Daemon final : public World {
 public:
  // Opens `folder` and takes up the state in it. The workers of the log have a few seconds to come back.
  static absl::StatusOr<std::unique_ptr<Daemon>> open(const std::string& folder, const DaemonOptions& options = {});
  ~Daemon() override;

  Mind& mind() { return *mind_; }
  Store& store() { return *store_; }
  Logs& logs() { return logs_; }
  Artifacts& artifacts() { return *artifacts_; }
  Hub<v1::Job>& hub() { return hub_; }
  Hub<v1::StudyRecord>& study_hub() { return study_hub_; }
  Tuner& tuner() { return *tuner_; }
  Presence& presence() { return presence_; }
  Meters& meters() { return meters_; }

  // A worker as users see it, with when it was heard.
  v1::Worker seen(const State& state, const v1::WorkerRecord& record);

  // Removes the artifacts that no live job names and that were not used, nor named by one that ended, for the grace
  // period. Not on the state thread.
  void collect_artifacts(absl::Time now);
  // Removes the folders of trials that were stopped early, once their study has ended and their job with it.
  void collect_trials();

  // Ends the tuner's thread and the state's, which stores a snapshot.
  void stop_deciding();

  // Stops watching for silent workers, which must not be lost for our own end, and collecting artifacts.
  void stop_sweeping();

  // Runs `question` on the state and returns its answer. Not on the state thread.
  template <class T>
  T ask(std::function<T(const State&)> question) {
    absl::Notification done;
    T answer;
    mind_->ask([&](const State& state) {
      answer = question(state);
      done.Notify();
    });
    done.WaitForNotification();
    return answer;
  }

  // World
  void send(const std::string& worker, v1::CoordinatorMessage message) override;
  bool watched(const std::string& job) override { return hub_.has(job); }
  void changed(const v1::Job& job, v1::JobState before) override;
  void measured(const Measure& measure) override { meters_.measured(measure); }
  void changed(const v1::StudyRecord& study, const NotifyStudy& how) override;
  void asked(const Tune& question, const v1::StudyRecord& study) override { tuner_->ask(question, study); }
  void committed(int events, absl::Duration fsync) override { meters_.committed(events, fsync); }

 private:
  Daemon(const std::string& folder, const DaemonOptions& options);
  void sweep();
  void collect();

  const std::string folder_;
  const DaemonOptions options_;
  std::unique_ptr<Store> store_;
  Logs logs_;
  std::unique_ptr<Artifacts> artifacts_;
  Hub<v1::Job> hub_;
  Hub<v1::StudyRecord> study_hub_;
  Presence presence_;
  Meters meters_;
  std::unique_ptr<Mind> mind_;
  std::unique_ptr<Tuner> tuner_;
  absl::Notification stop_;
  std::thread sweeper_, collector_;
};

}  // namespace ds::coordinator
