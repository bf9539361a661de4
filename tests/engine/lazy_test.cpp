#include <thread>

#include "engine/core/out_of_memory.h"
#include "engine/lazy/node.h"
#include "engine/lazy/plan_cache.h"
#include "engine/lazy/rewrite.h"
#include "engine/models/model.h"
#include "engine/ops/matmul.h"
#include "engine/ops/view.h"
#include "engine/optim/optimizer.h"
#include "tests/engine/op_test.h"

namespace ds::test {
namespace {

TEST(Plan, OneStructureIsPlannedOnceForEveryBatchSize) {
  clear_plan_cache();
  auto run = [](int64_t batch) {
    Tensor x = ones({batch, 8}), w = ones({8, 4});
    return sum(relu(matmul(x, w)) * 2.0).item<float>();
  };
  run(3);
  uint64_t plans = executor_stats().plans;
  EXPECT_EQ(run(5), 5 * 4 * 16);
  EXPECT_EQ(run(64), 64 * 4 * 16);
  EXPECT_EQ(executor_stats().plans, plans);
}

TEST(Plan, WhichShapesAreEqualIsPartOfTheStructure) {
  clear_plan_cache();
  auto run = [](const Shape& a, const Shape& b) {
    return sum(ones(a) + 1.0).item<float>() + sum(ones(b) + 1.0).item<float>();
  };
  EXPECT_EQ(run({2, 3}, {2, 3}), 24);
  EXPECT_EQ(run({2, 3}, {3, 3}), 30);
}

// The epilogue of a product reads a bias of (n,); (1,) has the same rank and the same place in the trace.
TEST(Plan, ABroadcastBiasIsNotPlannedAsAWholeOne) {
  clear_plan_cache();
  Tensor x = contiguous(ones({2, 3})).eval(), w = contiguous(ones({3, 4})).eval();
  Tensor whole = Tensor::from<float>({1, 2, 3, 4}, {4}), single = Tensor::from<float>({5}, {1});
  auto run = [&](const Tensor& bias) { return (matmul(x, w) + bias).to_vector<float>(); };
  EXPECT_EQ(run(whole), (std::vector<float>{4, 5, 6, 7, 4, 5, 6, 7}));
  EXPECT_EQ(run(single), (std::vector<float>{8, 8, 8, 8, 8, 8, 8, 8}));
  Tensor image = contiguous(ones({1, 1, 2, 2})).eval(), filter = contiguous(ones({2, 1, 1, 1})).eval();
  auto convolve = [&](const Tensor& bias) { return (conv2d(image, filter) + bias).to_vector<float>(); };
  EXPECT_EQ(convolve(Tensor::from<float>({1, 2}, {1, 2, 1, 1})), (std::vector<float>{2, 2, 2, 2, 3, 3, 3, 3}));
  EXPECT_EQ(convolve(Tensor::from<float>({1, 2}, {1, 1, 1, 2})), (std::vector<float>{2, 3, 2, 3, 2, 3, 2, 3}));
}

// The bits of `structure` are a chain of ops: no two are alike.
Tensor chain(uint32_t structure) {
  Tensor y = ones({2});
  for (int bit = 0; bit < 14; ++bit) y = structure >> bit & 1 ? neg(y) : abs(y);
  return y;
}

TEST(Plan, TheCacheIsBoundedAndKeepsWhatIsUsed) {
  clear_plan_cache();
  EXPECT_EQ(executor_stats().cached, 0u);
  uint64_t built = executor_stats().plans;
  constexpr uint32_t kUsed = 1 << 13;
  for (uint32_t i = 0; i < kMaxPlans + 100; ++i) {
    chain(i).eval();
    if (i % 100) continue;
    EXPECT_EQ(chain(kUsed).to_vector<float>(), (std::vector<float>{-1, -1}));
  }
  EXPECT_EQ(executor_stats().cached, kMaxPlans);
  EXPECT_EQ(executor_stats().plans - built, kMaxPlans + 101) << "the one in use was thrown out";
  built = executor_stats().plans;
  chain(kMaxPlans).eval();
  EXPECT_EQ(executor_stats().plans, built);
  chain(0).eval();
  EXPECT_EQ(executor_stats().plans, built + 1) << "the oldest should have gone";
}

TEST(Plan, SwitchingAPassForgetsThePlansMadeWithIt) {
  Tensor x = contiguous(ones({8})).eval();
  auto steps = [&] {
    uint64_t before = executor_stats().steps;
    exp(neg(x)).eval();
    return executor_stats().steps - before;
  };
  EXPECT_EQ(steps(), 1u);
  set_pass(Pass::fuse_elementwise, false);
  EXPECT_EQ(executor_stats().cached, 0u);
  EXPECT_EQ(steps(), 2u);
  set_pass(Pass::fuse_elementwise, true);
  EXPECT_EQ(steps(), 1u);
  set_pass(Pass::fuse_elementwise, true);
  EXPECT_NE(executor_stats().cached, 0u) << "nothing was switched";
}

TEST(Plan, ThreadsShareTheCacheWhileItIsFilledAndEmptied) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (uint32_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (uint32_t i = 0; i < 300; ++i) {
        if (t == 0 && i % 10 == 0) set_pass(Pass::fuse_elementwise, i % 20 != 0);
        wrong += std::abs(chain(i * 5 % 64).to_vector<float>()[1]) != 1;
      }
    });
  for (auto& t : threads) t.join();
  set_pass(Pass::fuse_elementwise, true);
  EXPECT_EQ(wrong, 0);
}

