// The worker's parts, one by one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "worker/constants.h"
#include "worker/cores.h"
#include "worker/log_tail.h"
#include "worker/memory.h"
#include "worker/outbox.h"
#include "worker/process.h"
#include "worker/rank.h"
#include "worker/watchdog.h"

namespace ds::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/ds-parts-test-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path, error);
  }
  std::string path;
};

// ---- constants

// A program that counts its runs and "measures" what was prepared.
struct Measured {
  Folder folder;
  MeasureOptions options;
  Measured() {
    v1::Constants constants;
    constants.set_all_reduce_seconds(1e-5);
    std::ofstream(folder.path + "/prepared", std::ios::binary) << constants.SerializeAsString();
    write("echo run >>" + folder.path + "/runs; cp " + folder.path + "/prepared \"$4\"");
    options = {.executor = folder.path + "/program",
               .data = folder.path,
               .cores = {0, 1},
               .machine_cores = {0, 1},
               .slots = 2};
  }
  void write(const std::string& body) {
    const std::string path = folder.path + "/program";
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }
  long runs() const {
    std::ifstream file(folder.path + "/runs");
    return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
  }
};

TEST(Constants, AreMeasuredOnceAndAnewForAnotherProgramOrOtherSlots) {
  Measured m;
  for (int start = 0; start < 3; ++start) {
    const absl::StatusOr<v1::Constants> constants = ds::worker::constants(m.options);
    ASSERT_TRUE(constants.ok()) << constants.status();
    EXPECT_EQ(constants->all_reduce_seconds(), 1e-5);
    EXPECT_EQ(m.runs(), 1);
  }
  m.options.slots = 1;
  ASSERT_TRUE(constants(m.options).ok());
  EXPECT_EQ(m.runs(), 2);
  m.write("echo again >>" + m.folder.path + "/runs; cp " + m.folder.path + "/prepared \"$4\"");
  ASSERT_TRUE(constants(m.options).ok());
  EXPECT_EQ(m.runs(), 3);
}

TEST(Constants, DamagedOnesAreMeasuredAnewAndAFailureSaysTheProgramsWords) {
  Measured m;
  ASSERT_TRUE(constants(m.options).ok());
  std::ofstream(m.folder.path + "/constants", std::ios::binary) << "damaged";
  ASSERT_TRUE(constants(m.options).ok());
  EXPECT_EQ(m.runs(), 2);
  m.write("echo no such instruction >&2; exit 3");
  const absl::Status status = constants(m.options).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("no such instruction"));
}

// ---- cores

TEST(Cores, ReadsListsAndRanges) {
  EXPECT_THAT(*parse_cores("0,2-4,3"), ElementsAre(0, 2, 3, 4));
  for (const char* bad : {"", "a", "3-1", "-1", "1,,2", "1-2-3", "100000"}) {
    absl::StatusOr<std::vector<int>> cores = parse_cores(bad);
    ASSERT_FALSE(cores.ok()) << bad;
    EXPECT_THAT(std::string(cores.status().message()), HasSubstr(std::string("\"") + bad + "\""));
  }
}

TEST(Cores, SlotsShareEvenlyAndCoverAll) {
  std::vector<int> cores = {0, 1, 2, 3, 4};
  EXPECT_THAT(slot_cores(cores, 0, 2), ElementsAre(0, 1));
  EXPECT_THAT(slot_cores(cores, 1, 2), ElementsAre(2, 3, 4));
  EXPECT_THAT(slot_cores({4, 6}, 2, 3), ElementsAre(4));  // more slots than cores: in turn
}

TEST(Cores, MoreThreadsThanTheSlotHasMayUseAllOfTheWorkers) {
  EXPECT_EQ(cpu_share({0, 1, 2, 3}, 1, 2, 0).threads, 2);
  EXPECT_THAT(cpu_share({0, 1, 2, 3}, 1, 2, 1).cores, ElementsAre(2, 3));
  CpuShare wide = cpu_share({0, 1}, 0, 2, 2);
  EXPECT_EQ(wide.threads, 2);
  EXPECT_THAT(wide.cores, ElementsAre(0, 1));
}

