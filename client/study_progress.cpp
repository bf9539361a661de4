#include "client/study_progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/client.h"
#include "client/documents.h"
#include "client/study_documents.h"
#include "client/study_views.h"
#include "client/view.h"

namespace ds::client {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr int kSpark = 40;

std::vector<const v1::Trial*> with_values(const Trials& trials) {
  std::vector<const v1::Trial*> out;
  for (const v1::Trial& t : trials)
    if (ended(t.state()) && t.values_size() > 0 && t.state() != v1::TRIAL_FAILED) out.push_back(&t);
  std::stable_sort(out.begin(), out.end(), [](auto* a, auto* b) { return a->finished_at_us() < b->finished_at_us(); });
  return out;
}

int64_t ended_count(const v1::Study& study) { return study.trials_finished() + study.trials_failed(); }

std::string eta(const v1::Study& study, const Trials& trials) {
  const double left = seconds_left(study, trials);
  return study.state() == v1::STUDY_RUNNING && left >= 0 ? absl::StrCat("  ETA ", duration_text(left)) : "";
}

std::string head_line(const v1::Study& study, const Trials& trials) {
  std::string out = absl::StrCat(study.spec().name(), " (", study.id(), ") ", state_name(study.state()), "  ",
                                 ended_count(study), "/", study.spec().budget().trials(), " trials");
  if (study.trials_running() > 0) absl::StrAppend(&out, ", ", study.trials_running(), " running");
  if (study.trials_failed() > 0) absl::StrAppend(&out, ", ", study.trials_failed(), " failed");
  if (study.epochs() > 0) absl::StrAppend(&out, "  ", study.epochs(), " epochs");
  const char* about = study.spec().budget().has_max_epochs() ? "" : "about ";
  if (study.epochs_saved() > 0) absl::StrAppend(&out, ", ", about, study.epochs_saved(), " saved");
  return out + eta(study, trials);
}

// "front of 5: test_accuracy 0.8812 to 0.8012, params 50890 to 12345  knee: trial 3, test_accuracy 0.86, params 25450"
std::string front_line(const v1::Study& study) {
  const auto& front = study.best().front();
  std::vector<std::string> ranges;
  std::string knee;
  for (int i = 0; i < study.spec().objectives_size(); ++i) {
    const std::string& metric = study.spec().objectives(i).metric();
    ranges.push_back(absl::StrCat(metric, " ", value_text(metric, front.begin()->means(i)), " to ",
                                  value_text(metric, front.rbegin()->means(i))));
  }
  for (const v1::FrontTrial& f : front)
    if (f.trial() == study.best().trial()) knee = values_text(study.spec(), f.means());
  return absl::StrFormat("front of %d: %s  knee: trial %d, %s", front.size(), absl::StrJoin(ranges, ", "),
                         study.best().trial(), knee);
}

std::string best_line(const v1::Study& study, const Trials& trials) {
  const v1::ObjectiveSpec& objective = study.spec().objectives(0);
  if (!study.has_best()) return absl::StrCat(objective.metric(), ": no trial has ended with a value yet");
  if (!study.best().front().empty()) return front_line(study);
  const v1::Recommendation& best = study.best();
  return absl::StrFormat("%s %s  best %s (trial %d)  recommended: trial %d, %s [%s, %s]", objective.metric(),
                         sparkline(incumbents(study.spec(), trials), objective.maximize(), kSpark),
                         value_text(best.best_value()), best.best_observed(), best.trial(), value_text(best.mean()),
                         value_text(best.low()), value_text(best.high()));
}

// Those that run, then the last that ended.
Trials shown_trials(const Trials& trials, size_t most) {
  std::vector<const v1::Trial*> order;
  for (const v1::Trial& t : trials) order.push_back(&t);
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) {
    const bool a_ended = ended(a->state()), b_ended = ended(b->state());
    if (a_ended != b_ended) return b_ended;
    return a_ended ? a->finished_at_us() > b->finished_at_us() : a->id() < b->id();
  });
  Trials out;
  for (size_t i = 0; i < std::min(most, order.size()); ++i) out.push_back(*order[i]);
  return out;
}

// So many characters of UTF-8.
std::string cut(const std::string& text, int columns) {
  int seen = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80 && ++seen > columns) return text.substr(0, at);
  }
  return text;
}

winsize size_of(FILE* out) {
  winsize size{};
  if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
    size.ws_col = 80, size.ws_row = 24;
  return size;
}

}  // namespace

std::vector<double> incumbents(const v1::StudySpec& spec, const Trials& trials) {
  std::vector<double> out;
  for (const v1::Trial* t : with_values(trials))
    out.push_back(out.empty() || better(spec.objectives(0), t->values(0), out.back()) ? t->values(0) : out.back());
  return out;
}

