// What a training step of a model asks for, and what a machine reaches: the two halves of a plan. A step is traced, not
// run; a machine is measured with the kernels and collectives that training uses.
#pragma once
#include <string>
#include <vector>

#include "engine/train/trainer.h"

namespace ds::train {

struct Work {
  double matmul_flops = 0, conv_flops = 0;  // 2 a multiply-add; convolutions with their gradients
  double bytes = 0;                         // read and written by every other kernel
  double kernels = 0;                       // started, after fusion
};

struct LayerProfile {
  std::string name;  // of the module that owns the parameters: "layers.0"
  int64_t parameters = 0;
  double forward_flops = 0;     // a sample
  double activation_bytes = 0;  // a sample: what forward writes
};

struct ModelProfile {
  int64_t parameters = 0;
  double gradient_bytes = 0;
  double forward_flops = 0, backward_flops = 0, activation_bytes = 0;  // a sample
  Work sample;                                                         // forward and backward, for each sample
  Work step;                                                           // forward and backward, whatever the batch
  Work update;                                                         // the optimizer, over all parameters
  std::vector<LayerProfile> layers;                                    // in the order in which forward uses them
};

// Traces forward, backward and update of the job's model at two batch sizes and takes the line through both; nothing is
// computed, and a built-in model's parameters (on the null device) take no memory. Throws UserError.
ModelProfile profile(const TrainConfig& config);

struct SlotRates {
  double matmul_flops = 0, conv_flops = 0;  // FLOP/s, float32
  double memory_bytes = 0;                  // bytes/s of pointwise kernels
  double kernel_seconds = 0;                // to trace, plan and start one kernel
};
// On as many threads as are set. About 0.2 s; each rate is the lower quartile of its repetitions.
SlotRates measure_rates();

struct AllReduceRates {
  double seconds = 0;  // the shortest
  double bytes = 0;    // bus bytes/s: 2 (n-1)/n of the buffer over the time of a large one
};
// Collective.
AllReduceRates measure_all_reduce(comm::Communicator& communicator);

}  // namespace ds::train
