#include "worker/rank.h"

#include "absl/strings/str_cat.h"

namespace ds::worker {
namespace {

constexpr int kStopped = 75;  // EX_TEMPFAIL: ended early on request

std::string crash_detail(const Rank& rank, const std::string& log) {
  std::string detail = absl::StrCat("rank ", rank.rank(), " (pid ", rank.process.pid, ") ", rank.exit->text);
  if (!log.empty()) absl::StrAppend(&detail, "; its log ends with:\n", log);
  return detail;
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
    report.set_detail(rank.done->error());
  } else if (!rank.verdict.empty()) {
    report.set_detail(rank.verdict);
  } else if (rank.exit) {
    report.set_detail(crash_detail(rank, log));
  }
}

}  // namespace ds::worker