TEST(Executor, DeadNodesAreNotRunAndHeldOnesAreKept) {
  Tensor x = tensor(numbers(64, -1, 1, 1), {64}, DType::f32).eval();
  uint64_t before = executor_stats().nodes;
  {
    Tensor unused = exp(x);
    Tensor y = neg(x).eval();
  }
  EXPECT_EQ(executor_stats().nodes - before, 1u);
  Tensor held = x * x;
  Tensor top = sum(held);
  top.eval();
  EXPECT_TRUE(held.evaluated());
}

TEST(Executor, WritesInPlaceOnlyWhenNobodyElseSees) {
  Tensor x = ones({1000}).eval();
  x = contiguous(x).eval();
  const void* memory = x.data();
  Tensor other = x;
  x = x + 1.0;
  x.eval();
  EXPECT_NE(x.data(), memory);
  EXPECT_EQ(other.to_vector<float>()[0], 1);
  memory = x.data();
  x = x + 1.0;
  x.eval();
  EXPECT_EQ(x.data(), memory) << "the sole owner's memory is used again";
  Tensor view = slice(x, 0, 0, 10);
  view.eval();
  x = x + 1.0;
  x.eval();
  EXPECT_EQ(view.to_vector<float>()[0], 3) << "a view of the old value keeps it";
}

TEST(Executor, AnErrorLeavesInputsAndEarlierValuesUsable) {
  Tensor x = ones({3, 2});
  Tensor bad = take(x, Tensor::from<int64_t>({9}, {1}), 0);
  EXPECT_THROW(bad.eval(), std::exception);
  EXPECT_THROW(bad.eval(), std::exception);
  EXPECT_EQ(sum(x).item<float>(), 6);
}

// A product whose backend has no epilogues.
class PlainProduct final : public Op {
 public:
  OpKind kind() const override { return OpKind::MatmulOp; }
  Types infer(std::span<const Type> in) const override { return product_.infer(in); }
  void eval(Execution& e) const override { product_.eval(e); }

 private:
  MatmulOp product_;
};

