#include "scheduler/cluster/cluster.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace ds::plan {
namespace {

absl::Status positive(const Cluster& cluster, const char* field, double value) {
  if (value > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("[cluster] %s: %s must be > 0, got %g", cluster.name, field, value));
}

absl::Status share(const Cluster& cluster, const char* field, double value) {
  if (value > 0 && value <= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("[cluster] %s: %s must be in (0, 1], got %g", cluster.name, field, value));
}

}  // namespace

int Cluster::devices() const {
  int sum = 0;
  for (const NodeGroup& g : groups) sum += g.nodes * g.devices;
  return sum;
}

absl::Status check(const Cluster& cluster) {
  if (cluster.groups.empty()) return absl::InvalidArgumentError("[cluster] " + cluster.name + ": no nodes");
  for (const NodeGroup& g : cluster.groups) {
    for (const absl::Status& status :
         {positive(cluster, "nodes", g.nodes), positive(cluster, "devices", g.devices),
          positive(cluster, "peak_bf16", g.device.peak_bf16), positive(cluster, "memory", g.device.memory),
          positive(cluster, "bandwidth", g.device.bandwidth), positive(cluster, "units", g.device.units),
          positive(cluster, "island_bandwidth", g.island_bandwidth),
          positive(cluster, "nic_bandwidth", g.nic_bandwidth),
          share(cluster, "matmul_efficiency", g.device.matmul_efficiency),
          share(cluster, "stream_efficiency", g.device.stream_efficiency)}) {
      if (!status.ok()) return status;
    }
    if (g.generation < 0 || g.generation > 3) return positive(cluster, "generation (0 to 3)", -1);
  }
  for (const absl::Status& status : {share(cluster, "network.efficiency", cluster.network.efficiency),
                                     share(cluster, "network.ring_efficiency", cluster.network.ring_efficiency)}) {
    if (!status.ok()) return status;
  }
  if (cluster.network.oversubscription < 1) {
    return absl::InvalidArgumentError(absl::StrFormat("[cluster] %s: oversubscription must be >= 1, got %g",
                                                      cluster.name, cluster.network.oversubscription));
  }
  return absl::OkStatus();
}

absl::StatusOr<Cluster> with_devices(Cluster cluster, int devices, bool may_grow) {
  if (devices < 1)
    return absl::InvalidArgumentError(absl::StrFormat("[cluster] devices must be >= 1, got %d", devices));
  if (cluster.devices() < devices && !may_grow) {
    return absl::InvalidArgumentError(
        absl::StrFormat("[cluster] %s has %d devices, %d are asked for", cluster.name, cluster.devices(), devices));
  }
  std::vector<NodeGroup> kept;
  int left = devices;
  for (size_t i = 0; i < cluster.groups.size() && left > 0; ++i) {
    NodeGroup g = cluster.groups[i];
    const bool last = i + 1 == cluster.groups.size();
    if (left < g.devices) {  // a part of one node: its share of the rails stays with it
      g.nodes = 1;
      g.nic_bandwidth *= static_cast<double>(left) / g.devices;
      g.devices = left;
      left = 0;
    } else {
      const int whole = left / g.devices;
      g.nodes = last ? whole : std::min(g.nodes, whole);
      left -= g.nodes * g.devices;
    }
    kept.push_back(g);
  }
  if (left > 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("[cluster] %d devices are no whole number of %s's nodes", devices, cluster.name));
  }
  cluster.groups = kept;
  return cluster;
}

}  // namespace ds::plan
