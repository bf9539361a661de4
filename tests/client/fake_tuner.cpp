#include "tests/client/fake_tuner.h"

#include "client/client.h"

namespace ds::client {
namespace {

grpc::Status no_study(const std::string& id) { return {grpc::StatusCode::NOT_FOUND, "no study \"" + id + "\""}; }

}  // namespace

void FakeTuner::put(const v1::Study& study, const std::vector<v1::Trial>& changed) {
  const std::lock_guard<std::mutex> hold(mutex_);
  v1::Study& kept = studies_[study.id()] = study;
  kept.set_revision(++revision_);
  for (const v1::Trial& trial : changed) trials_[study.id()][trial.id()] = trial;
  changed_.notify_all();
}

v1::Study FakeTuner::study(const std::string& id) {
  const std::lock_guard<std::mutex> hold(mutex_);
  const auto found = studies_.find(id);
  return found == studies_.end() ? v1::Study() : found->second;
}

int FakeTuner::watchers() {
  const std::lock_guard<std::mutex> hold(mutex_);
  return watchers_;
}

void FakeTuner::stop(bool stopping) {
  const std::lock_guard<std::mutex> hold(mutex_);
  stopping_ = stopping;
  changed_.notify_all();
}

grpc::Status FakeTuner::Submit(Context*, const v1::SubmitStudyRequest* request, v1::SubmitStudyResponse* response) {
  const std::lock_guard<std::mutex> hold(mutex_);
  std::string& id = by_key_[request->client_key()];
  if (id.empty()) {
    id = "s-" + std::to_string(studies_.size() + 1);
    v1::Study& study = studies_[id];
    study.set_id(id);
    *study.mutable_spec() = request->spec();
    study.set_state(v1::STUDY_RUNNING);
    study.set_revision(++revision_);
  }
  response->set_id(id);
  return grpc::Status::OK;
}

grpc::Status FakeTuner::Get(Context*, const v1::GetStudyRequest* request, v1::Study* study) {
  const std::lock_guard<std::mutex> hold(mutex_);
  const auto found = studies_.find(request->id());
  if (found == studies_.end()) return no_study(request->id());
  *study = found->second;
  return grpc::Status::OK;
}

// One study a page, whatever was asked for.
grpc::Status FakeTuner::List(Context*, const v1::ListStudiesRequest* request, v1::ListStudiesResponse* response) {
  const std::lock_guard<std::mutex> hold(mutex_);
  auto it = request->page_token().empty() ? studies_.begin() : studies_.lower_bound(request->page_token());
  if (it == studies_.end()) return grpc::Status::OK;
  *response->add_studies() = it->second;
  if (++it != studies_.end()) response->set_next_page_token(it->first);
  return grpc::Status::OK;
}

grpc::Status FakeTuner::Watch(Context* context, const v1::GetStudyRequest* request,
                              grpc::ServerWriter<v1::WatchStudyResponse>* writer) {
  std::unique_lock<std::mutex> hold(mutex_);
  if (studies_.count(request->id()) == 0) return no_study(request->id());
  ++watchers_;
  int64_t sent = -1;
  while (!stopping_ && !context->IsCancelled()) {
    v1::WatchStudyResponse message;
    *message.mutable_study() = studies_[request->id()];
    if (message.study().revision() == sent) {
      changed_.wait_for(hold, std::chrono::milliseconds(50));
      continue;
    }
    sent = message.study().revision();
    for (const auto& [id, trial] : trials_[request->id()]) *message.add_changed() = trial;
    hold.unlock();
    writer->Write(message);
    if (ended(message.study().state())) return grpc::Status::OK;
    hold.lock();
  }
  return {grpc::StatusCode::UNAVAILABLE, "stopping"};
}

grpc::Status FakeTuner::Trials(Context*, const v1::ListTrialsRequest* request, v1::ListTrialsResponse* response) {
  const std::lock_guard<std::mutex> hold(mutex_);
  if (studies_.count(request->id()) == 0) return no_study(request->id());
  for (const auto& [id, trial] : trials_[request->id()]) *response->add_trials() = trial;
  return grpc::Status::OK;
}

grpc::Status FakeTuner::Importance(Context*, const v1::ImportanceRequest*, v1::ImportanceResponse* response) {
  for (const v1::ParameterImportance& p : importance) *response->add_parameters() = p;
  return grpc::Status::OK;
}

grpc::Status FakeTuner::change(const v1::ChangeJobRequest& request, v1::StudyState state, v1::Study* study) {
  const std::lock_guard<std::mutex> hold(mutex_);
  const auto found = studies_.find(request.id());
  if (found == studies_.end()) return no_study(request.id());
  if (ended(found->second.state()))
    return {grpc::StatusCode::FAILED_PRECONDITION, "study " + request.id() + " has ended"};
  found->second.set_state(state);
  found->second.set_revision(++revision_);
  *study = found->second;
  changed_.notify_all();
  return grpc::Status::OK;
}

grpc::Status FakeTuner::Cancel(Context*, const v1::ChangeJobRequest* request, v1::Study* study) {
  return change(*request, v1::STUDY_CANCELLED, study);
}

grpc::Status FakeTuner::Pause(Context*, const v1::ChangeJobRequest* request, v1::Study* study) {
  return change(*request, v1::STUDY_PAUSED, study);
}

grpc::Status FakeTuner::Resume(Context*, const v1::ChangeJobRequest* request, v1::Study* study) {
  return change(*request, v1::STUDY_RUNNING, study);
}

}  // namespace ds::client