TEST(Executor, AnEpilogueThatIsRefusedRunsAsSingleOps) {
  Tensor x = tensor(numbers(12, -1, 1, 1), {3, 4}, DType::f32).eval();
  Tensor w = tensor(numbers(8, -1, 1, 2), {4, 2}, DType::f32).eval();
  Tensor bias = tensor(numbers(2, -1, 1, 3), {2}, DType::f32).eval();
  for (bool with_bias : {true, false}) {
    auto epilogue = [&](const Tensor& product) { return relu(with_bias ? product + bias : product); };
    auto steps = executor_stats().steps;
    Tensor y = epilogue(apply1<PlainProduct>({x, w}));
    y.eval();
    EXPECT_EQ(executor_stats().steps - steps, 1u) << "it was not fused: this test tests nothing";
    EXPECT_EQ(y.to_vector<float>(), epilogue(matmul(x, w)).to_vector<float>());
    EXPECT_EQ((y * 2.0 + 1.0).eval().numel(), 6);
  }
}

// grad with allow_unused gives empty handles: looking at one is an error, not a crash.
TEST(Executor, AnEmptyHandleIsAnError) {
  std::vector<Tensor> some{ones({2}), Tensor()};
  EXPECT_THROW(eval(some), Error);
  EXPECT_THROW(Tensor().eval(), Error);
  EXPECT_THROW(Tensor().device(), Error);
  EXPECT_THROW(Tensor().set_requires_grad(true), Error);
  EXPECT_THROW(Tensor().detach(), Error);
}

TEST(Executor, DeepGraphsNeitherOverflowNorLeak) {
  auto before = backend({}).pool().stats().in_use;
  {
    Tensor x = ones({4});
    for (int i = 0; i < 20000; ++i) x = x + 1.0;
    Tensor unevaluated = x * 2.0;
    EXPECT_EQ(x.to_vector<float>()[3], 20001);
  }
  EXPECT_EQ(backend({}).pool().stats().in_use, before);
}

TEST(Executor, SeveralThreadsEvaluateAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i)
        right += sum(matmul(ones({32, 16}) * double(t), ones({16, 8}))).item<float>() == 32 * 8 * 16 * t;
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(right, 200);
}

TEST(Executor, AskingForTheThreadsThereAreDisturbsNobody) {
  const kernels::Context* before = &backend({}).context();
  set_threads(threads());
  EXPECT_EQ(&backend({}).context(), before) << "a rank in another thread may be computing on it";
}

TEST(Grad, SecondDerivativesAndAccumulation) {
  Tensor x = Tensor::from<double>({0.3, -1.2, 2.0}, {3}).set_requires_grad(true);
  Tensor y = sum(x * x * x + sin(x) * x);
  Tensor first = grad(y, {&x, 1}, {.create_graph = true})[0];
  Tensor second = grad(sum(first), {&x, 1})[0];
  Doubles want;
  for (double v : {0.3, -1.2, 2.0}) want.push_back(6 * v + 2 * std::cos(v) - v * std::sin(v));
  expect_near(second.to_vector<double>(), want, 1e-12, "second derivative");
}

TEST(Grad, LookingAtTheLossFirstChangesNothing) {
  Tensor x = Tensor::from<float>({1, 2}, {2}).set_requires_grad(true);
  Tensor loss = sum(exp(x));
  float seen = loss.item<float>();
  EXPECT_NEAR(seen, std::exp(1) + std::exp(2), 1e-5);
  EXPECT_NEAR(grad(loss, {&x, 1})[0].to_vector<float>()[1], std::exp(2), 1e-5);
}

TEST(Grad, IndicesAndTruthsDoNotHoldTheGraph) {
  Tensor x = Tensor::from<float>({1, 3, 2}, {3}).set_requires_grad(true);
  Tensor best = argmax(x * 2.0, 0), positive = less(like(x, 0), x);
  EXPECT_FALSE(best.requires_grad());
  EXPECT_FALSE(positive.requires_grad());
  EXPECT_EQ(best.item<int64_t>(), 1);
  EXPECT_TRUE(best.node()->inputs.empty());
  EXPECT_EQ(grad(sum(where(positive, x * x, x)), {&x, 1})[0].to_vector<float>(), (std::vector<float>{2, 6, 4}));
}

