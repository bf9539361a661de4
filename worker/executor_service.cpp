#include "worker/executor_service.h"

#include <sys/un.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"

namespace ds::worker {

bool CommandStream::send(const v1::ExecutorCommand& command) {
  absl::MutexLock lock(&mutex_);
  return stream_ != nullptr && stream_->Write(command);
}

void CommandStream::close() {
  absl::MutexLock lock(&mutex_);
  stream_ = nullptr;
}

grpc::Status ExecutorService::Session(grpc::ServerContext*, CommandStream::Stream* stream) {
  v1::ExecutorMessage message;
  if (!stream->Read(&message) || !message.has_hello()) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "[ExecutorService.Session] the first message must be a hello"};
  }
  auto commands = std::make_shared<CommandStream>(stream);
  absl::StatusOr<uint64_t> id = events_.hello(message.hello(), commands);
  if (!id.ok()) {
    commands->close();
    return {static_cast<grpc::StatusCode>(id.status().code()), std::string(id.status().message())};
  }
  bool done = false;
  while (!done && stream->Read(&message)) {
    switch (message.message_case()) {
      case v1::ExecutorMessage::kBeat:
        events_.beat(*id, message.beat());
        break;
      case v1::ExecutorMessage::kMetrics:
        events_.metrics(*id, std::move(*message.mutable_metrics()));
        break;
      case v1::ExecutorMessage::kDone:
        events_.done(*id, message.done());
        done = true;  // returning tells the executor that everything before has arrived
        break;
      default:
        break;
    }
  }
  commands->close();
  events_.closed(*id);
  return grpc::Status::OK;
}

absl::StatusOr<std::unique_ptr<ExecutorServer>> ExecutorServer::start(const std::string& path, ExecutorEvents& events) {
  std::unique_ptr<ExecutorServer> made(new ExecutorServer(path, events));
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials());
  builder.RegisterService(&made->service_);
  made->server_ = builder.BuildAndStart();
  if (!made->server_) return absl::UnavailableError(absl::StrCat("[worker] cannot listen on ", path));
  return made;
}

ExecutorServer::~ExecutorServer() {
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
  ::unlink(path_.c_str());
}

std::string socket_path(const std::string& data) {
  std::string name = absl::StrCat("worker-", getpid(), ".sock");
  std::string path = absl::StrCat(data, "/", name);
  if (path.size() < sizeof(sockaddr_un::sun_path)) return path;
  return std::filesystem::temp_directory_path() / ("ds-" + name);
}

}  // namespace ds::worker
