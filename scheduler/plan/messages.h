// The planner's values out of the API's messages (v1::ModelProfile, v1::Constants, v1::JobSpec), which have accessors
// of these names. Templates, so that the scheduler knows no Protobuf, and coordinator and client read them alike.
#pragma once
#include "scheduler/plan/data_parallel.h"

namespace ds::plan {

template <class Message>
Work work_of(const Message& w) {
  return {w.matmul_flops(), w.conv_flops(), w.bytes(), static_cast<double>(w.kernels())};
}

template <class Message>
SlotConstants slot_constants(const Message& c) {
  const auto rates = [](const auto& r) {
    return SlotRates{r.matmul_flops(), r.conv_flops(), r.memory_bytes(), r.kernel_seconds()};
  };
  return {rates(c.alone()), rates(c.busy()), c.ranks(), c.all_reduce_seconds(), c.all_reduce_bytes()};
}

template <class Profile, class Spec>
DataParallelJob data_parallel_job(const Profile& p, const Spec& spec) {
  const auto& train = spec.train();
  return {{work_of(p.sample()), work_of(p.step()), work_of(p.update()), p.gradient_bytes()},
          train.batch_size(),
          spec.strategy().zero() >= 1,
          rank_counts(train.batch_size(), train.deterministic(), train.virtual_shards())};
}

}  // namespace ds::plan
