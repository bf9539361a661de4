#include "scheduler/cost/collectives.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ds::plan {
namespace {

// NVIDIA/nccl src/graph/tuning.cc, microseconds and GB/s; protocols in its order: LL, LL128, Simple.
enum Protocol { kLL, kLL128, kSimple };
constexpr std::array<double, 3> kBase[2] = {{6.6, 14.0, 8.4}, {6.8, 14.0, 8.4}};  // ring, tree
constexpr std::array<double, 3> kNvlink[2] = {{0.6, 1.9, 3.4}, {0.6, 1.25, 4.0}};
constexpr std::array<double, 3> kPci[2] = {{1.0, 2.5, 5.7}, {1.0, 1.9, 4.0}};
constexpr std::array<double, 3> kNet[2] = {{2.7, 4.0, 14.0}, {5.0, 8.5, 14.0}};
constexpr double kLLMax[4][3] = {{39, 39, 20.4}, {87.7, 22.5, 19}, {141, 45, 35}, {282, 90, 70}};  // 1, 2, more nodes
constexpr double kNetOverhead = 1.0, kNvlsLatency = 25, kMicro = 1e-6;
constexpr double kTreeShare = 0.92, kTreeLL = 1 / 3.8, kLL128Share = 0.92;

int nodes_of(const Ring& ring) { return (ring.ranks + ring.per_node - 1) / ring.per_node; }

// Bytes/s at which every rank sends and receives on the slowest part of the ring.
double bus_bandwidth(const Cluster& cluster, const NodeGroup& group, const Ring& ring) {
  if (nodes_of(ring) == 1) return group.island_bandwidth;
  double rail = group.nic_bandwidth / ring.rivals * cluster.network.efficiency / cluster.network.oversubscription;
  if (ring.congested) rail *= cluster.network.ring_efficiency;
  return ring.per_node == 1 ? rail : std::min(rail, group.island_bandwidth);
}

double ring_seconds(const Cluster& cluster, const NodeGroup& group, Collective what, const Ring& ring, double bytes,
                    Protocol protocol) {
  const int nodes = nodes_of(ring);
  const double bus = bus_bandwidth(cluster, group, ring);
  double bandwidth = bus;
  if (protocol == kLL) bandwidth = std::min(kLLMax[group.generation][std::min(nodes, 3) - 1] * 1e9, bus / 2);
  if (protocol == kLL128) bandwidth = bus * kLL128Share;
  const int rounds = what == Collective::kAllReduce ? 2 : 1;
  const double steps = rounds * (ring.ranks - 1.0), between = nodes > 1 ? rounds * (nodes - 1.0) : 0;
  const double inside = (group.nvlink ? kNvlink : kPci)[0][protocol];
  const double overhead = nodes > 1 ? kNetOverhead * (protocol == kSimple ? 3 : 1) : 0;
  const double latency = kBase[0][protocol] + (steps - between) * std::max(inside, overhead) +
                         between * kNet[0][protocol] * (protocol == kSimple && nodes > 1 ? 1.4 : 1);
  return latency * kMicro + steps / ring.ranks * bytes / bandwidth;
}

double tree_seconds(const Cluster& cluster, const NodeGroup& group, const Ring& ring, double bytes, Protocol protocol) {
  double bandwidth = bus_bandwidth(cluster, group, ring) * kTreeShare;
  if (protocol == kLL) bandwidth *= kTreeLL;
  if (protocol == kLL128) bandwidth *= 120.0 / 128;
  const double inside = (group.nvlink ? kNvlink : kPci)[1][protocol];
  const double latency =
      kBase[1][protocol] + 2 * ((ring.per_node - 1) * inside + std::log2(nodes_of(ring)) * kNet[1][protocol]);
  return latency * kMicro + 2 * bytes * (ring.ranks - 1.0) / ring.ranks / bandwidth;
}

// All-reduce in the NVLink switch, one node: two passes over the data whatever the ranks.
double nvls_seconds(const NodeGroup& group, const Ring& ring, double bytes) {
  const double volume = 2 * bytes * (ring.ranks - 1.0) / ring.ranks;
  return kNvlsLatency * kMicro + volume / group.nvls_bandwidth;
}

// Reduce-scatter in the node, all-reduce of a share between nodes, all-gather in the node: the split over rails that
// UCC calls rab. Only whole nodes can.
double hierarchical_seconds(const Cluster& cluster, const NodeGroup& group, Collective what, const Ring& ring,
                            double bytes) {
  Ring inside = ring, between = ring;
  inside.ranks = ring.per_node;
  between.ranks = nodes_of(ring);
  between.per_node = 1;
  between.rivals = ring.rivals * ring.per_node;
  const double half = collective_seconds(cluster, group, Collective::kReduceScatter, inside, bytes);
  return half * (what == Collective::kAllReduce ? 2 : 1) +
         collective_seconds(cluster, group, what, between, bytes / ring.per_node);
}

}  // namespace

Ring ring_of(const NodeGroup& group, int ranks, int stride) {
  Ring ring;
  ring.ranks = ranks;
  ring.per_node = std::clamp(group.devices / std::max(stride, 1), 1, ranks);
  // Every device of the node belongs to one of these rings.
  ring.rivals = std::max(1, group.devices / ring.per_node);
  return ring;
}

double collective_seconds(const Cluster& cluster, const NodeGroup& group, Collective what, const Ring& ring,
                          double bytes) {
  if (ring.ranks <= 1 || bytes <= 0) return 0;
  const int nodes = nodes_of(ring);
  double best = 1e30;
  for (Protocol protocol : {kLL, kLL128, kSimple}) {
    best = std::min(best, ring_seconds(cluster, group, what, ring, bytes, protocol));
    if (what == Collective::kAllReduce && nodes > 1) {
      best = std::min(best, tree_seconds(cluster, group, ring, bytes, protocol));
    }
  }
  if (what == Collective::kAllReduce && nodes == 1 && group.nvls_bandwidth > 0 && ring.ranks > 2) {
    best = std::min(best, nvls_seconds(group, ring, bytes));
  }
  if (nodes > 1 && ring.per_node > 1) {
    best = std::min(best, hierarchical_seconds(cluster, group, what, ring, bytes));
  }
  return best;
}

double send_seconds(const Cluster& cluster, const NodeGroup& group, int stride, int sharing, double bytes) {
  if (stride < group.devices) return 2 * kNvlink[0][kSimple] * kMicro + bytes / group.island_bandwidth;
  const double rail =
      group.nic_bandwidth / std::max(1, sharing) * cluster.network.efficiency / cluster.network.oversubscription;
  return cluster.network.send_latency + bytes / rail;
}

}  // namespace ds::plan
