// Training steps of the built-in families, timed for bench/train/run.py: for every line "STEPS" on standard input runs
// that many steps and prints the median seconds of one. Forward, backward and AdamW over a batch that is already in
// memory.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "engine/autograd/grad.h"
#include "engine/core/device.h"
#include "engine/models/model.h"
#include "engine/optim/optimizer.h"

namespace {

using namespace ds;

class Bench {
 public:
  Bench(const std::string& family, int64_t batch) {
    spec_.family = family;
    spec_.hidden = {512, 256};
    spec_.channels = {32, 64};
    spec_.input_shape = {1, 28, 28};
    spec_.classes = 10;
    model_ = models::make_model(spec_, 1);
    optimizer_ = optim::adamw(model_->named_parameters());
    x_ = random_normal({batch, 1, 28, 28}, 2).eval();
    target_ = cast(random_uniform({batch}, 3) * 10.0, DType::i64).eval();
    eval(optimizer_->values());
    optimizer_->settle();
  }

  double step() {
    auto start = std::chrono::steady_clock::now();
    Tensor loss = cross_entropy(model_->forward(x_), target_);
    {
      std::vector<Tensor> p;
      for (auto& n : optimizer_->parameters()) p.push_back(*n.parameter);
      std::vector<Tensor> g = grad(loss, p);
      p.clear();
      optimizer_->step(g, 1e-3);
    }
    std::vector<Tensor> out = optimizer_->values();
    out.push_back(loss);
    eval(out);
    optimizer_->settle();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  models::ModelSpec spec_;
  std::unique_ptr<models::Model> model_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  Tensor x_, target_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench_train mlp|cnn BATCH THREADS\n");
    return 2;
  }
  set_threads(std::atoi(argv[3]));
  Bench bench(argv[1], std::atoll(argv[2]));
  for (int i = 0; i < 5; ++i) bench.step();
  int steps;
  std::printf("ready\n");
  std::fflush(stdout);
  while (std::cin >> steps && steps > 0) {
    std::vector<double> seconds;
    for (int i = 0; i < steps; ++i) seconds.push_back(bench.step());
    std::nth_element(seconds.begin(), seconds.begin() + steps / 2, seconds.end());
    std::printf("%.9f\n", seconds[steps / 2]);
    std::fflush(stdout);
  }
}
