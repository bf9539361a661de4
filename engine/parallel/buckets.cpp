#include "engine/parallel/buckets.h"

#include <cstring>

#include "engine/lazy/node.h"
#include "engine/ops/elementwise.h"

namespace ds {
namespace {

using parallel::BucketRef;

class PendingCollective final : public Pending {
 public:
  PendingCollective(std::unique_ptr<comm::Work> work, BucketRef bucket)
      : work_(std::move(work)), bucket_(std::move(bucket)) {}
  void wait() override {
    if (work_->test()) return;
    if (bucket_->on_wait) bucket_->on_wait(true);
    work_->wait();
    if (bucket_->on_wait) bucket_->on_wait(false);
  }

 private:
  std::unique_ptr<comm::Work> work_;
  BucketRef bucket_;
};

// What the collectives over one region share: one is awaited at a time.
class OverRegion {
 public:
  OverRegion(const char* op, BucketRef bucket, int region, bool parallel::Region::*awaited)
      : bucket_(std::move(bucket)), region_(region), awaited_(awaited) {
    if (std::exchange(this->region().*awaited_, true))
      fail(op, "the bucket's last collective was not evaluated yet: evaluate its results first");
  }
  OverRegion(const OverRegion&) = delete;
  OverRegion& operator=(const OverRegion&) = delete;
  ~OverRegion() { done(); }

 protected:
  parallel::Region& region() const { return bucket_->regions[region_]; }
  void done() const {
    if (!std::exchange(done_, true)) region().*awaited_ = false;
  }
  Value at(int64_t offset, const Shape& shape) const { return {region().storage, offset, contiguous_strides(shape)}; }
  void* data(int64_t offset) const { return at(offset, {}).data(bucket_->dtype); }
  // Input i, into its place if it was not written there.
  void fetch(Execution& e, int i, int64_t offset) const {
    const void* from = e.contiguous(i);
    if (from != data(offset)) std::memcpy(data(offset), from, static_cast<size_t>(e.input_type(i).bytes()));
  }
  void check(const char* op, std::span<const Type> in) const {
    if (in.size() != bucket_->types.size()) fail(op, in.size(), " tensors for a bucket of ", bucket_->types.size());
    for (size_t i = 0; i < in.size(); ++i)
      if (!(in[i] == bucket_->types[i]))
        fail(op, "tensor ", i, " of the bucket is ", in[i], ", its place is for ", bucket_->types[i]);
  }
  void pend(Execution& e, std::unique_ptr<comm::Work> work) const {
    e.pend(std::make_shared<PendingCollective>(std::move(work), bucket_));
    done();
  }

