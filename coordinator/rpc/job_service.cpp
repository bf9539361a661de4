#include "coordinator/rpc/job_service.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "coordinator/rpc/errors.h"
#include "coordinator/rpc/paging.h"
#include "coordinator/rpc/streams.h"
#include "coordinator/rpc/submit.h"
#include "proto/spec/job_spec.h"

namespace ds::coordinator {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

absl::Status no_job(const char* rpc, const std::string& id) {
  return absl::NotFoundError(absl::StrCat("[", rpc, "] no job \"", id, "\""));
}

std::vector<v1::ErrorDetail> id_detail(const std::string& id) {
  return {detail("id", id, "the id of a job: see List")};
}

// Watch: the job now, then each change, until it ends.
class Watcher final : public WriteStream<v1::Job> {
 public:
  Watcher(Daemon& daemon, std::string id) : daemon_(daemon), id_(std::move(id)) {}

  void begin() {
    keep();
    auto self = std::static_pointer_cast<Watcher>(shared_from_this());
    daemon_.mind().ask([self](const State& state) {
      auto found = state.jobs.find(self->id_);
      if (found == state.jobs.end()) {
        return self->close(to_grpc(no_job("Watch", self->id_), id_detail(self->id_)));
      }
      // Changes are published on this thread too: none is missed in between.
      std::weak_ptr<Watcher> weak = self;
      self->daemon_.hub().add(self->id_, self.get(), [weak](const v1::Job* job) {
        auto watcher = weak.lock();
        if (watcher && job) watcher->show(*job);
      });
      self->show(view(found->second));
    });
  }

 private:
  // A change that was applied when the watch began may be published after it: it has been shown then.
  void show(const v1::Job& job) {
    if (job.revision() <= shown_) return;
    shown_ = job.revision();
    queue(job);
    if (ended_state(job)) close(grpc::Status::OK);
  }
  static bool ended_state(const v1::Job& job) { return coordinator::ended(job.state()); }
  void ended() override { daemon_.hub().remove(id_, this); }

  Daemon& daemon_;
  const std::string id_;
  int64_t shown_ = -1;  // revision; the state thread's
};

// Logs: what the ranks wrote; with `follow` also what they write until the job ends.
class LogReader final : public WriteStream<v1::LogChunk> {
 public:
  LogReader(Daemon& daemon, const v1::LogsRequest& request)
      : daemon_(daemon), id_(request.id()), follow_(request.follow()) {}

  void begin() {
    keep();
    auto self = std::static_pointer_cast<LogReader>(shared_from_this());
    std::weak_ptr<LogReader> weak = self;
    daemon_.hub().add(id_, this, [weak](const v1::Job* job) {
      auto reader = weak.lock();
      if (reader) reader->heard(job && coordinator::ended(job->state()));
    });
    daemon_.mind().ask([self](const State& state) {
      auto found = state.jobs.find(self->id_);
      if (found == state.jobs.end()) return self->close(to_grpc(no_job("Logs", self->id_), id_detail(self->id_)));
      self->heard(!self->follow_ || coordinator::ended(found->second.job().state()));
    });
  }

 private:
  void heard(bool last) {
    {
      absl::MutexLock lock(&reading_);
      last_ |= last;
      if (busy_) return;  // drained() comes
    }
    pump();
  }
  void drained() override { pump(); }

  // Queues the next piece of any log. Nothing new: waits to hear more, or ends.
  void pump() {
    std::optional<v1::LogChunk> chunk;
    bool last;
    {
      absl::MutexLock lock(&reading_);
      last = last_;
      chunk = next(last);
      busy_ = chunk.has_value();
    }
    if (chunk) {
      queue(*std::move(chunk));
    } else if (last) {
      close(grpc::Status::OK);
    }
  }
  std::optional<v1::LogChunk> next(bool rest) ABSL_EXCLUSIVE_LOCKS_REQUIRED(reading_) {
    for (const LogKey& key : daemon_.logs().list(id_)) {
      int64_t& offset = offsets_[key];
      v1::LogChunk chunk;
      std::string text = daemon_.logs().read(id_, key, offset, rest);
      if (text.empty()) continue;
      offset += static_cast<int64_t>(text.size());
      chunk.set_text(std::move(text));
      chunk.set_rank(key.rank);
      chunk.set_generation(key.generation);
      return chunk;
    }
    return std::nullopt;
  }
  void ended() override { daemon_.hub().remove(id_, this); }

  Daemon& daemon_;
  const std::string id_;
  const bool follow_;
  absl::Mutex reading_;
  bool last_ ABSL_GUARDED_BY(reading_) = false;  // the job has ended: read to the end
  bool busy_ ABSL_GUARDED_BY(reading_) = false;  // a piece is on its way
  std::map<LogKey, int64_t> offsets_ ABSL_GUARDED_BY(reading_);
};

class JobService final : public v1::JobService::CallbackService {
 public:
  explicit JobService(Daemon& daemon) : daemon_(daemon) {}

