#include "tests/worker/cluster.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/digest/digest.h"

namespace ds::worker::testing {

std::string ScriptedArtifacts::add(const std::string& bytes) {
  digest::Sha256 sha;
  sha.update(bytes);
  const std::string name = sha.finish();
  absl::MutexLock lock(&mutex_);
  bytes_[name] = bytes;
  return name;
}

void ScriptedArtifacts::stand_still_after(int64_t bytes) {
  absl::MutexLock lock(&mutex_);
  limit_ = bytes;
}

std::vector<int64_t> ScriptedArtifacts::offsets() {
  absl::MutexLock lock(&mutex_);
  return offsets_;
}

grpc::Status ScriptedArtifacts::Get(grpc::ServerContext* context, const v1::GetArtifactRequest* request,
                                    grpc::ServerWriter<v1::ArtifactChunk>* writer) {
  constexpr int64_t kPiece = 64 << 10;
  absl::MutexLock lock(&mutex_);
  offsets_.push_back(request->offset());
  auto found = bytes_.find(request->digest());
  if (found == bytes_.end()) return {grpc::NOT_FOUND, "[artifact] " + request->digest() + " is not here"};
  const std::string& bytes = found->second;
  v1::ArtifactChunk chunk;
  chunk.set_size(static_cast<int64_t>(bytes.size()));
  bool open = writer->Write(chunk);
  for (int64_t at = request->offset(); open && at < static_cast<int64_t>(bytes.size()); at += kPiece) {
    auto may_go_on = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return limit_ < 0 || at < limit_; };
    while (!mutex_.AwaitWithTimeout(absl::Condition(&may_go_on), absl::Milliseconds(20))) {
      if (context->IsCancelled()) return grpc::Status::CANCELLED;
    }
    chunk.clear_size();
    chunk.set_data(bytes.substr(at, kPiece));
    open = writer->Write(chunk);
  }
  return grpc::Status::OK;
}

