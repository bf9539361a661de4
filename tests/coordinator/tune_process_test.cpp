// Studies on the real program: watched, killed with questions to its tuner unanswered, and asked what matters.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <random>
#include <set>

#include "ds/v1/error.pb.h"
#include "ds/v1/tune.grpc.pb.h"
#include "proto/spec/study_spec.h"
#include "tests/coordinator/trial_worker.h"

namespace ds::coordinator {
namespace {

using testing::HasSubstr;

v1::StudySpec study(const std::string& more, const std::string& objective = "{maximize: test_accuracy}") {
  auto spec = spec::parse_study(absl::StrCat(R"(
name: tune
model: {family: mlp, hidden: [8]}
data: {dataset: fashion_mnist}
train: {epochs: 2, batch_size: 32, optimizer: {name: adamw, lr: 0.001}}
search:
  train.optimizer.lr: {log: [1e-5, 1e-1]}
  train.optimizer.name: {choice: [sgd, adamw]}
  train.optimizer.momentum: {float: [0, 0.99], when: {train.optimizer.name: sgd}}
  model.hidden: {choice: [[8], [16], [64, 32], [256]]}
objective: )",
                                             objective, "\n", more));
  EXPECT_TRUE(spec.ok()) << spec.status();
  return *spec;
}

// Best at a learning rate of 0.003 and adamw.
std::optional<double> hill(const v1::JobSpec& spec, int64_t epoch) {
  const double off = std::log10(spec.train().optimizer().lr() / 0.003);
  return std::exp(-off * off) * (spec.train().optimizer().name() == "adamw" ? 0.9 : 0.6) * (epoch == 1 ? 0.8 : 1);
}

class Client {
 public:
  explicit Client(const Coordinator& coordinator) : stub_(v1::TuneService::NewStub(coordinator.channel())) {}

