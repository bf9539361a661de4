#include "worker/executor/script.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "worker/executor/child.h"
#include "worker/executor/translate.h"
#include "worker/log_tail.h"
#include "worker/logging.h"

namespace ds::worker {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kStopped = 75, kPeerLost = 74, kSignalled = 128;
constexpr int kLookMs = 100;
constexpr double kFrozen = 3;  // in the stopped state, seconds

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// The program under the job's name, so that its traces say something.
std::string named_link(const v1::StartRank& start, const fs::path& folder) {
  fs::create_directories(folder);
  fs::path link = folder / (start.spec().name() + ".py");
  std::error_code ignored;
  fs::remove(link, ignored);
  fs::create_symlink(fs::absolute(local_path(start, start.spec().model().script())), link);
  return link;
}

// As it stands on a command line; in one word with its name, so that a -1 is no option.
std::string argument(const v1::ScriptParam& param) {
  const std::string name = absl::StrCat("--", param.name());
  switch (param.value_case()) {
    case v1::ScriptParam::kFlag:
      return param.flag() ? name : absl::StrCat("--no-", param.name());
    case v1::ScriptParam::kInteger:
      return absl::StrCat(name, "=", param.integer());
    case v1::ScriptParam::kNumber:
      return absl::StrCat(name, "=", Json(param.number()).dump());  // every bit of it, and 1.0 is no 1
    default:
      return absl::StrCat(name, "=", param.text());
  }
}

ChildOptions child_options(const v1::StartRank& start, const ScriptOptions& options) {
  fs::path folder = start.job_dir();
  const std::string of_rank = absl::StrCat("gen-", start.generation(), "-rank-", start.rank());
  ChildOptions out;
  out.argv = {options.python, named_link(start, folder / "scripts" / of_rank)};
  out.argv.insert(out.argv.end(), start.spec().model().args().begin(), start.spec().model().args().end());
  for (const v1::ScriptParam& param : start.spec().model().params()) out.argv.push_back(argument(param));
  out.folder = folder;
  out.channel_variable = "DS_JOB_CHANNEL";
  out.environment = {{"DS_JOB", start.job()},
                     {"DS_JOB_DIR", folder},
                     {"DS_RENDEZVOUS", folder / "rendezvous" / absl::StrCat("gen-", start.generation())},
                     {"RANK", absl::StrCat(start.rank())},
                     {"WORLD_SIZE", absl::StrCat(start.ranks())},
                     {"OMP_NUM_THREADS", absl::StrCat(options.threads)},
                     {"PYTHONUNBUFFERED", "1"}};
  if (const std::string& data = start.spec().data().path(); !data.empty())
    out.environment["DS_DATA"] = local_path(start, data);
  return out;
}

// The last line with a word in it that the program left in the log that it shares with us: what its parser, or the
// interpreter, said of its end.
std::string last_words(const std::string& ours) {
  struct stat log {};
  if (::fstat(STDERR_FILENO, &log) != 0 || !S_ISREG(log.st_mode)) return "";
  const std::string end = LogTail("/proc/self/fd/2", "", 0, 0).last_lines(50, 8192);
  const std::vector<absl::string_view> lines = absl::StrSplit(end, absl::ByAnyChar("\r\n"));
  const auto says = [&](absl::string_view line) {
    return !absl::StrContains(line, ours) && std::any_of(line.begin(), line.end(), absl::ascii_isalnum);
  };
  const auto last = std::find_if(lines.rbegin(), lines.rend(), says);
  return last == lines.rend() ? "" : std::string(absl::StripAsciiWhitespace(*last));
}

// A figure that may be none: JSON has no word for nan and inf, and they come as text.
double figure(const Json& value) {
  return value.is_string() ? std::stod(value.get<std::string>()) : value.get<double>();
}

double figure(const Json& report, const char* name, double fallback) {
  return report.contains(name) ? figure(report[name]) : fallback;
}

class Script {
 public:
  Script(Reporter& reporter, Child child, double stop_grace, std::string fields)
      : reporter_(reporter),
        child_(std::move(child)),
        stop_grace_(stop_grace),
        fields_(std::move(fields)),
        reported_at_(now()) {}

