// Indexing. An index out of range reads as 0 and is written nowhere: a kernel cannot throw.
//
// Gradients add in the order of the index without atomics or sorting. put_add: a block owns an output row, looks for
// its positions in the index 256 at a time and adds what it finds, in order. With more rows than positions it is the
// blocks of the positions that look, and the first one of each row does the work; rows nobody names stay zero. Either
// way min(size, count) * count indices are read, out of L2 for the most part. scatter_add: a thread owns a column.
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/support.h"

namespace ds::kernels::cuda_detail {
namespace {

constexpr int64_t kColumns = 1024;  // columns a block of put_add owns

__device__ int64_t thread_index() { return blockIdx.x * int64_t{blockDim.x} + threadIdx.x; }

// -1 for an index out of range.
__device__ int64_t resolve(int64_t i, int64_t size) { return i < -size || i >= size ? -1 : (i < 0 ? i + size : i); }

template <class T>
__global__ void take_rows(T* out, const T* in, const int64_t* index, int64_t total, int64_t size, int64_t count,
                          int64_t inner) {
  int64_t t = thread_index();
  if (t >= total) return;
  int64_t row = t / inner, from = resolve(index[row % count], size);
  out[t] = from < 0 ? T(0) : in[(row / count * size + from) * inner + t % inner];
}

template <class T>
__global__ void gather_elements(T* out, const T* in, const int64_t* index, int64_t total, int64_t size, int64_t count,
                                int64_t inner) {
  int64_t t = thread_index();
  if (t >= total) return;
  int64_t from = resolve(index[t], size);
  out[t] = from < 0 ? T(0) : in[(t / inner / count * size + from) * inner + t % inner];
}

// The sum of in's rows i >= begin with index[i] == row, rounded at each addition, into columns [first, last) of out.
template <class T>
__device__ void add_matches(T* out, const T* in, const int64_t* index, int64_t row, int64_t begin, int64_t size,
                            int64_t count, int64_t inner, int64_t first, int64_t last) {
  __shared__ int64_t match[kBlock];
  __shared__ unsigned before[kBlock / 32 + 1];
  for (int64_t j = first + threadIdx.x; j < last; j += blockDim.x) out[j] = store<T>(Compute<T>(0));
  for (int64_t base = begin; base < count; base += kBlock) {
    int64_t i = base + threadIdx.x;
    bool found = i < count && resolve(index[i], size) == row;
    unsigned lanes = __ballot_sync(0xffffffffu, found), warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (lane == 0) before[warp + 1] = __popc(lanes);
    __syncthreads();
    if (threadIdx.x == 0) {
      before[0] = 0;
      for (unsigned w = 1; w <= kBlock / 32; ++w) before[w] += before[w - 1];
    }
    __syncthreads();
    if (found) match[before[warp] + __popc(lanes & ((1u << lane) - 1))] = i;
    __syncthreads();
    unsigned matches = before[kBlock / 32];
    for (int64_t j = first + threadIdx.x; matches > 0 && j < last; j += blockDim.x) {
      T sum = out[j];
      for (unsigned m = 0; m < matches; ++m) sum = store<T>(scalar::add(load(sum), load(in[match[m] * inner + j])));
      out[j] = sum;
    }
    __syncthreads();  // before match and before are written again
  }
}

// Blocks are (columns, rows of the output, outer).
template <class T>
__global__ void put_rows(T* out, const T* in, const int64_t* index, int64_t size, int64_t count, int64_t inner,
                         int64_t column_blocks) {
  int64_t column = blockIdx.x % column_blocks * kColumns, row = blockIdx.x / column_blocks % size,
          o = blockIdx.x / column_blocks / size;
  int64_t last = column + kColumns < inner ? column + kColumns : inner;
  add_matches(out + (o * size + row) * inner, in + o * count * inner, index, row, 0, size, count, inner, column, last);
}

// Blocks are (columns, positions of the index, outer). The output is zero already.
template <class T>
__global__ void put_positions(T* out, const T* in, const int64_t* index, int64_t size, int64_t count, int64_t inner,
                              int64_t column_blocks) {
  int64_t column = blockIdx.x % column_blocks * kColumns, position = blockIdx.x / column_blocks % count,
          o = blockIdx.x / column_blocks / count;
  int64_t row = resolve(index[position], size);
  bool earlier = row < 0;
  for (int64_t i = threadIdx.x; i < position; i += blockDim.x) earlier |= resolve(index[i], size) == row;
  if (__syncthreads_or(earlier)) return;
  int64_t last = column + kColumns < inner ? column + kColumns : inner;
  add_matches(out + (o * size + row) * inner, in + o * count * inner, index, row, position, size, count, inner, column,
              last);
}

template <class T>
__global__ void scatter_columns(T* out, const T* in, const int64_t* index, int64_t columns, int64_t size, int64_t count,
                                int64_t inner) {
  int64_t t = thread_index();
  if (t >= columns) return;
  int64_t o = t / inner, j = t % inner;
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = (o * count + i) * inner + j, row = resolve(index[at], size);
    if (row < 0) continue;
    T& sum = out[(o * size + row) * inner + j];
    sum = store<T>(scalar::add(load(sum), load(in[at])));
  }
}

}  // namespace

void take(Context& ctx, DType type, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
          int64_t count, int64_t inner) {
  visit_size(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    int64_t total = outer * count * inner;
    launch(ctx, take_rows<T>, Grid{ceil_div(total, kBlock)}, kBlock, 0, static_cast<T*>(out), static_cast<const T*>(in),
           index, total, size, count, inner);
  });
}

void put_add(Context& ctx, DType type, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
             int64_t count, int64_t inner) {
  int64_t column_blocks = ceil_div(inner, kColumns);
  bool by_row = size <= count;
  if (!by_row) zero(ctx, out, static_cast<size_t>(outer * size * inner) * size_of(type));
  visit(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(ctx, by_row ? put_rows<T> : put_positions<T>, Grid{column_blocks * std::min(size, count) * outer}, kBlock, 0,
           static_cast<T*>(out), static_cast<const T*>(in), index, size, count, inner, column_blocks);
  });
}

void gather(Context& ctx, DType type, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
            int64_t count, int64_t inner) {
  visit_size(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    int64_t total = outer * count * inner;
    launch(ctx, gather_elements<T>, Grid{ceil_div(total, kBlock)}, kBlock, 0, static_cast<T*>(out),
           static_cast<const T*>(in), index, total, size, count, inner);
  });
}

void scatter_add(Context& ctx, DType type, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
                 int64_t count, int64_t inner) {
  zero(ctx, out, static_cast<size_t>(outer * size * inner) * size_of(type));
  visit(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    int64_t columns = outer * inner;
    launch(ctx, scatter_columns<T>, Grid{ceil_div(columns, 64)}, 64, 0, static_cast<T*>(out), static_cast<const T*>(in),
           index, columns, size, count, inner);
  });
}

}  // namespace ds::kernels::cuda_detail
