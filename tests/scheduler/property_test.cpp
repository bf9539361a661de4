// What holds for every cluster and every queue.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "scheduler/schedule.h"

namespace ds::scheduler {
namespace {

using Random = std::mt19937;

int draw(Random& random, int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); }

struct Case {
  Cluster cluster;
  std::vector<QueuedJob> queue;
};

// A cluster whose busy slots belong to running jobs, and a queue of jobs of every size.
Case random_case(uint32_t seed) {
  Random random(seed);
  Case c;
  int64_t order = 0;
  for (int i = draw(random, 0, 8); i > 0; --i) {
    WorkerView w{"w" + std::to_string(i), draw(random, 0, 5) > 0, draw(random, 0, 6), {}, {}};
    if (draw(random, 0, 1)) w.labels["host"] = "h" + std::to_string(draw(random, 0, 2));
    int busy = 0;
    for (int s = 0; s < w.slots; ++s) {
      if (draw(random, 0, 2)) {
        w.free.push_back(s);
      } else {
        ++busy;
      }
    }
    if (busy > 0 && w.ready) {
      c.cluster.running.push_back({{false, draw(random, 0, 2), draw(random, 0, 1) * 100 + order++}, busy});
    }
    c.cluster.workers.push_back(w);
  }
  if (draw(random, 0, 3) == 0) c.cluster.max_slots = draw(random, 0, 20);
  for (int i = draw(random, 0, 12); i > 0; --i) {
    c.queue.push_back(
        {"j" + std::to_string(i), {draw(random, 0, 9) == 0, draw(random, 0, 2), 20 + i}, draw(random, 0, 9)});
  }
  return c;
}

int total_slots(const Cluster& cluster) {
  int total = 0;
  for (const WorkerView& w : cluster.workers) total += w.ready ? w.slots : 0;
  return total;
}

class Property : public testing::TestWithParam<int> {
 protected:
  // Runs `check` on many cases, each named by its seed.
  template <class Check>
  void for_cases(Check check) {
    for (uint32_t i = 0; i < 500; ++i) {
      uint32_t seed = static_cast<uint32_t>(GetParam()) * 1000 + i;
      SCOPED_TRACE("seed " + std::to_string(seed));
      Case c = random_case(seed);
      check(c, schedule(c.cluster, c.queue));
      if (HasFatalFailure()) return;
    }
  }
};

const QueuedJob& find(const std::vector<QueuedJob>& queue, const std::string& id) {
  return *std::find_if(queue.begin(), queue.end(), [&](const QueuedJob& j) { return j.id == id; });
}

TEST_P(Property, NoSlotIsGivenTwiceAndGangsAreWhole) {
  for_cases([](const Case& c, const std::vector<Decision>& decisions) {
    std::set<std::pair<std::string, int>> free;
    for (const WorkerView& w : c.cluster.workers) {
      for (int s : w.free) {
        if (w.ready) free.insert({w.name, s});
      }
    }
    for (const Decision& d : decisions) {
      auto* placed = std::get_if<Placed>(&d.answer);
      if (!placed) continue;
      ASSERT_EQ(static_cast<int>(placed->ranks.size()), find(c.queue, d.job).ranks);
      for (const RankPlace& p : placed->ranks) ASSERT_EQ(free.erase({p.worker, p.slot}), 1u);
    }
  });
}

TEST_P(Property, EveryJobIsAnsweredOnceInTheOrderOfTurnsWithAReason) {
  for_cases([](const Case& c, const std::vector<Decision>& decisions) {
    ASSERT_EQ(decisions.size(), c.queue.size());
    for (size_t i = 0; i < decisions.size(); ++i) {
      if (i > 0) {
        ASSERT_TRUE(find(c.queue, decisions[i - 1].job).turn < find(c.queue, decisions[i].job).turn);
      }
      std::visit([](const auto& a) { ASSERT_FALSE(a.reason.empty()); }, decisions[i].answer);
    }
  });
}

TEST_P(Property, TheSameWhateverTheOrderOfTheInputs) {
  for_cases([](Case c, const std::vector<Decision>& decisions) {
    Random random(7);
    std::shuffle(c.queue.begin(), c.queue.end(), random);
    std::shuffle(c.cluster.workers.begin(), c.cluster.workers.end(), random);
    std::shuffle(c.cluster.running.begin(), c.cluster.running.end(), random);
    for (WorkerView& w : c.cluster.workers) std::shuffle(w.free.begin(), w.free.end(), random);
    auto again = schedule(c.cluster, c.queue);
    ASSERT_EQ(again.size(), decisions.size());
    for (size_t i = 0; i < again.size(); ++i) {
      ASSERT_EQ(again[i].job, decisions[i].job);
      ASSERT_EQ(again[i].answer.index(), decisions[i].answer.index());
      if (auto* placed = std::get_if<Placed>(&again[i].answer)) {
        ASSERT_EQ(placed->ranks, std::get<Placed>(decisions[i].answer).ranks);
      }
    }
  });
}

// The rule of the header: behind a waiting job that fits the cluster, later jobs hold at most what it leaves over,
// unless they did so before the call.
TEST_P(Property, NobodyTakesWhatAWaitingJobClaims) {
  for_cases([](const Case& c, const std::vector<Decision>& decisions) {
    int total = total_slots(c.cluster);
    for (size_t i = 0; i < decisions.size(); ++i) {
      const QueuedJob& waiting = find(c.queue, decisions[i].job);
      if (!std::holds_alternative<Wait>(decisions[i].answer) || waiting.ranks > total) continue;
      int taken = 0, held = 0;
      for (const Holding& h : c.cluster.running) held += waiting.turn < h.turn ? h.slots : 0;
      for (size_t k = i + 1; k < decisions.size(); ++k) {
        if (std::holds_alternative<Placed>(decisions[k].answer)) taken += find(c.queue, decisions[k].job).ranks;
      }
      if (taken > 0) {
        ASSERT_LE(taken + held, total - waiting.ranks);
      }
    }
  });
}

TEST_P(Property, TheFirstJobThatFitsStarts) {
  for_cases([](const Case& c, const std::vector<Decision>& decisions) {
    if (decisions.empty()) return;
    int free = 0;
    for (const WorkerView& w : c.cluster.workers) free += w.ready ? static_cast<int>(w.free.size()) : 0;
    bool waits = std::holds_alternative<Wait>(decisions[0].answer);
    if (waits) {
      ASSERT_GT(find(c.queue, decisions[0].job).ranks, free);
    }
  });
}

TEST_P(Property, AGangStaysOnOneWorkerOrOneHostWhenItCan) {
  for_cases([](const Case& c, const std::vector<Decision>& decisions) {
    if (decisions.empty() || !std::holds_alternative<Placed>(decisions[0].answer)) return;
    const auto& ranks = std::get<Placed>(decisions[0].answer).ranks;
    auto host = [](const WorkerView& w) { return w.labels.count("host") ? w.labels.at("host") : w.name; };
    std::set<std::string> workers, hosts;
    std::map<std::string, size_t> room;
    bool one_worker = false, one_host = false;
    std::vector<size_t> frees;
    for (const WorkerView& w : c.cluster.workers) {
      if (!w.ready) continue;
      frees.push_back(w.free.size());
      one_worker |= w.free.size() >= ranks.size();
      one_host |= (room[host(w)] += w.free.size()) >= ranks.size();
      for (const RankPlace& p : ranks) {
        if (p.worker == w.name) workers.insert(w.name), hosts.insert(host(w));
      }
    }
    if (one_worker) {
      ASSERT_EQ(workers.size(), 1u);
    }
    if (one_host) {
      ASSERT_EQ(hosts.size(), 1u);
    }
    if (one_host) return;
    std::sort(frees.rbegin(), frees.rend());
    size_t fewest = 0, sum = 0;
    while (sum < ranks.size()) sum += frees[fewest++];
    ASSERT_EQ(workers.size(), fewest);
  });
}

INSTANTIATE_TEST_SUITE_P(Seeds, Property, testing::Range(0, 8));

// A cluster over time: an endless rush of small jobs must not keep a wide one from starting.
TEST(Starvation, AWideJobStartsThoughSmallOnesNeverStopComing) {
  constexpr int kLife = 10;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    int slots = draw(random, 2, 8), wide = draw(random, 2, slots), started = -1;
    std::vector<QueuedJob> queue;
    struct Run {
      QueuedJob job;
      std::vector<RankPlace> ranks;
      int end;
    };
    std::vector<Run> runs;
    int64_t order = 0;
    for (int now = 0; now < 200 && started < 0; ++now) {
      std::erase_if(runs, [&](const Run& r) { return r.end <= now; });
      if (now == 20) queue.push_back({"wide", {false, 0, order++}, wide});
      for (int i = draw(random, 1, 3); i > 0; --i) {
        queue.push_back({"s" + std::to_string(order), {false, 0, order}, draw(random, 1, 2)});
        ++order;
      }
      Cluster cluster{{{"w", true, slots, {}, {}}}, {}, {}};
      std::set<int> busy;
      for (const Run& r : runs) {
        cluster.running.push_back({r.job.turn, r.job.ranks});
        for (const RankPlace& p : r.ranks) busy.insert(p.slot);
      }
      for (int s = 0; s < slots; ++s) {
        if (!busy.count(s)) cluster.workers[0].free.push_back(s);
      }
      for (const Decision& d : schedule(cluster, queue)) {
        auto* placed = std::get_if<Placed>(&d.answer);
        if (!placed) continue;
        if (d.job == "wide") started = now;
        runs.push_back({find(queue, d.job), placed->ranks, now + draw(random, 1, kLife)});
        std::erase_if(queue, [&](const QueuedJob& j) { return j.id == d.job; });
      }
      // Jobs ahead of the wide one are dropped from the rush at its arrival: only those behind it may delay it.
      if (now == 20) std::erase_if(queue, [](const QueuedJob& j) { return j.id != "wide"; });
    }
    ASSERT_GE(started, 20) << "seed " << seed << ": never started";
    ASSERT_LE(started, 20 + kLife) << "seed " << seed;
  }
}

}  // namespace
}  // namespace ds::scheduler
