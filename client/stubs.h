// What the SDK's own files share of a client's connection.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <set>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "client/client.h"
#include "ds/v1/artifact.grpc.pb.h"
#include "ds/v1/job.grpc.pb.h"
#include "ds/v1/tune.grpc.pb.h"
#include "ds/v1/worker.grpc.pb.h"

namespace ds::client {

constexpr std::chrono::milliseconds kPause{100};  // between attempts

// The streams under way, for whoever wants them to end.
class Streams {
 public:
  // One attempt to read a stream, while it lasts.
  class Scope {
   public:
    Scope(Streams& streams, grpc::ClientContext& context) : streams_(streams), context_(context) {
      absl::MutexLock lock(&streams_.mutex_);
      streams_.open_.insert(&context_);
    }
    ~Scope() {
      absl::MutexLock lock(&streams_.mutex_);
      streams_.open_.erase(&context_);
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Streams& streams_;
    grpc::ClientContext& context_;
  };

  int64_t stops() {
    absl::MutexLock lock(&mutex_);
    return stops_;
  }
  void stop() {
    absl::MutexLock lock(&mutex_);
    ++stops_;
    for (grpc::ClientContext* context : open_) context->TryCancel();
  }

 private:
  absl::Mutex mutex_;
  int64_t stops_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<grpc::ClientContext*> open_ ABSL_GUARDED_BY(mutex_);
};

struct Client::Stubs {
  explicit Stubs(const std::string& address);
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::JobService::Stub> jobs;
  std::unique_ptr<v1::WorkerService::Stub> workers;
  std::unique_ptr<v1::ArtifactService::Stub> artifacts;
  std::unique_ptr<v1::TuneService::Stub> tunes;
  Streams streams;
};

// The id that `text` means among (id, name) pairs: the name of one only, or the beginning of one id or name. `noun`:
// "job".
absl::StatusOr<std::string> pick(const std::string& text, const std::string& noun, const std::string& list_command,
                                 const std::vector<std::pair<std::string, std::string>>& all);

v1::ChangeJobRequest change(const std::string& id, const std::string& reason);

// What a user is told of a call that failed.
absl::Status in_words(const grpc::Status& status, const ClientOptions& options);

// Tries until somebody answers or the patience is over. Every call made so may be repeated: reads, changes to a state
// that is already reached, and submits under one key.
template <class Response, class Call>
absl::StatusOr<Response> Client::call_once_answered(const Call& call) {
  if (absl::Status status = check_address(options_.address); !status.ok()) return status;
  const auto give_up = Clock::now() + options_.patience;
  for (;;) {
    grpc::ClientContext context;
    context.set_deadline(Clock::now() + options_.deadline);
    Response response;
    const grpc::Status status = call(&context, &response);
    if (status.ok()) return response;
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE || Clock::now() + kPause > give_up)
      return in_words(status, options_);
    std::this_thread::sleep_for(kPause);
  }
}

// Reads a stream to its end, opening it again when the coordinator is lost. `open` begins it; `take` is given each
// message, and says whether to go on; `take(nullptr)` asks whether an end of the stream is the true end.
template <class Message, class Open, class Take>
absl::Status Client::read_stream(Clock::time_point until, const Open& open, const Take& take,
                                 const std::function<void(const absl::Status&)>& on_lost) {
  if (absl::Status status = check_address(options_.address); !status.ok()) return status;
  auto heard = Clock::now();
  auto patience = options_.patience;  // longer once somebody has answered: then it is a restart, not a wrong address
  const int64_t stops = stubs_->streams.stops();
  for (bool lost = false;;) {
    grpc::ClientContext context;
    const Streams::Scope scope(stubs_->streams, context);
    if (stubs_->streams.stops() != stops) return absl::CancelledError("stopped");
    if (until != Clock::time_point::max()) context.set_deadline(until);
    auto reader = open(&context);
    Message message;
    while (reader->Read(&message)) {
      heard = Clock::now();
      patience = options_.stream_patience;
      lost = false;
      if (!take(&message)) {
        context.TryCancel();
        (void)reader->Finish();
        return absl::OkStatus();
      }
    }
    grpc::Status status = reader->Finish();
    if (stubs_->streams.stops() != stops) return absl::CancelledError("stopped");
    if (status.ok() && take(nullptr)) return absl::OkStatus();
    if (status.ok()) status = grpc::Status(grpc::StatusCode::UNAVAILABLE, "the stream ended before its subject");
    const bool again = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                       status.error_code() == grpc::StatusCode::CANCELLED;  // a server that is shutting down
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED || (again && Clock::now() + kPause >= until))
      return absl::DeadlineExceededError("the time to wait is over");
    if (!again || Clock::now() > heard + patience) return in_words(status, options_);
    if (!lost && patience == options_.stream_patience && on_lost) on_lost(in_words(status, options_));
    lost = true;
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace ds::client