TEST(Cores, DevicesAreNamedByTheirSlot) {
  EXPECT_EQ(*slot_of_device("cpu:3"), 3);
  for (const char* bad : {"cuda:0", "cpu:", "cpu:-1", "cpu:x", ""}) EXPECT_FALSE(slot_of_device(bad).ok()) << bad;
}

// ---- processes

// ---- memory

TEST(Memory, KillsOfOurGroupAreCounted) {
  Folder folder;
  auto write = [&](const std::string& path, const std::string& text) {
    std::filesystem::create_directories((folder.path + path).substr(0, (folder.path + path).rfind('/')));
    std::ofstream(folder.path + path) << text;
  };
  EXPECT_EQ(oom_kills(folder.path), -1);
  write("/proc/vmstat", "nr_free_pages 5\noom_kill 9\n");
  EXPECT_EQ(oom_kills(folder.path), 9) << "the machine's, where there is nothing better";
  write("/proc/self/cgroup", "5:cpu,memory:/docker/x\n0::/some/slice\n");
  write("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
  EXPECT_EQ(oom_kills(folder.path), 4) << "of version 1, as a container sees it";
  write("/proc/self/cgroup", "0::/some/slice\n");
  write("/sys/fs/cgroup/some/slice/memory.events", "low 0\noom 3\noom_kill 2\n");
  EXPECT_EQ(oom_kills(folder.path), 2);
  OomWatch watch(folder.path);
  watch.look(10);
  EXPECT_EQ(watch.recent(), 0);
  write("/sys/fs/cgroup/some/slice/memory.events", "low 0\noom 3\noom_kill 3\n");
  EXPECT_EQ(watch.recent(), 1);
  for (int second = 11; second < 30; ++second) watch.look(second);
  EXPECT_EQ(watch.recent(), 0) << "long ago";
}

TEST(Memory, AKillForWantOfMemoryIsSaidSoInOneLine) {
  Rank rank;
  rank.start.set_rank(3);
  rank.process.pid = 42;
  rank.exit = ExitStatus{128 + SIGKILL, "killed by SIGKILL (9)"};
  fill_exit_report(rank, "one\ntwo\r\n");
  EXPECT_EQ(rank.report.detail(), "rank 3 (pid 42) killed by SIGKILL (9); its log ends with: one | two");
  EXPECT_EQ(rank.report.failure(), v1::FAILURE_INFRASTRUCTURE);
  rank.oom_kills = 1;
  fill_exit_report(rank, "");
  EXPECT_THAT(rank.report.detail(), HasSubstr("(9), it seems for want of memory: the kernel counts 1 such kill"));
  EXPECT_EQ(rank.report.failure(), v1::FAILURE_OOM);
  rank.exit = ExitStatus{1, "exited with code 1"};
  fill_exit_report(rank, "");
  EXPECT_EQ(rank.report.detail(), "rank 3 (pid 42) exited with code 1");
  EXPECT_EQ(rank.report.failure(), v1::FAILURE_INFRASTRUCTURE);
  rank.done.emplace();  // of an executor whose program was killed
  rank.done->set_killed(true);
  rank.done->set_retryable(true);
  rank.done->set_failure(v1::FAILURE_INFRASTRUCTURE);
  rank.done->set_error("the program killed by SIGKILL (9)");
  fill_exit_report(rank, "");
  EXPECT_THAT(rank.report.detail(), HasSubstr("the program killed by SIGKILL (9), it seems for want of memory"));
  EXPECT_EQ(rank.report.failure(), v1::FAILURE_OOM);
  rank.oom_kills = 0;
  fill_exit_report(rank, "");
  EXPECT_EQ(rank.report.failure(), v1::FAILURE_INFRASTRUCTURE);
}

TEST(Process, NamesHowItEnded) {
  Folder folder;
  auto ended = [&](const char* script) {
    auto process = spawn({"/bin/sh", "-c", script}, folder.path + "/log");
    siginfo_t info{};
    waitid(P_PIDFD, process->pidfd.get(), &info, WEXITED | WNOWAIT);
    return reap(*process);
  };
  EXPECT_EQ(ended("exit 3").text, "exited with code 3");
  EXPECT_EQ(ended("kill -SEGV $$").text, "killed by SIGSEGV (11)");
  EXPECT_EQ(ended("kill -SEGV $$").code, 139);
}

TEST(Process, InheritsNoDescriptorAndNoBlockedSignal) {
  Folder folder;
  int leak[2];
  ASSERT_EQ(pipe(leak), 0);  // not close-on-exec
  sigset_t set, old;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, &old);
  auto process =
      spawn({"/bin/sh", "-c", "ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status"}, folder.path + "/log");
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  reap(*process);
  close(leak[0]);
  close(leak[1]);
  std::ifstream log(folder.path + "/log");
  std::string fds, mask;
  std::getline(log, fds);
  std::getline(log, mask);
  EXPECT_EQ(fds, "4");  // 0, 1, 2 and the one that lists them
  EXPECT_EQ(mask, "SigBlk:\t0000000000000000");
}

