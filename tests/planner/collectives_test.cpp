// The latency-bandwidth model against NCCL's own tuner and published bus bandwidths.
#include "scheduler/cost/collectives.h"

#include <gtest/gtest.h>

#include "tests/planner/models.h"

namespace ds::plan {
namespace {

double bus(const Cluster& c, Collective what, const Ring& ring, double bytes) {
  const double rounds = what == Collective::kAllReduce ? 2 : 1;
  return rounds * (ring.ranks - 1.0) / ring.ranks * bytes / collective_seconds(c, c.groups[0], what, ring, bytes) / 1e9;
}

TEST(Collectives, OneRankOrNoBytesTakeNoTime) {
  const Cluster c = of("eos", 8);
  EXPECT_EQ(collective_seconds(c, c.groups[0], Collective::kAllReduce, ring_of(c.groups[0], 1, 1), 1e9), 0);
  EXPECT_EQ(collective_seconds(c, c.groups[0], Collective::kAllReduce, ring_of(c.groups[0], 8, 1), 0), 0);
}

// NVIDIA GTC24 S62129: 232 GB/s inside a DGX A100, 480 with NVLS in a DGX H100, 192 and 380 between nodes.
TEST(Collectives, LargeOnesReachThePublishedBusBandwidth) {
  const Cluster a = of("selene", 64), h = of("eos", 64);
  EXPECT_NEAR(bus(a, Collective::kAllReduce, ring_of(a.groups[0], 8, 1), 16e9), 232, 5);
  EXPECT_NEAR(bus(h, Collective::kAllReduce, ring_of(h.groups[0], 8, 1), 16e9), 480, 10);
  EXPECT_NEAR(bus(h, Collective::kAllGather, ring_of(h.groups[0], 8, 1), 16e9), 370, 10);
  EXPECT_NEAR(bus(a, Collective::kAllReduce, ring_of(a.groups[0], 64, 1), 16e9), 192, 10);
  EXPECT_NEAR(bus(h, Collective::kAllReduce, ring_of(h.groups[0], 64, 1), 16e9), 380, 20);
}

// NCCL's tuner for a tiny all-reduce of H100 nodes: a tree over LL takes 25, 55 and 85 us at 16, 128 and 1024 ranks.
TEST(Collectives, SmallOnesTakeTheTreesLatency) {
  for (const auto& [ranks, most] : {std::pair{16, 25.5}, {128, 55.5}, {1024, 85.5}}) {
    const Cluster c = of("eos", ranks);
    const double us =
        1e6 * collective_seconds(c, c.groups[0], Collective::kAllReduce, ring_of(c.groups[0], ranks, 1), 8);
    EXPECT_LE(us, most) << ranks;
    EXPECT_GE(us, 0.4 * most) << ranks;
  }
}

TEST(Collectives, ARingOfOneRankANodeSharesTheRailsWithItsRivals) {
  const Cluster c = of("selene", 64);
  const Ring ring = ring_of(c.groups[0], 8, 8);
  EXPECT_EQ(ring.per_node, 1);
  EXPECT_EQ(ring.rivals, 8);
  EXPECT_NEAR(bus(c, Collective::kReduceScatter, ring, 16e9), 25 * 0.96, 1);
}

TEST(Collectives, MoreBandwidthOrFewerBytesAreNeverSlower) {
  Cluster c = of("a100-800", 512);
  for (int ranks : {2, 8, 16, 64, 512}) {
    for (double bytes = 8; bytes < 1e11; bytes *= 8) {
      const Ring ring = ring_of(c.groups[0], ranks, 1);
      const double now = collective_seconds(c, c.groups[0], Collective::kAllReduce, ring, bytes);
      EXPECT_LE(now, collective_seconds(c, c.groups[0], Collective::kAllReduce, ring, 2 * bytes));
      NodeGroup faster = c.groups[0];
      faster.nic_bandwidth *= 2, faster.island_bandwidth *= 2;
      EXPECT_LE(collective_seconds(c, faster, Collective::kAllReduce, ring, bytes), now);
    }
  }
}

TEST(Collectives, OversubscriptionSlowsWhatLeavesANode) {
  Cluster c = of("eos", 64);
  const Ring all = ring_of(c.groups[0], 64, 1), node = ring_of(c.groups[0], 8, 1);
  const double before = collective_seconds(c, c.groups[0], Collective::kAllGather, all, 1e9);
  const double inside = collective_seconds(c, c.groups[0], Collective::kAllGather, node, 1e9);
  c.network.oversubscription = 4;
  EXPECT_GT(collective_seconds(c, c.groups[0], Collective::kAllGather, all, 1e9), 3 * before);
  EXPECT_EQ(collective_seconds(c, c.groups[0], Collective::kAllGather, node, 1e9), inside);
}

}  // namespace
}  // namespace ds::plan
