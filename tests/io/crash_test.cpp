// Processes that die while they save: whatever they leave, latest() loads a whole set, and none older than the last one
// whose save was reported.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <random>
#include <thread>

#include "engine/io/checkpoint_writer.h"
#include "engine/io/file.h"
#include "tests/io/checkpoint_sets.h"
#include "tests/io/folder.h"

namespace ds::io {
namespace {

using ::ds::testing::expect_set;
using ::ds::testing::Folder;
using ::ds::testing::make_set;
using ::ds::testing::state_of;
using ::ds::testing::Tensors;

constexpr int kCrashed = 42;

// Memory that a child's last words survive in.
struct Shared {
  std::atomic<int64_t> committed{0};
  std::atomic<int> operations{0}, crash_at{-1};
};

Shared* shared() {
  static Shared* const memory = [] {
    void* p = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return new (p) Shared;
  }();
  return memory;
}

int run_child(const std::function<void()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

void crash_there(const char*, const std::string&) {
  if (shared()->operations.fetch_add(1) == shared()->crash_at) ::_exit(kCrashed);
}

// Runs `body` in children that die before file operation 0, 1, 2, ... until one gets through; `check` looks at each
// ruin.
int crash_everywhere(const std::function<void()>& prepare, const std::function<void()>& body,
                     const std::function<void(int)>& check) {
  for (int at = 0;; ++at) {
    prepare();
    shared()->operations = 0;
    shared()->crash_at = at;
    const int status = run_child([&] {
      set_file_probe(crash_there);
      body();
    });
    EXPECT_TRUE(WIFEXITED(status)) << "child died of something else, at operation " << at;
    check(at);
    if (WEXITSTATUS(status) != kCrashed || ::testing::Test::HasFailure()) return at;
  }
}

void expect_a_whole_set(const std::string& dir, int64_t at_least, const std::string& what) {
  const Latest found = latest(dir);
  ASSERT_TRUE(found.checkpoint.has_value()) << what;
  EXPECT_TRUE(found.refused.empty()) << what << ": " << found.refused.front();
  EXPECT_GE(found.checkpoint->state().step, at_least) << what;
  expect_set(*found.checkpoint);
}

TEST(Crash, AtEveryOperationOfASaveLeavesTheOldSetOrTheNewOne) {
  std::unique_ptr<Folder> folder;
  int old_sets = 0, new_sets = 0;
  const int operations = crash_everywhere(
      [&] {
        folder = std::make_unique<Folder>();
        claim(folder->path(), 1);
        make_set(folder->path(), 100, 1);
        make_set(folder->path(), 200, 1);
      },
      [&] { make_set(folder->path(), 300, 1, /*keep=*/2); },
      [&](int at) {
        expect_a_whole_set(folder->path(), 200, "operation " + std::to_string(at));
        ++(latest(folder->path()).checkpoint->state().step == 300 ? new_sets : old_sets);
        claim(folder->path(), 2);  // the next start cleans up, and goes on
        make_set(folder->path(), 300, 2, /*keep=*/2);
        for (const auto& entry : std::filesystem::directory_iterator(folder->path())) {
          EXPECT_NE(entry.path().filename().string()[0], '.') << entry.path() << " after operation " << at;
        }
      });
  EXPECT_GT(operations, 10);
  EXPECT_GT(old_sets, 8);
  EXPECT_GT(new_sets, 3);
}

TEST(Crash, AtEveryOperationOfAReplacementLeavesOneOfTheTwo) {
  std::unique_ptr<Folder> folder;
  bool saw_old = false, saw_new = false;
  crash_everywhere(
      [&] {
        folder = std::make_unique<Folder>();
        make_set(folder->path(), 100, 1);
        make_set(folder->path(), 200, 1);
      },
      [&] {
        claim(folder->path(), 2);
        make_set(folder->path(), 200, 2, /*keep=*/2);
      },
      [&](int at) {
        expect_a_whole_set(folder->path(), 200, "operation " + std::to_string(at));
        (latest(folder->path()).checkpoint->generation() == 2 ? saw_new : saw_old) = true;
      });
  EXPECT_TRUE(saw_old);
  EXPECT_TRUE(saw_new);
}

// What order the disk must see: nothing is renamed into place before it is synced, nothing old goes before that.
std::vector<std::string> journal;

TEST(Crash, EverythingIsSyncedBeforeItIsPublished) {
  const Folder folder;
  make_set(folder.path(), 100);
  journal.clear();
  set_file_probe([](const char* operation, const std::string& path) {
    journal.push_back(std::string(operation) + " " + std::filesystem::path(path).filename().string());
  });
  make_set(folder.path(), 200, 0, /*keep=*/1, /*world=*/1);
  set_file_probe(nullptr);
  const auto at = [&](const std::string& entry) {
    const auto found = std::find(journal.begin(), journal.end(), entry);
    EXPECT_NE(found, journal.end()) << entry;
    return found - journal.begin();
  };
  const auto published = at("rename step-00000200");
  EXPECT_LT(at("fsync rank-0-of-1.safetensors"), at("open manifest.json"));
  EXPECT_LT(at("fsync manifest.json"), at("fsync folder .tmp-step-00000200-gen-0"));
  EXPECT_LT(at("fsync folder .tmp-step-00000200-gen-0"), published);
  EXPECT_EQ(at("fsync folder " + std::filesystem::path(folder.path()).filename().string()), published + 1);
  EXPECT_GT(at("rename .trash-step-00000100-gen-0"), published + 1);
}

TEST(Crash, KilledAtRandomTimesFiftyTimes) {
  const Folder folder;
  const std::string dir = folder.path();
  std::mt19937 random(17);
  shared()->committed = 0;
  make_set(dir, 1, 0, 2, 2);
  shared()->committed = 1;
  int between = 0;
  for (int64_t generation = 1; generation <= 50; ++generation) {
    const int64_t resume = latest(dir).checkpoint->state().step;
    const pid_t pid = ::fork();
    if (pid == 0) {
      WriterOptions options;
      options.dir = dir;
      options.generation = generation;
      options.world = 2;
      options.sharded = true;
      WriterOptions other = options;
      other.rank = 1;
      options.done = [](const SaveResult& result) {
        if (result.error.empty()) shared()->committed = result.step;
      };
      CheckpointWriter writer(options), second(other);
      for (int64_t step = resume + 1;; ++step) {
        writer.save(state_of(step), Tensors(step, 0).views());
        second.save(state_of(step), Tensors(step, 1).views());
      }
    }
    // At a random time after the child's first save, so that each kill meets one under way.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (shared()->committed <= resume && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20000));
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    ASSERT_GT(shared()->committed, resume) << "generation " << generation << " saved nothing";
    expect_a_whole_set(dir, shared()->committed, "generation " + std::to_string(generation));
    for (const auto& entry : std::filesystem::directory_iterator(dir)) {
      between += entry.path().filename().string().starts_with(".tmp-") ? 1 : 0;
    }
  }
  EXPECT_GT(between, 10) << "hardly a kill met a save under way";
}

}  // namespace
}  // namespace ds::io