TEST(Grad, AGraphThatWasLookedAtGoesAfterItsUse) {
  Tensor x = Tensor::from<float>({1, 2}, {2}).set_requires_grad(true);
  Tensor loss = sum(exp(x));
  loss.eval();
  EXPECT_FALSE(loss.node()->inputs.empty());
  EXPECT_NEAR(grad(loss, {&x, 1})[0].to_vector<float>()[0], std::exp(1), 1e-5);
  EXPECT_TRUE(loss.node()->inputs.empty()) << "a kept loss keeps every activation";
  EXPECT_NEAR(loss.item<float>(), std::exp(1) + std::exp(2), 1e-5);
}

// Two losses over one trunk: the second must not lose the trunk's share in silence.
TEST(Grad, AGraphThatWasUsedUpIsAnErrorNotHalfAGradient) {
  Tensor x = Tensor::from<float>({1, 2}, {2}).set_requires_grad(true);
  Tensor trunk = x * 3.0, first = sum(trunk), second = sum(trunk * trunk) + sum(x);
  grad(first, {&x, 1}, {.retain_graph = true});
  EXPECT_EQ(grad(second, {&x, 1}, {.retain_graph = true})[0].to_vector<float>(), (std::vector<float>{19, 37}));
  grad(first, {&x, 1});
  EXPECT_THROW(grad(second, {&x, 1}), Error);
  EXPECT_THROW(grad(sum(trunk * 2.0) + sum(x), {&x, 1}), Error);
  EXPECT_EQ(grad(sum(trunk.detach() * x), {&x, 1})[0].to_vector<float>(), (std::vector<float>{3, 6}));
}

TEST(Grad, OfAPermutationThatIsPermutedBack) {
  Tensor x = Tensor::from<float>({1, 2, 3, 4}, {2, 2}).set_requires_grad(true);
  Tensor turned = transpose(x, 0, 1), loss = sum(transpose(turned, 0, 1) * x) + sum(turned);
  EXPECT_EQ(grad(loss, {&turned, 1})[0].to_vector<float>(), (std::vector<float>{2, 4, 3, 5}));
  Tensor hidden;
  {
    NoGrad off;
    hidden = transpose(x, 0, 1);
  }
  EXPECT_FALSE(transpose(hidden, 0, 1).requires_grad());
}

TEST(Grad, ErrorsSayWhatIsMissing) {
  Tensor x = ones({2}), y = ones({2});
  EXPECT_THROW(grad(sum(x), {&x, 1}), Error);
  x.eval();
  x = x.detach().set_requires_grad(true);
  y = y.detach().set_requires_grad(true);
  EXPECT_THROW(grad(x * 2.0, {&x, 1}), Error);
  EXPECT_THROW(grad(sum(x * 2.0), {&y, 1}), Error);
  EXPECT_FALSE(grad(sum(x * 2.0), {&y, 1}, {.allow_unused = true})[0]);
  NoGrad off;
  EXPECT_FALSE((x * 2.0).requires_grad());
}

uint64_t nodes_of(const Tensor& t) {
  uint64_t before = executor_stats().nodes;
  t.eval();
  return executor_stats().nodes - before;
}

