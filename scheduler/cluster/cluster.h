// What a plan runs on: devices, the islands that join them in a node, the network between nodes, and how the training
// software uses them. Values only; every constant of a preset names its source where it is set (presets.cpp).
#pragma once
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ds::plan {

// One accelerator (or one CPU host taken as one).
struct Device {
  std::string name;
  double peak_bf16 = 0;          // FLOP/s, dense
  double peak_fp8 = 0;           // FLOP/s, dense; 0: none
  double memory = 0;             // bytes
  double bandwidth = 0;          // bytes/s of the data sheet
  int units = 1;                 // SMs, or cores: what a GEMM's tiles are dealt to
  double matmul_efficiency = 1;  // share of the peak a GEMM reaches when no tile or wave is wasted
  double stream_efficiency = 1;  // share of `bandwidth` that a pointwise kernel reaches
  double flash_forward = 0.5;    // share of the peak of a fused attention kernel, forward ...
  double flash_backward = 0.4;   // ... and backward
  double kernel_seconds = 0;     // the shortest kernel: drain, launch, fill
};

// `count` nodes alike.
struct NodeGroup {
  Device device;
  int nodes = 1;
  int devices = 8;              // in a node
  double island_bandwidth = 0;  // bytes/s, bus bandwidth of a ring inside the node
  double nvls_bandwidth = 0;    // bytes/s, of all-reduce in the switch (NVLink SHARP); 0: none
  double nic_bandwidth = 0;     // bytes/s a node, all its rails together
  int generation = 0;           // of NCCL's tables: 0 volta, 1 ampere, 2 hopper, 3 blackwell
  bool nvlink = true;           // else PCIe or shared memory
};

struct Network {
  double efficiency = 0.96;     // share of a rail that one large message reaches
  double ring_efficiency = 1;   // share that concurrent data-parallel rings reach: collisions, congestion
  double oversubscription = 1;  // of the switches above a node: bandwidth divides by it
  double send_latency = 10e-6;  // seconds, point to point between nodes
};

// How the training software drives the machine. Part of the cluster, because published measurements are of a pair.
struct Software {
  std::string name;
  bool flash_attention = true;
  double flash_share = 1;            // of the device's fused attention rate that this software's kernel reaches
  bool overlap_data = true;          // gradient reduce-scatter under backward, parameter all-gather under forward
  double overlap_tensor = 0;         // share of forward tensor collectives hidden under GEMM chunks
  bool overlap_tensor_wgrad = true;  // backward's tensor collectives run under the weight-gradient GEMMs
  bool overlap_pipeline = true;      // sends run under compute
  bool fused_accumulation = true;    // weight gradients are summed into the fp32 buffer by the GEMM itself
  bool fused_pointwise = true;       // bias, dropout and residual in one kernel, bias and activation in another
  bool dropout = false;
  double gradient_bytes = 4;  // a parameter's gradient on the wire
  double host_seconds = 0;    // the host's time to launch one kernel; hidden while the device is slower
  double step_seconds = 0;    // host work of a step: batch, logs, loss scaling
};

struct Cluster {
  std::string name;
  std::vector<NodeGroup> groups;
  Network network;
  Software software;
  double dollars_per_device_hour = 0;

  int devices() const;
};

// InvalidArgument naming the field and its value: `[cluster] eos: devices must be >= 1, got 0`.
absl::Status check(const Cluster& cluster);
// The cluster with `devices` devices of its groups, in their order (whole nodes, or a part of one); InvalidArgument
// where it has fewer. A preset grows to any number.
absl::StatusOr<Cluster> with_devices(Cluster cluster, int devices, bool may_grow);

// NotFound lists the names there are.
absl::StatusOr<Cluster> preset(const std::string& name);
std::vector<std::string> preset_names();
absl::StatusOr<Device> device_preset(const std::string& name);
absl::StatusOr<Software> software_preset(const std::string& name);

}  // namespace ds::plan
