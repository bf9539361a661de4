// The studies of FakeCoordinator: what a test puts there is what is answered.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "ds/v1/tune.grpc.pb.h"

namespace ds::client {

class FakeTuner final : public v1::TuneService::Service {
 public:
  // Sets a study and those of its trials that differ from now on; those who watch are told.
  void put(const v1::Study& study, const std::vector<v1::Trial>& changed);
  v1::Study study(const std::string& id);
  int watchers();
  void stop(bool stopping);  // ends the streams

  std::vector<v1::ParameterImportance> importance;  // set before it is asked for

 private:
  using Context = grpc::ServerContext;
  grpc::Status Submit(Context*, const v1::SubmitStudyRequest*, v1::SubmitStudyResponse*) override;
  grpc::Status Get(Context*, const v1::GetStudyRequest*, v1::Study*) override;
  grpc::Status List(Context*, const v1::ListStudiesRequest*, v1::ListStudiesResponse*) override;
  grpc::Status Watch(Context*, const v1::GetStudyRequest*, grpc::ServerWriter<v1::WatchStudyResponse>*) override;
  grpc::Status Trials(Context*, const v1::ListTrialsRequest*, v1::ListTrialsResponse*) override;
  grpc::Status Importance(Context*, const v1::ImportanceRequest*, v1::ImportanceResponse*) override;
  grpc::Status Cancel(Context*, const v1::ChangeJobRequest*, v1::Study*) override;
  grpc::Status Pause(Context*, const v1::ChangeJobRequest*, v1::Study*) override;
  grpc::Status Resume(Context*, const v1::ChangeJobRequest*, v1::Study*) override;
  grpc::Status change(const v1::ChangeJobRequest& request, v1::StudyState state, v1::Study* study);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, v1::Study> studies_;
  std::map<std::string, std::map<int64_t, v1::Trial>> trials_;
  std::map<std::string, std::string> by_key_;
  int64_t revision_ = 0;
  int watchers_ = 0;
  bool stopping_ = false;
};

}  // namespace ds::client