  v1::ExecutorDone run() {
    reporter_.status().phase = train::Phase::computing;
    for (;;) {
      for (const std::string& line : child_.read(kLookMs)) hear(line);
      watch();
      std::optional<ExitStatus> end = child_.exit();
      if (!end) continue;
      for (const std::string& line : child_.read(0)) hear(line);
      return outcome(*end);
    }
  }

 private:
  void hear(const std::string& line) {
    Json message = Json::parse(line, nullptr, false);
    if (!message.is_object()) return spdlog::warn("the program said what is no JSON: {}", line.substr(0, 200));
    try {
      if (message.contains("report")) report(message["report"]);
      if (message.contains("warning")) reporter_.on_warning(message["warning"]);
      if (message.contains("error")) error_ = message["error"], failure_ = message.value("failure", "");
      if (message.contains("checkpoint")) {
        reporter_.on_checkpoint(message["checkpoint"], message.at("step"));
        reporter_.status().checkpoints.fetch_add(1);
      }
    } catch (const std::exception& e) {
      spdlog::warn("the program said {}: {}", line.substr(0, 200), e.what());
    }
  }

  void report(const Json& r) {
    v1::MetricRecord record;
    record.set_step(r.at("step"));
    record.set_epoch(r.value("epoch", int64_t{0}));
    record.set_time(unix_time());
    total_steps_ = r.value("total_steps", total_steps_);
    if (!started_) {
      started_ = true;
      reporter_.on_start(std::max<int64_t>(record.step() - 1, 0), total_steps_);
    }
    double since = now();
    record.set_step_seconds(r.value("seconds", since - reported_at_));
    reported_at_ = since;
    const bool evaluation = r.contains("test_accuracy") || r.contains("test_loss") || r.contains("metrics");
    if (evaluation || r.contains("loss")) diverged_.clear();
    if (r.contains("loss")) tell_step(r, record);
    if (evaluation) tell_evaluation(r, record);
    reporter_.on_progress({record.step(), total_steps_, record.epoch(), train_seconds_});
  }

  // Whether the program goes on from a figure that is no number is its own affair; if it then fails, that is why.
  void look(const std::string& name, double value, int64_t step) {
    if (!std::isfinite(value)) diverged_ = absl::StrCat("its ", name, " was ", value, " at step ", step);
  }

  void tell_step(const Json& r, v1::MetricRecord record) {
    record.set_kind("train");
    record.set_loss(figure(r["loss"]));
    look("loss", record.loss(), record.step());
    record.set_lr(figure(r, "lr", 0));
    record.set_samples(r.value("samples", int64_t{0}));
    const double seconds = record.step_seconds();
    if (seconds > 0) record.set_samples_per_second(static_cast<double>(record.samples()) / seconds);
    reporter_.on_record(record);
    train_seconds_ += seconds;
    train::TrainStatus& status = reporter_.status();
    status.step = record.step();
    status.steps.fetch_add(1);
    status.samples.fetch_add(record.samples());
    status.step_seconds = status.step_seconds + seconds;
  }

  // Has what it reported, and no more.
  void tell_evaluation(const Json& r, v1::MetricRecord record) {
    record.set_kind("eval");
    const auto given = [&](const std::string& name, const Json& value) {
      look(name, figure(value), record.step());
      return figure(value);
    };
    if (r.contains("test_loss")) record.set_loss(given("test_loss", r["test_loss"]));
    if (r.contains("test_accuracy")) record.set_accuracy(given("test_accuracy", r["test_accuracy"]));
    const Json own = r.value("metrics", Json::object());
    for (const auto& [name, value] : own.items()) (*record.mutable_reported())[name] = given(name, value);
    reporter_.on_record(std::move(record));
  }