TEST(Rewrite, AProductThatIsWantedTransposedIsComputedThatWay) {
  Tensor a = tensor(numbers(12, -1, 1, 1), {3, 4}, DType::f32).eval();
  Tensor b = tensor(numbers(20, -1, 1, 2), {4, 5}, DType::f32).eval();
  Tensor turned = transpose(matmul(a, b), 0, 1);
  turned.eval();
  EXPECT_TRUE(turned.value().contiguous(turned.shape()));
  Tensor product = matmul(a, b), view = transpose(product, 0, 1);
  eval(std::vector<Tensor>{product, view});
  EXPECT_EQ(product.value().storage.get(), view.value().storage.get()) << "somebody holds the product itself";
  EXPECT_EQ(view.to_vector<float>(), turned.to_vector<float>());
  Tensor w = contiguous(a).detach().set_requires_grad(true), y = transpose(matmul(w, b), 0, 1);
  y.eval();
  EXPECT_EQ(grad(sum(y), {&w, 1})[0].to_vector<float>(), grad(sum(matmul(w, b)), {&w, 1})[0].to_vector<float>());
  check_modes([&] { return transpose(matmul(transpose(b, 0, 1), transpose(a, 0, 1)), 0, 1); });
}

TEST(Rewrite, PermutationsOfPermutationsAreOneOrNone) {
  Tensor x = tensor(numbers(24, -1, 1, 1), {2, 3, 4}, DType::f32).eval();
  auto back = [&] { return neg(permute(permute(x, {2, 0, 1}), {1, 2, 0})); };
  EXPECT_EQ(nodes_of(back()), 1u);
  EXPECT_EQ(back().to_vector<float>(), neg(x).to_vector<float>());
  EXPECT_EQ(nodes_of(permute(permute(x, {2, 0, 1}), {2, 0, 1})), 1u);
  Tensor between = permute(x, {2, 0, 1}), same = permute(between, {1, 2, 0});
  eval(std::vector<Tensor>{between, same});
  EXPECT_EQ(same.to_vector<float>(), x.to_vector<float>());
  EXPECT_EQ(between.shape(), (Shape{4, 2, 3}));
  // Through three, and where autograd reads what does not come from x.
  EXPECT_EQ(neg(permute(permute(permute(permute(x, {2, 0, 1}), {1, 2, 0}), {1, 0, 2}), {1, 0, 2})).to_vector<float>(),
            neg(x).to_vector<float>());
  Tensor leaf = x.detach().set_requires_grad(true), hidden;
  {
    NoGrad off;
    hidden = permute(permute(leaf, {2, 0, 1}), {1, 2, 0});
  }
  Tensor product = leaf * hidden, loss = sum(product);
  loss.eval();
  EXPECT_EQ(grad(loss, {&leaf, 1})[0].to_vector<float>(), x.to_vector<float>()) << "not twice x";
}

TEST(Rewrite, WhatIsNotOfTheSameTypeIsRefused) {
  Tensor x = ones({2, 3}), y = neg(x);
  Trace trace = make_trace({&y, 1});
  Rewriter rewriter(trace);
  EXPECT_THROW(rewriter.replace(*y.node(), std::make_unique<Permute>(std::vector<int64_t>{1, 0}), {x}), Error);
  EXPECT_THROW(rewriter.redirect(*y.node(), 0, ones({3})), Error);
  EXPECT_FALSE(rewriter.changed());
}

TEST(Rewrite, EveryPassIsCountedTimedAndKeepsTheGradientsOfEveryFamily) {
  for (std::string family : {"mlp", "cnn", "gpt"}) {
    models::ModelSpec spec{.family = family, .hidden = {9}, .channels = {5, 6}, .layers = 2, .heads = 2, .width = 8};
    spec.context = 6, spec.vocab = spec.classes = 5;
    spec.input_shape = family == "gpt" ? std::vector<int64_t>{6} : std::vector<int64_t>{1, 8, 8};
    auto model = models::make_model(spec, 3);
    Tensor x = family == "gpt" ? cast(random_uniform({4, 6}, 5) * 5.0, DType::i64) : random_normal({4, 1, 8, 8}, 5);
    Tensor target = cast(random_uniform({family == "gpt" ? 24 : 4}, 6) * 5.0, DType::i64);
    eval(std::vector<Tensor>{x, target});
    check_modes([&] {
      std::vector<Tensor> parameters, flat;
      for (auto& n : model->named_parameters()) parameters.push_back(*n.parameter);
      for (const Tensor& g : grad(cross_entropy(model->forward(x), target), parameters)) flat.push_back(flatten(g));
      return concat(flat);
    });
  }
  for (const PassStats& p : pass_stats()) EXPECT_TRUE(p.on && p.runs > 0 && p.seconds > 0) << p.name;
}

