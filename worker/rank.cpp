#include "worker/rank.h"

#include <signal.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace ds::worker {
namespace {

constexpr int kStopped = 75;  // EX_TEMPFAIL: ended early on request

// Whether a process of the rank's was killed, by nobody here, while the kernel was killing for want of memory.
bool wanted_memory(const Rank& rank) {
  const bool killed = rank.done ? rank.done->killed() : rank.exit && rank.exit->code == 128 + SIGKILL;
  return killed && rank.verdict.empty() && rank.oom_kills > 0;
}

std::string for_memory(const Rank& rank) {
  if (!wanted_memory(rank)) return "";
  return absl::StrCat(", it seems for want of memory: the kernel counts ", rank.oom_kills,
                      rank.oom_kills == 1 ? " such kill" : " such kills", " in the last moments");
}

std::string crash_detail(const Rank& rank, const std::string& log) {
  std::string detail =
      absl::StrCat("rank ", rank.rank(), " (pid ", rank.process.pid, ") ", rank.exit->text, for_memory(rank));
  if (!log.empty()) absl::StrAppend(&detail, "; its log ends with: ", log);
  return detail;
}

v1::FailureClass failure_of(const Rank& rank) {
  if (wanted_memory(rank)) return v1::FAILURE_OOM;
  if (rank.done && rank.done->failure() != v1::FAILURE_UNSPECIFIED) return rank.done->failure();
  return rank.hung ? v1::FAILURE_TIMEOUT : v1::FAILURE_INFRASTRUCTURE;
}

// A reason is shown in a line of a table and of a log.
std::string one_line(absl::string_view text) {
  const std::vector<absl::string_view> lines = absl::StrSplit(text, absl::ByAnyChar("\r\n"), absl::SkipWhitespace());
  return absl::StrJoin(lines, " | ");
}

}  // namespace

void fill_exit_report(Rank& rank, const std::string& log) {
  v1::ExecutorReport& report = rank.report;
  report.set_state(v1::RANK_EXITED);
  report.set_retryable(true);
  report.set_exit_code(rank.exit ? rank.exit->code : 255);
  if (rank.done && rank.done->succeeded()) {  // its work is complete and told, whatever its exit was like
    report.set_exit_code(0);
    report.set_retryable(false);
    report.set_detail("finished");
  } else if (rank.done && rank.done->stopped()) {
    report.set_exit_code(kStopped);
    report.set_stopped(true);
    report.set_detail("stopped after its checkpoint");
  } else if (!rank.done && rank.stop_asked && rank.exit && rank.exit->code == kStopped) {
    report.set_stopped(true);
    report.set_detail("stopped before its first step");
  } else if (rank.done) {
    report.set_retryable(rank.done->retryable());
    report.set_detail(absl::StrCat(rank.done->error(), for_memory(rank)));
  } else if (!rank.verdict.empty()) {
    report.set_detail(rank.verdict);
  } else if (rank.exit) {
    report.set_detail(crash_detail(rank, log));
  }
  if (report.exit_code() != 0 && !report.stopped()) report.set_failure(failure_of(rank));
  report.set_detail(one_line(report.detail()));
}

}  // namespace ds::worker
