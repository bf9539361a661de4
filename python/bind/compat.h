#pragma once
#include "engine/ops/functions.h"
namespace ds {
inline bool is_complex(DType) { return false; }
inline bool is_signed(DType t) { return t == DType::i64 || t == DType::i32; }
Tensor flip(const Tensor& x, const std::vector<int64_t>& dims);
Tensor slice_update(const Tensor& base, const Tensor& v, const std::vector<int64_t>& starts,
                    const std::vector<int64_t>& steps);
Tensor index_put(const Tensor& base, int64_t dim, const Tensor& index, const Tensor& v);
}  // namespace ds
