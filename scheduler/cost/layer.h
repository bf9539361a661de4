// Seconds of one transformer layer, of the embedding, of the logits with their loss, and of the optimizer.
#pragma once
#include "scheduler/cluster/cluster.h"
#include "scheduler/cost/model.h"

namespace ds::plan {

// One micro-batch through one piece of the model on one device. Communication is what stays exposed.
struct PieceTime {
  double forward = 0, forward_comm = 0;
  double backward_input = 0, backward_weight = 0, backward_comm = 0;
  double recompute = 0, recompute_comm = 0;

  double forward_total() const { return forward + forward_comm; }
  double backward_total() const {
    return backward_input + backward_weight + backward_comm + recompute + recompute_comm;
  }
  PieceTime& operator+=(const PieceTime& other);
  PieceTime operator*(double times) const;
};

PieceTime layer_time(const Cluster& cluster, const NodeGroup& group, const Transformer& model, const Layout& layout);
// The table's look-up and its tensor-parallel all-reduce: the first stage's.
PieceTime embedding_time(const Cluster& cluster, const NodeGroup& group, const Transformer& model,
                         const Layout& layout);
// Last norm, logits, cross-entropy in fp32: the last stage's.
PieceTime logits_time(const Cluster& cluster, const NodeGroup& group, const Transformer& model, const Layout& layout);
// Adam over `parameters` of one device, a ZeRO rank's share of them: bytes over bandwidth.
double optimizer_seconds(const NodeGroup& group, const Software& software, double parameters, const Layout& layout);

}  // namespace ds::plan
