// Models that the coordinator asks about: each is traced by an executor of its own, which ends when it has answered.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "proto/digest/digest.h"
#include "worker/agent.h"
#include "worker/logging.h"

namespace ds::worker {
namespace {

v1::ProfileResult failed(const std::string& job, std::string error, bool retryable) {
  v1::ProfileResult result;
  result.set_job(job);
  result.set_error(std::move(error));
  result.set_retryable(retryable);
  return result;
}

std::string last_words(const std::string& path) {
  std::ifstream file(path);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  return text.substr(text.size() > 1024 ? text.size() - 1024 : 0);
}

}  // namespace

std::string Agent::profile_path(const Profile& profile, const char* what) const {
  return absl::StrCat(options_.data, "/profile-", profile.start.job(), ".", what);
}

// Asked again, it is under way already.
void Agent::profile(const v1::ProfileModel& m) {
  if (profiles_.count(m.job())) return;
  Profile& profile = profiles_[m.job()];
  profile.start.set_job(m.job());
  *profile.start.mutable_spec() = m.spec();
  profile.start.set_ranks(1);
  for (const std::string& name : {m.spec().model().graph(), m.spec().data().path()}) {
    if (digest::is_digest(name)) profile.artifacts.push_back(artifacts_.acquire(name));
  }
  supervisor_.wake();  // which advances it
}

absl::Status Agent::spawn_profiler(Profile& profile) {
  const std::string job_file = profile_path(profile, "start"), log = profile_path(profile, "log");
  absl::Status written = write_file_atomically(job_file, profile.start.SerializeAsString());
  if (!written.ok()) return written;
  absl::StatusOr<Process> process = spawn({options_.executor, "--job-file", job_file, "--profile",
                                           profile_path(profile, "result"), "--parent", absl::StrCat(getpid())},
                                          log);
  if (!process.ok()) return process.status();
  profile.process = *std::move(process);
  prefer_for_oom(profile.process.pid);
  profile.id = ++last_id_;
  supervisor_.watch(profile.process, profile.id);
  return absl::OkStatus();
}

void Agent::advance(Profile& profile) {
  if (profile.process.pid != 0 || profile.result) return;
  const std::string job = profile.start.job();
  for (const ArtifactCache::Lease& lease : profile.artifacts) {
    const ArtifactCache::View view = artifacts_.look(lease);
    if (!view.status.ok()) {
      const bool again = !absl::IsNotFound(view.status) && !absl::IsDataLoss(view.status);
      profile.result = failed(job, absl::StrCat("cannot fetch ", lease.digest(), ": ", view.status.message()), again);
      return;
    }
    if (!view.ready) return;
    (*profile.start.mutable_artifacts())[lease.digest()] = view.path;
  }
  if (absl::Status spawned = spawn_profiler(profile); !spawned.ok())
    profile.result = failed(job, std::string(spawned.message()), true);
}

void Agent::advance_profiles() {
  for (auto& [job, profile] : profiles_) {
    advance(profile);
    if (!profile.result) continue;
    spdlog::info("job={} profiled error={}", job, profile.result->error());
    v1::WorkerMessage message;
    *message.mutable_profiled() = *profile.result;
    outbox_.push(std::move(message));  // lost with the stream, it is asked for again
  }
  std::erase_if(profiles_, [](const auto& entry) { return entry.second.result.has_value(); });
}

bool Agent::profiler_ended(uint64_t id) {
  for (auto& [job, profile] : profiles_) {
    if (profile.id != id) continue;
    const ExitStatus exit = reap(profile.process);
    supervisor_.forget(profile.process);
    v1::ProfileResult result;
    std::ifstream file(profile_path(profile, "result"), std::ios::binary);
    const bool whole = exit.code == 0 && file && result.ParseFromIstream(&file);
    const std::string log = profile_path(profile, "log");
    profile.result =
        whole ? result : failed(job, absl::StrCat("ds-executor --profile ", exit.text, ": ", last_words(log)), true);
    for (const char* what : {"start", "result", "log"}) std::filesystem::remove(profile_path(profile, what));
    supervisor_.wake();
    return true;
  }
  return false;
}

}  // namespace ds::worker