// The value alone, as a trace of one node, and beside another root, by the general way.
void check_single(const std::function<Tensor()>& make) {
  auto before = executor_stats();
  Tensor alone = make().eval();
  auto after = executor_stats();
  EXPECT_EQ(after.singles - before.singles, 1u) << alone.node()->op->info().name << " did not take the short way";
  EXPECT_EQ(after.plans, before.plans);
  Tensor beside = make(), other = neg(random_normal({3}, 5));
  before = executor_stats();
  eval(std::vector<Tensor>{beside, other});
  EXPECT_EQ(executor_stats().singles, before.singles);
  EXPECT_EQ(doubles(alone), doubles(beside));
}

TEST(Executor, ATraceOfOneNodeTakesAShortWayToTheSameBits) {
  for (DType t : {DType::f32, DType::f64, DType::bf16, DType::i32}) {
    Tensor a = tensor(numbers(60, 1, 9, 1), {6, 10}, t).eval(), b = tensor(numbers(60, 1, 9, 2), {6, 10}, t).eval();
    Tensor turned = transpose(tensor(numbers(60, 1, 9, 3), {10, 6}, t), 0, 1).eval();
    Tensor row = broadcast_to(tensor(numbers(10, 1, 9, 4), {10}, t), {6, 10}).eval(), c = less(a, b).eval();
    check_single([&] { return a + b; });
    check_single([&] { return a + a; });
    check_single([&] { return b - a; });
    check_single([&] { return a * turned; });
    check_single([&] { return row / a; });
    check_single([&] { return neg(a); });
    check_single([&] { return less(a, b); });
    check_single([&] { return where(c, a, b); });
    check_single([&] { return where(c, b, b); });
    check_single([&] { return cast(a, t == DType::f64 ? DType::i8 : DType::f64); });
    check_single([&] { return amax(a, {0}); });
    check_single([&] { return transpose(a, 0, 1); });
    Tensor parts = concat({a, b}).eval(), even = tensor(numbers(100, 1, 9, 5), {10, 10}, t).eval();
    check_single([&] { return matmul(a, even); });
    check_single([&] { return slice(parts, 0, 3, 9); });
  }
  Tensor x = random_normal({4, 4}, 3).eval();
  auto [values, places] = sort(x, 1);
  eval(std::vector<Tensor>{values, places});
  check_single([&, v = values] { return v + x; });
  check_single([&, p = places] { return cast(p, DType::f32); });
}

TEST(Executor, AConstantIsThereAtOnceAndNeverWrittenTo) {
  auto before = executor_stats();
  Tensor two = full({}, 2, DType::f32), twos = broadcast_to(two, {3, 4}), whole = full({2}, 7, DType::i64);
  EXPECT_TRUE(two.evaluated() && twos.evaluated() && whole.evaluated());
  EXPECT_EQ(executor_stats().nodes, before.nodes);
  EXPECT_EQ(twos.to_vector<float>(), std::vector<float>(12, 2.0f));
  EXPECT_EQ(whole.to_vector<int64_t>(), (std::vector<int64_t>{7, 7}));
  for (int i = 0; i < 100; ++i) {  // more than are kept: the others come and go
    Tensor c = full({}, i, DType::f32), sum = c + 1.0;
    EXPECT_EQ(sum.item<float>(), static_cast<float>(i + 1));
    EXPECT_EQ((c * c).item<float>(), static_cast<float>(i * i));
    EXPECT_EQ(full({}, i, DType::f32).item<float>(), static_cast<float>(i)) << "an op wrote over a constant";
  }
  EXPECT_EQ(two.item<float>(), 2.0f);
  EXPECT_EQ(full({}, 2, DType::f64).item<double>(), 2.0);
  EXPECT_FALSE(full({}, 2, DType::f32, Device{DeviceKind::null}).evaluated());
}

