// Random histories: the state is a function of the log, and what must never happen does not.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <regex>
#include <set>
#include <sstream>

#include "coordinator/store/store.h"
#include "tests/coordinator/drive.h"

namespace ds::coordinator {
namespace {

// Workers and users that do whatever they like, mostly sensible things.
class Chaos {
 public:
  explicit Chaos(uint32_t seed) : random_(seed) {}

  void step() {
    switch (draw(0, 13)) {
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
      default:
        advance_some_rank();
        break;
    }
  }
  int draw(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  Drive d;

 private:
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

TEST(Replay, TheLogRebuildsTheStateByteForByteAndTheInvariantsHold) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Chaos chaos(seed);
    for (int i = 0; i < 400; ++i) {
      chaos.step();
      check_invariants(chaos.d.state);
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
    Drive& d = chaos.d;
    for (int w = 1; w <= 4; ++w) d.worker("w" + std::to_string(w), 4, "last");  // new daemons, with nothing running
    for (int round = 0; round < 2000 && !d.state.live.empty(); ++round) {
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
