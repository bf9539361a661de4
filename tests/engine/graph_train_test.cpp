// Traced models in the training loop: dropout, statistics, frozen weights and data of one's own, on any number of
// ranks.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "engine/io/checkpoint.h"
#include "tests/engine/graph_writer.h"
#include "tests/engine/train_run.h"

namespace ds::train {
namespace {

Tensor drawn(const Shape& shape, uint64_t seed) { return (random_normal(shape, seed, 0) * 0.4).eval().detach(); }

// Two layers with dropout, a statistic of each kind and a frozen scale.
class GraphTrain : public testing::Test {
 protected:
  static constexpr int64_t kIn = 6, kHidden = 16, kClasses = 4, kSamples = 400, kTest = 90;

  GraphTrain() {
    std::filesystem::create_directories(dir_);
    w_.input = {DType::f32, {kIn}}, w_.target = {DType::i64, {}};
    w_.parameters = {{"first.weight", drawn({kIn, kHidden}, 1)},
                     {"first.bias", drawn({kHidden}, 2)},
                     {"second.weight", drawn({kHidden, kClasses}, 3)}};
    for (auto& [name, p] : w_.parameters) p.set_requires_grad(true);
    w_.frozen = {{"scale", drawn({kClasses}, 4)}};
    w_.buffers = {{"mean", drawn({kHidden}, 5)}, {"seen", Tensor::from<int64_t>({5}, {})}};
    w_.train = [this](const Tensor& x, const Tensor& t) { return model(x, t, true); };
    w_.eval = [this](const Tensor& x, const Tensor& t) { return model(x, t, false); };
    GraphWriter(w_).write(graph_);
    write_data(true);
  }
  ~GraphTrain() override { std::filesystem::remove_all(dir_); }

  Written model(const Tensor& x, const Tensor& target, bool train) {
    Tensor h = relu(matmul(x, w_.parameters[0].second) + w_.parameters[1].second);
    Tensor centre = train ? mean(h, {0}) : w_.buffers[0].second;
    h = h - centre;
    if (train) h = where(less(random_uniform(h.shape(), 1, 0), like(h, 0.8)), h * 1.25, like(h, 0));
    Tensor logits = matmul(h, w_.parameters[2].second) * w_.frozen[0].second;
    Written out{
        sum(cross_entropy(logits, target, Reduction::none)) * (1.0 / static_cast<double>(x.size(0))), {}, {logits}, {}};
    if (train) {
      NoGrad no_grad;
      out.updates = {{"mean", w_.buffers[0].second * 0.9 + centre * 0.1},
                     {"seen", w_.buffers[1].second + like(w_.buffers[1].second, 1)}};
    } else {
      out.correct = sum(equal(argmax(logits, -1), target));
    }
    return out;
  }

  void write_data(bool test) {
    std::vector<Tensor> keep;
    std::vector<io::TensorView> views;
    auto add = [&](const char* name, const Tensor& t) {
      keep.push_back(contiguous(t).eval());
      views.push_back({name, t.dtype(), {t.shape().begin(), t.shape().end()}, keep.back().data()});
    };
    Tensor teacher = drawn({kIn, kClasses}, 11);
    for (bool of_test : {false, true}) {
      if (of_test && !test) continue;
      Tensor x = random_normal({of_test ? kTest : kSamples, kIn}, of_test ? 13 : 12, 0);
      add(of_test ? "test.inputs" : "train.inputs", x);
      add(of_test ? "test.targets" : "train.targets", argmax(matmul(x, teacher), -1));
    }
    io::write_safetensors(data_, views);
  }

  TrainConfig config(const std::string& job) const {
    TrainConfig c;
    c.job = job;
    c.job_dir = dir_ / job;
    c.generation = 1;
    c.model.graph = graph_;
    c.data = {"tensors", data_, 0};
    c.optimizer = {"adamw", 0.01, 0, 0.01, 0.9, 0.999, 1e-8};
    c.checkpoint = {10, 2};
    c.batch_size = 40;
    c.epochs = 3;
    c.seed = 7;
    c.virtual_shards = 4;
    return c;
  }

