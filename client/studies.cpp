// The SDK's studies.
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <iterator>

#include "client/stubs.h"

namespace ds::client {
namespace {

// Puts a trial in its place, by id. False: it is there as it is.
bool keep(std::vector<v1::Trial>* trials, const v1::Trial& trial) {
  const auto place = std::lower_bound(trials->begin(), trials->end(), trial.id(),
                                      [](const v1::Trial& t, int64_t id) { return t.id() < id; });
  if (place == trials->end() || place->id() != trial.id()) {
    trials->insert(place, trial);
    return true;
  }
  if (google::protobuf::util::MessageDifferencer::Equals(*place, trial)) return false;
  *place = trial;
  return true;
}

}  // namespace

bool ended(v1::StudyState state) {
  return state == v1::STUDY_SUCCEEDED || state == v1::STUDY_FAILED || state == v1::STUDY_CANCELLED;
}

bool ended(v1::TrialState state) {
  return state == v1::TRIAL_FINISHED || state == v1::TRIAL_STOPPED || state == v1::TRIAL_FAILED;
}

absl::StatusOr<std::string> Client::submit_study(const v1::StudySpec& spec, const std::string& client_key) {
  v1::SubmitStudyRequest request;
  *request.mutable_spec() = spec;
  request.set_client_key(client_key);
  auto response = call_once_answered<v1::SubmitStudyResponse>(
      [&](auto* context, auto* out) { return stubs_->tunes->Submit(context, request, out); });
  if (!response.ok()) return response.status();
  return response->id();
}

absl::StatusOr<v1::Study> Client::study(const std::string& id) {
  v1::GetStudyRequest request;
  request.set_id(id);
  return call_once_answered<v1::Study>(
      [&](auto* context, auto* out) { return stubs_->tunes->Get(context, request, out); });
}

absl::StatusOr<std::vector<v1::Study>> Client::studies(int limit) {
  constexpr int kPage = 500;
  std::vector<v1::Study> studies;
  v1::ListStudiesRequest request;
  do {
    request.set_page_size(limit > 0 ? std::min<int>(kPage, limit - static_cast<int>(studies.size())) : kPage);
    auto page = call_once_answered<v1::ListStudiesResponse>(
        [&](auto* context, auto* out) { return stubs_->tunes->List(context, request, out); });
    if (!page.ok()) return page.status();
    std::move(page->mutable_studies()->begin(), page->mutable_studies()->end(), std::back_inserter(studies));
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && (limit == 0 || static_cast<int>(studies.size()) < limit));
  return studies;
}

absl::StatusOr<std::vector<v1::Trial>> Client::trials(const std::string& id) {
  v1::ListTrialsRequest request;
  request.set_id(id);
  auto response = call_once_answered<v1::ListTrialsResponse>(
      [&](auto* context, auto* out) { return stubs_->tunes->Trials(context, request, out); });
  if (!response.ok()) return response.status();
  return std::vector<v1::Trial>(response->trials().begin(), response->trials().end());
}

absl::StatusOr<std::vector<v1::ParameterImportance>> Client::importance(const std::string& id) {
  v1::ImportanceRequest request;
  request.set_id(id);
  auto response = call_once_answered<v1::ImportanceResponse>(
      [&](auto* context, auto* out) { return stubs_->tunes->Importance(context, request, out); });
  if (!response.ok()) return response.status();
  return std::vector<v1::ParameterImportance>(response->parameters().begin(), response->parameters().end());
}

absl::StatusOr<v1::Study> Client::cancel_study(const std::string& id, const std::string& reason) {
  return call_once_answered<v1::Study>(
      [&](auto* context, auto* out) { return stubs_->tunes->Cancel(context, change(id, reason), out); });
}

absl::StatusOr<v1::Study> Client::pause_study(const std::string& id, const std::string& reason) {
  return call_once_answered<v1::Study>(
      [&](auto* context, auto* out) { return stubs_->tunes->Pause(context, change(id, reason), out); });
}

absl::StatusOr<v1::Study> Client::resume_study(const std::string& id, const std::string& reason) {
  return call_once_answered<v1::Study>(
      [&](auto* context, auto* out) { return stubs_->tunes->Resume(context, change(id, reason), out); });
}

absl::Status Client::watch_study(const std::string& id,
                                 const std::function<bool(const v1::Study&, const std::vector<v1::Trial>&)>& on_change,
                                 Clock::time_point until, const std::function<void(const absl::Status&)>& on_lost) {
  v1::GetStudyRequest request;
  request.set_id(id);
  std::vector<v1::Trial> trials;
  int64_t revision = -1;
  bool over = false;
  const auto take = [&](const v1::WatchStudyResponse* message) {
    if (message == nullptr) return over;
    bool news = message->study().revision() != revision;
    for (const v1::Trial& trial : message->changed()) news |= keep(&trials, trial);
    if (!news) return true;  // the same again, after a reconnect
    revision = message->study().revision();
    over = ended(message->study().state());
    return on_change(message->study(), trials);
  };
  return read_stream<v1::WatchStudyResponse>(
      until, [&](auto* context) { return stubs_->tunes->Watch(context, request); }, take, on_lost);
}

absl::StatusOr<std::string> Client::find_study(const std::string& text) {
  auto exact = study(text);
  if (exact.ok()) return exact->id();
  if (!absl::IsNotFound(exact.status()) && !absl::IsInvalidArgument(exact.status())) return exact.status();
  auto all = studies();
  if (!all.ok()) return all.status();
  std::vector<std::pair<std::string, std::string>> names;
  for (const v1::Study& one : *all) names.emplace_back(one.id(), one.spec().name());
  return pick(text, "study", "dsctl tune list", names);
}

}  // namespace ds::client
