#include "client/artifacts.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/stubs.h"
#include "proto/digest/digest.h"
#include "proto/spec/job_spec.h"

namespace ds::client {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunk = 1 << 20;

bool worth_trying_again(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE || status.error_code() == grpc::StatusCode::CANCELLED;
}

// Sends the file's bytes until they or the stream end. Not OK: the file could not be read.
absl::Status send_bytes(grpc::ClientWriter<v1::PutArtifactRequest>& writer, const Transfer& whole,
                        const OnTransfer& on_transfer) {
  std::ifstream in(whole.path, std::ios::binary);
  Transfer transfer = whole;
  v1::PutArtifactRequest message;
  std::vector<char> block(kChunk);
  while (in && transfer.done < transfer.total) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    message.set_data(block.data(), static_cast<size_t>(in.gcount()));
    if (!writer.Write(message)) return absl::OkStatus();  // refused, known already, or lost: Finish() says which
    transfer.done += in.gcount();
    if (on_transfer) on_transfer(transfer);
  }
  if (in.bad() || (!in && !in.eof())) return absl::InvalidArgumentError(absl::StrCat("cannot read ", whole.path));
  return absl::OkStatus();
}

// The file that `name` means to a user in `folder`.
std::string local_file(const std::string& folder, const std::string& name) {
  return fs::absolute(fs::path(folder) / name).lexically_normal();
}

absl::Status at_field(const char* field, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(field, ": ", status.message()));
}

// Of data.path: what it is from now on.
absl::StatusOr<std::string> resolve_data(Client& client, const v1::JobSpec& spec, const std::string& folder,
                                         const OnTransfer& on_transfer) {
  const std::string& path = spec.data().path();
  const std::string file = local_file(folder, path);
  if (spec.data().dataset() != "tensors" && spec.model().script().empty()) return file;
  std::error_code error;
  const bool here = fs::exists(file, error);
  if (here && !fs::is_directory(file, error)) return client.upload(file, on_transfer);
  if (here || fs::path(path).is_absolute()) return file;
  return absl::InvalidArgumentError(
      absl::StrCat("there is no file ", file, "; give one, an artifact's digest, or an absolute path of the workers"));
}

}  // namespace

absl::StatusOr<std::string> Client::upload(const std::string& path, const OnTransfer& on_transfer) {
  if (absl::Status status = check_address(options_.address); !status.ok()) return status;
  std::error_code error;
  Transfer transfer{path, Transfer::kHashing, 0, static_cast<int64_t>(fs::file_size(path, error))};
  if (error) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path, ": ", error.message()));
  const auto file = digest::digest_file(path, [&](int64_t done) {
    transfer.done = done;
    if (on_transfer) on_transfer(transfer);
    return true;
  });
  if (!file.ok()) return absl::InvalidArgumentError(file.status().message());
  const int64_t stops = stubs_->streams.stops();
  auto heard = Clock::now();
  auto patience = options_.patience;
  for (;;) {
    grpc::ClientContext context;
    const Streams::Scope scope(stubs_->streams, context);
    if (stubs_->streams.stops() != stops) return absl::CancelledError("stopped");
    v1::Artifact stored;
    auto writer = stubs_->artifacts->Put(&context, &stored);
    v1::PutArtifactRequest first;
    first.set_digest(file->digest);
    first.set_size(file->size);
    absl::Status sent;
    if (writer->Write(first)) {  // somebody is there: from now on a loss may be a restart
      heard = Clock::now();
      patience = options_.stream_patience;
      sent = send_bytes(*writer, {path, Transfer::kUploading, 0, file->size}, on_transfer);
    }
    if (!sent.ok()) context.TryCancel();
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    if (!sent.ok()) return sent;
    if (status.ok()) return file->digest;
    if (stubs_->streams.stops() != stops) return absl::CancelledError("stopped");
    if (!worth_trying_again(status) || Clock::now() + kPause > heard + patience) return in_words(status, options_);
    std::this_thread::sleep_for(kPause);
  }
}

absl::Status Client::download(const std::string& digest, const std::string& path, const OnTransfer& on_transfer) {
  if (absl::Status status = check_address(options_.address); !status.ok()) return status;
  const std::string temporary = absl::StrCat(path, ".", getpid(), ".part");
  std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
  if (!out) return absl::InvalidArgumentError(absl::StrCat("cannot write ", temporary, ": ", std::strerror(errno)));
  v1::GetArtifactRequest request;
  request.set_digest(digest);
  Transfer transfer{path, Transfer::kDownloading, 0, 0};
  digest::Sha256 sha;
  const auto open = [&](auto* context) {
    request.set_offset(transfer.done);
    return stubs_->artifacts->Get(context, request);
  };
  const auto take = [&](const v1::ArtifactChunk* chunk) {
    if (chunk == nullptr) return true;
    transfer.total = std::max(transfer.total, chunk->size());
    out.write(chunk->data().data(), static_cast<std::streamsize>(chunk->data().size()));
    sha.update(chunk->data());
    transfer.done += static_cast<int64_t>(chunk->data().size());
    if (on_transfer) on_transfer(transfer);
    return out.good();
  };
  absl::Status status = read_stream<v1::ArtifactChunk>(Clock::time_point::max(), open, take, {});
  out.close();
  if (status.ok() && !out)
    status = absl::ResourceExhaustedError(absl::StrCat("cannot write ", temporary, ": ", std::strerror(errno)));
  if (const std::string got = sha.finish(); status.ok() && got != digest)
    status = absl::DataLossError(absl::StrCat("what came for ", digest, " is ", got));
  if (status.ok() && std::rename(temporary.c_str(), path.c_str()) != 0)
    status = absl::InvalidArgumentError(absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
  if (!status.ok()) ::unlink(temporary.c_str());
  return status;
}

absl::StatusOr<std::vector<v1::Artifact>> Client::artifacts() {
  auto response = call_once_answered<v1::ListArtifactsResponse>(
      [&](auto* context, auto* out) { return stubs_->artifacts->List(context, v1::ListArtifactsRequest(), out); });
  if (!response.ok()) return response.status();
  return std::vector<v1::Artifact>(response->artifacts().begin(), response->artifacts().end());
}

absl::Status resolve_artifacts(Client& client, v1::JobSpec& spec, const std::string& folder,
                               const OnTransfer& on_transfer) {
  const auto resolve = [&](const char* field, std::string* name) {
    if (name->empty() || digest::is_digest(*name)) return absl::OkStatus();
    auto digest = client.upload(local_file(folder, *name), on_transfer);
    if (!digest.ok()) return at_field(field, digest.status());
    *name = *std::move(digest);
    return absl::OkStatus();
  };
  if (absl::Status s = resolve("model.graph", spec.mutable_model()->mutable_graph()); !s.ok()) return s;
  if (absl::Status s = resolve("model.script", spec.mutable_model()->mutable_script()); !s.ok()) return s;
  if (spec.data().path().empty() || digest::is_digest(spec.data().path())) return absl::OkStatus();
  auto path = resolve_data(client, spec, folder, on_transfer);
  if (!path.ok()) return at_field("data.path", path.status());
  spec.mutable_data()->set_path(*std::move(path));
  return absl::OkStatus();
}

}  // namespace ds::client
