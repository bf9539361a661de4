#include "client/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/documents.h"

namespace ds::client {
namespace {

constexpr std::chrono::milliseconds kBarPause{100};
constexpr std::chrono::milliseconds kLinePause{2000};

// At the pace of the whole run so far: that of the last steps jumps about.
double seconds_left(const v1::Job& job) {
  const int64_t done = job.progress().step(), left = job.progress().total_steps() - done;
  const double spent = job.metrics().train_seconds();
  return done > 0 && left >= 0 && spent > 0 ? spent / static_cast<double>(done) * static_cast<double>(left) : -1;
}

// What both forms say after the step.
std::string figures(const v1::Job& job, const char* gap) {
  std::string out;
  if (job.progress().step() > 0 && job.metrics().has_loss())
    out = absl::StrFormat("%sloss %.4f%s%.0f samples/s", gap, job.metrics().loss(), gap,
                          job.metrics().samples_per_second());
  if (job.metrics().has_test_accuracy()) absl::StrAppendFormat(&out, "%stest %.4f", gap, job.metrics().test_accuracy());
  if (job.state() == v1::RUNNING && seconds_left(job) >= 0)
    absl::StrAppend(&out, gap, "ETA ", duration_text(seconds_left(job)));
  return out;
}

std::string steps(const v1::Job& job) {
  const int64_t total = job.progress().total_steps();
  return total > 0 ? absl::StrCat("step ", job.progress().step(), "/", total)
                   : absl::StrCat("step ", job.progress().step());
}

// What a job that is not running yet waits for: a rank's files, on their way to its worker.
std::string waits_for(const v1::Job& job) {
  for (const v1::RankStatus& rank : job.ranks()) {
    if (rank.state() == v1::RANK_ASSIGNED && !rank.detail().empty())
      return absl::StrCat("rank ", rank.rank(), " on ", rank.worker(), ": ", rank.detail());
  }
  return "";
}

int columns_of(FILE* out) {
  winsize size{};
  return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string progress_bar(const v1::Job& job, int columns) {
  const int64_t total = job.progress().total_steps();
  const double part = total > 0 ? std::clamp(static_cast<double>(job.progress().step()) / total, 0.0, 1.0) : 0;
  const std::string after = absl::StrCat(absl::StrFormat(" %3.0f%%  ", part * 100), steps(job), figures(job, "  "));
  const int room = std::min(40, columns - static_cast<int>(after.size()) - 3);
  if (room < 5) return after.substr(1, std::max(0, columns - 1));
  const int full = static_cast<int>(part * room);
  const std::string head = full < room ? ">" : "";
  return absl::StrCat("[", std::string(full, '='), head, std::string(room - full - head.size(), ' '), "]", after);
}

std::string progress_line(const v1::Job& job) {
  return absl::StrCat(job.id(), " ", state_name(job.state()), " ", steps(job), " epoch ", job.progress().epoch(),
                      figures(job, " "), waits_for(job).empty() ? "" : absl::StrCat(" ", waits_for(job)));
}

Progress::Progress(FILE* out) : out_(out), terminal_(isatty(fileno(out)) == 1) {}

Progress::~Progress() {
  if (bar_) std::fputs("\n", out_);
}

void Progress::clear_bar() {
  if (bar_) std::fputs("\r\033[K", out_);
  bar_ = false;
}

void Progress::show(const v1::Job& job) {
  const bool news = job.state() != state_ || job.reason() != reason_;
  const auto now = Steady::now();
  if (!news && now - shown_ < (terminal_ ? kBarPause : kLinePause)) return;
  shown_ = now;
  if (news && terminal_) {
    clear_bar();
    const std::string why = job.reason().empty() ? "" : absl::StrCat(": ", job.reason());
    absl::FPrintF(out_, "%s (%s) %s%s\n", job.spec().name(), job.id(), state_name(job.state()), why);
  }
  if (news && !terminal_ && !job.reason().empty()) absl::FPrintF(out_, "%s: %s\n", job.id(), job.reason());
  state_ = job.state();
  reason_ = job.reason();
  if (!terminal_) {
    absl::FPrintF(out_, "%s\n", progress_line(job));
  } else if (job.state() == v1::RUNNING || job.state() == v1::SUCCEEDED) {
    absl::FPrintF(out_, "\r%s\033[K", progress_bar(job, columns_of(out_)));
    bar_ = true;
  } else if (const std::string what = waits_for(job); !what.empty()) {
    absl::FPrintF(out_, "\r%s\033[K", what.substr(0, static_cast<size_t>(columns_of(out_)) - 1));
    bar_ = true;
  }
  std::fflush(out_);
}

void Progress::lost(const absl::Status& status) {
  clear_bar();
  absl::FPrintF(out_, "%s; the job goes on, trying again\n", std::string(status.message()));
  std::fflush(out_);
}

}  // namespace ds::client