  ServerUnaryReactor* Submit(CallbackServerContext* context, const v1::SubmitRequest* request,
                             v1::SubmitResponse* response) override {
    Submission submission{.key = request->client_key(), .known = &State::by_key, .next_id = next_id};
    v1::JobSubmitted& submitted = *submission.event.mutable_submitted();
    submitted.set_client_key(request->client_key());
    *submitted.mutable_spec() = request->spec();
    spec::fill_defaults(*submitted.mutable_spec());
    submission.name = submitted.spec().name();
    submission.valid = spec::validate(submitted.spec());
    if (submission.valid.ok()) submission.missing = missing_artifacts(daemon_, submitted.spec(), "spec");
    return submit(daemon_, context->DefaultReactor(), std::move(submission), response->mutable_id());
  }

  ServerUnaryReactor* Get(CallbackServerContext* context, const v1::GetJobRequest* request,
                          v1::Job* response) override {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    daemon_.mind().ask([=](const State& state) { reactor->Finish(fill("Get", state, request->id(), response)); });
    return reactor;
  }

  ServerUnaryReactor* List(CallbackServerContext* context, const v1::ListJobsRequest* request,
                           v1::ListJobsResponse* response) override {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    list_page(
        daemon_, reactor, request, response, &State::by_order,
        [response](const State& state, const std::string& id) { *response->add_jobs() = view(state.jobs.at(id)); });
    return reactor;
  }

  grpc::ServerWriteReactor<v1::Job>* Watch(CallbackServerContext*, const v1::WatchJobRequest* request) override {
    auto watcher = std::make_shared<Watcher>(daemon_, request->id());
    watcher->begin();
    return watcher.get();
  }

  grpc::ServerWriteReactor<v1::LogChunk>* Logs(CallbackServerContext*, const v1::LogsRequest* request) override {
    auto reader = std::make_shared<LogReader>(daemon_, *request);
    reader->begin();
    return reader.get();
  }

  ServerUnaryReactor* Metrics(CallbackServerContext* context, const v1::MetricsRequest* request,
                              v1::MetricsResponse* response) override {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    auto records = daemon_.store().metrics(request->id());  // here, to keep long reads off the state thread
    if (!records.ok()) {
      reactor->Finish(to_grpc(records.status()));
      return reactor;
    }
    response->mutable_records()->Assign(records->begin(), records->end());
    daemon_.mind().ask([=](const State& state) {
      const bool known = state.jobs.count(request->id()) > 0;
      reactor->Finish(known ? grpc::Status::OK : to_grpc(no_job("Metrics", request->id()), id_detail(request->id())));
    });
    return reactor;
  }

  ServerUnaryReactor* Cancel(CallbackServerContext* context, const v1::ChangeJobRequest* request,
                             v1::Job* response) override {
    return change(context, request, response, v1::JobChanged::CANCEL, "Cancel");
  }
  ServerUnaryReactor* Pause(CallbackServerContext* context, const v1::ChangeJobRequest* request,
                            v1::Job* response) override {
    return change(context, request, response, v1::JobChanged::PAUSE, "Pause");
  }
  ServerUnaryReactor* Resume(CallbackServerContext* context, const v1::ChangeJobRequest* request,
                             v1::Job* response) override {
    return change(context, request, response, v1::JobChanged::RESUME, "Resume");
  }

 private:
  static grpc::Status fill(const char* rpc, const State& state, const std::string& id, v1::Job* response) {
    auto found = state.jobs.find(id);
    if (found == state.jobs.end()) return to_grpc(no_job(rpc, id), id_detail(id));
    *response = view(found->second);
    return grpc::Status::OK;
  }

  ServerUnaryReactor* change(CallbackServerContext* context, const v1::ChangeJobRequest* request, v1::Job* response,
                             v1::JobChanged::Change what, const char* rpc) {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    v1::Event event;
    event.mutable_changed()->set_id(request->id());
    event.mutable_changed()->set_change(what);
    event.mutable_changed()->set_reason(request->reason());
    daemon_.mind().post(std::move(event), [=](const absl::Status& status, const State& state) {
      reactor->Finish(status.ok() ? fill(rpc, state, request->id(), response)
                                  : to_grpc(status, {detail("id", request->id(), std::string(status.message()))}));
    });
    return reactor;
  }

  Daemon& daemon_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_job_service(Daemon& daemon) { return std::make_unique<JobService>(daemon); }

}  // namespace ds::coordinator