TEST(Pool, GivesCachedBlocksBackWhenTheSourceRunsOut) {
  struct Small final : MemorySource {
    size_t left = 4096;
    void* allocate(size_t bytes) override {
      if (bytes > left) fail<OutOfMemory>("allocate", "no ", bytes, " bytes left");
      left -= bytes;
      return std::malloc(bytes);
    }
    void release(void* p, size_t bytes) override {
      left += bytes;
      std::free(p);
    }
  } source;
  Pool pool(source);
  pool.release(pool.allocate(2048), 2048);
  void* p = pool.allocate(4096);
  EXPECT_EQ(pool.stats().reserved, 4096);
  EXPECT_THROW(pool.allocate(64), OutOfMemory);
  EXPECT_EQ(pool.stats().in_use, 4096) << "what was refused is not in use";
  EXPECT_EQ(pool.stats().peak, 4096);
  pool.release(p, 4096);
}

TEST(Pool, OfTheHostNamesWhatItDoesNotHave) {
  Pool pool(host_memory());
  try {
    pool.allocate(size_t{1} << 60);
    FAIL() << "an exabyte";
  } catch (const std::bad_alloc& e) {
    EXPECT_STREQ(e.what(), "[allocate] the system has no 1152921504606846976 bytes of host memory left");
  }
}

TEST(Null, PlansShapesWithoutMemory) {
  Device null{DeviceKind::null, 0};
  auto model =
      models::make_model({.family = "mlp", .hidden = {4096, 4096}, .input_shape = {784}, .classes = 10}, 1, null);
  Tensor x = zeros({8192, 784}, DType::f32, null);
  Tensor logits = model->forward(x).eval();
  EXPECT_EQ(logits.shape(), (Shape{8192, 10}));
  EXPECT_GT(backend(null).pool().stats().peak, 8192 * 4096 * 4);
}

// p, m and v by hand in double precision.
TEST(Optimizer, AdamWAndSgdAgreeWithTheirFormulas) {
  struct Weight final : nn::Module {
    Tensor w = Tensor::from<double>({0.5, -2.0}, {2});
    Weight() { register_parameter("w", w); }
    Tensor forward(const Tensor& x) override { return x * w; }
  };
  for (bool adam : {true, false}) {
    Weight module;
    auto optimizer = adam ? optim::adamw(module.named_parameters(), {0.9, 0.99, 1e-8, 0.1})
                          : optim::sgd(module.named_parameters(), {0.9, 0.1});
    Doubles p{0.5, -2.0}, m{0, 0}, v{0, 0};
    for (int t = 1; t <= 5; ++t) {
      Tensor loss = sum(module(module.w));
      std::vector<Tensor> g = grad(loss, {&module.w, 1});
      optimizer->step(g, 0.01 * t);
      eval(optimizer->values());
      optimizer->settle();
      for (int i = 0; i < 2; ++i) {
        double gi = 2 * p[i], lr = 0.01 * t;
        if (adam) {
          m[i] = 0.9 * m[i] + 0.1 * gi, v[i] = 0.99 * v[i] + 0.01 * gi * gi;
          double mh = m[i] / (1 - std::pow(0.9, t)), vh = v[i] / (1 - std::pow(0.99, t));
          p[i] = p[i] * (1 - lr * 0.1) - lr * mh / (std::sqrt(vh) + 1e-8);
        } else {
          m[i] = 0.9 * m[i] + gi + 0.1 * p[i];
          p[i] -= lr * m[i];
        }
      }
      expect_near(module.w.to_vector<double>(), p, 1e-12, adam ? "adamw" : "sgd");
    }
  }
}

