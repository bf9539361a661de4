// Artifacts over real sockets: puts that are cut off, a coordinator that is killed, jobs that name what is not there.
#include <gmock/gmock.h>

#include <filesystem>

#include "ds/v1/artifact.grpc.pb.h"
#include "ds/v1/error.pb.h"
#include "proto/digest/digest.h"
#include "tests/coordinator/process.h"

namespace ds::coordinator {
namespace {

using testing::HasSubstr;
using Stub = std::unique_ptr<v1::ArtifactService::Stub>;

std::string name_of(const std::string& text) {
  digest::Sha256 sha;
  sha.update(text);
  return sha.finish();
}

// A put of which the test decides each message.
struct Put {
  Put(const Coordinator& coordinator, const std::string& digest, int64_t size)
      : stub(v1::ArtifactService::NewStub(coordinator.channel())) {
    context.set_wait_for_ready(true);
    writer = stub->Put(&context, &stored);
    v1::PutArtifactRequest first;
    first.set_digest(digest);
    first.set_size(size);
    writer->Write(first);
  }
  bool send(const std::string& bytes) {
    v1::PutArtifactRequest message;
    message.set_data(bytes);
    return writer->Write(message);
  }
  grpc::Status end() {
    writer->WritesDone();
    return writer->Finish();
  }
  Stub stub;
  grpc::ClientContext context;
  v1::Artifact stored;
  std::unique_ptr<grpc::ClientWriter<v1::PutArtifactRequest>> writer;
};

grpc::Status put(const Coordinator& coordinator, const std::string& text, const std::string& name = "") {
  Put put(coordinator, name.empty() ? name_of(text) : name, static_cast<int64_t>(text.size()));
  for (size_t at = 0; at < text.size() && put.send(text.substr(at, 1 << 20)); at += 1 << 20) continue;
  return put.end();
}

grpc::Status get(const Coordinator& coordinator, const std::string& digest, std::string* text, int64_t offset = 0) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  v1::GetArtifactRequest request;
  request.set_digest(digest);
  request.set_offset(offset);
  Stub stub = v1::ArtifactService::NewStub(coordinator.channel());
  auto reader = stub->Get(&context, request);
  text->clear();
  for (v1::ArtifactChunk chunk; reader->Read(&chunk);) text->append(chunk.data());
  return reader->Finish();
}

// Regular files under the artifacts' folder.
std::vector<std::filesystem::path> stored(const Coordinator& coordinator) {
  std::vector<std::filesystem::path> found;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator(coordinator.data() + "/artifacts", gone))
    found.push_back(entry.path());
  return found;
}

v1::JobSpec graph_spec(const std::string& digest) {
  auto spec = spec::parse_job("{name: g, model: {graph: '" + digest + "'}, data: {dataset: fashion_mnist}}");
  EXPECT_TRUE(spec.ok()) << spec.status();
  return *spec;
}

grpc::Status submit(const Coordinator& coordinator, const v1::JobSpec& spec, const std::string& key = "",
                    std::string* id = nullptr) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  v1::SubmitRequest request;
  *request.mutable_spec() = spec;
  request.set_client_key(key);
  v1::SubmitResponse response;
  const grpc::Status status = v1::JobService::NewStub(coordinator.channel())->Submit(&context, request, &response);
  if (id) *id = response.id();
  return status;
}

const std::string kBig = std::string(5 << 20, 'b') + "the end";

