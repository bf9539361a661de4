// A plan as the document and the text that docs/planner.md promises.
#pragma once
#include <string>

#include "client/view.h"
#include "scheduler/plan/plan.h"

namespace ds::client {

Json layout_document(const plan::Transformer& model, const plan::Layout& layout);
Json plan_document(const plan::Cluster& cluster, const plan::Transformer& model, const plan::Plan& plan,
                   double token_budget);
Json refusal_document(const plan::Transformer& model, const plan::Infeasible& no);

// "TP 8 x PP 16 x DP 8, ZeRO 1, zb-v, micro-batch 1, recompute none, sequence parallel"
std::string layout_text(const plan::Layout& layout);
std::string plan_text(const Json& document, const plan::Plan& plan);

}  // namespace ds::client
