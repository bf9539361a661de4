// The disk: what was acknowledged is there again, and what is damaged is refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "absl/time/clock.h"
#include "coordinator/store/logs.h"
#include "coordinator/store/store.h"
#include "tests/coordinator/drive.h"

namespace ds::coordinator {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/ds-store-XXXXXX";
    folder_ = mkdtemp(name);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<Store> open() {
    auto store = Store::open(folder_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  // Submits `n` jobs, one commit each.
  void fill(Store& store, State& state, int n) {
    for (int i = 0; i < n; ++i) {
      v1::Event event;
      event.set_time_us(1000 + i);
      event.mutable_submitted()->mutable_spec()->set_name("j");
      event.mutable_submitted()->set_client_key(std::to_string(state.revision));
      Batch batch{state.revision + 1, {serialise(event)}, {}};
      coordinator::apply(state, event);
      ASSERT_TRUE(store.commit(batch).ok());
    }
  }
  void sql(const std::string& statement) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(file("coordinator.db").c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, statement.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  std::string file(const std::string& name) { return folder_ + "/" + name; }

  static v1::MetricRecord record(const std::string& kind, int64_t step, int64_t generation, double loss) {
    v1::MetricRecord r;
    r.set_kind(kind);
    r.set_step(step);
    r.set_generation(generation);
    r.set_loss(loss);
    return r;
  }

  std::string folder_;
};

TEST_F(StoreTest, GivesBackWhatWasCommitted) {
  State state;
  fill(*open(), state, 20);
  auto again = open()->load();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(serialise(to_snapshot(*again)), serialise(to_snapshot(state)));
}

TEST_F(StoreTest, ASnapshotStandsForTheEventsBeforeIt) {
  State state;
  {
    auto store = open();
    fill(*store, state, 10);
    ASSERT_TRUE(store->snapshot(state).ok());
    fill(*store, state, 5);
  }
  auto again = open()->load();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(serialise(to_snapshot(*again)), serialise(to_snapshot(state)));
}

TEST_F(StoreTest, KeepsASecondCoordinatorOut) {
  auto store = open();
  auto second = Store::open(folder_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use by another ds-coordinator"));
}

TEST_F(StoreTest, WaitsForOneThatIsStillBeingTakenApart) {
  auto dying = open();
  std::thread kernel([&dying] {
    absl::SleepFor(absl::Milliseconds(300));
    dying.reset();
  });
  auto next = Store::open(folder_);
  kernel.join();
  EXPECT_TRUE(next.ok()) << next.status();
}

// As after kill -9: the files are copied while the store is open, and the copy's log gets a torn tail.
TEST_F(StoreTest, ATornTailOfTheLogLosesNothingAcknowledged) {
  State state;
  auto store = open();
  fill(*store, state, 20);
  const std::string crashed = folder_ + "/crashed";
  fs::create_directories(crashed);
  for (const char* name : {"coordinator.db", "coordinator.db-wal"}) fs::copy(file(name), crashed + "/" + name);
  std::ofstream(crashed + "/coordinator.db-wal", std::ios::app) << std::string(5000, 'x');
  auto copy = Store::open(crashed);
  ASSERT_TRUE(copy.ok()) << copy.status();
  auto again = (*copy)->load();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(serialise(to_snapshot(*again)), serialise(to_snapshot(state)));
}

// A commit whose own frames are torn was never acknowledged: the state is the one before it, whole.
TEST_F(StoreTest, ATornCommitIsAsIfItHadNotBeen) {
  State state;
  auto store = open();
  fill(*store, state, 5);
  const std::string before = serialise(to_snapshot(state));
  const auto whole = fs::file_size(file("coordinator.db-wal"));
  fill(*store, state, 1);
  const std::string crashed = folder_ + "/crashed";
  fs::create_directories(crashed);
  for (const char* name : {"coordinator.db", "coordinator.db-wal"}) fs::copy(file(name), crashed + "/" + name);
  ASSERT_GT(fs::file_size(crashed + "/coordinator.db-wal"), whole);
  fs::resize_file(crashed + "/coordinator.db-wal", whole + 1000);
  auto copy = Store::open(crashed);
  ASSERT_TRUE(copy.ok()) << copy.status();
  auto again = (*copy)->load();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(serialise(to_snapshot(*again)), before);
}

TEST_F(StoreTest, RefusesAFileThatIsNotOurs) {
  std::ofstream(file("coordinator.db")) << std::string(8192, 'g');
  auto store = Store::open(folder_);
  EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss) << store.status();
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("coordinator.db"));
}

TEST_F(StoreTest, RefusesANewerFormat) {
  open();
  sql("PRAGMA user_version=9");
  EXPECT_THAT(std::string(Store::open(folder_).status().message()), HasSubstr("format 9"));
}

TEST_F(StoreTest, NamesADamagedEvent) {
  State state;
  fill(*open(), state, 9);
  sql("UPDATE events SET payload = replace(payload, 'j', 'k') WHERE seq = 7");
  auto again = open()->load();
  EXPECT_EQ(again.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(again.status().message()), HasSubstr("event 7's checksum"));
}

TEST_F(StoreTest, NamesAMissingEvent) {
  State state;
  fill(*open(), state, 9);
  sql("DELETE FROM events WHERE seq = 4");
  EXPECT_THAT(std::string(open()->load().status().message()), HasSubstr("event 4 is missing"));
}

TEST_F(StoreTest, RefusesADamagedSnapshot) {
  State state;
  {
    auto store = open();
    fill(*store, state, 9);
    ASSERT_TRUE(store->snapshot(state).ok());
  }
  sql("UPDATE snapshot SET payload = substr(payload, 1, length(payload) - 1)");
  EXPECT_THAT(std::string(open()->load().status().message()), HasSubstr("snapshot's checksum"));
}

TEST_F(StoreTest, AHistoryReadsAsTheUnbrokenRun) {
  auto store = open();
  Batch batch;
  for (int step = 1; step <= 6; ++step) batch.metrics.push_back({"a-1", record("train", step, 1, step)});
  batch.metrics.push_back({"a-1", record("eval", 3, 1, 0.5)});
  ASSERT_TRUE(store->commit(batch).ok());
  batch = {};
  for (int step = 4; step <= 5; ++step) batch.metrics.push_back({"a-1", record("train", step, 2, step * 10)});
  batch.metrics.push_back({"a-1", record("train", 5, 1, -1)});  // late, of the older start
  ASSERT_TRUE(store->commit(batch).ok());
  auto history = store->metrics("a-1");
  ASSERT_TRUE(history.ok());
  std::vector<std::pair<std::string, double>> seen;
  for (const auto& r : *history) seen.emplace_back(r.kind() + std::to_string(r.step()), r.loss());
  using P = std::pair<std::string, double>;
  EXPECT_THAT(seen, ElementsAre(P{"train1", 1}, P{"train2", 2}, P{"train3", 3}, P{"eval3", 0.5}, P{"train4", 40},
                                P{"train5", 50}, P{"train6", 6}));
  EXPECT_EQ(store->metrics_step("a-1"), 6);
  EXPECT_EQ(store->metrics_step("b-2"), 0);
}

TEST_F(StoreTest, LogsTakeEachByteOnce) {
  Logs logs(folder_ + "/logs");
  EXPECT_EQ(*logs.append("a-1", {1, 0}, 0, "one\n"), 4);
  EXPECT_EQ(*logs.append("a-1", {1, 0}, 0, "one\n"), 4);     // again
  EXPECT_EQ(*logs.append("a-1", {1, 0}, 2, "e\ntwo\n"), 8);  // half of it known
  EXPECT_EQ(*logs.append("a-1", {1, 0}, 20, "later\n"), 8);  // beyond a gap: go on from 8
  EXPECT_EQ(*logs.append("a-1", {1, 0}, 8, "thr"), 11);
  EXPECT_EQ(logs.read("a-1", {1, 0}, 0, false), "one\ntwo\n");  // whole lines
  EXPECT_EQ(logs.read("a-1", {1, 0}, 8, false), "");
  EXPECT_EQ(logs.read("a-1", {1, 0}, 8, true), "thr");
  EXPECT_EQ(*logs.append("a-1", {2, 1}, 0, "x\n"), 2);
  EXPECT_THAT(logs.list("a-1"), ElementsAre(LogKey{1, 0}, LogKey{2, 1}));
}

TEST_F(StoreTest, ALongLineIsCutBetweenCharacters) {
  Logs logs(folder_ + "/logs");
  ASSERT_TRUE(logs.append("a-1", {1, 0}, 0, "abc\xe2\x82\xac\xe2\x82\xac\n").ok());
  EXPECT_EQ(logs.read("a-1", {1, 0}, 0, true, 5), "abc");
  EXPECT_EQ(logs.read("a-1", {1, 0}, 3, true, 5), "\xe2\x82\xac");
  EXPECT_EQ(logs.read("a-1", {1, 0}, 6, true, 5), "\xe2\x82\xac\n");
}

TEST_F(StoreTest, LogsStayInTheirFolder) {
  Logs logs(folder_ + "/logs");
  for (const char* job : {"../a", "/a", "", "a/b", "A"}) {
    EXPECT_EQ(logs.append(job, {1, 0}, 0, "x").status().code(), absl::StatusCode::kInvalidArgument) << job;
  }
  EXPECT_FALSE(logs.append("a-1", {0, 0}, 0, "x").ok());
  EXPECT_FALSE(logs.append("a-1", {1, -1}, 0, "x").ok());
}

}  // namespace
}  // namespace ds::coordinator
