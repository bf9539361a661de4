// A real ds-coordinator on loopback, and a worker that is only a stream.
#pragma once
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "ds/v1/job.grpc.pb.h"
#include "ds/v1/worker.grpc.pb.h"
#include "proto/spec/job_spec.h"

namespace ds::coordinator {

inline const absl::Duration kPatience = absl::Seconds(60);  // a test that waits longer has failed

// Waits until `done` holds; false after kPatience.
inline bool eventually(const std::function<bool()>& done) {
  for (const absl::Time until = absl::Now() + kPatience; absl::Now() < until; absl::SleepFor(absl::Milliseconds(10))) {
    if (done()) return true;
  }
  return false;
}

class Coordinator {
 public:
  explicit Coordinator(std::vector<std::string> more_flags = {}) : more_flags_(std::move(more_flags)) {
    char name[] = "/tmp/ds-coordinator-XXXXXX";
    folder_ = mkdtemp(name);
    start();
  }
  ~Coordinator() {
    end(SIGKILL);
    std::filesystem::remove_all(folder_);
  }

  // On the address of the first start.
  void start() {
    const std::string ready = folder_ + "/ready";
    std::filesystem::remove(ready);
    std::vector<std::string> words = {
        DS_COORDINATOR_PROGRAM, "--listen",     address_, "--http",      "127.0.0.1:0", "--data",
        folder_ + "/data",      "--ready-file", ready,    "--log-level", "warn"};
    words.insert(words.end(), more_flags_.begin(), more_flags_.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ASSERT_EQ(posix_spawn(&pid_, argv[0], nullptr, nullptr, argv.data(), environ), 0);
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(ready); })) << "it does not start";
    const auto said = nlohmann::json::parse(std::ifstream(ready));
    address_ = said["address"];
    http_ = said["http"];
    ASSERT_EQ(said["pid"].get<pid_t>(), pid_);
  }
  // Its exit status as waitpid() gives it.
  int end(int signal) {
    int status = -1;
    if (pid_ <= 0) return status;
    kill(pid_, signal);
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }
  pid_t pid() const { return pid_; }
  const std::string& http() const { return http_; }
  std::string data() const { return folder_ + "/data"; }

  std::shared_ptr<grpc::Channel> channel() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
  }
  v1::Job get(const std::string& id) const {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    v1::GetJobRequest request;
    request.set_id(id);
    v1::Job job;
    const grpc::Status status = v1::JobService::NewStub(channel())->Get(&context, request, &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }
  bool reaches(const std::string& id, v1::JobState state) const {
    return eventually([&] { return get(id).state() == state; });
  }
  std::string submit(int ranks, const std::string& key = "") const {
    grpc::ClientContext context;
    v1::SubmitRequest request;
    *request.mutable_spec() = spec(ranks);
    request.set_client_key(key);
    v1::SubmitResponse response;
    const grpc::Status status = v1::JobService::NewStub(channel())->Submit(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.id();
  }
  static v1::JobSpec spec(int ranks) {
    const std::string n = std::to_string(ranks), batch = std::to_string(32 * ranks);
    auto spec = spec::parse_job(
        "{name: t, model: {family: mlp, hidden: [8]}, data: {dataset: fashion_mnist}, "
        "train: {epochs: 1, batch_size: " +
        batch + "}, strategy: {data_parallel: " + n + "}}");
    EXPECT_TRUE(spec.ok()) << spec.status();
    return *spec;
  }

 private:
  const std::vector<std::string> more_flags_;
  std::string folder_, address_ = "127.0.0.1:0", http_;
  pid_t pid_ = -1;
};

// A worker's stream, driven by the test.
class FakeWorker {
 public:
  using Stream = grpc::ClientReaderWriter<v1::WorkerMessage, v1::CoordinatorMessage>;

  FakeWorker(const Coordinator& coordinator, std::string name, int slots,
             std::vector<v1::ExecutorReport> executors = {})
      : name_(std::move(name)), stub_(v1::WorkerService::NewStub(coordinator.channel())) {
    context_.set_wait_for_ready(true);
    stream_ = stub_->Session(&context_);
    reader_ = std::thread([this] { read(); });
    v1::WorkerMessage message;
    v1::Register* hello = message.mutable_register_();
    hello->set_worker(name_);
    hello->set_incarnation("i1");
    hello->set_slots(slots);
    for (auto& e : executors) *hello->add_executors() = e;
    send(message);
    beats_ = std::thread([this] { beat(); });
  }
  ~FakeWorker() { leave(); }

  // Breaks the stream.
  void leave() {
    silence();
    context_.TryCancel();
    if (reader_.joinable()) reader_.join();
  }
  // No more heartbeats.
  void silence() {
    {
      absl::MutexLock lock(&mutex_);
      silent_ = true;
    }
    if (beats_.joinable()) beats_.join();
  }

  bool send(const v1::WorkerMessage& message) {
    absl::MutexLock lock(&writing_);
    return stream_->Write(message);
  }
  void report(const v1::ExecutorReport& report) {
    v1::WorkerMessage message;
    *message.mutable_executor() = report;
    send(message);
  }
  static v1::ExecutorReport executor(const std::string& job, int64_t generation, int rank, v1::RankState state) {
    v1::ExecutorReport report;
    report.set_job(job);
    report.set_generation(generation);
    report.set_rank(rank);
    report.set_state(state);
    report.set_pid(1000 + rank);
    if (state >= v1::RANK_READY) report.set_address("address-" + std::to_string(rank));
    return report;
  }

  // The next message that `wanted` takes, those before it are dropped; empty after `patience` or the stream's end.
  v1::CoordinatorMessage next(const std::function<bool(const v1::CoordinatorMessage&)>& wanted,
                              absl::Duration patience = kPatience) {
    const absl::Time until = absl::Now() + patience;
    absl::MutexLock lock(&mutex_);
    while (true) {
      auto some = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !inbox_.empty() || over_; };
      if (!mutex_.AwaitWithDeadline(absl::Condition(&some), until) || inbox_.empty()) return {};
      v1::CoordinatorMessage message = std::move(inbox_.front());
      inbox_.pop_front();
      if (wanted(message)) return message;
    }
  }
  bool over() {
    absl::MutexLock lock(&mutex_);
    return over_ && inbox_.empty();
  }
  // How the coordinator ended the stream.
  grpc::Status ending() {
    if (reader_.joinable()) reader_.join();
    return stream_->Finish();
  }

 private:
  void read() {
    v1::CoordinatorMessage message;
    while (stream_->Read(&message)) {
      absl::MutexLock lock(&mutex_);
      inbox_.push_back(message);
    }
    absl::MutexLock lock(&mutex_);
    over_ = true;
  }
  void beat() {
    v1::WorkerMessage message;
    message.mutable_heartbeat();
    while (true) {
      {
        absl::MutexLock lock(&mutex_);
        auto quiet = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return silent_ || over_; };
        if (mutex_.AwaitWithTimeout(absl::Condition(&quiet), absl::Milliseconds(500))) return;
      }
      send(message);
    }
  }

  const std::string name_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
  std::thread reader_, beats_;
  absl::Mutex writing_;
  absl::Mutex mutex_;
  std::deque<v1::CoordinatorMessage> inbox_ ABSL_GUARDED_BY(mutex_);
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  bool silent_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace ds::coordinator