void ScriptedCoordinator::start() {
  grpc::ServerBuilder builder;
  int port = port_;
  builder.AddListeningPort(absl::StrCat("127.0.0.1:", port_), grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(this);
  builder.RegisterService(&artifacts);
  server_ = builder.BuildAndStart();
  if (!server_) abort();
  port_ = port;
}

void ScriptedCoordinator::stop() {
  if (!server_) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_.reset();
}

std::string ScriptedCoordinator::address() const { return absl::StrCat("127.0.0.1:", port_); }

grpc::Status ScriptedCoordinator::Session(grpc::ServerContext*,
                                          grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::WorkerMessage>* stream) {
  v1::WorkerMessage message;
  while (stream->Read(&message)) {
    absl::MutexLock lock(&mutex_);
    if (message.has_register_()) {
      stream_ = stream;
      v1::CoordinatorMessage reply;
      reply.mutable_registered()->set_heartbeat_ms(200);
      stream->Write(reply);
    }
    take(message);
  }
  absl::MutexLock lock(&mutex_);
  if (stream_ == stream) stream_ = nullptr;
  return grpc::Status::OK;
}

void ScriptedCoordinator::take(const v1::WorkerMessage& message) {
  messages_.push_back(message);
  if (!acknowledging_ || stream_ == nullptr) return;
  if (acknowledging_ends_ && message.executor().state() == v1::RANK_EXITED) acknowledge_end(message.executor());
  if (message.has_metrics()) acknowledge_metrics(message.metrics());
  if (message.has_log()) store_log(message.log());
}

void ScriptedCoordinator::acknowledge_end(const v1::ExecutorReport& report) {
  v1::CoordinatorMessage reply;
  v1::Ack& ack = *reply.mutable_ack();
  ack.set_job(report.job());
  ack.set_generation(report.generation());
  ack.set_rank(report.rank());
  ack.set_ended(true);
  stream_->Write(reply);
}

void ScriptedCoordinator::acknowledge_metrics(const v1::MetricsBatch& batch) {
  v1::CoordinatorMessage reply;
  v1::Ack& ack = *reply.mutable_ack();
  ack.set_job(batch.job());
  ack.set_generation(batch.generation());
  ack.set_metrics_sequence(batch.sequence());
  stream_->Write(reply);
}

void ScriptedCoordinator::store_log(const v1::LogBatch& batch) {
  std::string& stored = logs_[absl::StrCat(batch.job(), "/", batch.generation(), "/", batch.rank())];
  int64_t size = static_cast<int64_t>(stored.size());
  if (batch.offset() <= size)
    stored += batch.text().substr(std::min<size_t>(size - batch.offset(), batch.text().size()));
  v1::CoordinatorMessage reply;
  v1::Ack& ack = *reply.mutable_ack();
  ack.set_job(batch.job());
  ack.set_generation(batch.generation());
  ack.set_rank(batch.rank());
  ack.set_log_offset(static_cast<int64_t>(stored.size()));
  stream_->Write(reply);
}

void ScriptedCoordinator::acknowledge(bool yes) {
  absl::MutexLock lock(&mutex_);
  acknowledging_ = yes;
}

void ScriptedCoordinator::acknowledge_ends(bool yes) {
  absl::MutexLock lock(&mutex_);
  acknowledging_ends_ = yes;
}

void ScriptedCoordinator::send(const v1::CoordinatorMessage& message) {
  absl::MutexLock lock(&mutex_);
  if (stream_ != nullptr) stream_->Write(message);
}

std::optional<v1::WorkerMessage> ScriptedCoordinator::wait(const Wanted& wanted, absl::Duration limit) {
  absl::MutexLock lock(&mutex_);
  std::optional<v1::WorkerMessage> found;
  size_t seen = 0;
  auto look = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    seen = std::min(seen, messages_.size());
    for (; seen < messages_.size() && !found; ++seen) {
      if (wanted(messages_[seen])) found = messages_[seen];
    }
    return found.has_value();
  };
  mutex_.AwaitWithTimeout(absl::Condition(&look), limit);
  return found;
}

std::optional<v1::ExecutorReport> ScriptedCoordinator::wait_state(const std::string& job, int64_t generation, int rank,
                                                                  v1::RankState state, absl::Duration limit) {
  auto message = wait(
      [&](const v1::WorkerMessage& m) {
        return m.executor().job() == job && m.executor().generation() == generation && m.executor().rank() == rank &&
               m.executor().state() == state;
      },
      limit);
  return message ? std::optional(message->executor()) : std::nullopt;
}

bool ScriptedCoordinator::wait_step(const std::string& job, int64_t step, absl::Duration limit) {
  return wait(
             [&](const v1::WorkerMessage& m) {
               return m.metrics().job() == job && m.metrics().progress().step() >= step;
             },
             limit)
      .has_value();
}

std::vector<v1::WorkerMessage> ScriptedCoordinator::messages() {
  absl::MutexLock lock(&mutex_);
  return messages_;
}

void ScriptedCoordinator::forget() {
  absl::MutexLock lock(&mutex_);
  messages_.clear();
}

std::string ScriptedCoordinator::log(const std::string& job, int64_t generation, int rank) {
  absl::MutexLock lock(&mutex_);
  return logs_[absl::StrCat(job, "/", generation, "/", rank)];
}

WorkerProcess::WorkerProcess(const ScriptedCoordinator& coordinator, std::string folder, std::vector<std::string> more,
                             const std::string& executor) {
  std::vector<std::string> argv = {DS_WORKER,
                                   "--coordinator",
                                   coordinator.address(),
                                   "--name",
                                   "w0",
                                   "--slots",
                                   "2",
                                   "--label",
                                   "rack=r1",
                                   "--data",
                                   folder + "/data",
                                   "--executor",
                                   executor,
                                   "--ready-file",
                                   folder + "/ready",
                                   "--log-level",
                                   "debug"};
  argv.insert(argv.end(), more.begin(), more.end());
  auto process = spawn(argv, folder + "/worker.log");
  if (!process.ok()) abort();
  process_ = *std::move(process);
}