// ---- watchdog

v1::ExecutorBeat beat_of(int64_t step, v1::ExecutorPhase phase, double step_seconds = 0.01) {
  v1::ExecutorBeat beat;
  beat.set_step(step);
  beat.set_ticks(step);
  beat.set_steps(step);
  beat.set_step_seconds(step_seconds * static_cast<double>(step));
  beat.set_phase(phase);
  return beat;
}

// Beats every 0.2 s of a rank that stands still, until something is wrong; when, or -1.
double found_after(v1::ExecutorPhase phase, double step_seconds, double limit, std::string* why = nullptr) {
  Watchdog dog(0);
  dog.beat(beat_of(7, phase, step_seconds), 0);
  for (double t = 0.2; t < limit; t += 0.2) {
    dog.beat(beat_of(7, phase, step_seconds), t);
    if (auto wrong = dog.check(t, 'S')) {
      if (why) *why = *wrong;
      return t;
    }
  }
  return -1;
}

TEST(Watchdog, AStandstillIsFoundAfterFifteenSecondsOrTwentySteps) {
  std::string why;
  EXPECT_NEAR(found_after(v1::EXECUTOR_COMPUTING, 0.01, 60, &why), 15, 0.5);
  EXPECT_THAT(why, HasSubstr("step 7, computing; a typical step takes 0.010 s"));
  EXPECT_NEAR(found_after(v1::EXECUTOR_COMPUTING, 2, 60), 40, 0.5);
}

TEST(Watchdog, WhoWaitsForPeersIsNotBlamedFirst) {
  EXPECT_EQ(found_after(v1::EXECUTOR_COLLECTIVE, 0.01, 200), -1);
  EXPECT_NEAR(found_after(v1::EXECUTOR_COLLECTIVE, 0.01, 400), 300, 1);
  EXPECT_EQ(found_after(v1::EXECUTOR_STARTING, 0.01, 100), -1);
}

// One whose peers' files are still being fetched may wait for an hour; one that sends no beats may not.
TEST(Watchdog, WhoIsToldToWaitMayStandStill) {
  Watchdog dog(0);
  for (double now = 0; now < 3600; now += 1) {
    dog.beat(beat_of(0, v1::EXECUTOR_STARTING), now);
    dog.waits(now);
    ASSERT_FALSE(dog.check(now, 'S')) << now;
  }
  dog.waits(3620);
  EXPECT_TRUE(dog.check(3620, 'S'));
}

