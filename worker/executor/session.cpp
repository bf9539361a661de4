#include "worker/executor/session.h"

#include <unistd.h>

#include "worker/executor/translate.h"
#include "worker/logging.h"

namespace ds::worker {
namespace {

constexpr absl::Duration kBeat = absl::Milliseconds(200);
constexpr int kOrphaned = 70, kOvertaken = 71, kStoppedAtOnce = 143, kStoppedEarly = 75;

// Without destructors: the training thread may be anywhere.
[[noreturn]] void leave(int code, const std::string& why) {
  spdlog::error("{}", why);
  spdlog::shutdown();
  ::_exit(code);
}

}  // namespace

Session::Session(const std::string& socket, Reporter& reporter, const Fence& fence)
    : reporter_(reporter), fence_(fence) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  auto channel = grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
  stub_ = v1::ExecutorService::NewStub(channel);
  stream_ = stub_->Session(&context_);
}

Session::~Session() {
  {
    absl::MutexLock lock(&mutex_);
    finishing_ = true;
  }
  context_.TryCancel();
  if (sender_.joinable()) sender_.join();
  if (reader_.joinable()) reader_.join();
}

void Session::hello(const v1::ExecutorHello& hello) {
  v1::ExecutorMessage message;
  *message.mutable_hello() = hello;
  if (!stream_->Write(message)) leave(kOrphaned, "no worker: " + stream_->Finish().error_message());
  reader_ = std::thread([this] { read(); });
  sender_ = std::thread([this] { send_all(); });
}

void Session::read() {
  v1::ExecutorCommand message;
  while (stream_->Read(&message)) command(message);
  absl::MutexLock lock(&mutex_);
  if (!finishing_) leave(kOrphaned, "the worker is gone: ending");
}

void Session::command(const v1::ExecutorCommand& command) {
  if (command.has_stop() && !command.stop().checkpoint()) leave(kStoppedAtOnce, "stopped without a checkpoint");
  absl::MutexLock lock(&mutex_);
  if (command.has_stop()) {
    reporter_.request_stop();
    stop_ = true;
    // Between the peers' addresses and the first step it waits for peers that may be stopped already.
    if (peers_ && !training_) leave(kStoppedEarly, "stopped before the first step");
  } else if (command.has_meet() && !peers_) {
    peers_.emplace(command.meet().addresses().begin(), command.meet().addresses().end());
  }
}

std::optional<std::vector<std::string>> Session::wait_for_peers() {
  absl::MutexLock lock(&mutex_);
  auto heard = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_ || peers_.has_value(); };
  mutex_.Await(absl::Condition(&heard));
  return stop_ ? std::nullopt : peers_;
}

void Session::training() {
  absl::MutexLock lock(&mutex_);
  training_ = true;
}

void Session::flush() {
  v1::ExecutorMessage message;
  *message.mutable_beat() = to_beat(reporter_.status());
  if (!stream_->Write(message)) return;  // the reader hears of it
  while (std::optional<v1::ExecutorMetrics> metrics = reporter_.take()) {
    *message.mutable_metrics() = *std::move(metrics);
    if (!stream_->Write(message)) return;
  }
}

void Session::send_all() {
  while (true) {
    flush();
    if (int64_t newer = fence_.overtaken_by()) {
      leave(kOvertaken, "generation " + std::to_string(newer) + " owns the job now: ending");
    }
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&finishing_), kBeat);
    if (finishing_) return;
  }
}

void Session::done(const v1::ExecutorDone& done) {
  {
    absl::MutexLock lock(&mutex_);
    finishing_ = true;
  }
  sender_.join();
  flush();
  v1::ExecutorMessage message;
  *message.mutable_done() = done;
  stream_->Write(message);
  stream_->WritesDone();
  reader_.join();
  grpc::Status status = stream_->Finish();
  if (!status.ok()) spdlog::warn("the worker did not take the outcome: {}", status.error_message());
}

}  // namespace ds::worker
