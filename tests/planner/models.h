// Models and layouts that the planner's tests share.
#pragma once
#include "scheduler/plan/plan.h"

namespace ds::plan {

inline Transformer gpt(int64_t layers, int64_t hidden, int64_t heads, int64_t batch, int64_t vocab = 51200,
                       int64_t sequence = 2048) {
  Transformer m;
  m.layers = layers, m.hidden = hidden, m.heads = heads, m.kv_heads = heads, m.ffn = 4 * hidden;
  m.vocab = vocab, m.sequence = sequence, m.batch = batch;
  return m;
}
inline Transformer gpt_22b(int64_t batch) { return gpt(48, 6144, 64, batch); }
inline Transformer gpt_175b(int64_t batch) { return gpt(96, 12288, 96, batch); }
inline Transformer gpt_530b(int64_t batch) { return gpt(105, 20480, 128, batch); }
inline Transformer gpt_1t(int64_t batch) { return gpt(128, 25600, 160, batch); }

inline Cluster of(const std::string& name, int devices) { return *with_devices(*preset(name), devices, true); }

inline Layout layout(int tensor, int pipeline, int data, int micro_batch, Recompute recompute, bool sequence) {
  Layout l;
  l.tensor = tensor, l.pipeline = pipeline, l.data = data, l.micro_batch = micro_batch;
  l.recompute = recompute, l.sequence_parallel = sequence;
  return l;
}

}  // namespace ds::plan