TEST(Watchdog, SignsOfLifeOtherThanStepsCount) {
  Watchdog dog(0);
  for (int i = 0; i < 200; ++i) {  // 40 s of evaluation
    v1::ExecutorBeat beat = beat_of(7, v1::EXECUTOR_EVALUATING);
    beat.set_ticks(7 + i / 10);
    dog.beat(beat, 0.2 * i);
    EXPECT_FALSE(dog.check(0.2 * i, 'S'));
  }
}

TEST(Watchdog, AStoppedProcessIsCertainSoonerThanASilentOne) {
  Watchdog dog(0);
  dog.beat(beat_of(1, v1::EXECUTOR_COMPUTING), 0);
  EXPECT_FALSE(dog.check(2.9, 'T'));
  EXPECT_EQ(*dog.check(3.0, 'T'), "sent no heartbeat for 3.0 s; state T (stopped)");
  EXPECT_FALSE(dog.hangs(3.0));
  EXPECT_FALSE(dog.check(9, 'R'));  // starved by its machine, perhaps
  EXPECT_TRUE(dog.check(10, 'R'));
}

TEST(Watchdog, WhileTheWorkerItselfSleptNobodyIsBlamed) {
  Watchdog dog(0);
  dog.beat(beat_of(1, v1::EXECUTOR_COMPUTING), 0);
  dog.excuse(20);
  EXPECT_FALSE(dog.check(22, 'T'));
  EXPECT_TRUE(dog.check(23.1, 'T'));
}

TEST(Watchdog, AnExecutorThatNeverGreetsIsFound) {
  Watchdog dog(0);
  EXPECT_FALSE(dog.check(29, 'S'));
  EXPECT_THAT(*dog.check(30, 'S'), HasSubstr("did not greet its worker within 30 s"));
  EXPECT_TRUE(dog.check(3, 'T'));
}

// ---- logs

class LogTailTest : public ::testing::Test {
 protected:
  void write(const std::string& text) { std::ofstream(path_, std::ios::app | std::ios::binary) << text; }
  Folder folder_;
  std::string path_ = folder_.path + "/log";
  LogTail tail_{path_, "a", 1, 0};
};

TEST_F(LogTailTest, SendsWholeLinesAndTheRestWhenItsWriterHasEnded) {
  EXPECT_FALSE(tail_.next());
  write("one\ntw");
  EXPECT_EQ(tail_.next()->text(), "one\n");
  EXPECT_FALSE(tail_.next());
  write("o\nthree");
  auto piece = tail_.next();
  EXPECT_EQ(piece->text(), "two\n");
  EXPECT_EQ(piece->offset(), 4);
  tail_.finish();
  EXPECT_EQ(tail_.next()->text(), "three");
  EXPECT_FALSE(tail_.shipped());
  tail_.acknowledge(13);
  EXPECT_TRUE(tail_.shipped());
}

TEST_F(LogTailTest, GoesOnFromWhatIsStored) {
  write("one\ntwo\nthree\n");
  EXPECT_EQ(tail_.next()->text().size(), 14u);
  tail_.acknowledge(4);
  tail_.rewind();
  EXPECT_EQ(tail_.next()->offset(), 4);
  tail_.acknowledge(8);
  tail_.acknowledge(0);  // the coordinator has lost it all
  EXPECT_EQ(tail_.next()->offset(), 0);
}

TEST_F(LogTailTest, StopsWhenTooMuchIsUnacknowledged) {
  for (int i = 0; i < 40; ++i) write(std::string(64 << 10, 'x') + "\n");
  int64_t sent = 0;
  while (auto piece = tail_.next()) sent += static_cast<int64_t>(piece->text().size());
  EXPECT_GE(sent, 1 << 20);
  EXPECT_LT(sent, 2 << 20);
  tail_.acknowledge(sent);
  EXPECT_TRUE(tail_.ready());
}

