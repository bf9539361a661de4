// Seconds of collectives: NCCL's latency-bandwidth model (src/graph/tuning.cc) over its algorithms and protocols.
#pragma once
#include "scheduler/cluster/cluster.h"

namespace ds::plan {

enum class Collective { kAllReduce, kAllGather, kReduceScatter };

// Ranks of a collective as they lie on nodes.
struct Ring {
  int ranks = 1;
  int per_node = 1;        // of them on one node
  int rivals = 1;          // like rings that share each node's rails at the same time, this one counted
  bool congested = false;  // data-parallel: many rings cross the same switches at once (Network::ring_efficiency)
};

// The ring of every `stride`-th rank, `ranks` of them, in a node-by-node numbering.
Ring ring_of(const NodeGroup& group, int ranks, int stride);

// `bytes`: of the whole buffer, not of a rank's share. The fastest algorithm and protocol is taken, as NCCL's tuner
// takes it.
double collective_seconds(const Cluster& cluster, const NodeGroup& group, Collective what, const Ring& ring,
                          double bytes);

// From one rank to the next one `stride` ranks further: inside a node over its island, else over a rail that `sharing`
// ranks of the node use at once.
double send_seconds(const Cluster& cluster, const NodeGroup& group, int stride, int sharing, double bytes);

}  // namespace ds::plan
