#include "engine/parallel/buckets.h"

#include <cstring>

#include "engine/lazy/node.h"
#include "engine/ops/elementwise.h"

namespace ds {
namespace {

using parallel::Bucket;

class PendingReduction final : public Pending {
 public:
  PendingReduction(std::unique_ptr<comm::Work> work, std::shared_ptr<Bucket> bucket)
      : work_(std::move(work)), bucket_(std::move(bucket)) {}
  void wait() override {
    if (work_->test()) return;
    if (bucket_->on_wait) bucket_->on_wait(true);
    work_->wait();
    if (bucket_->on_wait) bucket_->on_wait(false);
  }

 private:
  std::unique_ptr<comm::Work> work_;
  std::shared_ptr<Bucket> bucket_;
};

class AllReduce final : public Primitive<OpKind::AllReduce> {
 public:
  explicit AllReduce(std::shared_ptr<Bucket> bucket) : bucket_(std::move(bucket)) {}
  std::vector<Type> infer(std::span<const Type> in) const override {
    for (size_t i = 0; i < in.size(); ++i)
      if (!(in[i] == bucket_->types[i]))
        fail("all_reduce", "tensor ", i, " of the bucket is ", in[i], ", its place is for ", bucket_->types[i]);
    return {in.begin(), in.end()};
  }
  Value place(int input) const override { return {bucket_->storage, bucket_->offsets[input], {}}; }

  void eval(Execution& e) const override {
    const Bucket& b = *bucket_;
    for (int i = 0; i < static_cast<int>(b.offsets.size()); ++i) {
      const Type& t = e.output_type(i);
      Value slot{b.storage, b.offsets[i], contiguous_strides(t.shape)};
      const void* from = e.contiguous(i);
      if (from != slot.data(t.dtype)) std::memcpy(slot.data(t.dtype), from, t.bytes());
      e.alias(i, std::move(slot));
    }
    e.pend(std::make_shared<PendingReduction>(
        b.communicator->all_reduce_async(b.buffer->data(), b.count, b.dtype, comm::ReduceOp::sum), bucket_));
  }

 private:
  std::shared_ptr<Bucket> bucket_;
};

}  // namespace

namespace parallel {

Buckets::Buckets(comm::Communicator& communicator, const std::vector<Type>& types, int64_t bucket_bytes,
                 const std::function<void(bool)>& on_wait) {
  int64_t filled = 0;
  for (const Type& t : types) {
    if (t.dtype != types[0].dtype) fail("buckets", "gradients of one dtype are needed, got ", t, " after ", types[0]);
    if (buckets_.empty() || (filled > 0 && filled + t.bytes() > bucket_bytes)) {
      buckets_.push_back(std::make_shared<Bucket>());
      buckets_.back()->communicator = &communicator;
      buckets_.back()->dtype = t.dtype;
      buckets_.back()->on_wait = on_wait;
      filled = 0;
    }
    Bucket& b = *buckets_.back();
    b.offsets.push_back(b.count);
    b.types.push_back(t);
    int64_t line = 64 / static_cast<int64_t>(size_of(t.dtype));  // each tensor begins on a cache line
    b.count += (t.shape.numel() + line - 1) / line * line;
    filled += t.bytes();
  }
  for (auto& b : buckets_) {
    size_t bytes = static_cast<size_t>(b->count) * size_of(b->dtype);
    b->buffer = communicator.allocate(bytes);
    std::memset(b->buffer->data(), 0, bytes);
    b->storage = make_ref<Storage>(Device{}, b->buffer->data(), bytes, b->buffer);
  }
}

std::vector<Tensor> Buckets::all_reduce(std::vector<Tensor> tensors) const {
  size_t places = 0;
  for (const auto& b : buckets_) places += b->offsets.size();
  if (tensors.size() != places) fail("all_reduce", tensors.size(), " tensors for buckets of ", places);
  std::vector<Tensor> out;
  size_t next = 0;
  for (const auto& b : buckets_) {
    std::vector<Tensor> in(std::make_move_iterator(tensors.begin() + next),
                           std::make_move_iterator(tensors.begin() + next + b->offsets.size()));
    next += b->offsets.size();
    for (Tensor& t : append(std::make_unique<AllReduce>(b), std::move(in))) out.push_back(std::move(t));
  }
  return out;
}

}  // namespace parallel
}  // namespace ds
