#include "engine/parallel/buckets.h"
#include "engine/parallel/data_parallel.h"

namespace ds::parallel {
namespace {

class Replicated final : public DataParallel {
 public:
  Replicated(comm::Communicator& communicator, DataParallelOptions o)
      : o_(std::move(o)), first_(communicator.rank() == 0) {
    if (communicator.size() == 1) return;
    std::vector<Type> types = o_.extras;
    for (size_t i = o_.parameters.size(); i-- > 0;) types.push_back(o_.parameters[i].parameter->type());
    buckets_ = make_buckets(communicator, types, {}, o_.bucket_bytes, 1, o_.on_wait);
  }

  std::vector<nn::NamedParameter> owned() override { return o_.parameters; }
  std::vector<int> groups() override { return o_.groups; }

  Sums reduce(std::vector<Tensor> grads, std::vector<Tensor> extras) override {
    if (buckets_.empty()) return {std::move(grads), std::move(extras)};
    std::vector<Tensor> all = std::move(extras), sums;
    for (size_t i = grads.size(); i-- > 0;) all.push_back(std::move(grads[i]));
    auto next = all.begin();
    for (const BucketRef& b : buckets_) {
      auto end = next + static_cast<std::ptrdiff_t>(b->types.size());
      for (Tensor& t : all_reduce(b, 0, {std::make_move_iterator(next), std::make_move_iterator(end)}))
        sums.push_back(std::move(t));
      next = end;
    }
    Sums out;
    auto count = static_cast<std::ptrdiff_t>(o_.extras.size());
    for (std::ptrdiff_t i = 0; i < count; ++i) out.extras.push_back(sums[i] * 1.0);  // out of the bucket's memory
    out.grads.assign(sums.rbegin(), sums.rend() - count);
    return out;
  }

  void settle() override {
    for (auto& p : o_.parameters) *p.parameter = p.parameter->detach().set_requires_grad(true);
  }

  std::vector<Tensor> whole(const std::vector<Tensor>& of_owned) override {
    return first_ ? of_owned : std::vector<Tensor>{};
  }

  std::vector<Tensor> own(const std::vector<Tensor>& whole) override {
    std::vector<Tensor> out;
    for (size_t i = 0; i < whole.size(); ++i) {
      const Type& type = whole[i].type();
      auto storage = make_ref<Storage>(o_.parameters[i].parameter->device(), static_cast<size_t>(type.bytes()));
      backend(storage->device()).from_host(storage->data(), whole[i].data(), storage->bytes());
      out.push_back(Tensor::wrap(std::move(storage), 0, type.dtype, type.shape));
    }
    return out;
  }

  void load(const std::vector<Tensor>& values) override {
    std::vector<Tensor> mine = own(values);
    for (size_t i = 0; i < mine.size(); ++i) *o_.parameters[i].parameter = mine[i];
    settle();
  }

 private:
  DataParallelOptions o_;
  bool first_;  // rank 0
  std::vector<BucketRef> buckets_;
};

}  // namespace

std::unique_ptr<DataParallel> replicated(comm::Communicator& communicator, DataParallelOptions options) {
  return std::make_unique<Replicated>(communicator, std::move(options));
}

}  // namespace ds::parallel