// Both moments are outputs of one node, the update before.
TEST(Optimizer, AdamWMovesItsMomentsWhereTheyLie) {
  Tensor w = Tensor::from<double>({0.5, -2.0}, {2}).set_requires_grad(true);
  auto optimizer = optim::adamw({{"w", &w}});
  auto step = [&] {
    optimizer->step(grad(sum(w * w), {&w, 1}), 0.01);
    eval(optimizer->values());
    optimizer->settle();
  };
  auto moment = [&](size_t i) -> const Tensor& { return optimizer->states()[i].tensors->front(); };
  step();
  const void *m = moment(0).data(), *v = moment(1).data();
  step();
  EXPECT_EQ(moment(0).data(), m);
  EXPECT_EQ(moment(1).data(), v);
  Tensor held = moment(0);
  Doubles before = held.to_vector<double>();
  step();
  EXPECT_EQ(held.to_vector<double>(), before) << "somebody still looks at it";
  EXPECT_NE(moment(0).data(), m);
}

TEST(Optimizer, ScheduleWarmsUpAndFalls) {
  optim::Schedule s{optim::Schedule::Kind::cosine, 1.0, 0.1, 10, 110};
  EXPECT_DOUBLE_EQ(s.at(0), 0.1);
  EXPECT_DOUBLE_EQ(s.at(9), 1.0);
  EXPECT_NEAR(s.at(60), 0.55, 1e-12);
  EXPECT_NEAR(s.at(110), 0.1, 1e-12);
}

// A step of each family lowers the loss of one batch, allocates nothing new after the second step, and is planned once.
TEST(Models, EveryFamilyLearnsInASteadyState) {
  struct Case {
    models::ModelSpec spec;
    Shape input;
    int64_t targets;
  };
  std::vector<Case> cases{
      {{.family = "mlp", .hidden = {32}, .input_shape = {1, 8, 8}, .classes = 5}, {16, 1, 8, 8}, 16},
      {{.family = "cnn", .channels = {4, 8}, .input_shape = {1, 8, 8}, .classes = 5}, {16, 1, 8, 8}, 16},
      {{.family = "gpt",
        .layers = 2,
        .heads = 2,
        .width = 16,
        .context = 12,
        .vocab = 5,
        .input_shape = {12},
        .classes = 5},
       {4, 12},
       48}};
  for (auto& c : cases) {
    auto model = models::make_model(c.spec, 3);
    auto optimizer = optim::adamw(model->named_parameters());
    bool tokens = c.spec.family == "gpt";
    Tensor x = tokens ? cast(random_uniform(c.input, 5) * 5.0, DType::i64) : random_normal(c.input, 5);
    Tensor target = cast(random_uniform({c.targets}, 6) * 5.0, DType::i64);
    eval(std::vector<Tensor>{x, target});
    float first = 0, last = 0;
    ExecutorStats planned{};
    int64_t reserved = 0;
    for (int i = 0; i < 30; ++i) {
      Tensor loss = cross_entropy(model->forward(x), target);
      {
        std::vector<Tensor> p, g;
        for (auto& n : model->named_parameters()) p.push_back(*n.parameter);
        g = grad(loss, p);
        p.clear();
        optimizer->step(g, 0.01);
      }
      std::vector<Tensor> out = optimizer->values();
      out.push_back(loss);
      eval(out);
      optimizer->settle();
      (i ? last : first) = loss.item<float>();
      if (i == 2) planned = executor_stats(), reserved = backend({}).pool().stats().reserved;
    }
    EXPECT_LT(last, first * 0.8) << c.spec.family;
    EXPECT_EQ(executor_stats().plans, planned.plans) << c.spec.family;
    EXPECT_EQ(backend({}).pool().stats().reserved, reserved) << c.spec.family;
  }
}

}  // namespace
}  // namespace ds::test
