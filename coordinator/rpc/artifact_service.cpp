// Files in and out. Not a callback service: a put blocks in fsync, a get in reads, and gRPC's few callback threads
// belong to the commands of jobs and workers.
#include "coordinator/rpc/artifact_service.h"

#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "coordinator/log.h"
#include "coordinator/rpc/errors.h"
#include "proto/spec/job_spec.h"

namespace ds::coordinator {
namespace {

v1::Artifact to_message(const ArtifactInfo& info) {
  v1::Artifact message;
  message.set_digest(info.digest);
  message.set_size(info.size);
  message.set_stored_at_us(absl::ToUnixMicros(info.used));
  return message;
}

grpc::Status refused(const absl::Status& status, const std::string& digest) {
  return to_grpc(status, {detail("digest", digest, std::string(status.message()))});
}

class ArtifactService final : public v1::ArtifactService::Service {
 public:
  explicit ArtifactService(Daemon& daemon) : daemon_(daemon) {}

  grpc::Status Put(grpc::ServerContext* context, grpc::ServerReader<v1::PutArtifactRequest>* reader,
                   v1::Artifact* response) override {
    v1::PutArtifactRequest message;
    if (!reader->Read(&message)) return {grpc::INVALID_ARGUMENT, "[Put] the first message must have a digest"};
    const std::string digest = message.digest();
    if (auto known = daemon_.artifacts().use(digest); known.ok()) {
      *response = to_message(*known);
      return grpc::Status::OK;
    }
    absl::StatusOr<ArtifactInfo> stored = take(digest, message, *reader);
    if (context->IsCancelled()) return grpc::Status::CANCELLED;
    if (!stored.ok()) {
      spdlog::warn("event=put digest={} peer={} error={}", digest, context->peer(),
                   in_quotes(stored.status().message()));
      return refused(stored.status(), digest);
    }
    spdlog::info("event=put digest={} size={} peer={}", digest, stored->size, context->peer());
    *response = to_message(*stored);
    return grpc::Status::OK;
  }

  grpc::Status Stat(grpc::ServerContext*, const v1::StatArtifactRequest* request, v1::Artifact* response) override {
    auto info = daemon_.artifacts().stat(request->digest());
    if (!info.ok()) return refused(info.status(), request->digest());
    *response = to_message(*info);
    return grpc::Status::OK;
  }

  grpc::Status Get(grpc::ServerContext* context, const v1::GetArtifactRequest* request,
                   grpc::ServerWriter<v1::ArtifactChunk>* writer) override {
    auto reader = daemon_.artifacts().read(request->digest(), request->offset());
    if (!reader.ok()) return refused(reader.status(), request->digest());
    const absl::Status status = give(**reader, *writer);
    if (context->IsCancelled()) return grpc::Status::CANCELLED;
    if (status.ok()) return grpc::Status::OK;
    spdlog::error("event=get digest={} peer={} error={}", request->digest(), context->peer(),
                  in_quotes(status.message()));
    return refused(status, request->digest());
  }

  grpc::Status List(grpc::ServerContext*, const v1::ListArtifactsRequest*,
                    v1::ListArtifactsResponse* response) override {
    const auto jobs = daemon_.ask<std::multimap<std::string, std::string>>([](const State& state) {
      std::multimap<std::string, std::string> named;
      for (int64_t order : state.live) {
        const v1::Job& job = state.jobs.at(state.by_order.at(order)).job();
        for (const spec::ArtifactName& a : spec::artifacts(job.spec())) named.emplace(a.name, job.id());
      }
      return named;
    });
    for (const ArtifactInfo& info : daemon_.artifacts().list()) {
      v1::Artifact* message = response->add_artifacts();
      *message = to_message(info);
      const auto [begin, end] = jobs.equal_range(info.digest);
      for (auto at = begin; at != end; ++at) message->add_jobs(at->second);
    }
    return grpc::Status::OK;
  }

 private:
  // `message` is the first; the bytes may begin in it.
  absl::StatusOr<ArtifactInfo> take(const std::string& digest, v1::PutArtifactRequest& message,
                                    grpc::ServerReader<v1::PutArtifactRequest>& reader) {
    auto writer = daemon_.artifacts().put(digest, message.size());
    if (!writer.ok()) return writer.status();
    do {
      if (absl::Status status = (*writer)->write(message.data()); !status.ok()) return status;
      daemon_.meters().artifact_received(static_cast<int64_t>(message.data().size()));
    } while (reader.Read(&message));
    return (*writer)->commit();
  }

  absl::Status give(Artifacts::Reader& reader, grpc::ServerWriter<v1::ArtifactChunk>& writer) {
    v1::ArtifactChunk chunk;
    chunk.set_size(reader.size());
    for (bool open = writer.Write(chunk); open; open = writer.Write(chunk)) {
      const absl::StatusOr<absl::string_view> bytes = reader.next();
      if (!bytes.ok()) return bytes.status();
      if (bytes->empty()) break;
      chunk.clear_size();
      chunk.set_data(bytes->data(), bytes->size());
      daemon_.meters().artifact_sent(static_cast<int64_t>(bytes->size()));
    }
    return absl::OkStatus();
  }

  Daemon& daemon_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_artifact_service(Daemon& daemon) {
  return std::make_unique<ArtifactService>(daemon);
}

}  // namespace ds::coordinator
