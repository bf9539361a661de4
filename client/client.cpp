#include "client/client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <map>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/stubs.h"

namespace ds::client {
namespace {

std::shared_ptr<grpc::Channel> connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a new client does not wait out an old one's backoff
  arguments.SetMaxReceiveMessageSize(256 << 20);            // a long job's history comes as one message
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

absl::Status in_words(const grpc::Status& status, const ClientOptions& options) {
  const std::string& message = status.error_message();
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      return absl::OkStatus();
    case grpc::StatusCode::UNAVAILABLE:
      if (absl::StrContains(message, "onnect") || absl::StrContains(message, "DNS") || message.empty() ||
          absl::StrContains(message, "Socket closed"))
        return absl::UnavailableError(absl::StrCat("no coordinator at ", options.address,
                                                   "; start one with `dsctl cluster up`, or name another with "
                                                   "--coordinator HOST:PORT or DS_COORDINATOR"));
      return absl::UnavailableError(absl::StrCat("the coordinator at ", options.address, " says: ", message));
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return absl::DeadlineExceededError(
          absl::StrCat("the coordinator at ", options.address, " did not answer in time"));
    default:
      return absl::Status(static_cast<absl::StatusCode>(status.error_code()), message);
  }
}

absl::StatusOr<std::string> pick(const std::string& text, const std::string& noun, const std::string& list_command,
                                 const std::vector<std::pair<std::string, std::string>>& all) {
  std::vector<std::string> ids, shown, of_name;
  for (const auto& [id, name] : all) {
    if (name == text) of_name.push_back(id);
    if (!absl::StartsWith(id, text) && !absl::StartsWith(name, text)) continue;
    ids.push_back(id);
    if (shown.size() < 5) shown.push_back(absl::StrCat(id, " (", name, ")"));
  }
  if (of_name.size() == 1) return of_name[0];
  if (ids.size() == 1) return ids[0];
  if (ids.empty())
    return absl::NotFoundError(absl::StrCat("no ", noun, " \"", text, "\"; `", list_command, "` shows them"));
  const std::string plural = noun == "study" ? "studies" : noun + "s";
  return absl::FailedPreconditionError(absl::StrCat("\"", text, "\" may mean ", ids.size(), " ", plural,
                                                    "; give an id, such as ", absl::StrJoin(shown, ", ")));
}

Client::Stubs::Stubs(const std::string& address)
    : channel(connect(address)),
      jobs(v1::JobService::NewStub(channel)),
      workers(v1::WorkerService::NewStub(channel)),
      artifacts(v1::ArtifactService::NewStub(channel)),
      tunes(v1::TuneService::NewStub(channel)) {}

Client::Client(ClientOptions options)
    : options_(std::move(options)), stubs_(std::make_unique<Stubs>(options_.address)) {}
Client::~Client() = default;

bool ended(v1::JobState state) { return state == v1::SUCCEEDED || state == v1::FAILED || state == v1::CANCELLED; }

std::string Client::new_key() {
  std::random_device random;
  return absl::StrCat(absl::Hex(random(), absl::kZeroPad8), absl::Hex(random(), absl::kZeroPad8),
                      absl::Hex(random(), absl::kZeroPad8), absl::Hex(random(), absl::kZeroPad8));
}

absl::StatusOr<std::string> Client::submit(const v1::JobSpec& spec, const std::string& client_key) {
  v1::SubmitRequest request;
  *request.mutable_spec() = spec;
  request.set_client_key(client_key);
  auto response = call_once_answered<v1::SubmitResponse>(
      [&](auto* context, auto* out) { return stubs_->jobs->Submit(context, request, out); });
  if (!response.ok()) return response.status();
  return response->id();
}

absl::StatusOr<v1::Job> Client::get(const std::string& id) {
  v1::GetJobRequest request;
  request.set_id(id);
  return call_once_answered<v1::Job>(
      [&](auto* context, auto* out) { return stubs_->jobs->Get(context, request, out); });
}

absl::StatusOr<std::vector<v1::Job>> Client::list(int limit) {
  constexpr int kPage = 500;
  std::vector<v1::Job> jobs;
  v1::ListJobsRequest request;
  do {
    request.set_page_size(limit > 0 ? std::min<int>(kPage, limit - static_cast<int>(jobs.size())) : kPage);
    auto page = call_once_answered<v1::ListJobsResponse>(
        [&](auto* context, auto* out) { return stubs_->jobs->List(context, request, out); });
    if (!page.ok()) return page.status();
    std::move(page->mutable_jobs()->begin(), page->mutable_jobs()->end(), std::back_inserter(jobs));
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && (limit == 0 || static_cast<int>(jobs.size()) < limit));
  return jobs;
}

absl::StatusOr<std::vector<v1::MetricRecord>> Client::metrics(const std::string& id) {
  v1::MetricsRequest request;
  request.set_id(id);
  auto response = call_once_answered<v1::MetricsResponse>(
      [&](auto* context, auto* out) { return stubs_->jobs->Metrics(context, request, out); });
  if (!response.ok()) return response.status();
  return std::vector<v1::MetricRecord>(response->records().begin(), response->records().end());
}

v1::ChangeJobRequest change(const std::string& id, const std::string& reason) {
  v1::ChangeJobRequest request;
  request.set_id(id);
  request.set_reason(reason);
  return request;
}

absl::StatusOr<v1::Job> Client::cancel(const std::string& id, const std::string& reason) {
  return call_once_answered<v1::Job>(
      [&](auto* context, auto* out) { return stubs_->jobs->Cancel(context, change(id, reason), out); });
}

absl::StatusOr<v1::Job> Client::pause(const std::string& id, const std::string& reason) {
  return call_once_answered<v1::Job>(
      [&](auto* context, auto* out) { return stubs_->jobs->Pause(context, change(id, reason), out); });
}

absl::StatusOr<v1::Job> Client::resume(const std::string& id, const std::string& reason) {
  return call_once_answered<v1::Job>(
      [&](auto* context, auto* out) { return stubs_->jobs->Resume(context, change(id, reason), out); });
}

absl::Status Client::watch(const std::string& id, const std::function<bool(const v1::Job&)>& on_job,
                           Clock::time_point until, const std::function<void(const absl::Status&)>& on_lost) {
  v1::WatchJobRequest request;
  request.set_id(id);
  int64_t revision = -1;
  bool over = false;
  const auto take = [&](const v1::Job* job) {
    if (job == nullptr) return over;
    if (job->revision() == revision) return true;  // the same again, after a reconnect
    revision = job->revision();
    over = ended(job->state());
    return on_job(*job);
  };
  return read_stream<v1::Job>(
      until, [&](auto* context) { return stubs_->jobs->Watch(context, request); }, take, on_lost);
}

absl::Status Client::logs(const std::string& id, bool follow,
                          const std::function<bool(const v1::LogChunk&)>& on_chunk) {
  v1::LogsRequest request;
  request.set_id(id);
  request.set_follow(follow);
  using Part = std::pair<int64_t, int32_t>;  // generation, rank
  std::map<Part, size_t> given, seen;        // bytes: in all, and of the present stream, which begins from the start
  const auto take = [&](const v1::LogChunk* chunk) {
    if (chunk == nullptr) return true;
    const Part part{chunk->generation(), chunk->rank()};
    const size_t begin = seen[part], end = begin + chunk->text().size();
    seen[part] = end;
    if (end <= given[part]) return true;
    v1::LogChunk fresh = *chunk;
    fresh.mutable_text()->erase(0, given[part] > begin ? given[part] - begin : 0);
    given[part] = end;
    return on_chunk(fresh);
  };
  const auto open = [&](auto* context) {
    seen.clear();
    return stubs_->jobs->Logs(context, request);
  };
  return read_stream<v1::LogChunk>(Clock::time_point::max(), open, take, {});
}

void Client::stop_streams() { stubs_->streams.stop(); }

absl::StatusOr<std::vector<v1::Worker>> Client::workers() {
  auto response = call_once_answered<v1::ListWorkersResponse>(
      [&](auto* context, auto* out) { return stubs_->workers->List(context, v1::ListWorkersRequest(), out); });
  if (!response.ok()) return response.status();
  return std::vector<v1::Worker>(response->workers().begin(), response->workers().end());
}

absl::StatusOr<v1::Worker> Client::drain(const std::string& name) {
  v1::DrainWorkerRequest request;
  request.set_name(name);
  return call_once_answered<v1::Worker>(
      [&](auto* context, auto* out) { return stubs_->workers->Drain(context, request, out); });
}

absl::StatusOr<v1::Worker> Client::undrain(const std::string& name) {
  v1::UndrainWorkerRequest request;
  request.set_name(name);
  return call_once_answered<v1::Worker>(
      [&](auto* context, auto* out) { return stubs_->workers->Undrain(context, request, out); });
}

absl::StatusOr<v1::Worker> Client::remove(const std::string& name) {
  v1::RemoveWorkerRequest request;
  request.set_name(name);
  return call_once_answered<v1::Worker>(
      [&](auto* context, auto* out) { return stubs_->workers->Remove(context, request, out); });
}

absl::StatusOr<std::string> Client::find(const std::string& text) {
  auto exact = get(text);
  if (exact.ok()) return exact->id();
  const bool no_such_id = absl::IsNotFound(exact.status()) || absl::IsInvalidArgument(exact.status());
  if (!no_such_id) return exact.status();
  auto jobs = list();
  if (!jobs.ok()) return jobs.status();
  std::vector<std::pair<std::string, std::string>> all;
  for (const v1::Job& job : *jobs) all.emplace_back(job.id(), job.spec().name());
  return pick(text, "job", "dsctl job list", all);
}

}  // namespace ds::client
