// The published tables as steps to predict. Internal to validate.cpp and its neighbours.
#pragma once
#include "client/planning/csv.h"
#include "client/planning/validate.h"

namespace ds::client {

plan::Transformer gpt_of(int64_t layers, int64_t hidden, int64_t heads, int64_t vocab, int64_t sequence, int64_t batch);
// A preset cut to `devices`, with other software where named.
plan::Cluster cluster_of(const std::string& name, int devices, const std::string& software = "");
Point predict(const std::string& label, const plan::Cluster& cluster, const plan::Transformer& model,
              const plan::Layout& layout, double measured_seconds);

void add_megatron_sets(std::vector<DataSet>* sets);  // Korthikanti, MegaScale, Megatron-Core
void add_bubble_sets(std::vector<DataSet>* sets);    // Zero Bubble
void add_zero_sets(std::vector<DataSet>* sets);      // nanotron, MPT, torchtitan
void add_vtrain_sets(const std::string& folder, std::vector<DataSet>* sets, std::vector<std::string>* missing);

}  // namespace ds::client