TEST(ArtifactProcess, WhatIsPutIsGot) {
  Coordinator coordinator;
  ASSERT_TRUE(put(coordinator, kBig).ok());
  std::string text;
  ASSERT_TRUE(get(coordinator, name_of(kBig), &text).ok());
  EXPECT_TRUE(text == kBig);
  ASSERT_TRUE(get(coordinator, name_of(kBig), &text, 5 << 20).ok());
  EXPECT_EQ(text, "the end");
  EXPECT_EQ(get(coordinator, name_of("?"), &text).error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(get(coordinator, name_of(kBig), &text, 1 << 30).error_code(), grpc::OUT_OF_RANGE);
  const grpc::Status other = put(coordinator, "abc", name_of("abd"));
  EXPECT_EQ(other.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(other.error_message(), HasSubstr(name_of("abc")));
}

// Again and again: the answer and the client's writes cross on the wire.
TEST(ArtifactProcess, WhatIsThereIsAnsweredWithoutTheBytes) {
  Coordinator coordinator;
  ASSERT_TRUE(put(coordinator, kBig).ok());
  for (int i = 0; i < 50; ++i) {
    Put again(coordinator, name_of(kBig), static_cast<int64_t>(kBig.size()));
    if (i % 2 == 0) {
      for (int n = 0; n < 64 && again.send(std::string(1 << 20, 'w')); ++n) continue;  // wrong bytes: not looked at
    }
    const grpc::Status status = again.end();
    ASSERT_TRUE(status.ok()) << i << ": " << status.error_message();
    EXPECT_EQ(again.stored.size(), static_cast<int64_t>(kBig.size()));
  }
}

TEST(ArtifactProcess, APutThatIsCutOffLeavesNothing) {
  Coordinator coordinator;
  {
    Put half(coordinator, name_of(kBig), static_cast<int64_t>(kBig.size()));
    ASSERT_TRUE(half.send(kBig.substr(0, 1 << 20)));
    ASSERT_TRUE(eventually([&] { return !stored(coordinator).empty(); }));
    half.context.TryCancel();
    EXPECT_FALSE(half.end().ok());
  }
  EXPECT_TRUE(eventually([&] { return stored(coordinator).empty(); }));
  ASSERT_TRUE(put(coordinator, kBig).ok());
}

TEST(ArtifactProcess, AKilledCoordinatorHasAllOrNothing) {
  Coordinator coordinator;
  ASSERT_TRUE(put(coordinator, "small").ok());
  {
    Put half(coordinator, name_of(kBig), static_cast<int64_t>(kBig.size()));
    ASSERT_TRUE(half.send(kBig.substr(0, 2 << 20)));
    ASSERT_TRUE(eventually([&] { return stored(coordinator).size() == 2; }));
    coordinator.end(SIGKILL);
    EXPECT_FALSE(half.end().ok());
  }
  coordinator.start();
  std::string text;
  EXPECT_EQ(get(coordinator, name_of(kBig), &text).error_code(), grpc::NOT_FOUND);
  EXPECT_TRUE(get(coordinator, name_of("small"), &text).ok());
  EXPECT_EQ(text, "small");
  EXPECT_EQ(stored(coordinator).size(), 1u) << "the half is gone";
  ASSERT_TRUE(put(coordinator, kBig).ok());
  coordinator.end(SIGKILL);
  coordinator.start();
  ASSERT_TRUE(get(coordinator, name_of(kBig), &text).ok()) << "acknowledged is durable";
  EXPECT_TRUE(text == kBig);
}

TEST(ArtifactProcess, DamageIsToldAndMayBePutRight) {
  Coordinator coordinator;
  ASSERT_TRUE(put(coordinator, kBig).ok());
  std::filesystem::permissions(stored(coordinator)[0], std::filesystem::perms::owner_all);
  std::filesystem::resize_file(stored(coordinator)[0], 1 << 20);
  std::string text;
  const grpc::Status status = get(coordinator, name_of(kBig), &text);
  EXPECT_EQ(status.error_code(), grpc::DATA_LOSS);
  EXPECT_THAT(status.error_message(), HasSubstr("is damaged on the coordinator's disk"));
  ASSERT_TRUE(put(coordinator, kBig).ok());
  EXPECT_TRUE(get(coordinator, name_of(kBig), &text).ok());
}

TEST(ArtifactProcess, AJobNeedsItsArtifactsAtSubmit) {
  Coordinator coordinator;
  const v1::JobSpec spec = graph_spec(name_of("graph"));
  const grpc::Status refused = submit(coordinator, spec, "key");
  EXPECT_EQ(refused.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), HasSubstr("[Submit] model.graph: " + name_of("graph")));
  v1::ErrorStatus details;
  v1::ErrorDetail detail;
  ASSERT_TRUE(details.ParseFromString(refused.error_details()));
  ASSERT_EQ(details.details_size(), 1);
  ASSERT_TRUE(details.details(0).UnpackTo(&detail));
  EXPECT_EQ(detail.field(), "spec.model.graph");
  EXPECT_EQ(detail.value(), name_of("graph"));

  ASSERT_TRUE(put(coordinator, "graph").ok());
  std::string id, again;
  ASSERT_TRUE(submit(coordinator, spec, "key", &id).ok());
  EXPECT_EQ(coordinator.get(id).spec().model().graph(), name_of("graph"));
  std::filesystem::remove(stored(coordinator)[0]);
  ASSERT_TRUE(submit(coordinator, spec, "key", &again).ok()) << "the same key gives the same job, whatever has gone";
  EXPECT_EQ(again, id);
  coordinator.end(SIGKILL);
  coordinator.start();
  EXPECT_EQ(coordinator.get(id).state(), v1::PENDING) << "replaying the log asks for no files";

  v1::JobSpec local = spec;
  local.mutable_model()->set_graph("model.safetensors");
  EXPECT_EQ(submit(coordinator, local).error_code(), grpc::INVALID_ARGUMENT);
}

TEST(ArtifactProcess, LimitsAndGraceAreFlags) {
  Coordinator coordinator({"--artifact-limit", "1MiB", "--artifact-grace", "3s"});
  const grpc::Status above = put(coordinator, kBig);
  EXPECT_EQ(above.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_THAT(above.error_message(), HasSubstr("limit of 1048576"));
  ASSERT_TRUE(put(coordinator, "graph").ok());
  std::string id;
  ASSERT_TRUE(submit(coordinator, graph_spec(name_of("graph")), "", &id).ok());
  ASSERT_TRUE(put(coordinator, "nobody's").ok());
  EXPECT_TRUE(eventually([&] { return stored(coordinator).size() == 1; })) << "what no job names goes";
  std::string text;
  EXPECT_TRUE(get(coordinator, name_of("graph"), &text).ok()) << "what one names stays";

  Stub stub = v1::ArtifactService::NewStub(coordinator.channel());
  grpc::ClientContext context;
  v1::ListArtifactsResponse list;
  ASSERT_TRUE(stub->List(&context, {}, &list).ok());
  ASSERT_EQ(list.artifacts_size(), 1);
  EXPECT_THAT(list.artifacts(0).jobs(), testing::ElementsAre(id));

  grpc::ClientContext cancelling;
  v1::ChangeJobRequest cancel;
  cancel.set_id(id);
  v1::Job job;
  ASSERT_TRUE(v1::JobService::NewStub(coordinator.channel())->Cancel(&cancelling, cancel, &job).ok());
  EXPECT_TRUE(eventually([&] { return stored(coordinator).empty(); })) << "and goes a while after the job's end";
}

}  // namespace
}  // namespace ds::coordinator
