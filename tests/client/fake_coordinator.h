// A coordinator that does what a test says: real gRPC on a free port, jobs in a map.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ds/v1/artifact.grpc.pb.h"
#include "ds/v1/job.grpc.pb.h"
#include "ds/v1/worker.grpc.pb.h"
#include "tests/client/fake_tuner.h"

namespace ds::client {

class FakeCoordinator final : public v1::JobService::Service {
 public:
  FakeCoordinator() { start(0); }
  ~FakeCoordinator() override { stop(); }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void stop();
  void restart() { start(port_); }

  // Sets a job as it is from now on; those who watch are told.
  void put(const v1::Job& job);
  v1::Job job(const std::string& id);
  // The next `count` submits are carried out, but answered with UNAVAILABLE.
  void lose_answers(int count);
  int submits() { return locked(submits_); }
  int watchers() { return locked(watchers_); }
  std::vector<std::string> keys() { return locked(keys_); }
  // Artifacts by digest, as they came: nobody checks them here.
  std::map<std::string, std::string> artifacts() { return locked(artifacts_); }
  int64_t artifact_bytes() { return locked(artifact_bytes_); }  // of all puts
  // The next `count` puts and gets break with UNAVAILABLE after `bytes`.
  void break_transfers(int count, int64_t bytes);
  void spoil(const std::string& digest);  // its first byte

  std::map<std::string, std::vector<v1::LogChunk>> log;  // by job; set before it is asked for
  std::map<std::string, std::vector<v1::MetricRecord>> history;
  std::vector<v1::Worker> workers;  // instead of worker-1 alone; set before it is asked for
  int page = 2;                     // jobs a page, whatever was asked for
  FakeTuner tuner;                  // studies

 private:
  using Context = grpc::ServerContext;
  grpc::Status Submit(Context*, const v1::SubmitRequest*, v1::SubmitResponse*) override;
  grpc::Status Get(Context*, const v1::GetJobRequest*, v1::Job*) override;
  grpc::Status List(Context*, const v1::ListJobsRequest*, v1::ListJobsResponse*) override;
  grpc::Status Watch(Context*, const v1::WatchJobRequest*, grpc::ServerWriter<v1::Job>*) override;
  grpc::Status Logs(Context*, const v1::LogsRequest*, grpc::ServerWriter<v1::LogChunk>*) override;
  grpc::Status Metrics(Context*, const v1::MetricsRequest*, v1::MetricsResponse*) override;
  grpc::Status Cancel(Context*, const v1::ChangeJobRequest*, v1::Job*) override;
  grpc::Status Pause(Context*, const v1::ChangeJobRequest*, v1::Job*) override;

  struct Workers final : v1::WorkerService::Service {
    explicit Workers(FakeCoordinator* fake) : owner(fake) {}
    FakeCoordinator* owner;
    grpc::Status List(Context*, const v1::ListWorkersRequest*, v1::ListWorkersResponse*) override;
    grpc::Status Drain(Context*, const v1::DrainWorkerRequest*, v1::Worker*) override;
    grpc::Status Undrain(Context*, const v1::UndrainWorkerRequest*, v1::Worker*) override;
    grpc::Status Remove(Context*, const v1::RemoveWorkerRequest*, v1::Worker*) override;
  };

  struct Artifacts final : v1::ArtifactService::Service {
    explicit Artifacts(FakeCoordinator* fake) : owner(fake) {}
    FakeCoordinator* owner;
    grpc::Status Put(Context*, grpc::ServerReader<v1::PutArtifactRequest>*, v1::Artifact*) override;
    grpc::Status Get(Context*, const v1::GetArtifactRequest*, grpc::ServerWriter<v1::ArtifactChunk>*) override;
    grpc::Status List(Context*, const v1::ListArtifactsRequest*, v1::ListArtifactsResponse*) override;
  };
  int64_t bytes_to_give();  // of the next transfer before it breaks

  void start(int port);
  template <class T>
  T locked(const T& value) {
    const std::lock_guard<std::mutex> hold(mutex_);
    return value;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, v1::Job> jobs_;
  std::map<std::string, std::string> by_key_;
  std::vector<std::string> keys_;  // of every submit, in order
  int submits_ = 0, lost_answers_ = 0, watchers_ = 0;
  int64_t revision_ = 0;
  bool stopping_ = false;
  int port_ = 0;
  std::map<std::string, std::string> artifacts_;
  int64_t artifact_bytes_ = 0, break_after_ = 0;
  int breaks_ = 0;
  Workers service_{this};
  Artifacts artifact_service_{this};
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace ds::client