  BucketRef bucket_;
  int region_;
  bool parallel::Region::*awaited_;
  mutable bool done_ = false;
};

class AllReduce final : public Primitive<OpKind::AllReduce>, OverRegion {
 public:
  AllReduce(BucketRef bucket, int region)
      : OverRegion("all_reduce", std::move(bucket), region, &parallel::Region::reducing) {}
  Types infer(std::span<const Type> in) const override {
    check("all_reduce", in);
    return {in.begin(), in.end()};
  }
  Value place(int input) const override { return at(bucket_->offsets[input], {}); }
  void eval(Execution& e) const override {
    for (int i = 0; i < static_cast<int>(bucket_->offsets.size()); ++i) {
      fetch(e, i, bucket_->offsets[i]);
      e.alias(i, at(bucket_->offsets[i], e.output_type(i).shape));
    }
    pend(e, bucket_->communicator->all_reduce_async(data(0), bucket_->count, bucket_->dtype, comm::ReduceOp::sum));
  }
};

class ReduceScatter final : public Primitive<OpKind::ReduceScatter>, OverRegion {
 public:
  ReduceScatter(BucketRef bucket, int region)
      : OverRegion("reduce_scatter", std::move(bucket), region, &parallel::Region::reducing) {}
  Types infer(std::span<const Type> in) const override {
    check("reduce_scatter", in);
    return {{bucket_->dtype, {bucket_->share()}}};
  }
  Value place(int input) const override { return at(bucket_->offsets[input], {}); }
  void eval(Execution& e) const override {
    for (int i = 0; i < static_cast<int>(bucket_->offsets.size()); ++i) fetch(e, i, bucket_->offsets[i]);
    e.alias(0, at(bucket_->begin(), e.output_type(0).shape));
    pend(e, bucket_->communicator->reduce_scatter_async(data(bucket_->begin()), data(0), bucket_->share(),
                                                        bucket_->dtype, comm::ReduceOp::sum));
  }
};

class AllGather final : public Primitive<OpKind::AllGather>, OverRegion {
 public:
  AllGather(BucketRef bucket, int region)
      : OverRegion("all_gather", std::move(bucket), region, &parallel::Region::gathering) {}
  Types infer(std::span<const Type> in) const override {
    if (Type share{bucket_->dtype, {bucket_->share()}}; in.size() != 1 || !(in[0] == share))
      fail("all_gather", "this rank's share is ", share, ", got ", in[0]);
    return bucket_->types;
  }
  bool overwrites_inputs() const override { return false; }
  Value place(int) const override { return at(bucket_->begin(), {}); }
  void eval(Execution& e) const override {
    fetch(e, 0, bucket_->begin());
    for (int i = 0; i < static_cast<int>(bucket_->offsets.size()); ++i)
      e.alias(i, at(bucket_->offsets[i], e.output_type(i).shape));
    pend(e, bucket_->communicator->all_gather_async(data(0), data(bucket_->begin()), bucket_->share(), bucket_->dtype));
  }
};

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

namespace parallel {

std::vector<BucketRef> make_buckets(comm::Communicator& communicator, const std::vector<Type>& types,
                                    std::span<const int> groups, int64_t bucket_bytes, int regions,
                                    const std::function<void(bool)>& on_wait) {
  std::vector<BucketRef> buckets;
  int64_t filled = 0;
  for (size_t i = 0; i < types.size(); ++i) {
    const Type& t = types[i];
    int group = groups.empty() ? 0 : groups[i];
    bool other = !buckets.empty() && (buckets.back()->dtype != t.dtype || buckets.back()->group != group);
    if (buckets.empty() || other || (filled > 0 && filled + t.bytes() > bucket_bytes)) {
      buckets.push_back(std::make_shared<Bucket>());
      buckets.back()->communicator = &communicator;
      buckets.back()->dtype = t.dtype;
      buckets.back()->group = group;
      buckets.back()->on_wait = on_wait;
      filled = 0;
    }
    Bucket& b = *buckets.back();
    b.offsets.push_back(b.count);
    b.types.push_back(t);
    b.count += round_up(t.shape.numel(), 64 / static_cast<int64_t>(size_of(t.dtype)));
    filled += t.bytes();
  }
  for (auto& b : buckets) {
    b->count = round_up(b->count, 64 / static_cast<int64_t>(size_of(b->dtype)) * communicator.size());
    size_t bytes = static_cast<size_t>(b->count) * size_of(b->dtype);
    for (int r = 0; r < regions; ++r) {
      auto buffer = communicator.allocate(bytes);
      std::memset(buffer->data(), 0, bytes);
      b->regions.push_back({buffer, make_ref<Storage>(Device{}, buffer->data(), bytes, buffer)});
    }
  }
  return buckets;
}

std::vector<Tensor> all_reduce(const BucketRef& bucket, int region, std::vector<Tensor> tensors) {
  return append(std::make_unique<AllReduce>(bucket, region), std::move(tensors));
}

Tensor reduce_scatter(const BucketRef& bucket, int region, std::vector<Tensor> tensors) {
  return append1(std::make_unique<ReduceScatter>(bucket, region), std::move(tensors));
}

std::vector<Tensor> all_gather(const BucketRef& bucket, int region, Tensor share) {
  return append(std::make_unique<AllGather>(bucket, region), {std::move(share)});
}

}  // namespace parallel
}  // namespace ds
