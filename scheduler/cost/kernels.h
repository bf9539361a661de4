// Seconds of single kernels on one device.
#pragma once
#include <cstdint>

#include "scheduler/cluster/cluster.h"

namespace ds::plan {

// C (m x n) = A (m x k) B (k x n), `batch` times, two bytes an element. The output is dealt in tiles to the device's
// units: a last wave that fills few of them, a last tile that is partly outside, and a K too short to fill the
// multiply pipeline cost what they cost on the machine (tile and wave quantisation: NVIDIA's matrix multiplication
// performance guide; The Case for Co-Designing Model Architectures with Hardware, arXiv 2401.14489). The best of the
// usual tiles is taken, and never less than the time to move the operands. `output_bytes` an element of C: 2, or 8
// where it is added to an fp32 buffer.
double gemm_seconds(const Device& device, int64_t m, int64_t n, int64_t k, int64_t batch = 1, double output_bytes = 2);

// A kernel that only moves bytes: `bytes` over the streaming bandwidth, and no less than the shortest kernel.
double stream_seconds(const Device& device, double bytes, int kernels = 1);

}  // namespace ds::plan
