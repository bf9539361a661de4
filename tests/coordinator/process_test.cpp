// The program as a process: killed, restarted, spoken to as clients and workers do.
#include <civetweb.h>
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>

#include <atomic>
#include <map>
#include <random>
#include <set>

#include "ds/v1/error.pb.h"
#include "tests/coordinator/process.h"

namespace ds::coordinator {
namespace {

using testing::HasSubstr;

std::string http_get(const std::string& address, const std::string& path) {
  char error[200] = "";
  const size_t colon = address.rfind(':');
  mg_connection* connection = mg_download(address.substr(0, colon).c_str(), std::stoi(address.substr(colon + 1)), 0,
                                          error, sizeof error, "GET %s HTTP/1.0\r\n\r\n", path.c_str());
  if (!connection) return error;
  std::string body;
  char piece[4096];
  for (int n; (n = mg_read(connection, piece, sizeof piece)) > 0;) body.append(piece, n);
  mg_close_connection(connection);
  return body;
}

std::vector<v1::Job> list_all(const Coordinator& coordinator, int page) {
  auto stub = v1::JobService::NewStub(coordinator.channel());
  std::vector<v1::Job> jobs;
  v1::ListJobsRequest request;
  request.set_page_size(page);
  do {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    v1::ListJobsResponse response;
    const grpc::Status status = stub->List(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    jobs.insert(jobs.end(), response.jobs().begin(), response.jobs().end());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return jobs;
}

TEST(Process, AThousandSubmitsWithKillsAreNeitherLostNorDoubled) {
  constexpr int kJobs = 1000, kClients = 4, kKills = 12;
  Coordinator coordinator;
  std::atomic<int> next = 0, acknowledged = 0, retries = 0;
  std::vector<std::string> ids(kJobs);
  const v1::JobSpec spec = Coordinator::spec(1);
  std::vector<std::thread> clients;
  for (int c = 0; c < kClients; ++c) {
    clients.emplace_back([&, channel = coordinator.channel()] {
      auto stub = v1::JobService::NewStub(channel);
      for (int job; (job = next++) < kJobs;) {
        v1::SubmitRequest request;
        *request.mutable_spec() = spec;
        request.set_client_key("key-" + std::to_string(job));
        v1::SubmitResponse response;
        for (const absl::Time until = absl::Now() + kPatience; absl::Now() < until; ++retries) {
          grpc::ClientContext context;
          context.set_wait_for_ready(true);
          context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
          if (stub->Submit(&context, request, &response).ok()) break;
        }
        ids[job] = response.id();
        ++acknowledged;
      }
    });
  }
  std::mt19937 random(std::random_device{}());
  for (int k = 1; k <= kKills; ++k) {  // at a random moment in each twelfth of the way
    const int at = std::uniform_int_distribution<int>((k - 1) * kJobs / kKills, k * kJobs / kKills - 1)(random);
    EXPECT_TRUE(eventually([&] { return acknowledged >= at; }));
    coordinator.end(SIGKILL);
    coordinator.start();
  }
  for (std::thread& client : clients) client.join();

  std::set<std::string> listed;
  for (const v1::Job& job : list_all(coordinator, 300)) EXPECT_TRUE(listed.insert(job.id()).second) << job.id();
  EXPECT_EQ(listed.size(), static_cast<size_t>(kJobs));
  EXPECT_EQ(listed, std::set<std::string>(ids.begin(), ids.end()));
  for (int job = 0; job < kJobs; job += 100) EXPECT_EQ(coordinator.submit(1, "key-" + std::to_string(job)), ids[job]);
  RecordProperty("retries", retries.load());
}

TEST(Process, AWorkersRanksSurviveACoordinatorKill) {
  Coordinator coordinator;
  std::string id;
  v1::MetricsBatch batch;
  v1::LogBatch log;
  auto metrics_ack = [](int64_t sequence) {
    return [=](const v1::CoordinatorMessage& m) { return m.has_ack() && m.ack().metrics_sequence() == sequence; };
  };
  auto log_ack = [](int64_t offset) {
    return [=](const v1::CoordinatorMessage& m) { return m.has_ack() && m.ack().log_offset() == offset; };
  };
  auto send_metrics = [&](FakeWorker& worker, int64_t sequence, int64_t step) {
    batch.set_job(id);
    batch.set_generation(1);
    batch.set_sequence(sequence);
    batch.clear_records();
    v1::MetricRecord* record = batch.add_records();
    record->set_kind("train");
    record->set_step(step);
    record->set_loss(1.0 / static_cast<double>(step));
    record->set_samples(64);
    record->set_step_seconds(0.01);
    batch.mutable_progress()->set_step(step);
    batch.mutable_progress()->set_total_steps(10);
    v1::WorkerMessage message;
    *message.mutable_metrics() = batch;
    worker.send(message);
  };
  auto send_log = [&](FakeWorker& worker, int64_t offset, const std::string& text) {
    v1::WorkerMessage message;
    message.mutable_log()->set_job(id);
    message.mutable_log()->set_generation(1);
    message.mutable_log()->set_offset(offset);
    message.mutable_log()->set_text(text);
    worker.send(message);
  };
  {
    FakeWorker worker(coordinator, "w1", 2);
    EXPECT_EQ(worker.next([](auto& m) { return m.has_registered(); }).registered().heartbeat_ms(), 500);
    id = coordinator.submit(2);
    for (int r = 0; r < 2; ++r) {
      const v1::StartRank start = worker.next([](auto& m) { return m.has_start(); }).start();
      EXPECT_EQ(start.job(), id);
      EXPECT_EQ(start.rank(), r);
      EXPECT_EQ(start.ranks(), 2);
      EXPECT_EQ(start.spec().train().batch_size(), 64);
      EXPECT_TRUE(std::filesystem::is_directory(start.job_dir())) << start.job_dir();
      worker.report(FakeWorker::executor(id, 1, r, v1::RANK_READY));
    }
    const v1::MeetPeers meet = worker.next([](auto& m) { return m.has_meet(); }).meet();
    EXPECT_EQ(meet.addresses_size(), 2);
    for (int r = 0; r < 2; ++r) worker.report(FakeWorker::executor(id, 1, r, v1::RANK_RUNNING));
    send_metrics(worker, 1, 1);
    EXPECT_TRUE(worker.next(metrics_ack(1)).has_ack());
    send_log(worker, 0, "hello\n");
    EXPECT_TRUE(worker.next(log_ack(6)).has_ack());
    EXPECT_EQ(coordinator.get(id).progress().step(), 1);
    coordinator.end(SIGKILL);
  }
  coordinator.start();
  EXPECT_EQ(coordinator.get(id).state(), v1::RUNNING);

  // Meanwhile somebody watches, and follows the logs.
  std::vector<v1::Job> watched;
  std::string followed;
  std::thread watcher([&, channel = coordinator.channel()] {
    grpc::ClientContext context;
    v1::WatchJobRequest request;
    request.set_id(id);
    auto stream = v1::JobService::NewStub(channel)->Watch(&context, request);
    for (v1::Job job; stream->Read(&job);) watched.push_back(job);
    EXPECT_TRUE(stream->Finish().ok());
  });
  std::thread follower([&, channel = coordinator.channel()] {
    grpc::ClientContext context;
    v1::LogsRequest request;
    request.set_id(id);
    request.set_follow(true);
    auto stream = v1::JobService::NewStub(channel)->Logs(&context, request);
    for (v1::LogChunk chunk; stream->Read(&chunk);) followed += chunk.text();
    EXPECT_TRUE(stream->Finish().ok());
  });

  FakeWorker worker(
      coordinator, "w1", 2,
      {FakeWorker::executor(id, 1, 0, v1::RANK_RUNNING), FakeWorker::executor(id, 1, 1, v1::RANK_RUNNING)});
  EXPECT_TRUE(worker.next([](auto& m) { return m.has_registered(); }).has_registered());
  send_metrics(worker, 1, 1);  // its acknowledgement might have been lost
  send_metrics(worker, 2, 2);
  EXPECT_TRUE(worker.next(metrics_ack(2)).has_ack());
  send_log(worker, 0, "hello\nagain\nend");
  EXPECT_TRUE(worker.next(log_ack(15)).has_ack());
  EXPECT_TRUE(eventually([&] { return coordinator.get(id).progress().step() == 2; }));
  EXPECT_EQ(coordinator.get(id).generation(), 1);
  EXPECT_EQ(coordinator.get(id).restarts(), 0);
  send_metrics(worker, 3, 10);  // the last step, and at once the end
  for (int r = 0; r < 2; ++r) worker.report(FakeWorker::executor(id, 1, r, v1::RANK_EXITED));
  EXPECT_TRUE(coordinator.reaches(id, v1::SUCCEEDED));
  watcher.join();
  follower.join();
  ASSERT_FALSE(watched.empty());
  EXPECT_EQ(watched.back().state(), v1::SUCCEEDED);
  EXPECT_EQ(watched.back().progress().step(), 10) << "whoever sees the end sees the last step";
  for (size_t i = 1; i < watched.size(); ++i) EXPECT_GT(watched[i].revision(), watched[i - 1].revision());
  EXPECT_EQ(followed, "hello\nagain\nend");

  grpc::ClientContext context;
  v1::MetricsRequest request;
  request.set_id(id);
  v1::MetricsResponse history;
  ASSERT_TRUE(v1::JobService::NewStub(coordinator.channel())->Metrics(&context, request, &history).ok());
  ASSERT_EQ(history.records_size(), 3);
  EXPECT_EQ(history.records(1).step(), 2);

  // The HTTP port tells the same.
  EXPECT_THAT(http_get(coordinator.http(), "/"), HasSubstr("<h1>DeepSeek</h1>"));
  EXPECT_THAT(http_get(coordinator.http(), "/metrics"), HasSubstr("ds_jobs{state=\"SUCCEEDED\"} 1"));
  // Sent again or not, a step counts once; the process that counted step 1 first was killed.
  EXPECT_THAT(http_get(coordinator.http(), "/metrics"), HasSubstr("ds_job_samples_total{job=\"" + id + "\"} 192"));
  EXPECT_THAT(http_get(coordinator.http(), "/metrics"), HasSubstr("ds_worker_heartbeat_age_seconds{worker=\"w1\"}"));
  const auto page = nlohmann::json::parse(http_get(coordinator.http(), "/api/jobs"));
  EXPECT_EQ(page["jobs"][0]["id"], id);
  EXPECT_EQ(page["workers"][0]["name"], "w1");
  EXPECT_EQ(nlohmann::json::parse(http_get(coordinator.http(), "/api/jobs/" + id + "/metrics")).size(), 3u);
}

TEST(Process, SigtermEndsInGoodOrderWhileStreamsAreOpen) {
  Coordinator coordinator;
  FakeWorker worker(coordinator, "w1", 1);
  const std::string id = coordinator.submit(1);
  EXPECT_TRUE(worker.next([](auto& m) { return m.has_start(); }).has_start());
  const int status = coordinator.end(SIGTERM);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  worker.leave();
  coordinator.start();
  EXPECT_EQ(coordinator.get(id).state(), v1::ADMITTED) << "the end of the coordinator is no loss of a worker";
}

TEST(Process, ANewerStreamOfAWorkerFencesTheOlder) {
  Coordinator coordinator;
  FakeWorker older(coordinator, "w1", 1);
  EXPECT_TRUE(older.next([](auto& m) { return m.has_registered(); }).has_registered());
  FakeWorker newer(coordinator, "w1", 1);
  EXPECT_TRUE(newer.next([](auto& m) { return m.has_registered(); }).has_registered());
  EXPECT_THAT(older.next([](auto& m) { return m.has_fenced(); }).fenced().reason(), HasSubstr("w1"));
  EXPECT_EQ(older.ending().error_code(), grpc::StatusCode::ABORTED);
  const std::string id = coordinator.submit(1);
  EXPECT_EQ(newer.next([](auto& m) { return m.has_start(); }).start().job(), id);
}

TEST(Process, AWorkerWhoseStreamBreaksIsLostSoonAndItsJobMoves) {
  Coordinator coordinator;
  auto first = std::make_unique<FakeWorker>(coordinator, "w1", 1);
  const std::string id = coordinator.submit(1);
  EXPECT_TRUE(first->next([](auto& m) { return m.has_start(); }).has_start());
  first->report(FakeWorker::executor(id, 1, 0, v1::RANK_READY));
  EXPECT_TRUE(coordinator.reaches(id, v1::RUNNING));
  FakeWorker second(coordinator, "w2", 1);
  EXPECT_TRUE(second.next([](auto& m) { return m.has_registered(); }).has_registered());
  const absl::Time broke = absl::Now();
  first->leave();
  const v1::StartRank start = second.next([](auto& m) { return m.has_start(); }).start();
  EXPECT_EQ(start.generation(), 2);
  EXPECT_LT(absl::Now() - broke, absl::Seconds(4));
  // And a silent one too.
  second.silence();
  EXPECT_TRUE(coordinator.reaches(id, v1::RECOVERING));
  EXPECT_THAT(coordinator.get(id).reason(), HasSubstr("silent"));
  EXPECT_FALSE(second.ending().ok());
}

TEST(Process, AGangOverManyWorkersMeetsAndEnds) {
  constexpr int kWorkers = 48;
  Coordinator coordinator;
  std::vector<std::unique_ptr<FakeWorker>> workers;
  for (int w = 0; w < kWorkers; ++w) {
    workers.push_back(std::make_unique<FakeWorker>(coordinator, "w" + std::to_string(w), 1));
  }
  for (auto& worker : workers) EXPECT_TRUE(worker->next([](auto& m) { return m.has_registered(); }).has_registered());
  const std::string id = coordinator.submit(kWorkers);
  std::vector<int> rank_of;
  for (auto& worker : workers) {
    rank_of.push_back(worker->next([](auto& m) { return m.has_start(); }).start().rank());
    worker->report(FakeWorker::executor(id, 1, rank_of.back(), v1::RANK_READY));
  }
  EXPECT_EQ(std::set<int>(rank_of.begin(), rank_of.end()).size(), static_cast<size_t>(kWorkers));
  for (int w = 0; w < kWorkers; ++w) {
    EXPECT_EQ(workers[w]->next([](auto& m) { return m.has_meet(); }).meet().addresses_size(), kWorkers);
    workers[w]->report(FakeWorker::executor(id, 1, rank_of[w], v1::RANK_EXITED));
  }
  EXPECT_TRUE(coordinator.reaches(id, v1::SUCCEEDED));
}

TEST(Process, AnOlderExecutorOfAReturningWorkerIsStopped) {
  Coordinator coordinator;
  FakeWorker worker(coordinator, "w1", 1, {FakeWorker::executor("ghost-9", 4, 0, v1::RANK_RUNNING)});
  const v1::StopRank stop = worker.next([](auto& m) { return m.has_stop(); }).stop();
  EXPECT_EQ(stop.job(), "ghost-9");
  EXPECT_EQ(stop.generation(), 4);
}

TEST(Process, ErrorsNameTheFieldAndTheValue) {
  Coordinator coordinator;
  auto stub = v1::JobService::NewStub(coordinator.channel());
  {
    grpc::ClientContext context;
    v1::SubmitRequest request;
    *request.mutable_spec() = Coordinator::spec(1);
    request.mutable_spec()->mutable_train()->set_batch_size(-1);
    v1::SubmitResponse response;
    const grpc::Status status = stub->Submit(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr("-1"));
    v1::ErrorStatus full;
    ASSERT_TRUE(full.ParseFromString(status.error_details()));
    v1::ErrorDetail detail;
    ASSERT_TRUE(full.details_size() > 0 && full.details(0).UnpackTo(&detail));
    EXPECT_EQ(detail.field(), "spec.train.batch_size");
  }
  grpc::ClientContext context;
  v1::ChangeJobRequest request;
  request.set_id("nope-1");
  v1::Job job;
  const grpc::Status status = stub->Cancel(&context, request, &job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("nope-1"));
  EXPECT_THAT(status.error_details(), HasSubstr("nope-1"));
}

TEST(Process, ASecondCoordinatorOnTheSameDataRefuses) {
  Coordinator coordinator;
  const std::string command =
      std::string(DS_COORDINATOR_PROGRAM) + " --listen 127.0.0.1:0 --data " + coordinator.data() + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  std::string said;
  char line[1000];
  while (fgets(line, sizeof line, pipe)) said += line;
  EXPECT_NE(pclose(pipe), 0);
  EXPECT_THAT(said, HasSubstr("in use by another ds-coordinator"));
}

// One raw exchange: the services that have no generated code here.
std::string exchange(const Coordinator& coordinator, const std::string& method, const std::string& request) {
  grpc::GenericStub stub(coordinator.channel());
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  auto wait = [&] {
    void* tag;
    bool ok;
    EXPECT_TRUE(queue.Next(&tag, &ok) && ok) << method;
  };
  auto stream = stub.PrepareCall(&context, method, &queue);
  stream->StartCall(nullptr);
  wait();
  grpc::Slice slice(request);
  stream->Write(grpc::ByteBuffer(&slice, 1), nullptr);
  wait();
  grpc::ByteBuffer response;
  stream->Read(&response, nullptr);
  wait();
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(response.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& s : slices) bytes.append(reinterpret_cast<const char*>(s.begin()), s.size());
  context.TryCancel();
  grpc::Status status;
  stream->Finish(&status, nullptr);
  wait();
  return bytes;
}

TEST(Process, HealthAndReflectionAreServed) {
  Coordinator coordinator;
  EXPECT_EQ(exchange(coordinator, "/grpc.health.v1.Health/Check", ""), "\x08\x01");  // SERVING
  const std::string services = exchange(coordinator, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                        std::string("\x3a\x01*", 3));
  EXPECT_THAT(services, HasSubstr("ds.v1.JobService"));
  EXPECT_THAT(services, HasSubstr("ds.v1.WorkerService"));
}

}  // namespace
}  // namespace ds::coordinator
