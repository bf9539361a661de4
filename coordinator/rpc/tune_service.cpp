#include "coordinator/rpc/tune_service.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/rpc/errors.h"
#include "coordinator/rpc/paging.h"
#include "coordinator/rpc/streams.h"
#include "coordinator/rpc/submit.h"
#include "coordinator/tune_space.h"
#include "proto/spec/job_spec.h"
#include "proto/spec/study_spec.h"

namespace ds::coordinator {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

grpc::Status no_study(const char* rpc, const std::string& id) {
  return to_grpc(absl::NotFoundError(absl::StrCat("[", rpc, "] no study \"", id, "\"")),
                 {detail("id", id, "the id of a study: see List")});
}

absl::Status check(const v1::StudySpec& spec) {
  if (absl::Status status = spec::validate(spec); !status.ok()) return status;
  return make_space(spec).status();
}

// Watch: the study with all its trials, then each change with the trials that it changed, until it ends.
class StudyWatcher final : public WriteStream<v1::WatchStudyResponse> {
 public:
  StudyWatcher(Daemon& daemon, std::string id) : daemon_(daemon), id_(std::move(id)) {}

  void begin() {
    keep();
    auto self = std::static_pointer_cast<StudyWatcher>(shared_from_this());
    daemon_.mind().ask([self](const State& state) {
      auto found = state.studies.find(self->id_);
      if (found == state.studies.end()) return self->close(no_study("Watch", self->id_));
      // Changes are published on this thread too: none is missed in between.
      std::weak_ptr<StudyWatcher> weak = self;
      self->daemon_.study_hub().add(self->id_, self.get(), [weak](const v1::StudyRecord* record) {
        if (auto watcher = weak.lock()) watcher->show(*record);
      });
      self->show(found->second);
    });
  }

 private:
  void show(const v1::StudyRecord& record) {
    if (record.study().revision() <= shown_) return;
    v1::WatchStudyResponse news;
    *news.mutable_study() = view(record);
    for (const v1::TrialRecord& t : record.trials()) {
      if (t.revision() > shown_) *news.add_changed() = t.trial();
    }
    shown_ = record.study().revision();
    queue(std::move(news));
    if (coordinator::ended(record.study().state())) close(grpc::Status::OK);
  }
  void ended() override { daemon_.study_hub().remove(id_, this); }

  Daemon& daemon_;
  const std::string id_;
  int64_t shown_ = -1;  // revision; the state thread's
};

class TuneService final : public v1::TuneService::CallbackService {
 public:
  explicit TuneService(Daemon& daemon) : daemon_(daemon) {}

  ServerUnaryReactor* Submit(CallbackServerContext* context, const v1::SubmitStudyRequest* request,
                             v1::SubmitStudyResponse* response) override {
    Submission submission{.key = request->client_key(), .known = &State::studies_by_key, .next_id = next_study_id};
    v1::StudySubmitted& submitted = *submission.event.mutable_study_submitted();
    submitted.set_client_key(request->client_key());
    *submitted.mutable_spec() = request->spec();
    spec::fill_defaults(*submitted.mutable_spec());
    submission.name = submitted.spec().name();
    submission.valid = check(submitted.spec());
    if (submission.valid.ok()) submission.missing = missing_artifacts(daemon_, submitted.spec().job(), "spec.job");
    return submit(daemon_, context->DefaultReactor(), std::move(submission), response->mutable_id());
  }

  ServerUnaryReactor* Get(CallbackServerContext* context, const v1::GetStudyRequest* request,
                          v1::Study* response) override {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    daemon_.mind().ask([=](const State& state) { reactor->Finish(fill("Get", state, request->id(), response)); });
    return reactor;
  }

  ServerUnaryReactor* List(CallbackServerContext* context, const v1::ListStudiesRequest* request,
                           v1::ListStudiesResponse* response) override {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    list_page(daemon_, reactor, request, response, &State::studies_by_order,
              [response](const State& state, const std::string& id) {
                *response->add_studies() = view(state.studies.at(id));
              });
    return reactor;
  }

  grpc::ServerWriteReactor<v1::WatchStudyResponse>* Watch(CallbackServerContext*,
                                                          const v1::GetStudyRequest* request) override {
    auto watcher = std::make_shared<StudyWatcher>(daemon_, request->id());
    watcher->begin();
    return watcher.get();
  }

  ServerUnaryReactor* Trials(CallbackServerContext* context, const v1::ListTrialsRequest* request,
                             v1::ListTrialsResponse* response) override {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    daemon_.mind().ask([=](const State& state) {
      auto found = state.studies.find(request->id());
      if (found == state.studies.end()) return reactor->Finish(no_study("Trials", request->id()));
      for (const v1::TrialRecord& t : found->second.trials()) {
        if (t.trial().id() >= request->from()) *response->add_trials() = t.trial();
      }
      reactor->Finish(grpc::Status::OK);
    });
    return reactor;
  }

  // The tuner's to answer: it has the model.
  ServerUnaryReactor* Importance(CallbackServerContext* context, const v1::ImportanceRequest* request,
                                 v1::ImportanceResponse* response) override {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    daemon_.mind().ask([=, this](const State& state) {
      auto found = state.studies.find(request->id());
      if (found == state.studies.end()) return reactor->Finish(no_study("Importance", request->id()));
      daemon_.tuner().ask_importance(found->second, [=](absl::StatusOr<v1::ImportanceResponse> parts) {
        if (parts.ok()) *response = *std::move(parts);
        reactor->Finish(to_grpc(parts.status(), {detail("id", request->id(), std::string(parts.status().message()))}));
      });
    });
    return reactor;
  }

  ServerUnaryReactor* Cancel(CallbackServerContext* context, const v1::ChangeJobRequest* request,
                             v1::Study* response) override {
    return change(context, request, response, v1::JobChanged::CANCEL, "Cancel");
  }
  ServerUnaryReactor* Pause(CallbackServerContext* context, const v1::ChangeJobRequest* request,
                            v1::Study* response) override {
    return change(context, request, response, v1::JobChanged::PAUSE, "Pause");
  }
  ServerUnaryReactor* Resume(CallbackServerContext* context, const v1::ChangeJobRequest* request,
                             v1::Study* response) override {
    return change(context, request, response, v1::JobChanged::RESUME, "Resume");
  }

 private:
  static grpc::Status fill(const char* rpc, const State& state, const std::string& id, v1::Study* response) {
    auto found = state.studies.find(id);
    if (found == state.studies.end()) return no_study(rpc, id);
    *response = view(found->second);
    return grpc::Status::OK;
  }

  ServerUnaryReactor* change(CallbackServerContext* context, const v1::ChangeJobRequest* request, v1::Study* response,
                             v1::JobChanged::Change what, const char* rpc) {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    v1::Event event;
    event.mutable_study_changed()->set_id(request->id());
    event.mutable_study_changed()->set_change(what);
    event.mutable_study_changed()->set_reason(request->reason());
    daemon_.mind().post(std::move(event), [=](const absl::Status& status, const State& state) {
      reactor->Finish(status.ok() ? fill(rpc, state, request->id(), response)
                                  : to_grpc(status, {detail("id", request->id(), std::string(status.message()))}));
    });
    return reactor;
  }

  Daemon& daemon_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_tune_service(Daemon& daemon) { return std::make_unique<TuneService>(daemon); }

}  // namespace ds::coordinator
