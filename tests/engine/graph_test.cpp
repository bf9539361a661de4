// Graph files: every row of the op table comes back as it was written, for batches of any size; what is damaged is
// refused by name.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "engine/autograd/custom.h"
#include "engine/autograd/grad.h"
#include "engine/models/graph_optimizer.h"
#include "engine/ops/adamw.h"
#include "engine/ops/linalg.h"
#include "engine/ops/make.h"
#include "engine/ops/scan.h"
#include "engine/ops/update.h"
#include "engine/ops/view.h"
#include "tests/engine/graph_writer.h"

namespace ds {
namespace {

using testing::Test;

std::string file_name(const std::string& name) {
  return std::filesystem::temp_directory_path() / ("ds-graph-" + std::to_string(::getpid()) + "-" + name);
}

// Floats in [0.25, 1.75), whole numbers in [0, 5).
Tensor numbers(const Shape& shape, uint64_t seed, DType t = DType::f32) {
  Tensor u = random_uniform(shape, seed, 0);
  return (is_floating(t) ? cast(u * 1.5 + 0.25, t) : cast(u * 5.0, t)).eval().detach();
}
Tensor leaf(const Shape& shape, uint64_t seed) { return numbers(shape, seed).set_requires_grad(true); }

std::vector<Tensor> gradients(const Tensor& y, std::vector<Tensor> of) {
  GradOptions o;
  o.create_graph = true;
  return grad(y, of, o);
}

// Results that together hold each row of the table, over leaves that require gradients.
std::vector<Tensor> results() {
  Tensor a = leaf({3, 4}, 1), b = leaf({3, 4}, 2), half = leaf({3, 4}, 3) * 0.3;
  Tensor yes = less(numbers({3, 4}, 4), numbers({3, 4}, 5)), no = logical_not(yes);
  Tensor whole = numbers({3, 4}, 6, DType::i64);
  std::vector<Tensor> r;
#define ROW_unary(name) \
  if (std::string(#name) != "logical_not") r.push_back(ds::name(a));
#define ROW_binary(name) \
  if (std::string(#name).find("logical") == std::string::npos) r.push_back(ds::name(a, b));
#define ROW_elementwise(name)
#define ROW_view(name)
#define ROW_constant(name)
#define ROW_compute(name)
#define ROW_random(name)
#define ROW_communication(name)
#define OP(Class, name, category) ROW_##category(name)
#include "engine/ops/ops.def"
  r.insert(r.end(), {no, logical_and(yes, no), logical_or(yes, no), where(yes, a, b), cast(a, DType::f64)});
  Tensor z = complex(a, b);
  r.insert(r.end(), {real(z * z), imag(z), real(conj(z)), angle(z)});
  r.insert(r.end(), {log1p(a), erfinv(half), atan2(a, b), polygamma(1, a), bitwise_xor(whole, whole + 3.0)});
  r.insert(r.end(),
           {reshape(a, {4, 3}), permute(a, {1, 0}), broadcast_to(a, {2, 3, 4}), apply1<Slice>({a}, 1, 3, 2, -2)});
  r.insert(r.end(), {concat({a, b}, 1), contiguous(transpose(a, 0, 1)), full({2, 2}, INFINITY), arange(1, 4, 0.5)});
  r.push_back(gradients(sum(slice(a, 1, 0, 2) * slice(a, 1, 0, 2)), {a})[0]);  // slice_put
  r.push_back(apply1<SliceUpdate>({a, slice(b, 1, 0, 2)}, Box{{0, 0}, {3, 2}, {1, 2}}));
  r.insert(r.end(), {sum(a, {1}), amax(a, {0}), prod(a, {1}), any(yes), argmax(a, 1), matmul(a, transpose(b, 0, 1))});
  Tensor image = leaf({2, 3, 6, 6}, 7), kernel = leaf({4, 3, 3, 3}, 8);
  Tensor conv = conv2d(image, kernel, {}, {.stride_h = 2, .pad_h = 1, .pad_w = 1});
  r.insert(r.end(), {conv, max_pool2d(image), avg_pool2d(image)});
  for (const Tensor& g : gradients(sum(conv * conv), {image, kernel})) r.push_back(g);
  r.push_back(gradients(sum(avg_pool2d(image)), {image})[0]);
  r.push_back(grad(sum(max_pool2d(image)), std::vector<Tensor>{image}, {.retain_graph = true})[0]);
  Tensor classes = numbers({3}, 9, DType::i64) * int64_t{0} + 2.0;
  Tensor loss = cross_entropy(a, cast(classes, DType::i64)), weight = leaf({4}, 10), bias = leaf({4}, 11);
  Tensor norm = layer_norm(a, weight, bias);
  r.insert(r.end(), {softmax(a), log_softmax(b), loss, norm});
  r.push_back(grad(loss, std::vector<Tensor>{a}, {.retain_graph = true})[0]);
  r.push_back(grad(sum(norm * norm), std::vector<Tensor>{a}, {.retain_graph = true})[0]);
  Tensor q = leaf({1, 2, 130, 4}, 12), k = leaf({1, 2, 130, 4}, 13), weights = leaf({130, 130}, 14);
  r.push_back(scaled_dot_product_attention(q, k, k * 2.0, {.mask = {}, .causal = true}));
  r.push_back(scaled_dot_product_attention(q, k, q, {.mask = weights}));
  r.push_back(scaled_dot_product_attention(q, k, q, {.mask = less(weights.detach(), like(weights, 1))}));
  Tensor index = Tensor::from<int64_t>({2, 0, 1}, {3}), each = Tensor::from<int64_t>({1, 0, 1, 2}, {1, 4});
  r.insert(r.end(), {take(a, index, 0), gather(a, 0, each), scatter_add(a, 0, each, slice(b, 0, 0, 1))});
  r.push_back(gradients(sum(take(a, index, 0)), {a})[0]);  // put_add
  r.push_back(apply1<IndexUpdate>({a, index, b}, kernels::Write::add, 0));
  r.push_back(append(std::make_unique<ScanOp>(kernels::Scan::max, 1), {a})[1]);
  r.push_back(append(std::make_unique<ScanOp>(kernels::Scan::sum, 0), {a})[0]);
  r.push_back(append(std::make_unique<SortOp>(1, true), {a})[0]);
  Tensor square = matmul(a, transpose(a, 0, 1)) + Tensor::from<float>({9, 0, 0, 0, 9, 0, 0, 0, 9}, {3, 3});
  r.push_back(append(std::make_unique<LinalgOp>(Linalg::cholesky), {square})[0]);
  r.push_back(append(std::make_unique<LinalgOp>(Linalg::solve_lower), {square, b})[0]);
  r.push_back(append(std::make_unique<AdamWOp>(kernels::AdamW{0.9, 0.999, 1e-8, 0.1, 1, 0.99}),
                     {a.detach(), b.detach(), b.detach() * 1.0, a.detach() * 2.0})[0]);
  r.insert(r.end(), {random_uniform({2, 3}, 5, 6), random_normal({2, 3}, uint64_t{1} << 63, 6), stop_gradient(a * b)});
  return r;
}

// As write_safetensors, but not to survive a crash: many files in little time.
void write_quickly(const std::string& path, const std::vector<io::TensorView>& tensors, const std::string& graph) {
  GraphWriter::Json header{{"__metadata__", {{models::kGraphKey, graph}}}};
  size_t end = 0;
  std::string body;
  const std::map<DType, const char*> names{
      {DType::f32, "F32"}, {DType::f64, "F64"}, {DType::i64, "I64"}, {DType::boolean, "BOOL"}, {DType::c64, "C64"}};
  for (const io::TensorView& t : tensors) {
    header[t.name] = {{"dtype", names.at(t.dtype)}, {"shape", t.shape}, {"data_offsets", {end, end + t.bytes()}}};
    body.append(static_cast<const char*>(t.data), t.bytes());
    end += t.bytes();
  }
  std::string text = header.dump();
  uint64_t length = text.size();
  std::ofstream(path).write(reinterpret_cast<const char*>(&length), 8) << text << body;
}

std::string bits(const Tensor& t) {
  std::string out(static_cast<size_t>(t.type().bytes()), '\0');
  t.copy_to_host(out.data());
  return out;
}

// A graph whose result is `y`; what a gradient reaches is its parameters.
struct OneResult {
  explicit OneResult(const Tensor& result) : y(result) {
    std::vector<Node*> stack{y.node()}, leaves;
    std::set<Node*> walked;
    while (!stack.empty()) {
      Node* n = stack.back();
      stack.pop_back();
      if (!walked.insert(n).second) continue;
      if (n->op) ops.insert(n->op->info().name);
      if (!n->op && n->requires_grad) leaves.push_back(n);
      for (const Tensor& i : n->inputs) stack.push_back(i.node());
    }
    w.input = w.target = {DType::f32, {}};
    passes = y.requires_grad() && is_floating(y.dtype());
    for (Node* n : leaves) {
      Tensor t(Ref<Node>(n), 0), of_t = passes ? grad(loss_of(y), std::vector<Tensor>{t}, keep)[0] : Tensor();
      (of_t ? w.parameters : w.frozen).emplace_back("p" + std::to_string(reinterpret_cast<uintptr_t>(n)), t);
      if (of_t) originals.push_back(t), gradients.push_back(of_t);
    }
    w.train = w.eval = [this](const Tensor& x, const Tensor&) {
      return Written{loss_of(y) + sum(x) * 0.0, {}, {y}, {}};
    };
    writer.emplace(w);
    json = writer->json();
    for (auto& n : json["train"]["nodes"]) n.erase("fresh");
  }
  Tensor loss_of(const Tensor& of) const { return passes ? sum(cast(of, DType::f32) * 0.5) : sum(zeros({1})); }

  Tensor y;
  bool passes = false;
  GradOptions keep{.retain_graph = true, .allow_unused = true};
  std::set<std::string> ops;
  ToWrite w;
  std::vector<Tensor> originals, gradients;
  std::optional<GraphWriter> writer;
  GraphWriter::Json json;
};

// Replays a graph of `y` and compares values and gradients with it.
void check_result(const Tensor& y, std::set<std::string>& seen) {
  OneResult one(y);
  seen.insert(one.ops.begin(), one.ops.end());
  std::string path = file_name("table");
  write_quickly(path, one.writer->tensors(), one.json.dump());
  models::GraphFile file = models::read_graph(path);
  std::filesystem::remove(path);

  std::map<std::string, Tensor> values;
  for (auto& t : file.tensors) values[t.name] = t.trained ? t.value.set_requires_grad(true) : t.value;
  auto named = [&](const std::string& name) { return values.at(name); };
  models::Replayed r = models::replay(file.train, {{zeros({6})}, {zeros({6})}, named, {}});
  Tensor again = r.at(file.train.outputs[0]);
  ASSERT_EQ(again.type(), y.type());
  EXPECT_EQ(bits(again), bits(y));
  if (one.originals.empty()) return;
  std::vector<Tensor> copies;
  for (auto& [name, t] : one.w.parameters) copies.push_back(values.at(name));
  std::vector<Tensor> again_gradients = grad(one.loss_of(again), copies, one.keep);
  for (size_t i = 0; i < copies.size(); ++i)
    EXPECT_EQ(bits(one.gradients[i]), bits(again_gradients[i])) << "gradient " << i;
}

// Changes a whole number of the op's own node: an attribute, an input, or how many inputs there are.
void damage(GraphWriter::Json& node, std::mt19937& random) {
  constexpr int64_t kNumbers[] = {-1, 0, 1, 2, 3, 5, 64, int64_t{1} << 33, int64_t{1} << 46, -(int64_t{1} << 62)};
  int64_t number = kNumbers[random() % std::size(kNumbers)];
  std::vector<GraphWriter::Json*> whole;
  if (node.contains("with"))
    for (auto& [name, value] : node["with"].items())
      for (auto* v : value.is_array() ? std::vector<GraphWriter::Json*>(value.size()) : std::vector{&value}) {
        if (value.is_array()) v = &value[random() % value.size()];
        if (v->is_number_integer()) whole.push_back(v);
      }
  auto& in = node["in"];
  if (!whole.empty() && random() % 4)
    *whole[random() % whole.size()] = number;
  else if (!in.empty() && random() % 2)
    in[random() % in.size()][0] = random() % 6;
  else if (!in.empty() && random() % 2)
    in.erase(in.size() - 1);
  else
    in.push_back({random() % 6, 0});
}

// Whatever its numbers become: an Error that names it, or values.
TEST(GraphTable, NoDamageOfARowIsACrash) {
  std::mt19937 random(3 + testing::UnitTest::GetInstance()->random_seed());  // --gtest_shuffle: others
  std::string path = file_name("damaged");
  int taken = 0, refused = 0;
  for (const Tensor& y : results()) {
    OneResult one(y);
    SCOPED_TRACE(*one.ops.begin());
    std::vector<io::TensorView> tensors = one.writer->tensors();
    for (int i = 0; i < 12; ++i) {
      GraphWriter::Json json = one.json;
      std::vector<GraphWriter::Json*> of;
      for (auto& n : json["train"]["nodes"])
        if (n.contains("in")) of.push_back(&n);
      damage(*of[random() % of.size()], random);
      write_quickly(path, tensors, json.dump());
      try {
        models::GraphFile file = models::read_graph(path);
        std::map<std::string, Tensor> values;
        for (auto& t : file.tensors) values[t.name] = t.value;
        auto named = [&](const std::string& n) { return values.at(n); };
        auto r = models::replay(file.train, {{zeros({2})}, {zeros({2})}, named, {}});
        int64_t bytes = 0;
        for (size_t k = 0; k < file.train.nodes.size(); ++k) bytes += r.at({k, 0}).type().bytes();
        if (bytes < 1 << 24) eval(std::vector<Tensor>{r.at(*file.train.loss), r.at(file.train.outputs[0])});
        ++taken;
      } catch (const Error& e) {
        ++refused;
        EXPECT_EQ(std::string(e.what()).find("[data]"), std::string::npos) << e.what();
      }
    }
  }
  std::filesystem::remove(path);
  EXPECT_GT(refused, taken / 4);
  EXPECT_GT(taken, 20);
}

TEST(GraphTable, EveryRowComesBackAsItWasWritten) {
  std::set<std::string> seen;
  for (const Tensor& y : results()) {
    SCOPED_TRACE(y.node()->op ? y.node()->op->info().name : "a leaf");
    check_result(y, seen);
  }
  for (const OpInfo& row : op_table()) {
    bool communicates = row.category == Category::communication;  // between the ranks of one run
    EXPECT_EQ(find_maker(row.name) != nullptr, !communicates) << row.name;
    EXPECT_TRUE(communicates || seen.count(row.name)) << row.name << " was not tried";
  }
}

TEST(GraphTable, AGradientThatIsAFunctionIsRefusedByName) {
  Given::Map attributes{{"function", std::string("Swish")}};
  Type in[] = {{DType::f32, {2}}, {DType::f32, {2}}};
  try {
    find_maker("custom")->make({"custom", attributes, in});
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("Swish"), std::string::npos) << e.what();
  }
  Tensor x = leaf({2}, 1);
  Tensor y = custom_gradient(
      {x * 2.0}, {x}, [](std::span<const Tensor> g) { return std::vector<Tensor>{g[0]}; }, "Swish")[0];
  EXPECT_EQ(std::get<std::string>(y.node()->op->attributes()[0].second), "Swish");
}

// A model with everything that depends on the batch: extents, divisors, random numbers, a statistic.
class GraphFiles : public Test {
 protected:
  GraphFiles() {
    w_.input = {DType::f32, {3}}, w_.target = {DType::i64, {}};
    w_.parameters = {{"weight", leaf({3, 4}, 1)}, {"bias", leaf({4}, 2)}};
    w_.frozen = {{"scale", numbers({4}, 3)}};
    w_.buffers = {{"mean", numbers({3}, 4)}};
    auto model = [this](const Tensor& x, const Tensor& target, bool train) {
      Tensor centred = x - w_.buffers[0].second;
      if (train) centred = where(less(random_uniform(centred.shape(), 1, 0), like(x, 0.5)), centred, like(x, 0));
      Tensor logits = (matmul(centred, w_.parameters[0].second) + w_.parameters[1].second) * w_.frozen[0].second;
      Written out{sum(cross_entropy(logits, target, Reduction::none)) * (1.0 / static_cast<double>(x.size(0))),
                  {},
                  {logits},
                  {}};
      if (train) out.updates = {{"mean", w_.buffers[0].second * 0.9 + mean(x, {0}) * 0.1}};
      if (!train) out.correct = sum(equal(argmax(logits, -1), target));
      return out;
    };
    w_.train = [model](const Tensor& x, const Tensor& t) { return model(x, t, true); };
    w_.eval = [model](const Tensor& x, const Tensor& t) { return model(x, t, false); };
  }
  ~GraphFiles() override { std::filesystem::remove(path_); }

  void write(const GraphWriter::Json& json) {
    io::write_safetensors(path_, GraphWriter(w_).tensors(), {{models::kGraphKey, json.dump()}});
  }
  std::string refusal() {
    try {
      models::read_graph(path_);
    } catch (const Error& e) {
      return e.what();
    }
    return "it was taken";
  }
  std::unique_ptr<models::Model> model() {
    GraphWriter(w_).write(path_);
    return models::make_graph_model(models::read_graph(path_), {{DType::f32, {3}}}, {{DType::i64, {}}});
  }

  ToWrite w_;
  std::string path_ = file_name("file");
};

TEST_F(GraphFiles, ServeBatchesOfAnySize) {
  auto m = model();
  ASSERT_EQ(m->named_parameters().size(), 2u);
  ASSERT_EQ(m->buffers().size(), 2u);
  for (int64_t n : {1, 2, 4, 33}) {
    Tensor x = numbers({n, 3}, n), target = numbers({n}, n + 1, DType::i64) * int64_t{0} + 1.0;
    target = cast(target, DType::i64);
    Written w = w_.eval(x, target);
    models::Assessment a = m->assess({{x}, {target}}, {});
    EXPECT_FLOAT_EQ(a.loss.item<float>(), w.loss.item<float>() * static_cast<float>(n));
    EXPECT_EQ(a.correct.item<int64_t>(), w.correct.item<int64_t>());
    EXPECT_EQ(bits(m->forward(x)), bits(w.outputs[0])) << n;
    models::Forward f = m->train({{x}, {target}}, n, {1, 2, 3});
    EXPECT_EQ(bits(f.buffers[0]), bits(w_.train(x, target).updates[0].second)) << n;
    EXPECT_EQ(bits(m->train({{x}, {target}}, 2 * n, {1, 2, 3}).loss * 2.0), bits(f.loss)) << "half of a batch";
  }
}

TEST_F(GraphFiles, DrawByJobStepAndPart) {
  auto m = model();
  Tensor x = numbers({16, 3}, 1), target = cast(numbers({16}, 2) * 0.0, DType::i64);
  auto loss = [&](models::Draw d) { return m->train({{x}, {target}}, 16, d).loss.item<float>(); };
  EXPECT_EQ(loss({1, 2, 3}), loss({1, 2, 3}));
  std::set<float> seen{loss({1, 2, 3}), loss({2, 2, 3}), loss({1, 3, 3}), loss({1, 2, 4}), loss({1, 3, 2})};
  EXPECT_EQ(seen.size(), 5u);
}

TEST_F(GraphFiles, TakeDataOfOtherShapesAndDTypes) {
  GraphWriter(w_).write(path_);
  auto make = [&](Type in, Type target) { models::make_graph_model(models::read_graph(path_), {in}, {target}); };
  EXPECT_NO_THROW(make({DType::u8, {1, 3}}, {DType::u8, {1}}));
  EXPECT_THROW(make({DType::f32, {4}}, {DType::i64, {}}), Error);
  EXPECT_THROW(make({DType::f32, {3}}, {DType::f32, {}}), Error) << "classes must be whole";
}

// Descent with momentum that begins at 2: m = 0.5 m + g, p - lr m.
GraphWriter::Json descent() {
  using Json = GraphWriter::Json;
  auto op = [](const char* name, Json in, Json with = Json::object()) {
    return Json{{"op", name}, {"in", in}, {"with", with}};
  };
  auto place = [](int node) { return Json{node, 0}; };
  auto in = [&](int a, int b) { return Json::array({place(a), place(b)}); };
  auto like = [&](double v) {
    return op("full", Json::array(), {{"shape", "parameter"}, {"dtype", "float32"}, {"value", {{"float", v}}}});
  };
  Json update{{"parameters", {"weight", "bias"}}, {"lr", 1.0}, {"value", place(10)}};
  update["states"] = {
      {{"name", "m"}, {"dtype", "float32"}, {"shape", "parameter"}, {"value", {{"float", 2.0}}}, {"next", place(6)}}};
  update["nodes"] = {{{"tensor", "parameter"}},
                     {{"tensor", "gradient"}},
                     {{"tensor", "lr"}},
                     {{"tensor", "state:m"}},
                     like(0.5),
                     op("mul", in(3, 4)),
                     op("add", in(5, 1)),
                     op("cast", Json::array({place(2)}), {{"dtype", "float32"}}),
                     op("broadcast_to", Json::array({place(7)}), {{"shape", "parameter"}}),
                     op("mul", in(6, 8)),
                     op("sub", in(0, 9))};
  return {{"name", "Descent"}, {"updates", Json::array({update})}};
}

TEST_F(GraphFiles, HoldAnOptimizer) {
  GraphWriter::Json json = GraphWriter(w_).json();
  json["optimizer"] = descent();
  write(json);
  models::GraphFile file = models::read_graph(path_);
  ASSERT_TRUE(file.optimizer && file.optimizer->elementwise);
  EXPECT_EQ(file.optimizer->name, "Descent");
  models::GraphOptimizer rules = *file.optimizer;
  auto m = models::make_graph_model(std::move(file), {{DType::f32, {3}}}, {{DType::i64, {}}});
  std::vector<nn::NamedParameter> parameters = m->named_parameters();
  auto optimizer = models::graph_optimizer(parameters, rules, models::updates_of(rules, parameters), 1);
  for (int step = 0; step < 2; ++step) {
    std::vector<Tensor> grads;
    for (auto& p : parameters) grads.push_back(full(p.parameter->shape(), 3));
    optimizer->step(grads, 0.25);
    eval(optimizer->values());
    optimizer->settle();
  }
  auto first = [](const Tensor& t) { return static_cast<const float*>(t.data())[0]; };
  ASSERT_EQ(optimizer->states().size(), 1u);
  EXPECT_EQ(optimizer->states()[0].name, "m");
  EXPECT_EQ(first((*optimizer->states()[0].tensors)[0]), 5) << "0.5 (0.5 2 + 3) + 3";
  Tensor moved = (parameters[0].parameter->detach() - w_.parameters[0].second.detach()).eval();
  EXPECT_NEAR(first(moved), -0.25 * (4 + 5), 1e-6);
}

TEST_F(GraphFiles, DamageOfAnOptimizerIsNamed) {
  using Json = GraphWriter::Json;
  Json good = GraphWriter(w_).json();
  good["optimizer"] = descent();
  auto update = [](Json& j) -> Json& { return j["optimizer"]["updates"][0]; };
  struct {
    std::function<void(Json&)> damage;
    const char* says;
  } cases[] = {
      {[&](Json& j) { update(j)["parameters"] = {"weight"}; }, "nothing updates \"bias\""},
      {[&](Json& j) { update(j)["parameters"].push_back("bias"); }, "updated twice"},
      {[&](Json& j) { update(j)["parameters"].push_back("scale"); }, "\"scale\""},
      {[&](Json& j) {
         update(j)["states"][0]["next"] = {2, 0};
       },
       "state \"m\" of \"weight\" becomes float64"},
      {[&](Json& j) {
         update(j)["states"][0]["next"] = {99, 0};
       },
       "[99,0]"},
      {[&](Json& j) {
         update(j)["states"][0]["shape"] = {int64_t{1} << 40, int64_t{1} << 40};
       },
       "too large"},
      {[&](Json& j) { update(j)["states"].push_back(update(j)["states"][0]); }, "\"m\" stands there twice"},
      {[&](Json& j) {
         update(j)["value"] = {7, 0};
       },
       "the value of \"weight\" becomes"},
      {[&](Json& j) {
         update(j)["nodes"][0] = {{"op", "input"}};
       },
       "input"},
      {[&](Json& j) { update(j)["nodes"][3]["tensor"] = "state:n"; }, "state:n"},
      {[&](Json& j) { update(j)["nodes"][0]["tensor"] = "weight"; }, "weight"},
      {[&](Json& j) { update(j)["lr"] = "fast"; }, "lr is \"fast\""},
      {[&](Json& j) { j["optimizer"].erase("updates"); }, "updates"},
  };
  for (auto& c : cases) {
    Json j = good;
    c.damage(j);
    write(j);
    EXPECT_NE(refusal().find(c.says), std::string::npos) << refusal() << "\nshould name " << c.says;
  }
  Json whole = good;  // a shape of its own fits one parameter alone
  update(whole)["nodes"][4]["with"]["shape"] = {3, 4};
  write(whole);
  EXPECT_NE(refusal().find("node 5"), std::string::npos) << refusal();
}

TEST_F(GraphFiles, DamageIsNamed) {
  using Json = GraphWriter::Json;
  const Json good = GraphWriter(w_).json();
  auto op_node = [](Json& j, const std::string& op) -> Json& {
    for (Json& n : j["train"]["nodes"])
      if (n.value("op", "") == op) return n;
    fail("test", "no ", op);
  };
  struct {
    std::function<void(Json&)> damage;
    const char* says;
  } cases[] = {
      {[&](Json& j) { op_node(j, "matmul")["op"] = "matmull"; }, "matmull"},
      {[&](Json& j) { op_node(j, "matmul")["op"] = "all_reduce"; }, "all_reduce"},
      {[&](Json& j) { op_node(j, "matmul")["in"].erase(1); }, "takes 2 inputs, got 1"},
      {[&](Json& j) {
         op_node(j, "matmul")["in"][0] = {900, 0};
       },
       "[900,0]"},
      {[&](Json& j) {
         op_node(j, "matmul")["in"][0] = {0, 5};
       },
       "matmul"},
      {[&](Json& j) { op_node(j, "full")["with"].erase("dtype"); }, "dtype"},
      {[&](Json& j) { op_node(j, "reduce")["with"]["first"] = 7; }, "first"},
      {[&](Json& j) {
         op_node(j, "broadcast_to")["with"]["shape"] = {-1, 4};
       },
       "-1"},
      {[&](Json& j) { op_node(j, "broadcast_to")["with"]["shape"] = "x"; }, "shape"},
      {[&](Json& j) { j["parameters"][0]["name"] = "other"; }, "other"},
      {[&](Json& j) { j["parameters"][0].erase("name"); }, "name"},
      {[&](Json& j) { j["train"]["updates"]["nothing"] = j["train"]["updates"]["mean"]; }, "nothing"},
      {[&](Json& j) { j["train"]["updates"]["mean"] = j["train"]["loss"]; }, "mean"},
      {[&](Json& j) { j["train"].erase("loss"); }, "loss"},
      {[&](Json& j) {
         j["train"]["loss"] = {0, 0};
       },
       "the loss is"},
      {[&](Json& j) { j["input"]["shape"] = {5}; }, "node"},
      {[&](Json& j) { j["input"]["dtype"] = "float33"; }, "float33"},
      {[&](Json& j) { op_node(j, "input")["index"] = 1; }, "there is no input 1, a sample has 1"},
      {[&](Json& j) { op_node(j, "input")["index"] = -1; }, "index is -1"},
      {[&](Json& j) { j["target"] = Json::array(); }, "empty list"},
      {[&](Json& j) { j["version"] = 2; }, "version 2"},
      {[&](Json& j) {
         j = {1, 2};
       },
       "version"},
  };
  for (auto& c : cases) {
    Json j = good;
    c.damage(j);
    write(j);
    std::string why = refusal();
    EXPECT_NE(why.find(c.says), std::string::npos) << why << "\nshould name " << c.says;
    EXPECT_NE(why.find(path_), std::string::npos) << why;
  }
  write(good);
  EXPECT_EQ(refusal(), "it was taken");
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 1);
  EXPECT_NE(refusal().find(path_), std::string::npos) << refusal();
  io::write_safetensors(path_, GraphWriter(w_).tensors());
  EXPECT_NE(refusal().find(models::kGraphKey), std::string::npos) << refusal();
  io::write_safetensors(path_, GraphWriter(w_).tensors(), {{models::kGraphKey, "{"}});
  EXPECT_NE(refusal().find("the graph is not what it should be"), std::string::npos) << refusal();
  std::filesystem::remove(path_);
  EXPECT_NE(refusal().find(path_), std::string::npos) << refusal();
}

// Whatever a byte becomes: an Error, or a graph that runs or says why not.
TEST_F(GraphFiles, NoDamageIsACrash) {
  GraphWriter::Json json = GraphWriter(w_).json();
  json["optimizer"] = descent();
  const std::string good = json.dump(), letters = "0123456789-.,:[]{}\"einxa";
  const std::vector<io::TensorView> tensors = GraphWriter(w_).tensors();
  std::mt19937 random(7 + testing::UnitTest::GetInstance()->random_seed());
  int taken = 0;
  for (int i = 0; i < 1500; ++i) {
    std::string text = good;
    for (int k = 0; k < 1 + i % 3; ++k) text[random() % text.size()] = letters[random() % letters.size()];
    write_quickly(path_, tensors, text);
    try {
      auto m = models::make_graph_model(models::read_graph(path_), {{DType::f32, {3}}}, {{DType::i64, {}}});
      Tensor x = numbers({3, 3}, 1), target = cast(numbers({3}, 2) * 0.0, DType::i64);
      models::Forward f = m->train({{x}, {target}}, 3, {});
      f.loss.eval();
      ++taken;
    } catch (const Error&) {
    }
  }
  EXPECT_LT(taken, 900);
}

}  // namespace
}  // namespace ds