  std::filesystem::path dir_ =
      std::filesystem::temp_directory_path() / ("ds-graph-train-" + std::to_string(::getpid()));
  std::filesystem::path graph_ = dir_ / "model.safetensors", data_ = dir_ / "data.safetensors";
  ToWrite w_;
};

std::map<std::string, std::string> state_of(const TrainConfig& c) {
  auto found = io::latest(c.job_dir + "/checkpoints");
  std::map<std::string, std::string> out;
  for (auto& shard : found.checkpoint->shards())
    for (auto& t : shard.tensors()) out[t.name] = {static_cast<const char*>(t.data), t.bytes()};
  return out;
}

TEST_F(GraphTrain, AnyNumberOfRanksGivesTheSameBits) {
  TrainConfig c = config("d");
  c.deterministic = true;
  std::vector<double> one;
  std::map<std::string, std::string> state;
  for (int ranks : {1, 2, 4})
    for (int zero : {0, 1}) {
      c.zero = zero;
      c.job_dir = dir_ / (std::to_string(ranks) + "-" + std::to_string(zero));
      Outcome o = run(c, ranks);
      if (one.empty()) one = o.losses(), state = state_of(c);
      EXPECT_EQ(o.losses(), one) << ranks << " ranks, zero " << zero;
      EXPECT_EQ(state_of(c), state) << ranks << " ranks, zero " << zero;
      ASSERT_EQ(o.records.back().kind, StepRecord::Kind::eval);
      EXPECT_GT(o.records.back().accuracy, 0.5);
    }
  ASSERT_EQ(one.size(), 30u);
  EXPECT_LT(one.back(), 0.8 * one.front());
  for (const char* name : {"model.first.weight", "model.scale", "model.mean", "model.seen", "optimizer.m.first.bias"})
    EXPECT_TRUE(state.count(name)) << name;
  EXPECT_FALSE(state.count("optimizer.m.scale"));
  int64_t seen = 0;
  std::memcpy(&seen, state["model.seen"].data(), sizeof seen);
  EXPECT_EQ(seen, 35) << "5 before, 30 steps";
  std::string frozen(static_cast<const char*>(w_.frozen[0].second.data()), sizeof(float) * kClasses);
  EXPECT_EQ(state["model.scale"], frozen);
}

TEST_F(GraphTrain, OtherwiseRanksDrawForThemselvesAndLearnAsWell) {
  TrainConfig c = config("n");
  std::vector<double> curves[2];
  for (int ranks : {1, 2}) {
    c.job_dir = dir_ / std::to_string(ranks);
    Outcome o = run(c, ranks);
    curves[ranks - 1] = o.losses();
    EXPECT_LT(o.losses().back(), 0.8 * o.losses().front());
  }
  EXPECT_NE(curves[0], curves[1]);
}

TEST_F(GraphTrain, AResumedRunIsTheUnbrokenOneOnAnyRanks) {
  TrainConfig c = config("u");
  c.deterministic = true;
  std::vector<double> unbroken = run(c, 1).losses(), pieces;
  std::map<std::string, std::string> state = state_of(c);
  c.job_dir = dir_ / "pieces";
  for (auto [ranks, zero, stop] : {std::tuple{4, 1, 7}, {1, 1, 14}, {2, 0, 21}, {2, 1, -1}}) {
    ++c.generation;
    c.zero = zero;
    Outcome o = run(c, ranks, stop);
    EXPECT_EQ(o.start, static_cast<int64_t>(pieces.size()));
    for (double l : o.losses()) pieces.push_back(l);
  }
  EXPECT_EQ(pieces, unbroken);
  EXPECT_EQ(state_of(c), state);
}

TEST_F(GraphTrain, WithoutATestSetItIsSaidOnceAndTheJobEnds) {
  write_data(false);
  Outcome o = run(config("t"), 2);
  EXPECT_EQ(o.end, TrainEnd::finished);
  EXPECT_EQ(o.losses().size(), 30u);
  EXPECT_EQ(o.records.size(), 30u);
  ASSERT_EQ(o.warnings.size(), 1u);
  EXPECT_NE(o.warnings[0].find("no test set"), std::string::npos);
}

TEST_F(GraphTrain, ALastStepThatBreaksTheModelFailsWithoutATestSetToo) {
  write_data(false);
  TrainConfig c = config("b");
  c.optimizer.lr = 1e38;
  c.max_steps = 1;
  EXPECT_THROW(run(c, 2), UserError);
  EXPECT_FALSE(std::filesystem::exists(c.job_dir + "/checkpoints/step-00000001"));
}

TEST_F(GraphTrain, FilesThatDoNotFitAreTheUsersToMend) {
  TrainConfig c = config("e");
  c.model.graph = dir_ / "nothing";
  EXPECT_THROW(run(c, 1), UserError);
  c.model.graph = data_;
  EXPECT_THROW(run(c, 1), UserError) << "a file without a graph";
  c = config("e");
  c.data.path = graph_;
  EXPECT_THROW(run(c, 1), UserError) << "a file without samples";
  c = config("e");
  c.data = {"fashion_mnist", "", 100};
  EXPECT_THROW(run(c, 1), UserError) << "images of 784 for a model of 6";
}

// Tensors of several dtypes are reduced in buckets of their own.
TEST_F(GraphTrain, ModelsOfTwoDTypes) {
  for (size_t i : {0, 2})
    w_.parameters[i].second =
        cast(w_.parameters[i].second.detach(), DType::f64).eval().detach().set_requires_grad(true);
  w_.frozen[0].second = cast(w_.frozen[0].second, DType::f64).eval().detach();
  w_.buffers[0].second = cast(w_.buffers[0].second, DType::f64).eval().detach();
  GraphWriter(w_).write(graph_);
  TrainConfig c = config("m");
  c.deterministic = true;
  std::vector<double> one;
  for (auto [ranks, zero] : {std::pair{1, 0}, {2, 0}, {2, 1}, {4, 1}}) {
    c.job_dir = dir_ / (std::to_string(ranks) + "-" + std::to_string(zero));
    Outcome o = run(c, ranks);
    if (one.empty()) one = o.losses();
    EXPECT_EQ(o.losses(), one) << ranks << " ranks, zero " << zero;
  }
  EXPECT_LT(one.back(), 0.8 * one.front());
}

// Rows of 784 where the dataset has images.
TEST_F(GraphTrain, ServesFashionMnist) {
  ToWrite w;
  w.input = {DType::f32, {784}}, w.target = {DType::i64, {}};
  w.parameters = {{"weight", (drawn({784, 10}, 1) * 0.1).eval().detach().set_requires_grad(true)}};
  auto model = [&](const Tensor& x, const Tensor& target) {
    Tensor logits = matmul(x, w.parameters[0].second), losses = cross_entropy(logits, target, Reduction::none);
    Tensor loss = sum(losses) * (1.0 / static_cast<double>(x.size(0)));
    return Written{loss, sum(equal(argmax(logits, -1), target)), {logits}, {}};
  };
  w.train = w.eval = model;
  GraphWriter(w).write(graph_);
  TrainConfig c = config("mnist");
  c.data = {"fashion_mnist", "", 2000};
  Outcome o = run(c, 2);
  EXPECT_LT(o.losses().back(), o.losses().front());
  EXPECT_GT(o.records.back().accuracy, 0.5);
}

// The length of a sample is the model's.
TEST_F(GraphTrain, ServesTokens) {
  ToWrite w;
  w.input = w.target = {DType::i64, {8}};
  auto parameter = [](Tensor t) { return t.eval().detach().set_requires_grad(true); };
  w.parameters = {{"embed", parameter(drawn({256, 12}, 1))}, {"head", parameter(drawn({12, 256}, 2))}};
  auto model = [&](const Tensor& x, const Tensor& target) {
    Tensor rows = take(w.parameters[0].second, reshape(x, {-1}), 0), flat = reshape(target, {-1});
    Tensor logits = matmul(rows, w.parameters[1].second);
    Tensor loss = sum(cross_entropy(logits, flat, Reduction::none)) * (1.0 / static_cast<double>(flat.numel()));
    return Written{loss, sum(equal(argmax(logits, -1), flat)), {logits}, {}};
  };
  w.train = w.eval = model;
  GraphWriter(w).write(graph_);
  std::string text;
  for (int i = 0; i < 900; ++i) text += "abcdefg ";
  std::ofstream(data_) << text;
  TrainConfig c = config("tokens");
  c.data = {"tokens", data_, 0};
  c.optimizer.lr = 0.05;
  Outcome o = run(c, 2);
  EXPECT_LT(o.losses().back(), 0.5 * o.losses().front());
  EXPECT_GT(o.records.back().accuracy, 0.9);
}

// The families take such data as well.
TEST_F(GraphTrain, TensorsServeTheFamilies) {
  TrainConfig c = config("f");
  c.model.graph.clear();
  c.model.family = "mlp";
  c.model.hidden = {16};
  Outcome o = run(c, 2);
  EXPECT_LT(o.losses().back(), o.losses().front());
  EXPECT_GT(o.records.back().accuracy, 0.5);
}

}  // namespace
}  // namespace ds::train
