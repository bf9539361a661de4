#include <algorithm>
#include <cstring>

#include "engine/ops/functions.h"
#include "engine/parallel/buckets.h"
#include "engine/parallel/data_parallel.h"

namespace ds::parallel {
namespace {

constexpr uint32_t kTag = 0x7a31;  // of the states on their way to rank 0

// Calls f(parameter in the bucket, its first element, first element in the bucket, elements) for every piece of a
// tensor in [begin, end) of a bucket.
template <class F>
void pieces(const Bucket& b, int64_t begin, int64_t end, F&& f) {
  for (size_t i = 0; i < b.types.size(); ++i) {
    int64_t from = std::max(begin, b.offsets[i]), to = std::min(end, b.offsets[i] + b.types[i].shape.numel());
    if (from < to) f(i, from - b.offsets[i], from, to - from);
  }
}

class Zero1 final : public DataParallel {
 public:
  Zero1(comm::Communicator& communicator, DataParallelOptions o) : comm_(communicator), o_(std::move(o)) {
    std::vector<Type> types;
    for (size_t i = o_.parameters.size(); i-- > 0;) types.push_back(o_.parameters[i].parameter->type());
    std::vector<int> groups(o_.groups.rbegin(), o_.groups.rend());
    buckets_ = make_buckets(communicator, types, groups, o_.bucket_bytes, 2, o_.on_wait);
    extras_ = make_buckets(communicator, o_.extras, {}, o_.bucket_bytes, 1, o_.on_wait);
    shards_.resize(buckets_.size());
    std::vector<Tensor> values;
    for (auto& p : o_.parameters) values.push_back(contiguous(p.parameter->detach()));
    load(values);
  }

  std::vector<nn::NamedParameter> owned() override {
    std::vector<nn::NamedParameter> out;
    for (size_t b = 0; b < shards_.size(); ++b) out.push_back({"bucket." + std::to_string(b), &shards_[b]});
    return out;
  }

  std::vector<int> groups() override {
    std::vector<int> out;
    for (const BucketRef& b : buckets_) out.push_back(b->group);
    return out;
  }

  Sums reduce(std::vector<Tensor> grads, std::vector<Tensor> extras) override {
    Sums out;
    size_t next = 0;
    for (const BucketRef& b : extras_) {
      std::vector<Tensor> in;
      for (size_t i = 0; i < b->types.size(); ++i) in.push_back(std::move(extras[next++]));
      for (Tensor& t : all_reduce(b, 0, std::move(in))) out.extras.push_back(t * 1.0);
    }
    next = grads.size();
    for (const BucketRef& b : buckets_) {
      std::vector<Tensor> in;
      for (size_t i = 0; i < b->types.size(); ++i) in.push_back(std::move(grads[--next]));
      out.grads.push_back(reduce_scatter(b, 1 - current_, std::move(in)));
    }
    return out;
  }

  std::vector<Tensor> gather() override {
    current_ = 1 - current_;
    std::vector<Tensor> out;
    size_t next = o_.parameters.size();
    for (size_t b = 0; b < buckets_.size(); ++b)
      for (Tensor& t : all_gather(buckets_[b], current_, shards_[b])) {
        *o_.parameters[--next].parameter = t;
        out.push_back(std::move(t));
      }
    return out;
  }

  void settle() override {
    for (auto& p : o_.parameters) *p.parameter = p.parameter->detach().set_requires_grad(true);
    for (Tensor& t : shards_) t = t.detach();
  }

  std::vector<Tensor> whole(const std::vector<Tensor>& of_owned) override {
    std::vector<Tensor> out(comm_.rank() == 0 ? o_.parameters.size() : 0);
    size_t next = o_.parameters.size();
    for (size_t b = 0; b < buckets_.size(); ++b) {
      const Bucket& bucket = *buckets_[b];
      auto bytes = static_cast<size_t>(bucket.share()) * size_of(bucket.dtype);
      if (comm_.rank() != 0) {
        comm_.send(of_owned[b].data(), bytes, 0, kTag);
        continue;
      }
      auto storage = make_ref<Storage>(Device{}, bytes * comm_.size());
      auto* to = static_cast<char*>(storage->data());
      std::memcpy(to, of_owned[b].data(), bytes);
      for (int r = 1; r < comm_.size(); ++r) comm_.receive(to + r * bytes, bytes, r, kTag);
      for (size_t i = 0; i < bucket.types.size(); ++i)
        out[--next] = Tensor::wrap(storage, bucket.offsets[i], bucket.dtype, bucket.types[i].shape);
    }
    return out;
  }

  std::vector<Tensor> own(const std::vector<Tensor>& whole) override {
    std::vector<Tensor> out;
    size_t next = whole.size();
    for (const BucketRef& b : buckets_) {
      auto storage = make_ref<Storage>(Device{}, static_cast<size_t>(b->share()) * size_of(b->dtype));
      std::memset(storage->data(), 0, storage->bytes());
      copy(*b, b->begin(), b->begin() + b->share(), whole, next, static_cast<char*>(storage->data()));
      next -= b->types.size();
      out.push_back(Tensor::wrap(std::move(storage), 0, b->dtype, {b->share()}));
    }
    return out;
  }

  void load(const std::vector<Tensor>& values) override {
    size_t next = values.size();
    for (size_t k = 0; k < buckets_.size(); ++k) {
      const Bucket& b = *buckets_[k];
      const Ref<Storage>& storage = b.regions[current_].storage;
      copy(b, 0, b.count, values, next, static_cast<char*>(storage->data()));
      for (size_t i = 0; i < b.types.size(); ++i)
        *o_.parameters[--next].parameter = Tensor::wrap(storage, b.offsets[i], b.dtype, b.types[i].shape);
      shards_[k] = Tensor::wrap(storage, b.begin(), b.dtype, {b.share()});
    }
    settle();
  }

 private:
  // [begin, end) of a bucket, whose tensors are those before `values[next]`, last first.
  static void copy(const Bucket& b, int64_t begin, int64_t end, const std::vector<Tensor>& values, size_t next,
                   char* to) {
    auto size = static_cast<int64_t>(size_of(b.dtype));
    pieces(b, begin, end, [&](size_t i, int64_t from, int64_t at, int64_t n) {
      const char* data = static_cast<const char*>(values[next - 1 - i].data());
      std::memcpy(to + (at - begin) * size, data + from * size, static_cast<size_t>(n * size));
    });
  }

  comm::Communicator& comm_;
  DataParallelOptions o_;
  std::vector<BucketRef> buckets_, extras_;  // parameters last first
  std::vector<Tensor> shards_;               // of the parameters, a bucket each
  int current_ = 0;                          // the region that holds the parameters
};

}  // namespace

std::unique_ptr<DataParallel> zero1(comm::Communicator& communicator, DataParallelOptions options) {
  return std::make_unique<Zero1>(communicator, std::move(options));
}

}  // namespace ds::parallel
