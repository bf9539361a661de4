// Modules: named parameters and children, found by dotted paths as PyTorch finds them.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "engine/ops/functions.h"

namespace ds::nn {

// Draws the initial values of parameters, each from its own part of one Philox stream: the same seed gives the same
// model on every machine and in every layout.
class Initializer {
 public:
  explicit Initializer(uint64_t seed, Device device = {}, DType dtype = DType::f32)
      : seed_(seed), device_(device), dtype_(dtype) {}
  Tensor uniform(const Shape&, double low, double high);
  Tensor normal(const Shape&, double mean, double std);
  Tensor constant(const Shape&, double value);

 private:
  uint64_t claim(const Shape&);
  uint64_t seed_, offset_ = 0;
  Device device_;
  DType dtype_;
};

struct NamedParameter {
  std::string name;   // layers.0.weight
  Tensor* parameter;  // owned by its module
};

// Not copied or moved: children are known by address.
class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;
  virtual Tensor forward(const Tensor& x) = 0;
  Tensor operator()(const Tensor& x) { return forward(x); }

  std::vector<NamedParameter> named_parameters();  // in the order of registration, children after own ones
  int64_t parameter_count();

 protected:
  // The tensor becomes a leaf that requires a gradient.
  Tensor& register_parameter(std::string name, Tensor& tensor);
  void register_module(std::string name, Module& child) { children_.emplace_back(std::move(name), &child); }

 private:
  std::vector<std::pair<std::string, Tensor*>> parameters_;
  std::vector<std::pair<std::string, Module*>> children_;
};

}  // namespace ds::nn
