// The C++ SDK: a coordinator's jobs and workers, with deadlines, retries and errors in words.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/address.h"
#include "ds/v1/artifact.pb.h"
#include "ds/v1/job.pb.h"
#include "ds/v1/tune.pb.h"
#include "ds/v1/worker.pb.h"

namespace ds::client {

using Clock = std::chrono::system_clock;

struct ClientOptions {
  std::string address = coordinator_address();
  std::chrono::milliseconds deadline{10000};         // of one attempt of a call that answers once
  std::chrono::milliseconds patience{2000};          // how long such a call is tried again while nobody answers
  std::chrono::milliseconds stream_patience{60000};  // how long watch() and logs() look for a coordinator they had
};

// How far a file is.
struct Transfer {
  enum Phase { kHashing, kUploading, kDownloading };
  std::string path;
  Phase phase = kHashing;
  int64_t done = 0, total = 0;  // bytes
};
using OnTransfer = std::function<void(const Transfer&)>;

// Safe to use from several threads. Errors are the coordinator's own, with these besides:
// Unavailable: nobody answers at the address (the message says how to start one); DeadlineExceeded: no answer in time;
// InvalidArgument: the address is not HOST:PORT.
class Client {
 public:
  explicit Client(ClientOptions options = {});
  ~Client();

  // Returns the job's id. Retries carry the same key, so that a job is never submitted twice; give your own to make
  // your own retries safe.
  absl::StatusOr<std::string> submit(const v1::JobSpec& spec, const std::string& client_key = new_key());
  static std::string new_key();

  absl::StatusOr<v1::Job> get(const std::string& id);
  // Newest first; `limit` 0: all.
  absl::StatusOr<std::vector<v1::Job>> list(int limit = 0);
  absl::StatusOr<std::vector<v1::MetricRecord>> metrics(const std::string& id);
  absl::StatusOr<v1::Job> cancel(const std::string& id, const std::string& reason = "");
  absl::StatusOr<v1::Job> pause(const std::string& id, const std::string& reason = "");
  absl::StatusOr<v1::Job> resume(const std::string& id, const std::string& reason = "");

  // Gives the job now and after each change, until it has ended, `on_job` returns false, or `until` has passed
  // (DeadlineExceeded). A lost coordinator is found again, and no change is given twice. `on_lost` is told of a loss.
  absl::Status watch(const std::string& id, const std::function<bool(const v1::Job&)>& on_job,
                     Clock::time_point until = Clock::time_point::max(),
                     const std::function<void(const absl::Status&)>& on_lost = {});
  // Gives the logs of all ranks; with `follow` until the job has ended. Survives a lost coordinator likewise.
  absl::Status logs(const std::string& id, bool follow, const std::function<bool(const v1::LogChunk&)>& on_chunk);
  // Ends every watch(), logs(), upload() and download() at work in another thread, with Cancelled.
  void stop_streams();

  absl::StatusOr<std::vector<v1::Worker>> workers();
  absl::StatusOr<v1::Worker> drain(const std::string& name);
  absl::StatusOr<v1::Worker> undrain(const std::string& name);
  // Forgets a worker that is gone; returns it as it was.
  absl::StatusOr<v1::Worker> remove(const std::string& name);

  // Stores a local file at the coordinator; returns its digest, "sha256:...". One that is there already is not sent.
  // InvalidArgument: the file cannot be read; ResourceExhausted: above the coordinator's limit, or its disk is full.
  absl::StatusOr<std::string> upload(const std::string& path, const OnTransfer& on_transfer = {});
  // Writes an artifact to a local file, whole and verified or not at all.
  absl::Status download(const std::string& digest, const std::string& path, const OnTransfer& on_transfer = {});
  absl::StatusOr<std::vector<v1::Artifact>> artifacts();  // newest first

  // The id of the job that `text` means: an id, the name of one job only, or the beginning of one id or name. NotFound,
  // or FailedPrecondition with the candidates where several are meant.
  absl::StatusOr<std::string> find(const std::string& text);

  // Studies, in the same ways.
  absl::StatusOr<std::string> submit_study(const v1::StudySpec& spec, const std::string& client_key = new_key());
  absl::StatusOr<v1::Study> study(const std::string& id);
  absl::StatusOr<std::vector<v1::Study>> studies(int limit = 0);
  absl::StatusOr<std::vector<v1::Trial>> trials(const std::string& id);
  absl::StatusOr<std::vector<v1::ParameterImportance>> importance(const std::string& id);
  absl::StatusOr<v1::Study> cancel_study(const std::string& id, const std::string& reason = "");
  absl::StatusOr<v1::Study> pause_study(const std::string& id, const std::string& reason = "");
  absl::StatusOr<v1::Study> resume_study(const std::string& id, const std::string& reason = "");
  // As watch(). `on_change` is given the study and all of its trials, by id, as far as they are known.
  absl::Status watch_study(const std::string& id,
                           const std::function<bool(const v1::Study&, const std::vector<v1::Trial>&)>& on_change,
                           Clock::time_point until = Clock::time_point::max(),
                           const std::function<void(const absl::Status&)>& on_lost = {});
  absl::StatusOr<std::string> find_study(const std::string& text);

 private:
  struct Stubs;
  template <class Response, class Call>
  absl::StatusOr<Response> call_once_answered(const Call& call);
  template <class Message, class Open, class Take>
  absl::Status read_stream(Clock::time_point until, const Open& open, const Take& take,
                           const std::function<void(const absl::Status&)>& on_lost);

  const ClientOptions options_;
  std::unique_ptr<Stubs> stubs_;
};

bool ended(v1::JobState state);
bool ended(v1::StudyState state);
bool ended(v1::TrialState state);

}  // namespace ds::client