  // What its loop does is its own affair; only a program that cannot run at all stands still here.
  void watch() {
    const double time = now();
    if (process_state(child_.process().pid) != 'T') {
      running_at_ = time;
      reporter_.status().ticks.fetch_add(1);
    } else if (time - running_at_ > kFrozen && verdict_.empty()) {
      end(absl::StrCat("the program (pid ", child_.process().pid, ") was in state T (stopped) for ", kFrozen, " s"));
    }
    if (!reporter_.stop_requested()) return;
    if (stop_at_ == 0) {
      stop_at_ = time;
      child_.write(R"({"stop": true})");
    } else if (time - stop_at_ > stop_grace_ && verdict_.empty()) {
      reporter_.on_warning(absl::StrCat("the program did not heed job.should_stop() within ", stop_grace_,
                                        " s: it was ended without a checkpoint"));
      end("ended after it did not stop");
    }
  }

  void end(std::string why) {
    verdict_ = std::move(why);
    send_signal(child_.process(), SIGKILL);
  }

  v1::ExecutorDone outcome(const ExitStatus& exit) {
    v1::ExecutorDone done;
    const bool stopping = stop_at_ != 0;
    done.set_succeeded(exit.code == 0);
    done.set_stopped(stopping && exit.code != 0 && (exit.code == kStopped || !verdict_.empty()));
    if (done.succeeded() || done.stopped()) return done;
    done.set_retryable(exit.code == kPeerLost || exit.code >= kSignalled);
    done.set_killed(exit.code == kSignalled + SIGKILL && verdict_.empty());
    done.set_failure(done.retryable() ? v1::FAILURE_INFRASTRUCTURE : class_of_error());
    std::string error = !verdict_.empty() ? verdict_ : !error_.empty() ? error_ : how_it_ended(exit);
    if (done.failure() == v1::FAILURE_NAN && !diverged_.empty()) absl::StrAppend(&error, "; ", diverged_);
    done.set_error(error);
    spdlog::error("{}", done.error());
    return done;
  }

  std::string how_it_ended(const ExitStatus& exit) const {
    std::string how = absl::StrCat("the program ", exit.text);
    const std::string words = exit.code < kSignalled ? last_words(fields_) : "";
    if (!words.empty()) absl::StrAppend(&how, "; its log ends with: ", words);
    return how;
  }

  v1::FailureClass class_of_error() const {
    if (failure_ == "oom") return v1::FAILURE_OOM;
    return failure_ == "nan" || (failure_.empty() && !diverged_.empty()) ? v1::FAILURE_NAN : v1::FAILURE_USER_ERROR;
  }

  Reporter& reporter_;
  Child child_;
  const double stop_grace_;
  const std::string fields_;  // of our own lines in the log
  std::string error_, verdict_;
  std::string failure_;   // the class of the error, as the program says it
  std::string diverged_;  // what the last figures that were reported had of nan or inf
  bool started_ = false;
  int64_t total_steps_ = 0;
  double reported_at_, running_at_ = now(), stop_at_ = 0, train_seconds_ = 0;
};

}  // namespace

std::string log_fields(const v1::StartRank& start) {
  return absl::StrCat("job=", start.job(), " generation=", start.generation(), " rank=", start.rank());
}

v1::ExecutorDone run_script(const v1::StartRank& start, const ScriptOptions& options, Reporter& reporter) {
  absl::StatusOr<Child> child = Child::start(child_options(start, options));
  if (!child.ok()) {
    v1::ExecutorDone done;
    done.set_failure(v1::FAILURE_USER_ERROR);
    done.set_error(std::string(child.status().message()));
    spdlog::error("{}", done.error());
    return done;
  }
  spdlog::info("script pid={} python={}", child->process().pid, options.python);
  return Script(reporter, *std::move(child), options.stop_grace, log_fields(start)).run();
}

}  // namespace ds::worker