TEST_F(LogTailTest, KeepsOffsetsWhenBytesAreNotText) {
  write("caf\xc3\xa9 \xff\xfe \xe2\x82\xac \xe2\x82\n");
  EXPECT_EQ(tail_.next()->text(), "caf\xc3\xa9 ?? \xe2\x82\xac ??\n");
}

TEST_F(LogTailTest, QuotesItsLastLines) {
  write("one\ntwo\nthree\nfour\n");
  EXPECT_EQ(tail_.last_lines(2, 1000), "three\nfour");
  EXPECT_EQ(tail_.last_lines(9, 1000), "one\ntwo\nthree\nfour");
  EXPECT_EQ(tail_.last_lines(9, 9), "four");  // a line that is cut at its start is left out
}

TEST(LogTail, FindsWhatAnEarlierProcessLeft) {
  Folder folder;
  std::string path = LogTail::path_of(folder.path, "a", 2, 1);
  std::filesystem::create_directories(folder.path + "/logs/a");
  std::ofstream(path) << "last words";
  std::ofstream(folder.path + "/logs/a/gen-2-rank-1.start") << "not a log";
  auto tails = LogTail::leftovers(folder.path);
  ASSERT_EQ(tails.size(), 1u);
  EXPECT_TRUE(tails[0]->is("a", 2, 1));
  EXPECT_EQ(tails[0]->next()->text(), "last words");
  tails[0]->acknowledge(10);
  EXPECT_TRUE(tails[0]->shipped());
  EXPECT_THAT(LogTail::leftovers(folder.path), IsEmpty());
}

// ---- outbox

v1::ExecutorMetrics metrics_of(int64_t step) {
  v1::ExecutorMetrics metrics;
  metrics.add_records()->set_step(step);
  return metrics;
}

v1::WorkerMessage greeting() {
  v1::WorkerMessage message;
  message.mutable_register_()->set_worker("w");
  return message;
}

std::vector<int64_t> drain(Outbox& outbox) {  // sequence numbers; 0 for the greeting
  std::vector<int64_t> seen;
  while (MessagePtr m = outbox.pop()) seen.push_back(m->metrics().sequence());
  return seen;
}

TEST(Outbox, KeepsMetricsUntilTheyAreAcknowledged) {
  Outbox outbox;
  outbox.push_metrics("a", 1, metrics_of(1));  // before any stream
  outbox.open(greeting());
  outbox.push_metrics("a", 1, metrics_of(2));
  outbox.push_metrics("b", 1, metrics_of(1));
  EXPECT_THAT(drain(outbox), ElementsAre(0, 1, 2, 1));
  v1::Ack ack;
  ack.set_job("a");
  ack.set_generation(1);
  ack.set_metrics_sequence(1);
  outbox.acknowledge(ack);
  outbox.close();
  outbox.open(greeting());
  EXPECT_THAT(drain(outbox), ElementsAre(0, 2, 1));
  EXPECT_FALSE(outbox.all_acknowledged());
}

TEST(Outbox, ForgetsStateWithItsStream) {
  Outbox outbox;
  v1::WorkerMessage report;
  report.mutable_executor()->set_job("a");
  outbox.push(report);
  EXPECT_TRUE(outbox.empty());
  outbox.open(greeting());
  outbox.push(report);
  outbox.open(greeting());
  EXPECT_THAT(drain(outbox), ElementsAre(0));
}

TEST(Outbox, IsBoundedAndCountsWhatItGivesUp) {
  Outbox outbox(1000);
  outbox.open(greeting());
  for (int i = 0; i < 200; ++i) outbox.push_metrics("a", 1, metrics_of(i));
  EXPECT_GT(outbox.dropped(), 0);
  std::vector<int64_t> left = drain(outbox);
  EXPECT_EQ(left.size(), 201u - static_cast<size_t>(outbox.dropped()));
  EXPECT_EQ(left.back(), 200);
}

}  // namespace
}  // namespace ds::worker
