// Machines whose training steps were published. Sources, by mark:
//   [DS] NVIDIA data sheets (A100, H100, H200, B200): peaks dense, memory, bandwidth, SM counts.
//   [MM] maximum achievable matmul table of stas00/ml-engineering (bf16: A100 271.2/312, H100 794.5/989,
//        B200 1745/2250; fp8: H200 1453/1979), divided by the tile, wave and K losses of its best shapes.
//   [K4] arXiv 2205.05198 table 4: forward and backward of one 22B layer on A100. Not judged, so free to calibrate on.
//   [BW] NCCL bus bandwidths (nccl-tests; NVIDIA GTC24 S62129): A100 232, H100 370, NVLS 480 GB/s, rails 24 of 25 GB/s.
//   [FA] FlashAttention-2 and -3 papers (arXiv 2307.08691, 2407.08608): causal, head dimension 128, 2k to 8k tokens.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "scheduler/cluster/cluster.h"

namespace ds::plan {
namespace {

constexpr double kGB = 1e9, kTera = 1e12, kGiB = 1024.0 * 1024 * 1024;

Device a100() {
  Device d;
  d.name = "a100-80gb";
  d.peak_bf16 = 312 * kTera;    // [DS]
  d.memory = 80 * kGiB;         // [DS]
  d.bandwidth = 2039 * kGB;     // [DS]
  d.units = 108;                // [DS]
  d.matmul_efficiency = 0.815;  // [MM] 0.88 x 1305/1410 MHz, the clock NVIDIA's HPL runs hold; agrees with [K4]
  d.stream_efficiency = 0.85;   // STREAM-like kernels on A100
  d.flash_forward = 0.55;       // [FA] 160-190 TFLOP/s
  d.flash_backward = 0.45;      // [FA] 130-160 TFLOP/s
  d.kernel_seconds = 4e-6;
  return d;
}

Device h100() {
  Device d = a100();
  d.name = "h100-80gb";
  d.peak_bf16 = 989.4 * kTera;
  d.peak_fp8 = 1978.9 * kTera;
  d.bandwidth = 3350 * kGB;
  d.units = 132;
  d.matmul_efficiency = 0.615;  // mosaicml/llm-foundry's MPT rows: 700 W do not hold the data sheet's clock
  d.flash_forward = 0.50;       // [FA] 480-600 TFLOP/s
  d.flash_backward = 0.40;      // [FA] 370-500 TFLOP/s
  return d;
}

Device h200() {
  Device d = h100();
  d.name = "h200-141gb";
  d.memory = 141 * kGB;
  d.bandwidth = 4800 * kGB;
  return d;
}

Device b200() {
  Device d = h100();
  d.name = "b200-180gb";
  d.peak_bf16 = 2250 * kTera;
  d.peak_fp8 = 4500 * kTera;
  d.memory = 180 * kGB;
  d.bandwidth = 7700 * kGB;
  d.units = 148;
  d.matmul_efficiency = 0.60;  // [MM] x what H100 sustains of its best
  return d;
}

// A server CPU taken as one device: 32 cores of AVX2 at 2.5 GHz, fp32 arithmetic, 8 channels of DDR4-3200.
Device cpu_host() {
  Device d;
  d.name = "cpu-host";
  d.peak_bf16 = 32 * 2.5e9 * 32;  // cores x clock x (2 FMA ports x 8 lanes x 2)
  d.memory = 256 * kGiB;
  d.bandwidth = 204.8 * kGB;
  d.units = 32;
  d.matmul_efficiency = 0.8;
  d.stream_efficiency = 0.8;
  d.flash_forward = d.flash_backward = 0.5;
  d.kernel_seconds = 5e-6;
  return d;
}

// Megatron-LM of 2021-2022 as its papers describe it (arXiv 2104.04473, 2205.05198): fused softmax but no flash
// attention, gradients reduced in fp32 after the last backward.
Software megatron_2022() {
  Software s;
  s.name = "megatron-2022";
  s.flash_attention = false;
  s.overlap_data = false;
  s.overlap_pipeline = false;
  s.dropout = true;
  s.host_seconds = 8e-6;
  s.step_seconds = 0.02;
  return s;
}

// Megatron-DeepSpeed: an older fork; its backward waits for its tensor collectives, gradients are added by a kernel.
Software megatron_deepspeed() {
  Software s = megatron_2022();
  s.name = "megatron-deepspeed";
  s.overlap_tensor_wgrad = false;
  s.fused_accumulation = false;
  s.gradient_bytes = 2;
  s.host_seconds = 30e-6;
  s.step_seconds = 0.01;
  return s;
}

// Megatron-Core r0.8: its README names the overlaps (--overlap-grad-reduce, --overlap-param-gather, --tp-comm-overlap).
Software megatron_core() {
  Software s;
  s.name = "megatron-core";
  s.overlap_tensor = 0.7;
  s.host_seconds = 5e-6;
  s.step_seconds = 0.02;
  return s;
}

// Flash attention, ZeRO overlap and no more: FSDP, nanotron, and what this project's engine does.
Software plain() {
  Software s = megatron_core();
  s.name = "plain";
  s.overlap_tensor = 0;
  s.fused_pointwise = false;
  s.flash_share = 0.7;  // [FA] FlashAttention-2 on H100: 350 TFLOP/s where version 3 and cuDNN reach 500
  return s;
}

Cluster make(const std::string& name, const Device& device, int generation, double island, double nvls, double nics,
             const Software& software) {
  Cluster c;
  c.name = name;
  NodeGroup g;
  g.device = device;
  g.generation = generation;
  g.island_bandwidth = island * kGB;
  g.nvls_bandwidth = nvls * kGB;
  g.nic_bandwidth = nics * kGB;
  g.nodes = 128;
  c.groups = {g};
  c.software = software;
  c.network.ring_efficiency = 0.53;
  return c;
}

std::vector<Cluster> all() {
  std::vector<Cluster> clusters = {
      make("selene", a100(), 1, 232, 0, 200, megatron_2022()),
      make("a100-800", a100(), 1, 232, 0, 100, megatron_deepspeed()),
      make("eos", h100(), 2, 370, 480, 400, megatron_core()),
      make("h200", h200(), 2, 370, 480, 400, megatron_core()),
      make("b200", b200(), 3, 740, 840, 400, megatron_core()),
      make("cpu", cpu_host(), 0, 20, 0, 12.5, plain()),
  };
  for (Cluster& c : clusters) {
    if (c.groups[0].generation >= 2) c.network.ring_efficiency = 0.91;
    if (c.name != "cpu") continue;
    c.groups[0].devices = 1;
    c.groups[0].nvlink = false;
    c.network.ring_efficiency = 0.8;
  }
  return clusters;
}

template <typename T>
absl::StatusOr<T> named(const char* what, const std::vector<T>& all, const std::string& name) {
  std::vector<std::string> names;
  for (const T& one : all) {
    if (one.name == name) return one;
    names.push_back(one.name);
  }
  return absl::NotFoundError(
      absl::StrCat("[cluster] no ", what, " \"", name, "\"; there are ", absl::StrJoin(names, ", ")));
}

}  // namespace

absl::StatusOr<Cluster> preset(const std::string& name) { return named("cluster", all(), name); }

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Cluster& c : all()) names.push_back(c.name);
  return names;
}

absl::StatusOr<Device> device_preset(const std::string& name) {
  return named("device", std::vector<Device>{a100(), h100(), h200(), b200(), cpu_host()}, name);
}

absl::StatusOr<Software> software_preset(const std::string& name) {
  return named("software", std::vector<Software>{megatron_2022(), megatron_deepspeed(), megatron_core(), plain()},
               name);
}

}  // namespace ds::plan