  std::string submit(const v1::StudySpec& spec, const std::string& key = "") {
    v1::SubmitStudyRequest request;
    *request.mutable_spec() = spec;
    request.set_client_key(key);
    v1::SubmitStudyResponse response;
    const grpc::Status status = call(&v1::TuneService::Stub::Submit, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.id();
  }
  v1::Study get(const std::string& id) {
    v1::GetStudyRequest request;
    request.set_id(id);
    v1::Study study;
    const grpc::Status status = call(&v1::TuneService::Stub::Get, request, &study);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return study;
  }
  bool reaches(const std::string& id, v1::StudyState state) {
    return eventually([&] { return get(id).state() == state; });
  }
  std::vector<v1::Trial> trials(const std::string& id, int64_t from = 0) {
    v1::ListTrialsRequest request;
    request.set_id(id);
    request.set_from(from);
    v1::ListTrialsResponse response;
    const grpc::Status status = call(&v1::TuneService::Stub::Trials, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return {response.trials().begin(), response.trials().end()};
  }
  std::vector<v1::WatchStudyResponse> watch(const std::string& id) {
    v1::GetStudyRequest request;
    request.set_id(id);
    grpc::ClientContext context;
    auto stream = stub_->Watch(&context, request);
    std::vector<v1::WatchStudyResponse> heard;
    for (v1::WatchStudyResponse news; stream->Read(&news);) heard.push_back(news);
    EXPECT_TRUE(stream->Finish().ok());
    return heard;
  }
  template <class Request, class Response>
  grpc::Status call(grpc::Status (v1::TuneService::Stub::*rpc)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    return (stub_.get()->*rpc)(&context, request, response);
  }

 private:
  std::unique_ptr<v1::TuneService::Stub> stub_;
};

bool same_bits(const v1::Trial& a, const v1::Trial& b) {
  return a.point_size() == b.point_size() &&
         std::memcmp(a.point().data(), b.point().data(), sizeof(double) * static_cast<size_t>(a.point_size())) == 0;
}

class TuneKilled : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Objectives, TuneKilled,
                         testing::Values("{maximize: test_accuracy}",
                                         "[{minimize: params}, {maximize: test_accuracy}]"));

TEST_P(TuneKilled, CoordinatorsSuggestTheSameBitsAndLoseAndDoubleNothing) {
  const v1::StudySpec spec = study("budget: {trials: 24, parallel: 1}\nseed: 5\nearly_stopping: false\n", GetParam());
  std::vector<v1::Trial> expected;
  {
    Coordinator coordinator;
    TrialWorker worker(coordinator, hill);
    Client client(coordinator);
    const std::string id = client.submit(spec);
    ASSERT_TRUE(client.reaches(id, v1::STUDY_SUCCEEDED));
    expected = client.trials(id);
  }
  ASSERT_EQ(expected.size(), 24u);

  Coordinator coordinator;
  TrialWorker worker(coordinator, hill);
  Client client(coordinator);
  const std::string id = client.submit(spec, "once");
  std::mt19937 random(std::random_device{}());
  for (size_t at = 1; at < 24; at += 2) {  // at a random moment of every second trial
    ASSERT_TRUE(eventually([&] { return client.trials(id).size() >= at; }));
    absl::SleepFor(absl::Microseconds(std::uniform_int_distribution<int>(0, 20000)(random)));
    coordinator.end(SIGKILL);
    coordinator.start();
  }
  EXPECT_EQ(client.submit(spec, "once"), id);
  ASSERT_TRUE(client.reaches(id, v1::STUDY_SUCCEEDED));
  const std::vector<v1::Trial> trials = client.trials(id);
  ASSERT_EQ(trials.size(), expected.size());
  std::set<std::string> jobs;
  for (size_t k = 0; k < trials.size(); ++k) {
    SCOPED_TRACE("trial " + std::to_string(k));
    EXPECT_TRUE(same_bits(trials[k], expected[k]));
    EXPECT_EQ(trials[k].source(), expected[k].source());
    EXPECT_EQ(trials[k].state(), v1::TRIAL_FINISHED);
    EXPECT_THAT(trials[k].values(), testing::ElementsAreArray(expected[k].values()));
    EXPECT_EQ(trials[k].reports_size(), 2);
    EXPECT_TRUE(jobs.insert(trials[k].job()).second);
  }
  const v1::Study end = client.get(id);
  EXPECT_EQ(end.best().front().empty(), spec.objectives_size() == 1);
  jobs.insert(end.retrain_job());
  EXPECT_EQ(worker.jobs(), jobs);
}

TEST(Tune, AStudyIsWatchedToItsEndAndKnowsWhatMatters) {
  Coordinator coordinator;
  TrialWorker worker(coordinator, hill);
  Client client(coordinator);
  const std::string id =
      client.submit(study("budget: {trials: 16, parallel: 1}\nconstraints: [\"params <= 20000\"]\n"));
  const std::vector<v1::WatchStudyResponse> heard = client.watch(id);
  ASSERT_FALSE(heard.empty());
  const v1::Study& end = heard.back().study();
  EXPECT_EQ(end.state(), v1::STUDY_SUCCEEDED);
  EXPECT_EQ(end.trials_finished(), 16);
  std::map<int64_t, v1::Trial> trials;
  for (size_t k = 0; k < heard.size(); ++k) {
    if (k > 0) {
      EXPECT_GT(heard[k].study().revision(), heard[k - 1].study().revision());
    }
    for (const v1::Trial& t : heard[k].changed()) trials[t.id()] = t;
  }
  ASSERT_EQ(trials.size(), 16u);
  for (const v1::Trial& t : client.trials(id)) {
    EXPECT_EQ(trials[t.id()].SerializeAsString().size(), t.SerializeAsString().size()) << t.ShortDebugString();
    EXPECT_EQ(trials[t.id()].state(), v1::TRIAL_FINISHED);
    EXPECT_LE(t.params_count(), 20000);
    EXPECT_GT(t.params_count(), 0);
    EXPECT_EQ(t.params().count("train.optimizer.momentum"), t.params().at("train.optimizer.name") == "sgd");
  }
  EXPECT_EQ(client.trials(id, 10).size(), 6u);
  const v1::Job retrained = coordinator.get(end.retrain_job());
  EXPECT_EQ(retrained.state(), v1::SUCCEEDED);
  EXPECT_EQ(retrained.study(), id);

  v1::ImportanceRequest request;
  request.set_id(id);
  v1::ImportanceResponse importance;
  ASSERT_TRUE(client.call(&v1::TuneService::Stub::Importance, request, &importance).ok());
  ASSERT_EQ(importance.parameters_size(), 4);
  EXPECT_EQ(importance.parameters(0).key(), "train.optimizer.lr");
}

TEST(Tune, AStudyWhoseTrialsAllFailByTheUsersErrorFails) {
  Coordinator coordinator;
  TrialWorker worker(coordinator, [](const v1::JobSpec&, int64_t) { return std::nullopt; });
  Client client(coordinator);
  const std::string id = client.submit(study("budget: {trials: 16, parallel: 2}\n"));
  ASSERT_TRUE(client.reaches(id, v1::STUDY_FAILED));
  EXPECT_LE(client.trials(id).size(), 4u);
  EXPECT_EQ(client.trials(id)[0].failure(), v1::FAILURE_USER_ERROR);
}

TEST(Tune, StudiesAreListedPausedResumedAndCancelled) {
  Coordinator coordinator;
  Client client(coordinator);
  std::vector<std::string> ids;
  for (int k = 0; k < 3; ++k) ids.push_back(client.submit(study("")));
  v1::ListStudiesRequest request;
  request.set_page_size(2);
  v1::ListStudiesResponse page;
  ASSERT_TRUE(client.call(&v1::TuneService::Stub::List, request, &page).ok());
  ASSERT_EQ(page.studies_size(), 2);
  EXPECT_EQ(page.studies(0).id(), ids[2]);
  request.set_page_token(page.next_page_token());
  page.Clear();
  ASSERT_TRUE(client.call(&v1::TuneService::Stub::List, request, &page).ok());
  ASSERT_EQ(page.studies_size(), 1);
  EXPECT_EQ(page.studies(0).id(), ids[0]);
  EXPECT_EQ(page.next_page_token(), "");

  v1::StudySpec bare = study("");  // of a client that leaves the defaults to the coordinator
  bare.clear_name();
  bare.clear_budget();
  bare.clear_early_stopping();
  bare.mutable_job()->mutable_train()->mutable_optimizer()->clear_weight_decay();
  const v1::Study filled = client.get(client.submit(bare));
  EXPECT_EQ(filled.spec().name(), "tune");
  EXPECT_EQ(filled.spec().budget().trials(), 40);
  EXPECT_EQ(filled.spec().budget().max_epochs(), 2);
  EXPECT_TRUE(filled.spec().early_stopping());

  v1::ChangeJobRequest change;
  change.set_id(ids[0]);
  v1::Study study;
  ASSERT_TRUE(client.call(&v1::TuneService::Stub::Pause, change, &study).ok());
  EXPECT_EQ(study.state(), v1::STUDY_PAUSED);
  ASSERT_TRUE(client.call(&v1::TuneService::Stub::Resume, change, &study).ok());
  EXPECT_EQ(study.state(), v1::STUDY_RUNNING);
  EXPECT_EQ(client.call(&v1::TuneService::Stub::Resume, change, &study).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  ASSERT_TRUE(client.call(&v1::TuneService::Stub::Cancel, change, &study).ok());
  EXPECT_EQ(study.state(), v1::STUDY_CANCELLED);
  EXPECT_EQ(client.watch(ids[0]).size(), 1u);
}

TEST(Tune, ErrorsNameTheFieldAndTheValue) {
  Coordinator coordinator;
  Client client(coordinator);
  v1::GetStudyRequest get;
  get.set_id("nope-1");
  v1::Study seen;
  const grpc::Status missing = client.call(&v1::TuneService::Stub::Get, get, &seen);
  EXPECT_EQ(missing.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(missing.error_message(), HasSubstr("no study \"nope-1\""));

  v1::SubmitStudyRequest request;
  *request.mutable_spec() = study("");
  request.mutable_spec()->mutable_search(0)->set_low(-1);
  v1::SubmitStudyResponse response;
  const grpc::Status refused = client.call(&v1::TuneService::Stub::Submit, request, &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  v1::ErrorStatus full;
  ASSERT_TRUE(full.ParseFromString(refused.error_details()));
  v1::ErrorDetail detail;
  ASSERT_TRUE(full.details_size() > 0 && full.details(0).UnpackTo(&detail));
  EXPECT_THAT(detail.field(), HasSubstr("train.optimizer.lr"));
}

}  // namespace
}  // namespace ds::coordinator
