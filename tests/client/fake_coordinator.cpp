#include "tests/client/fake_coordinator.h"

#include <algorithm>

#include "client/client.h"

namespace ds::client {
namespace {

grpc::Status no_job(const std::string& id) { return {grpc::StatusCode::NOT_FOUND, "no job \"" + id + "\""}; }

}  // namespace

void FakeCoordinator::start(int port) {
  {
    const std::lock_guard<std::mutex> hold(mutex_);
    stopping_ = false;
  }
  tuner.stop(false);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(this);
  builder.RegisterService(&service_);
  builder.RegisterService(&artifact_service_);
  builder.RegisterService(&tuner);
  server_ = builder.BuildAndStart();
}

void FakeCoordinator::stop() {
  {
    const std::lock_guard<std::mutex> hold(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  tuner.stop(true);
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

void FakeCoordinator::put(const v1::Job& job) {
  const std::lock_guard<std::mutex> hold(mutex_);
  v1::Job& kept = jobs_[job.id()] = job;
  kept.set_revision(++revision_);
  changed_.notify_all();
}

v1::Job FakeCoordinator::job(const std::string& id) {
  const std::lock_guard<std::mutex> hold(mutex_);
  const auto it = jobs_.find(id);
  return it == jobs_.end() ? v1::Job() : it->second;
}

void FakeCoordinator::lose_answers(int count) {
  const std::lock_guard<std::mutex> hold(mutex_);
  lost_answers_ = count;
}

grpc::Status FakeCoordinator::Submit(Context*, const v1::SubmitRequest* request, v1::SubmitResponse* response) {
  const std::lock_guard<std::mutex> hold(mutex_);
  ++submits_;
  keys_.push_back(request->client_key());
  std::string& id = by_key_[request->client_key()];
  if (id.empty()) {
    id = "j-" + std::to_string(jobs_.size() + 1);
    v1::Job& job = jobs_[id];
    job.set_id(id);
    *job.mutable_spec() = request->spec();
    job.set_state(v1::PENDING);
    job.set_revision(++revision_);
    changed_.notify_all();
  }
  response->set_id(id);
  if (lost_answers_ > 0) {
    --lost_answers_;
    return {grpc::StatusCode::UNAVAILABLE, "restarting"};
  }
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::Get(Context*, const v1::GetJobRequest* request, v1::Job* job) {
  const std::lock_guard<std::mutex> hold(mutex_);
  const auto it = jobs_.find(request->id());
  if (it == jobs_.end()) return no_job(request->id());
  *job = it->second;
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::List(Context*, const v1::ListJobsRequest* request, v1::ListJobsResponse* response) {
  const std::lock_guard<std::mutex> hold(mutex_);
  auto it = request->page_token().empty() ? jobs_.begin() : jobs_.lower_bound(request->page_token());
  for (int i = 0; i < page && it != jobs_.end(); ++i, ++it) *response->add_jobs() = it->second;
  if (it != jobs_.end()) response->set_next_page_token(it->first);
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::Watch(Context* context, const v1::WatchJobRequest* request,
                                    grpc::ServerWriter<v1::Job>* writer) {
  std::unique_lock<std::mutex> hold(mutex_);
  if (jobs_.count(request->id()) == 0) return no_job(request->id());
  ++watchers_;
  int64_t sent = -1;
  while (!stopping_ && !context->IsCancelled()) {
    const v1::Job job = jobs_[request->id()];
    if (job.revision() == sent) {
      changed_.wait_for(hold, std::chrono::milliseconds(50));
      continue;
    }
    sent = job.revision();
    hold.unlock();
    writer->Write(job);
    if (ended(job.state())) return grpc::Status::OK;
    hold.lock();
  }
  return {grpc::StatusCode::UNAVAILABLE, "stopping"};
}

grpc::Status FakeCoordinator::Logs(Context*, const v1::LogsRequest* request, grpc::ServerWriter<v1::LogChunk>* writer) {
  for (const v1::LogChunk& chunk : log[request->id()]) writer->Write(chunk);
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::Metrics(Context*, const v1::MetricsRequest* request, v1::MetricsResponse* response) {
  for (const v1::MetricRecord& record : history[request->id()]) *response->add_records() = record;
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::Cancel(Context*, const v1::ChangeJobRequest* request, v1::Job* job) {
  const std::lock_guard<std::mutex> hold(mutex_);
  if (jobs_.count(request->id()) == 0) return no_job(request->id());
  jobs_[request->id()].set_state(v1::CANCELLED);
  jobs_[request->id()].set_revision(++revision_);
  changed_.notify_all();
  *job = jobs_[request->id()];
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::Pause(Context*, const v1::ChangeJobRequest* request, v1::Job*) {
  return {grpc::StatusCode::FAILED_PRECONDITION, "job " + request->id() + " is SUCCEEDED and cannot be paused"};
}

grpc::Status FakeCoordinator::Workers::List(Context*, const v1::ListWorkersRequest*,
                                            v1::ListWorkersResponse* response) {
  for (const v1::Worker& worker : owner->workers) *response->add_workers() = worker;
  if (!owner->workers.empty()) return grpc::Status::OK;
  v1::Worker& worker = *response->add_workers();
  worker.set_name("worker-1");
  worker.set_state(v1::WORKER_READY);
  worker.set_slots(4);
  worker.set_free_slots(3);
  (*worker.mutable_labels())["rack"] = "b";
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::Workers::Drain(Context*, const v1::DrainWorkerRequest* request, v1::Worker* worker) {
  if (request->name() != "worker-1") return {grpc::StatusCode::NOT_FOUND, "no worker \"" + request->name() + "\""};
  worker->set_name("worker-1");
  worker->set_state(v1::WORKER_DRAINING);
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::Workers::Undrain(Context*, const v1::UndrainWorkerRequest* request, v1::Worker* worker) {
  worker->set_name(request->name());
  worker->set_state(v1::WORKER_READY);
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::Workers::Remove(Context*, const v1::RemoveWorkerRequest* request, v1::Worker* worker) {
  worker->set_name(request->name());
  worker->set_state(v1::WORKER_LOST);
  worker->set_lost_since_us(1700000000000000);
  return grpc::Status::OK;
}

void FakeCoordinator::break_transfers(int count, int64_t bytes) {
  const std::lock_guard<std::mutex> hold(mutex_);
  breaks_ = count;
  break_after_ = bytes;
}

void FakeCoordinator::spoil(const std::string& digest) {
  const std::lock_guard<std::mutex> hold(mutex_);
  artifacts_.at(digest)[0] ^= 1;
}

int64_t FakeCoordinator::bytes_to_give() {
  const std::lock_guard<std::mutex> hold(mutex_);
  return breaks_ > 0 ? (--breaks_, break_after_) : INT64_MAX;
}

grpc::Status FakeCoordinator::Artifacts::Put(Context*, grpc::ServerReader<v1::PutArtifactRequest>* reader,
                                             v1::Artifact* response) {
  v1::PutArtifactRequest message;
  if (!reader->Read(&message)) return grpc::Status::CANCELLED;
  response->set_digest(message.digest());
  response->set_size(message.size());
  if (owner->artifacts().count(message.digest()) > 0) return grpc::Status::OK;
  const int64_t most = owner->bytes_to_give();
  std::string bytes;
  while (reader->Read(&message)) {
    bytes += message.data();
    if (static_cast<int64_t>(bytes.size()) > most) return {grpc::UNAVAILABLE, "Socket closed"};
  }
  const std::lock_guard<std::mutex> hold(owner->mutex_);
  owner->artifact_bytes_ += static_cast<int64_t>(bytes.size());
  owner->artifacts_[response->digest()] = std::move(bytes);
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::Artifacts::Get(Context*, const v1::GetArtifactRequest* request,
                                             grpc::ServerWriter<v1::ArtifactChunk>* writer) {
  const std::map<std::string, std::string> all = owner->artifacts();
  const auto found = all.find(request->digest());
  if (found == all.end()) return {grpc::NOT_FOUND, request->digest() + " is not here"};
  const int64_t size = static_cast<int64_t>(found->second.size()), begin = request->offset();
  const int64_t count = std::min(size - begin, owner->bytes_to_give());
  v1::ArtifactChunk chunk;
  chunk.set_size(size);
  writer->Write(chunk);
  chunk.set_data(found->second.substr(static_cast<size_t>(begin), static_cast<size_t>(count)));
  writer->Write(chunk);
  return begin + count == size ? grpc::Status::OK : grpc::Status(grpc::UNAVAILABLE, "Socket closed");
}

grpc::Status FakeCoordinator::Artifacts::List(Context*, const v1::ListArtifactsRequest*,
                                              v1::ListArtifactsResponse* response) {
  for (const auto& [digest, bytes] : owner->artifacts()) {
    v1::Artifact* artifact = response->add_artifacts();
    artifact->set_digest(digest);
    artifact->set_size(static_cast<int64_t>(bytes.size()));
  }
  return grpc::Status::OK;
}

}  // namespace ds::client