std::string sparkline(const std::vector<double>& values, bool maximize, int columns) {
  static const char* const kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  if (values.empty() || columns < 1) return "";
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const size_t count = std::min(values.size(), static_cast<size_t>(columns));
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    const double value = values[count == 1 ? values.size() - 1 : i * (values.size() - 1) / (count - 1)];
    const double part = *high > *low ? (value - *low) / (*high - *low) : 1;
    out += kBlocks[std::lround((maximize || *high == *low ? part : 1 - part) * 7)];
  }
  return out;
}

double seconds_left(const v1::Study& study, const Trials& trials) {
  double spent = 0;
  int64_t count = 0;
  for (const v1::Trial& t : trials) {
    if (!ended(t.state()) || t.started_at_us() == 0 || t.finished_at_us() < t.started_at_us()) continue;
    spent += static_cast<double>(t.finished_at_us() - t.started_at_us()) * 1e-6;
    ++count;
  }
  const int64_t left = study.spec().budget().trials() - ended_count(study);
  if (count == 0 || left < 0) return -1;
  const auto at_once =
      static_cast<double>(std::clamp<int64_t>(study.spec().budget().parallel(), 1, std::max<int64_t>(left, 1)));
  return spent / static_cast<double>(count) * static_cast<double>(left) / at_once;
}

std::string trial_line(const v1::Study& study, const Trials& trials, const v1::Trial& trial) {
  std::string out = absl::StrCat(study.id(), " trial ", trial.id(), " ", state_name(trial.state()));
  if (trial.failure() != v1::FAILURE_UNSPECIFIED) absl::StrAppend(&out, " ", failure_name(trial.failure()));
  if (trial.values_size() > 0) absl::StrAppend(&out, " ", values_text(study.spec(), trial.values()));
  if (!trial.reason().empty()) absl::StrAppend(&out, " (", trial.reason(), ")");
  if (!ended(trial.state())) return out;
  if (study.has_best() && !study.best().front().empty())
    absl::StrAppend(&out, ", front of ", study.best().front_size());
  else if (study.has_best())
    absl::StrAppend(&out, ", best ", value_text(study.best().best_value()), " of trial ", study.best().best_observed());
  return absl::StrCat(out, ", ", ended_count(study), "/", study.spec().budget().trials(), eta(study, trials));
}

std::string study_screen(const v1::Study& study, const Trials& trials, int columns, int lines) {
  std::string out = absl::StrCat(head_line(study, trials), "\n", best_line(study, trials), "\n");
  if (!study.reason().empty()) absl::StrAppend(&out, study.reason(), "\n");
  const size_t room = static_cast<size_t>(std::max(0, lines - 5));
  View view = trials_view(study, shown_trials(trials, room));
  std::erase_if(view.columns, [](const Column& c) { return c.title == "JOB" || c.title == "REASON"; });
  if (room > 0) absl::StrAppend(&out, render(view, Format::kTable));
  std::string fitting;
  for (absl::string_view line : absl::StrSplit(out, '\n', absl::SkipEmpty()))
    absl::StrAppend(&fitting, cut(std::string(line), columns - 1), "\n");
  return fitting;
}

StudyProgress::StudyProgress(FILE* out) : out_(out), terminal_(isatty(fileno(out)) == 1) {}

void StudyProgress::clear() {
  if (lines_ > 0) absl::FPrintF(out_, "\033[%dA\r\033[J", lines_);
  lines_ = 0;
}

void StudyProgress::draw(const v1::Study& study, const Trials& trials) {
  const auto now = std::chrono::steady_clock::now();
  if (study.state() == state_ && study.reason() == reason_ && now - drawn_ < kRedraw) return;
  drawn_ = now;
  clear();
  const winsize size = size_of(out_);
  const std::string screen = study_screen(study, trials, size.ws_col, size.ws_row);
  std::fputs(screen.c_str(), out_);
  lines_ = static_cast<int>(std::count(screen.begin(), screen.end(), '\n'));
}

void StudyProgress::print_news(const v1::Study& study, const Trials& trials) {
  if (study.state() != state_ || (!study.reason().empty() && study.reason() != reason_))
    absl::FPrintF(out_, "%s %s%s\n", study.id(), state_name(study.state()),
                  study.reason().empty() ? "" : absl::StrCat(": ", study.reason()));
  for (const v1::Trial& trial : trials) {
    v1::TrialState& told = told_[trial.id()];
    if (told == trial.state()) continue;
    told = trial.state();
    absl::FPrintF(out_, "%s\n", trial_line(study, trials, trial));
  }
}

void StudyProgress::show(const v1::Study& study, const Trials& trials) {
  terminal_ ? draw(study, trials) : print_news(study, trials);
  state_ = study.state();
  reason_ = study.reason();
  std::fflush(out_);
}

void StudyProgress::lost(const absl::Status& status) {
  clear();
  absl::FPrintF(out_, "%s; the study goes on, trying again\n", std::string(status.message()));
  std::fflush(out_);
}

}  // namespace ds::client
