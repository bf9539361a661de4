// Who is there and who is lost, in a time that the test makes.
#include "coordinator/presence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ds::coordinator {
namespace {

using testing::IsEmpty;

struct TestLine : Line {
  void deliver(v1::CoordinatorMessage) override { ++delivered; }
  void fence(const std::string&) override { fenced = true; }
  void cut() override { was_cut = true; }
  int delivered = 0;
  bool fenced = false, was_cut = false;
};

struct PresenceTest : testing::Test {
  // Sweeps every 100 ms for `span`, and says who was lost on the way.
  std::vector<std::string> pass(
      absl::Duration span, const std::function<void()>& each = [] {}) {
    std::vector<std::string> gone;
    for (const absl::Time until = now + span; now < until;) {
      now += absl::Milliseconds(100);
      each();
      for (auto& g : presence.sweep(now)) gone.push_back(g.worker);
    }
    return gone;
  }
  absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  Presence presence;
  std::shared_ptr<TestLine> line = std::make_shared<TestLine>();
};

TEST_F(PresenceTest, HeartbeatsKeepAWorker) {
  presence.attach("w", line, now);
  EXPECT_THAT(pass(absl::Seconds(60), [&] { EXPECT_TRUE(presence.heard("w", line.get(), now)); }), IsEmpty());
}

TEST_F(PresenceTest, ASilentLineIsCutAfterFiveSeconds) {
  presence.attach("w", line, now);
  EXPECT_THAT(pass(absl::Milliseconds(4900)), IsEmpty());
  EXPECT_THAT(pass(absl::Milliseconds(200)), testing::ElementsAre("w"));
  EXPECT_TRUE(line->was_cut);
  EXPECT_FALSE(presence.attached("w"));
  EXPECT_THAT(pass(absl::Seconds(10)), IsEmpty()) << "told once";
}

TEST_F(PresenceTest, ABrokenLineHasTwoSecondsToComeBack) {
  presence.attach("w", line, now);
  presence.detach("w", line.get(), now);
  EXPECT_THAT(pass(absl::Milliseconds(1900)), IsEmpty());
  presence.attach("w", line, now);
  EXPECT_THAT(pass(absl::Milliseconds(4900)), IsEmpty());
  presence.detach("w", line.get(), now);
  EXPECT_THAT(pass(absl::Milliseconds(2100)), testing::ElementsAre("w"));
}

TEST_F(PresenceTest, ARestartedCoordinatorWaitsFiveSecondsForItsWorkers) {
  presence.expect("w", now);
  EXPECT_THAT(pass(absl::Milliseconds(4900)), IsEmpty());
  EXPECT_THAT(pass(absl::Milliseconds(200)), testing::ElementsAre("w"));
}

TEST_F(PresenceTest, ANewerLineFencesTheOlderWhichHasNoMoreSay) {
  auto newer = std::make_shared<TestLine>();
  presence.attach("w", line, now);
  presence.attach("w", newer, now);
  EXPECT_TRUE(line->fenced);
  EXPECT_FALSE(presence.heard("w", line.get(), now));
  presence.detach("w", line.get(), now);
  EXPECT_TRUE(presence.current("w", newer.get()));
  presence.send("w", {});
  EXPECT_EQ(newer->delivered, 1);
  EXPECT_EQ(line->delivered, 0);
}

TEST_F(PresenceTest, OurOwnStandstillIsNotTheWorkersFault) {
  presence.attach("w", line, now);
  pass(absl::Seconds(1));
  now += absl::Seconds(30);  // this process was stopped
  EXPECT_THAT(presence.sweep(now), IsEmpty());
  EXPECT_THAT(pass(absl::Milliseconds(3800)), IsEmpty());
  EXPECT_THAT(pass(absl::Milliseconds(300)), testing::ElementsAre("w"));
}

}  // namespace
}  // namespace ds::coordinator
