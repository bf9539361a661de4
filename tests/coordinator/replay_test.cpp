// Random histories: the state is a function of the log, and what must never happen does not.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <regex>
#include <set>
#include <sstream>

#include "coordinator/store/store.h"
#include "tests/coordinator/study_drive.h"

namespace ds::coordinator {
namespace {

// Workers and users that do whatever they like, mostly sensible things.
class Chaos {
 public:
  explicit Chaos(uint32_t seed) : random_(seed) {}

  void step() {
    switch (draw(0, 19)) {
      case 0:
        d.submit("j" + std::to_string(draw(0, 3)), draw(1, 4), draw(0, 2));
        break;
      case 1:
        register_worker();
        break;
      case 2:
        d.lost(worker());
        break;
      case 3:
        d.drain(worker());
        break;
      case 4:
        (void)d.change(job(), static_cast<v1::JobChanged::Change>(draw(1, 3)));
        break;
      case 5:
        d.progress(job(), draw(0, 4), draw(0, 500));
        break;
      case 6:
        d.now += draw(0, 90) * 1'000'000ll;
        d.tick();
        break;
      case 8:
        (void)d.undrain(worker());
        d.drained(worker());
        break;
      case 9:
        (void)d.remove(worker());
        break;
      case 7:
        d.report(worker(), job(), draw(0, 4), draw(0, 3), static_cast<v1::RankState>(draw(0, 6)));
        break;
      case 10:
        if (d.state.studies.size() < 3)
          d.study({.trials = draw(1, 6), .parallel = draw(1, 3), .retrain = draw(0, 1) == 1});
        break;
      case 11:
        if (draw(0, 5) == 0) (void)d.change_study(study(), static_cast<v1::JobChanged::Change>(draw(1, 3)));
        break;
      case 12:
        d.advise(study(), draw(0, 5));
        break;
      case 13:
        evaluate_some_job();
        break;
      case 14:
      case 15:
        answer_some();
        break;
      default:
        advance_some_rank();
        break;
    }
  }
  int draw(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  StudyDrive d;

 private:
  std::string study() { return "s-" + std::to_string(draw(1, 3)); }
  // In any order, some twice, and some never: those are asked again, as after a restart.
  void answer_some() {
    if (d.asked.empty()) d.asked = unanswered(d.state);
    if (d.asked.empty()) return;
    const int k = draw(0, static_cast<int>(d.asked.size()) - 1);
    const Tune question = d.asked[static_cast<size_t>(k)];
    if (draw(0, 4) > 0) d.asked.erase(d.asked.begin() + k);
    if (draw(0, 9) == 0) return;
    if (question.what == Tune::kSuggest && draw(0, 9) == 0) {
      d.fail_to_suggest(question, "nothing");
    } else if (question.what != Tune::kRecommend && draw(0, 3) == 0) {
      d.resumes(question, draw(0, 3));  // whatever became of it
    } else {
      d.answer(question);
    }
  }
  void evaluate_some_job() {
    const auto found = d.state.jobs.find(job());
    if (found != d.state.jobs.end()) d.evaluates(view(found->second), draw(1, 4), draw(0, 100) / 100.0);
  }
  std::string worker() { return "w" + std::to_string(draw(1, 4)); }
  std::string job() {
    if (d.state.by_order.empty()) return "none-1";
    return std::next(d.state.by_order.begin(), draw(0, static_cast<int>(d.state.by_order.size()) - 1))->second;
  }
  void register_worker() {
    const std::string name = worker();
    std::vector<v1::ExecutorReport> executors;
    for (const auto& [id, record] : d.state.jobs) {
      for (int r = 0; r < record.ranks_size(); ++r) {
        if (record.ranks(r).worker() != name || draw(0, 3) == 0) continue;
        executors.push_back(d.executor(id, record.job().generation() - (draw(0, 5) == 0), r,
                                       static_cast<v1::RankState>(draw(v1::RANK_SPAWNED, v1::RANK_EXITED))));
      }
    }
    d.worker(name, draw(1, 4), "i" + std::to_string(draw(1, 3)), executors);
  }
  void advance_some_rank() {
    const std::string id = job();
    auto found = d.state.jobs.find(id);
    if (found == d.state.jobs.end() || found->second.ranks_size() == 0) return;
    const v1::JobRecord record = found->second;
    const int r = draw(0, record.ranks_size() - 1);
    const v1::RankRecord& rank = record.ranks(r);
    if (draw(0, 4) == 0) {
      d.exit(rank.worker(), id, record.job().generation(), r, draw(0, 1) * 137,
             {.retryable = draw(0, 3) > 0, .stopped = record.stop() != v1::STOP_NOTHING && draw(0, 1) == 0});
    } else {
      const int next = std::min<int>(rank.state() + 1, v1::RANK_RUNNING);
      d.report(rank.worker(), id, record.job().generation(), r, static_cast<v1::RankState>(next));
    }
  }

  std::mt19937 random_;
};

void check_invariants(const State& state) {
  std::set<std::pair<std::string, int>> held;
  for (const auto& [id, record] : state.jobs) {
    const v1::JobState now = record.job().state();
    ASSERT_EQ(ended(now), state.live.count(record.order()) == 0) << id;
    const bool waits = now == v1::PENDING || now == v1::PAUSED || ended(now);
    ASSERT_FALSE(waits && holds_slots(record)) << id << " holds slots as " << v1::JobState_Name(now);
    ASSERT_FALSE(waits && record.stop() != v1::STOP_NOTHING) << id;
    ASSERT_TRUE(!ended(now) || record.job().finished_at_us() > 0) << id;
    if (now == v1::RUNNING) {
      ASSERT_TRUE(record.met() && record.job().started_at_us() > 0) << id;
    }
    if (now == v1::ADMITTED || now == v1::STARTING || now == v1::RUNNING) {
      ASSERT_TRUE(holds_slots(record)) << id;
    }
    if (now == v1::RECOVERING) {
      ASSERT_EQ(holds_slots(record), record.stop() != v1::STOP_NOTHING) << id;
    }
    if (now == v1::SUCCEEDED) {
      for (const auto& rank : record.ranks()) ASSERT_TRUE(rank.complete()) << id;
    }
    for (const auto& rank : record.ranks()) {
      if (!released(rank)) {
        ASSERT_TRUE(held.insert({rank.worker(), rank.slot()}).second) << id << " shares a slot";
      }
    }
  }
  for (const auto& [name, worker] : state.workers) {
    bool busy = false;
    for (const auto& [w, slot] : held) busy |= w == name;
    if (worker.state() == v1::WORKER_LOST || worker.state() == v1::WORKER_DRAINED) {
      ASSERT_FALSE(busy) << name;
    }
  }
}

// What a study's log says of each trial: begun once, ended once, unless it was stopped and goes on.
void check_log(const v1::StudyRecord& record) {
  std::map<int64_t, int> begun, over;
  std::map<int64_t, bool> stopped;
  std::map<int64_t, int64_t> step;
  for (const v1::TuneEvent& e : record.log()) {
    if (e.has_asked()) {
      ASSERT_EQ(e.trial(), static_cast<int64_t>(begun.size()));
      ++begun[e.trial()];
      continue;
    }
    ASSERT_EQ(begun[e.trial()], 1);
    if (e.resumed()) {
      ASSERT_TRUE(over[e.trial()] == 1 && stopped[e.trial()]) << "trial " << e.trial() << " goes on";
      over[e.trial()] = 0;
      continue;
    }
    ASSERT_EQ(over[e.trial()], 0) << "trial " << e.trial() << " goes on after its end";
    if (e.has_reported()) {
      ASSERT_GT(e.reported().step(), step[e.trial()]);
      step[e.trial()] = e.reported().step();
    } else {
      ++over[e.trial()];
      stopped[e.trial()] = e.told().stopped();
    }
  }
  const bool cut = ended(record.study().state());  // its last trials ended with it
  for (const v1::TrialRecord& t : record.trials()) {
    const bool told = over[t.trial().id()] == 1;
    ASSERT_TRUE(told == (t.trial().state() != v1::TRIAL_RUNNING) || (cut && !told));
  }
}

void check_study(const State& state, const v1::StudyRecord& record) {
  int64_t running = 0, spent = 0;
  std::set<std::string> jobs;
  for (const v1::TrialRecord& t : record.trials()) {
    const v1::JobRecord& job = state.jobs.at(t.trial().job());
    ASSERT_TRUE(jobs.insert(t.trial().job()).second) << "two trials are one job";
    ASSERT_EQ(job.job().study(), record.study().id());
    ASSERT_EQ(job.job().trial(), t.trial().id());
    running += t.trial().state() == v1::TRIAL_RUNNING;
    spent += t.trial().failure() != v1::FAILURE_INFRASTRUCTURE;
    if (t.trial().state() == v1::TRIAL_RUNNING) {
      ASSERT_FALSE(ended(job.job().state())) << t.trial().job();
    }
    ASSERT_EQ(t.trial().values_size() > 0,
              t.trial().state() == v1::TRIAL_FINISHED || t.trial().state() == v1::TRIAL_STOPPED);
    if (ended(record.study().state())) {
      ASSERT_TRUE(ended(job.job().state()) || job.stop() == v1::STOP_TO_CANCEL || job.stop() == v1::STOP_TO_FAIL)
          << t.trial().job() << " goes on without its study";
    }
  }
  ASSERT_LE(running, record.study().spec().budget().parallel());
  ASSERT_LE(spent, record.study().spec().budget().trials());
  if (record.study().state() == v1::STUDY_RETRAINING || ended(record.study().state())) {
    ASSERT_EQ(running, 0);
  }
  for (const auto& [id, job] : state.jobs) {
    if (job.job().study() != record.study().id()) continue;
    ASSERT_TRUE(jobs.count(id) || id == record.study().retrain_job()) << id << " belongs to no trial";
  }
  check_log(record);
}

TEST(Replay, TheLogRebuildsTheStateByteForByteAndTheInvariantsHold) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Chaos chaos(seed);
    for (int i = 0; i < 400; ++i) {
      chaos.step();
      check_invariants(chaos.d.state);
      for (const auto& [id, record] : chaos.d.state.studies) check_study(chaos.d.state, record);
      if (testing::Test::HasFatalFailure()) {
        FAIL() << "after " << chaos.d.log.back().ShortDebugString();
      }
    }
    State replayed;
    const size_t half = chaos.d.log.size() / 2;
    for (size_t i = 0; i < chaos.d.log.size(); ++i) {
      if (i == half) replayed = from_snapshot(to_snapshot(replayed));  // a snapshot on the way changes nothing
      apply(replayed, chaos.d.log[i]);
    }
    ASSERT_EQ(serialise(to_snapshot(replayed)), serialise(to_snapshot(chaos.d.state)));
  }
}

// When the turmoil ends, every job ends: no history leaves one stuck.
TEST(Replay, EveryHistoryCanBeBroughtToItsEnd) {
  for (uint32_t seed = 100; seed < 160; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Chaos chaos(seed);
    for (int i = 0; i < 300; ++i) chaos.step();
    StudyDrive& d = chaos.d;
    auto going = [&d] {
      return !d.state.live.empty() || std::any_of(d.state.studies.begin(), d.state.studies.end(),
                                                  [](const auto& s) { return !ended(s.second.study().state()); });
    };
    for (int w = 1; w <= 4; ++w) d.worker("w" + std::to_string(w), 4, "last");  // new daemons, with nothing running
    for (int round = 0; round < 4000 && going(); ++round) {
      for (const auto& [order, id] : d.state.studies_by_order) (void)d.change_study(id, v1::JobChanged::RESUME);
      for (const Tune& question : unanswered(d.state)) d.answer(question);
      if (d.state.live.empty()) continue;
      const std::string id = d.state.by_order.at(*std::next(d.state.live.begin(), round % d.state.live.size()));
      const v1::JobRecord record = d.state.jobs.at(id);
      if (record.job().state() == v1::PAUSED) (void)d.change(id, v1::JobChanged::RESUME);
      for (int r = 0; r < record.ranks_size(); ++r) {
        const v1::RankRecord& rank = record.ranks(r);
        if (released(rank)) continue;
        if (record.stop() != v1::STOP_NOTHING) {
          d.exit(rank.worker(), id, record.job().generation(), r, 0, {.stopped = true});
        } else if (rank.state() == v1::RANK_RUNNING) {
          d.exit(rank.worker(), id, record.job().generation(), r, 0);
        } else {
          d.report(rank.worker(), id, record.job().generation(), r, record.met() ? v1::RANK_RUNNING : v1::RANK_READY);
        }
      }
      d.now += 10'000'000;
      d.tick();
    }
    for (int64_t order : d.state.live) ADD_FAILURE() << d.state.jobs.at(d.state.by_order.at(order)).ShortDebugString();
    for (const auto& [id, record] : d.state.studies) EXPECT_TRUE(ended(record.study().state())) << id;
  }
}

// The law: apply() knows no clock, no randomness, no world.
TEST(Law, TheCoreAndTheSchedulerArePure) {
  const std::regex forbidden(
      R"(absl::Now|std::chrono|<chrono>|<random>|\brand\(|random_device|gettimeofday|clock_gettime|\btime\(|<thread>|<fstream>|)"
      R"(<iostream>|<unistd|<sys/|<mutex>|absl/time|absl/synchronization|unordered_|spdlog|grpcpp|sqlite|getenv)");
  int files = 0;
  for (const char* folder : {"/coordinator/core", "/scheduler"}) {
    for (const auto& entry : std::filesystem::directory_iterator(std::string(DS_SOURCE) + folder)) {
      if (entry.path().extension() != ".h" && entry.path().extension() != ".cpp") continue;
      ++files;
      std::ifstream in(entry.path());
      std::string line;
      for (int n = 1; std::getline(in, line); ++n) {
        EXPECT_FALSE(std::regex_search(line, forbidden)) << entry.path() << ":" << n << ": " << line;
      }
    }
  }
  EXPECT_GE(files, 10);
}

}  // namespace
}  // namespace ds::coordinator
