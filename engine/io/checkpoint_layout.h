// Names inside a checkpoint folder, shared by the two halves that write it.
#pragma once
#include <cstdint>
#include <string>

namespace ds::io {

std::string set_name(int64_t step);                 // step-00000200
std::string generation_suffix(int64_t generation);  // -gen-3
std::string shard_name(int rank, int world);        // rank-0-of-2.safetensors
std::string temporary_folder(const std::string& dir, int64_t step, int64_t generation);

}  // namespace ds::io
