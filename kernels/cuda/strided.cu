// Moving elements: strided copies both ways, fill, arange. Transpositions go through tiles of shared memory.
#include <cstring>

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/space.h"

namespace ds::kernels::cuda_detail {
namespace {

constexpr int kTile = 32;
constexpr unsigned kTileRows = 8;
constexpr int64_t kEach = 4;

struct Strides {
  int64_t stride[kMaxRank];
};

// The strided operand is `in` of a copy and `out` of a scatter; the other one is contiguous.
template <class T, bool kScatter>
__global__ void move(const __grid_constant__ Space space, const __grid_constant__ Strides s, T* out, const T* in) {
  uint32_t first = blockIdx.x * blockDim.x * kEach + threadIdx.x;
  for (int v = 0; v < kEach; ++v) {
    uint32_t i = first + v * blockDim.x;
    if (i >= space.count) return;
    int64_t at = space.offset(i, s.stride);
    kScatter ? out[at] = in[i] : out[i] = in[at];
  }
}

// For an operand that is contiguous along dimension d, not the last: a block moves a tile of d by the last dimension,
// reading and writing runs. Tiles are numbered as a space: the extents with those two cut by kTile.
template <class T, bool kScatter>
__global__ void transpose(const __grid_constant__ Space tiles, const __grid_constant__ Strides in_tile,
                          const __grid_constant__ Strides out_tile, int d, uint32_t rows, uint32_t columns,
                          int64_t strided_step, int64_t dense_step, T* out, const T* in) {
  __shared__ T tile[kTile][kTile + 1];
  uint32_t block = blockIdx.x, row = 0, column = 0;
  uint32_t rest = block;
  for (int k = tiles.rank - 1; k >= 0; --k) {
    uint32_t next = tiles.extent[k].divide(rest), c = rest - next * tiles.extent[k].divisor;
    if (k == tiles.rank - 1) column = c * kTile;
    if (k == d) row = c * kTile;
    rest = next;
  }
  int64_t strided = tiles.offset(block, in_tile.stride), dense = tiles.offset(block, out_tile.stride);
  // Along x the operand being read is contiguous: d in the strided one, the last dimension in the dense one.
  for (unsigned y = threadIdx.y; y < kTile; y += kTileRows) {
    if constexpr (kScatter) {
      if (row + y < rows && column + threadIdx.x < columns)
        tile[y][threadIdx.x] = in[dense + y * dense_step + threadIdx.x];
    } else {
      if (row + threadIdx.x < rows && column + y < columns) {
        tile[threadIdx.x][y] = in[strided + y * strided_step + threadIdx.x];
      }
    }
  }
  __syncthreads();
  for (unsigned y = threadIdx.y; y < kTile; y += kTileRows) {
    if constexpr (kScatter) {
      if (row + threadIdx.x < rows && column + y < columns) {
        out[strided + y * strided_step + threadIdx.x] = tile[threadIdx.x][y];
      }
    } else {
      if (row + y < rows && column + threadIdx.x < columns)
        out[dense + y * dense_step + threadIdx.x] = tile[y][threadIdx.x];
    }
  }
}

// The dimension along which the strided operand is contiguous and the walk is not, or -1.
int transposed_dimension(const EwSpace& s, const int64_t* stride) {
  if (s.rank < 2 || stride[s.rank - 1] == 1 || s.extent[s.rank - 1] < 8) return -1;
  for (int d = 0; d < s.rank - 1; ++d) {
    if (stride[d] == 1 && s.extent[d] >= 8) return d;
  }
  return -1;
}

template <class T, bool kScatter>
void move_tiles(Context& ctx, const EwSpace& s, const int64_t* stride, int d, T* out, const T* in) {
  int last = s.rank - 1;
  EwSpace tiles = s;
  tiles.extent[d] = ceil_div(s.extent[d], kTile);
  tiles.extent[last] = ceil_div(s.extent[last], kTile);
  Strides strided{}, dense{};
  int64_t step = 1, dense_step = 0;
  for (int k = last; k >= 0; --k) {
    int64_t scale = k == d || k == last ? kTile : 1;
    strided.stride[k] = stride[k] * scale;
    dense.stride[k] = step * scale;
    if (k == d) dense_step = step;
    step *= s.extent[k];
  }
  launch(ctx, transpose<T, kScatter>, Grid{count_of(tiles)}, Threads{kTile, kTileRows}, 0, make_space(tiles), strided,
         dense, d, static_cast<uint32_t>(s.extent[d]), static_cast<uint32_t>(s.extent[last]), stride[last], dense_step,
         out, in);
}

template <bool kScatter>
void move_all(Context& ctx, DType type, void* out, const EwSpace& whole, const int64_t* stride, const void* in) {
  visit_size(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_pieces(whole, [&](const EwSpace& part, int64_t begin, int d, int64_t before) {
      int64_t moved = part.rank > 0 ? begin * stride[d] : 0;
      T* to = static_cast<T*>(out) + (kScatter ? moved : before);
      const T* from = static_cast<const T*>(in) + (kScatter ? before : moved);
      if (int t = transposed_dimension(part, stride); t >= 0)
        return move_tiles<T, kScatter>(ctx, part, stride, t, to, from);
      Strides s{};
      std::copy(stride, stride + part.rank, s.stride);
      launch(ctx, move<T, kScatter>, Grid{ceil_div(count_of(part), kBlock * kEach)}, kBlock, 0, make_space(part), s, to,
             from);
    });
  });
}

template <class T>
__global__ void fill_with(T* out, int64_t n, T value) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x)
    out[i] = value;
}

template <class T>
__global__ void arange_by(T* out, int64_t n, double start, double step) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x) {
    out[i] = store<T>(scalar::cast<Compute<T>>(scalar::fma(static_cast<double>(i), step, start)));
  }
}

Grid grid_for(int64_t n) { return {std::min<int64_t>(ceil_div(n, kBlock * kEach), 1 << 16)}; }

}  // namespace

void copy(Context& ctx, DType type, void* out, const EwSpace& space, const EwInput& in) {
  move_all<false>(ctx, type, out, space, in.stride.data(), in.data);
}

void scatter_strided(Context& ctx, DType type, void* out, const EwSpace& space, const int64_t* out_stride,
                     const void* in) {
  move_all<true>(ctx, type, out, space, out_stride, in);
}

void fill(Context& ctx, DType type, void* out, int64_t n, double value) {
  unsigned char bits[16] = {};
  visit(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T x = store<T>(scalar::cast<Compute<T>>(value));
    std::memcpy(bits, &x, sizeof x);
  });
  visit_size(type, [&](auto size) {
    using Word = typename decltype(size)::type;
    Word word;
    std::memcpy(&word, bits, sizeof word);
    launch(ctx, fill_with<Word>, grid_for(n), kBlock, 0, static_cast<Word*>(out), n, word);
  });
}

void arange(Context& ctx, DType type, void* out, int64_t n, double start, double step) {
  visit(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(ctx, arange_by<T>, grid_for(n), kBlock, 0, static_cast<T*>(out), n, start, step);
  });
}

}  // namespace ds::kernels::cuda_detail
