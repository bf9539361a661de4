// Artifacts from the coordinator, by ArtifactService.Get.
#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "ds/v1/artifact.grpc.pb.h"
#include "worker/artifact_cache.h"

namespace ds::worker {
namespace {

// A coordinator that is stopped sends nothing and breaks nothing: an attempt ends, and the next goes on from there.
constexpr std::chrono::seconds kAttempt{30};

class CoordinatorSource final : public ArtifactSource {
 public:
  explicit CoordinatorSource(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // not the connection of the heartbeats
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);
    stub_ =
        v1::ArtifactService::NewStub(grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  }

  absl::Status fetch(const std::string& digest, int64_t offset, const Sink& sink) override {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kAttempt);
    v1::GetArtifactRequest request;
    request.set_digest(digest);
    request.set_offset(offset);
    auto reader = stub_->Get(&context, request);
    v1::ArtifactChunk chunk;
    absl::Status taken;
    for (bool first = true; taken.ok() && reader->Read(&chunk); first = false) {
      if (first) taken = sink.size(chunk.size());
      if (taken.ok() && !chunk.data().empty()) taken = sink.bytes(chunk.data());
    }
    if (!taken.ok()) context.TryCancel();
    const grpc::Status status = reader->Finish();
    if (!taken.ok()) return taken;
    if (status.ok()) return absl::OkStatus();
    // A connection that breaks within a message is "internal" to gRPC; what the coordinator says itself is not.
    const bool broken = status.error_code() == grpc::StatusCode::INTERNAL;
    return absl::Status(broken ? absl::StatusCode::kUnavailable : static_cast<absl::StatusCode>(status.error_code()),
                        status.error_message());
  }

 private:
  std::unique_ptr<v1::ArtifactService::Stub> stub_;
};

}  // namespace

std::unique_ptr<ArtifactSource> make_coordinator_source(const std::string& address) {
  return std::make_unique<CoordinatorSource>(address);
}

}  // namespace ds::worker
