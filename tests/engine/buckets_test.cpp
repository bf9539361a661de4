// Gradients in buckets, and who updates what, over the inproc transport.
#include "engine/parallel/buckets.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "engine/ops/functions.h"
#include "engine/optim/optimizer.h"
#include "engine/parallel/data_parallel.h"

namespace ds::parallel {
namespace {

// body(communicator) on every rank of a group, each a thread.
template <class Body>
void on_ranks(int ranks, Body body) {
  std::vector<std::unique_ptr<comm::Endpoint>> endpoints;
  std::vector<std::string> addresses;
  for (int r = 0; r < ranks; ++r) {
    endpoints.push_back(comm::make_endpoint(ranks == 1 ? "self" : "inproc"));
    addresses.push_back(endpoints.back()->address());
  }
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r)
    threads.emplace_back([&, r] {
      auto communicator = endpoints[r]->connect(r, addresses);
      body(*communicator);
      communicator->barrier();
    });
  for (auto& t : threads) t.join();
}

// Rank 1 posts nothing until rank 0 says that it waits.
TEST(Buckets, TellOfAWait) {
  std::promise<void> waiting;
  bool told = false;
  on_ranks(2, [&](comm::Communicator& c) {
    bool first = true;
    auto on_wait = [&](bool begins) {
      if (c.rank() == 0 && begins && std::exchange(first, false)) waiting.set_value();
    };
    auto buckets = make_buckets(c, {{DType::f32, {3}}}, {}, 1 << 20, 1, on_wait);
    Tensor gradient = Tensor::from<float>({1, 2, 3}, {3}) * (c.rank() + 1.0);
    if (c.rank() == 1) told = waiting.get_future().wait_for(std::chrono::seconds(20)) == std::future_status::ready;
    Tensor sum = all_reduce(buckets[0], 0, {std::move(gradient)})[0];
    EXPECT_EQ((sum * 1.0).to_vector<float>(), (std::vector<float>{3, 6, 9}));
  });
  EXPECT_TRUE(told);
}

// Each tensor has a place of its size in memory that peers read.
TEST(Buckets, RefuseTensorsThatDoNotFit) {
  on_ranks(1, [](comm::Communicator& c) {
    auto bucket = make_buckets(c, {{DType::f32, {2}}, {DType::f32, {3}}}, {}, 1 << 20, 1, {})[0];
    EXPECT_THROW(all_reduce(bucket, 0, {ones({2})}), Error);
    EXPECT_THROW(all_reduce(bucket, 0, {ones({2}), ones({100})}), Error);
    EXPECT_THROW(reduce_scatter(bucket, 0, {ones({2}), ones({3}, DType::f64)}), Error);
    EXPECT_THROW(all_gather(bucket, 0, ones({bucket->share() + 1})), Error);
    EXPECT_EQ(all_reduce(bucket, 0, {ones({2}), ones({3})})[1].to_vector<float>(), (std::vector<float>{1, 1, 1}));
  });
}

// The second would write over what the first has not sent yet.
TEST(Buckets, ARegionTakesOneCollectiveAtATime) {
  on_ranks(1, [](comm::Communicator& c) {
    auto bucket = make_buckets(c, {{DType::f32, {2}}}, {}, 1 << 20, 1, {})[0];
    std::vector<Tensor> first = all_reduce(bucket, 0, {ones({2})});
    EXPECT_THROW(all_reduce(bucket, 0, {ones({2})}), Error);
    eval(first);
    EXPECT_NO_THROW(all_reduce(bucket, 0, {ones({2})}));  // and is dropped without being evaluated
    EXPECT_EQ(all_reduce(bucket, 0, {ones({2})})[0].to_vector<float>(), (std::vector<float>{1, 1}));
  });
}

struct Model {
  explicit Model(int64_t odd) {
    for (Shape s : {Shape{odd, 3}, Shape{odd}, Shape{5}, Shape{7, 11}})
      tensors.push_back(random_normal(s, tensors.size() + 1).eval().detach().set_requires_grad(true));
    for (size_t i = 0; i < tensors.size(); ++i) parameters.push_back({"p" + std::to_string(i), &tensors[i]});
  }
  std::vector<Tensor> tensors;
  std::vector<nn::NamedParameter> parameters;
};

// Every rank's gradient differs; the parameters enter it, so that an update over memory that is still read would show.
void step(DataParallel& parallel, optim::Optimizer& optimizer, Model& model, int rank, double lr) {
  std::vector<Tensor> grads, results;
  {
    for (auto& t : model.tensors) grads.push_back(sin(t) * (rank + 1.0) + t);
    auto sums = parallel.reduce(std::move(grads), {scalar(rank + 1.0)});
    optimizer.step(sums.grads, lr);
    results = std::move(sums.extras);
  }
  for (auto& t : parallel.gather()) results.push_back(t);
  for (auto& t : optimizer.values()) results.push_back(t);
  eval(results);
  parallel.settle();
}

std::vector<std::vector<float>> train(comm::Communicator& c, bool sharded, bool adam, int64_t bucket_bytes) {
  Model model(13);
  DataParallelOptions o;
  o.parameters = model.parameters, o.extras = {Type{DType::f32, {}}}, o.bucket_bytes = bucket_bytes;
  auto make = [&] { return sharded ? zero1(c, o) : replicated(c, o); };
  auto parallel = make();
  auto optimizer = [&](DataParallel& p) { return adam ? optim::adamw(p.owned()) : optim::sgd(p.owned(), {0.9, 0.01}); };
  auto opt = optimizer(*parallel);
  eval(opt->values());
  for (int i = 1; i <= 3; ++i) step(*parallel, *opt, model, c.rank(), 0.01 * i);
  for (auto& s : opt->states()) {  // out to a checkpoint, and back into new ones
    std::vector<Tensor> whole = parallel->whole(*s.tensors);
    if (c.rank() != 0)
      for (auto& t : model.tensors) whole.push_back(zeros(t.shape()).eval());
    for (Tensor& t : whole) {
      Tensor flat = contiguous(t).eval();
      c.broadcast(const_cast<void*>(flat.data()), flat.numel(), DType::f32, 0);
      t = flat;
    }
    *s.tensors = parallel->own(whole);
  }
  std::vector<Tensor> values;
  for (auto& t : model.tensors) values.push_back(contiguous(t.detach() * 1.0).eval());
  parallel->load(values);
  for (int i = 4; i <= 5; ++i) step(*parallel, *opt, model, c.rank(), 0.01 * i);
  std::vector<std::vector<float>> out;
  for (auto& t : model.tensors) out.push_back(t.to_vector<float>());
  return out;
}

TEST(Zero1, IsTheReplicatedUpdateBitForBit) {
  for (bool adam : {true, false})
    for (int64_t bucket_bytes : {64, 200, 1 << 20})
      for (int ranks : {2, 3, 4}) {
        std::vector<std::vector<std::vector<float>>> sharded(ranks), whole(ranks);
        on_ranks(ranks, [&](comm::Communicator& c) { sharded[c.rank()] = train(c, true, adam, bucket_bytes); });
        on_ranks(ranks, [&](comm::Communicator& c) { whole[c.rank()] = train(c, false, adam, bucket_bytes); });
        for (int r = 0; r < ranks; ++r) {
          EXPECT_EQ(sharded[r], whole[0]) << ranks << " ranks, rank " << r << ", buckets of " << bucket_bytes;
          EXPECT_EQ(whole[r], whole[0]);
        }
      }
}

TEST(Zero1, ARankHoldsItsShareOfTheStates) {
  on_ranks(4, [](comm::Communicator& c) {
    Model model(1000);
    DataParallelOptions o;
    o.parameters = model.parameters;
    auto parallel = zero1(c, o);
    auto optimizer = optim::adamw(parallel->owned());
    int64_t all = 0, held = 0;
    for (auto& t : model.tensors) all += 2 * t.numel();
    for (auto& s : optimizer->states())
      for (auto& t : *s.tensors) held += t.numel();
    EXPECT_LT(held, all / 4 + 2 * 4 * 4 * 16);  // each tensor begins on a cache line
  });
}

}  // namespace
}  // namespace ds::parallel