WorkerProcess::~WorkerProcess() {
  if (reaped_) return;
  send_signal(process_, SIGKILL);
  reap(process_);
}

std::optional<ExitStatus> WorkerProcess::wait(absl::Duration limit) {
  pollfd ended{process_.pidfd.get(), POLLIN, 0};
  if (::poll(&ended, 1, static_cast<int>(absl::ToInt64Milliseconds(limit))) != 1) return std::nullopt;
  reaped_ = true;
  return reap(process_);
}

Cluster::Cluster(std::vector<std::string> worker_flags, const std::string& executor) {
  char name[] = "/tmp/ds-worker-test-XXXXXX";
  folder = mkdtemp(name);
  worker = std::make_unique<WorkerProcess>(coordinator, folder, std::move(worker_flags), executor);
  if (!coordinator.wait([](const v1::WorkerMessage& m) { return m.has_register_(); })) {
    throw std::runtime_error("the worker did not register:\n" + read_file(folder + "/worker.log"));
  }
}

Cluster::~Cluster() {
  worker.reset();
  coordinator.stop();
  std::error_code error;
  std::filesystem::remove_all(folder, error);
}

void Cluster::start_rank(const std::string& job, int64_t generation, int rank, int ranks, const std::string& orders,
                         int64_t metrics_step, int64_t checkpoint_step) {
  v1::CoordinatorMessage message;
  v1::StartRank& start = *message.mutable_start();
  start.set_job(job);
  start.set_generation(generation);
  start.set_rank(rank);
  start.set_ranks(ranks);
  start.set_device(absl::StrCat("cpu:", rank));
  start.set_job_dir(folder + "/jobs/" + job);
  start.set_metrics_step(metrics_step);
  start.set_checkpoint_step(checkpoint_step);
  start.mutable_spec()->mutable_data()->set_dataset(orders);
  start.mutable_spec()->mutable_train()->set_batch_size(8);
  coordinator.send(message);
}

void Cluster::meet(const std::string& job, int64_t generation, int rank, int ranks, const std::string& address) {
  v1::CoordinatorMessage message;
  v1::MeetPeers& meet = *message.mutable_meet();
  meet.set_job(job);
  meet.set_generation(generation);
  meet.set_rank(rank);
  for (int r = 0; r < ranks; ++r) meet.add_addresses(address);
  coordinator.send(message);
}

void Cluster::stop_rank(const std::string& job, int64_t generation, int rank, bool checkpoint) {
  v1::CoordinatorMessage message;
  v1::StopRank& stop = *message.mutable_stop();
  stop.set_job(job);
  stop.set_generation(generation);
  stop.set_rank(rank);
  stop.set_checkpoint(checkpoint);
  coordinator.send(message);
}

pid_t Cluster::run_rank(const std::string& job, int64_t generation, int rank, int ranks, const std::string& orders) {
  start_rank(job, generation, rank, ranks, orders);
  auto ready = coordinator.wait_state(job, generation, rank, v1::RANK_READY);
  if (!ready) throw std::runtime_error("not ready:\n" + read_file(folder + "/worker.log"));
  meet(job, generation, rank, ranks);
  if (!coordinator.wait_state(job, generation, rank, v1::RANK_RUNNING)) throw std::runtime_error("not running");
  return static_cast<pid_t>(ready->pid());
}

bool alive(pid_t pid) {
  char state = process_state(pid);
  return state != '?' && state != 'Z' && state != 'X';
}

bool eventually(const std::function<bool()>& condition, absl::Duration limit) {
  absl::Time deadline = absl::Now() + limit;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

bool wait_gone(pid_t pid, absl::Duration limit) {
  return eventually([&] { return !alive(pid); }, limit);
}

std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace ds::worker::testing
