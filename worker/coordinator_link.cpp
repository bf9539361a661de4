#include "worker/coordinator_link.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>

#include "ds/v1/worker.grpc.pb.h"
#include "worker/logging.h"

namespace ds::worker {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(100), kLongestPause = absl::Seconds(1),
                         kGoodbye = absl::Seconds(1);

std::shared_ptr<grpc::Channel> make_channel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);  // how long one attempt to connect may take
  arguments.SetMaxReceiveMessageSize(64 << 20);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

void CoordinatorLink::start() {
  thread_ = std::thread([this] { run(); });
}

void CoordinatorLink::stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  events_.ended();
  if (thread_.joinable()) thread_.join();
}

bool CoordinatorLink::pause(absl::Duration d) {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&stopping_), d);
  return !stopping_;
}

bool CoordinatorLink::stopping() {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

void CoordinatorLink::set_reading(bool reading) {
  absl::MutexLock lock(&mutex_);
  reading_ = reading;
}

void CoordinatorLink::await_reader(absl::Duration d) {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(
                              +[](bool* reading) { return !*reading; }, &reading_),
                          d);
}

void CoordinatorLink::run() {
  auto stub = v1::WorkerService::NewStub(make_channel(address_));
  absl::Duration wait = kFirstPause;
  do {
    served_ = false;
    grpc::ClientContext context;
    auto stream = stub->Session(&context);
    events_.opened();
    set_reading(true);
    std::thread reader([&] {
      v1::CoordinatorMessage message;
      while (stream->Read(&message)) {
        served_ = true;
        events_.received(message);
      }
      events_.ended();
      set_reading(false);
    });
    while (!stopping()) {
      MessagePtr message = events_.next_outgoing();
      if (!message || !stream->Write(*message)) break;
    }
    stream->WritesDone();
    await_reader(kGoodbye);  // a cancelled stream may lose what was written last
    context.TryCancel();
    reader.join();
    grpc::Status status = stream->Finish();
    if (served_) {
      spdlog::warn("coordinator={} stream ended: {}", address_, status.error_message());
      wait = kFirstPause;
    } else {
      bool news = wait == kFirstPause || status.error_code() != grpc::StatusCode::UNAVAILABLE;
      spdlog::log(news ? spdlog::level::warn : spdlog::level::debug, "coordinator={} not reached, trying on: {}",
                  address_, status.error_message());
      wait = std::min(wait * 2, kLongestPause);
    }
  } while (pause(wait));
}

}  // namespace ds::worker
