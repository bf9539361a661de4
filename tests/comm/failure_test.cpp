// A group that loses a rank, or is told to stop, wakes everybody; nobody hangs, and the culprit is named.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/comm/ranks.h"

namespace ds::comm {
namespace {

using testing::Processes;
using testing::Where;

constexpr double kDeadline = 5;  // seconds, generous: a machine under load

const Where kShared{"ucx", 3, {}};
const Where kTcp{"ucx", 3, {.share_memory = false, .ucx_transports = "tcp,self"}};

void reduce_for_ever(Communicator& c) {
  std::vector<float> data(10'000, 1.0f);
  for (int i = 0;; ++i) {
    c.all_reduce(data.data(), data.size(), DType::f32, ReduceOp::max);
    if (i == 10) Processes::note();
  }
}

class Failure : public ::testing::TestWithParam<Where> {};

TEST_P(Failure, AKilledRankIsHeardOfByAllTheOthers) {
  Processes ranks(GetParam(), reduce_for_ever);
  for (int r = 0; r < 3; ++r) ASSERT_TRUE(ranks.noted(r, kDeadline));
  ranks.signal(1, SIGKILL);
  EXPECT_EQ(ranks.outcome(1, kDeadline), "died");
  for (int r : {0, 2}) {
    const std::string why = ranks.outcome(r, kDeadline);
    EXPECT_TRUE(why.find("rank") != std::string::npos && why.find("s") != std::string::npos) << why;
    EXPECT_EQ(why.find("has not ended"), std::string::npos) << why;
  }
}

TEST_P(Failure, AKilledRankIsHeardOfInAReceive) {
  Processes ranks(GetParam(), [](Communicator& c) {
    int x = 0;
    c.barrier();
    Processes::note();
    c.receive(&x, sizeof x, (c.rank() + 1) % c.size(), 3);
  });
  for (int r = 0; r < 3; ++r) ASSERT_TRUE(ranks.noted(r, kDeadline));
  ranks.signal(2, SIGKILL);
  for (int r : {0, 1}) {
    const std::string why = ranks.outcome(r, kDeadline);
    EXPECT_NE(why, "");
    EXPECT_EQ(why.find("has not ended"), std::string::npos) << why;
  }
}

TEST_P(Failure, AbortWakesEverybodyThoughARankIsStopped) {
  Processes ranks(GetParam(), [](Communicator& c) {
    // Only rank 0's agent decides to abort, as a worker does when its coordinator says so.
    std::atomic<bool> over = false;
    std::thread agent([&] {
      if (c.rank() != 0) return;
      while (!over && c.stats().all_reduce_calls == 0) std::this_thread::yield();
      for (int i = 0; i < 200 && !over; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      c.abort("the coordinator said so");
    });
    try {
      c.barrier();
      if (c.rank() == 1) {
        Processes::note();
        raise(SIGSTOP);
      }
      float x = 1;
      c.all_reduce(&x, 1, DType::f32, ReduceOp::sum);
      over = true;
      agent.join();
    } catch (...) {
      over = true;
      agent.join();
      throw;
    }
  });
  ASSERT_TRUE(ranks.noted(1, kDeadline));
  EXPECT_EQ(ranks.outcome(0, kDeadline), "the coordinator said so");
  EXPECT_NE(ranks.outcome(2, kDeadline), "");
  EXPECT_EQ(ranks.outcome(2, 0).find("has not ended"), std::string::npos);
}

TEST_P(Failure, ARankThatLeftIsNotWaitedFor) {
  Processes ranks(GetParam(), [](Communicator& c) {
    float x = 1;
    c.all_reduce(&x, 1, DType::f32, ReduceOp::sum);
    if (c.rank() == 2) return;
    c.all_reduce(&x, 1, DType::f32, ReduceOp::sum);
  });
  EXPECT_EQ(ranks.outcome(2, kDeadline), "");
  for (int r : {0, 1}) {
    const std::string why = ranks.outcome(r, kDeadline);
    EXPECT_TRUE(why.find("rank 2") != std::string::npos || why.find("aborted the group") != std::string::npos ||
                why.find("is lost") != std::string::npos)
        << why;
  }
}

TEST_P(Failure, ARankMayLeaveWhileTheOthersAreStillAtItsLastCollective) {
  Processes ranks(GetParam(), [](Communicator& c) {
    std::vector<float> data(200'000, 1.0f);
    for (int i = 0; i < 20; ++i) c.all_reduce(data.data(), data.size(), DType::f32, ReduceOp::max);
  });
  for (int r = 0; r < 3; ++r) EXPECT_EQ(ranks.outcome(r, kDeadline), "") << r;
}

TEST_P(Failure, ARankThatNeverComesIsNamed) {
  const auto endpoint = make_endpoint(GetParam().transport, GetParam().options);
  const auto absent = make_endpoint(GetParam().transport, GetParam().options);
  const std::string addresses[] = {endpoint->address(), absent->address()};
  try {
    endpoint->connect(0, addresses, 0.3);
    FAIL();
  } catch (const CommError& e) {
    EXPECT_NE(std::string(e.what()).find("rank 1"), std::string::npos) << e.what();
  }
}

TEST_P(Failure, AnAddressOfSomethingElseIsRefused) {
  const auto endpoint = make_endpoint(GetParam().transport, GetParam().options);
  const std::string addresses[] = {endpoint->address(), "nonsense"};
  EXPECT_THROW(endpoint->connect(0, addresses, 1), CommError);
  EXPECT_THROW(endpoint->connect(1, addresses, 1), CommError);
}

INSTANTIATE_TEST_SUITE_P(, Failure, ::testing::Values(kShared, kTcp),
                         [](const auto& info) { return info.param.name(); });

class Abort : public ::testing::TestWithParam<Where> {};

TEST_P(Abort, WakesWaitersInEveryRank) {
  testing::on_ranks(GetParam(), [](Communicator& c) {
    std::thread agent;
    if (c.rank() == 0) agent = std::thread([&] { c.abort("enough"); });
    std::string why;
    try {
      int x = 0;
      c.receive(&x, sizeof x, c.rank(), 99);  // a message that never comes
    } catch (const CommError& e) {
      why = e.what();
    }
    if (agent.joinable()) agent.join();
    testing::require(!why.empty(), "the receive must fail");
    if (c.rank() == 0) testing::require(why == "enough", why);
    std::string again;
    try {
      c.barrier();
    } catch (const CommError& e) {
      again = e.what();
    }
    testing::require(again == why, "abort is final: " + again);
  });
}

INSTANTIATE_TEST_SUITE_P(, Abort,
                         ::testing::Values(Where{"inproc", 4, {}}, Where{"inproc", 3, {.share_memory = false}},
                                           Where{"ucx", 3, {}}, Where{"self", 1, {}}),
                         [](const auto& info) { return info.param.name(); });

TEST(Mismatch, RanksThatCallDifferentThingsAreToldSo) {
  for (const char* transport : {"inproc", "ucx"}) {
    testing::on_ranks({transport, 2, {}}, [](Communicator& c) {
      std::vector<float> data(4000);
      try {
        c.all_reduce(data.data(), c.rank() == 0 ? 3000 : 3500, DType::f32, ReduceOp::sum);
      } catch (const CommError& e) {
        const std::string why = e.what();
        testing::require(why.find("[all_reduce] ranks disagree about call 1") != std::string::npos, why);
        return;
      }
      testing::require(false, "different counts must be refused");
    });
  }
}

}  // namespace
}  // namespace ds::comm
