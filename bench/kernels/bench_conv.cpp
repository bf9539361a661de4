// The convolutions of a Fashion-MNIST CNN, on NCHW tensors as they lie, against oneDNN on the same layout.
#include <oneapi/dnnl/dnnl.hpp>

#include "bench/kernels/bench.h"

extern "C" void omp_set_num_threads(int);

namespace ds::kernels::bench {
namespace {

using dnnl::memory;
using Dims = memory::dims;

struct Layer {
  std::string name;
  int64_t n, c, hw, o;  // 3x3, pad 1
};

// oneDNN with layouts of its own choice, which it fills from and empties into the plain ones in every call, or with
// the plain layouts throughout: whichever is quicker is the peer.
class Peer {
 public:
  Peer(const Layer& l, bool own_layout, float* x, float* w, float* y)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using tag = memory::format_tag;
    Dims xd{l.n, l.c, l.hw, l.hw}, wd{l.o, l.c, 3, 3}, yd{l.n, l.o, l.hw, l.hw}, one{1, 1};
    auto desc = [&](const Dims& d, tag plain) {
      return memory::desc(d, memory::data_type::f32, own_layout ? tag::any : plain);
    };
    auto xa = desc(xd, tag::nchw), wa = desc(wd, tag::oihw), ya = desc(yd, tag::nchw);
    auto algorithm = dnnl::algorithm::convolution_direct;
    forward_pd_ = dnnl::convolution_forward::primitive_desc(
        {dnnl::prop_kind::forward_training, algorithm, xa, wa, ya, one, one, one}, engine_);
    dnnl::convolution_backward_data::primitive_desc data_pd({algorithm, xa, wa, ya, one, one, one}, engine_,
                                                            forward_pd_);
    dnnl::convolution_backward_weights::primitive_desc weights_pd({algorithm, xa, wa, ya, one, one, one}, engine_,
                                                                  forward_pd_);
    memory px({xd, memory::data_type::f32, tag::nchw}, engine_, x),
        pw({wd, memory::data_type::f32, tag::oihw}, engine_, w),
        py({yd, memory::data_type::f32, tag::nchw}, engine_, y);
    forward_ = plan(dnnl::convolution_forward(forward_pd_),
                    {{DNNL_ARG_SRC, px, forward_pd_.src_desc()}, {DNNL_ARG_WEIGHTS, pw, forward_pd_.weights_desc()}},
                    {DNNL_ARG_DST, py, forward_pd_.dst_desc()});
    data_ = plan(dnnl::convolution_backward_data(data_pd),
                 {{DNNL_ARG_DIFF_DST, py, data_pd.diff_dst_desc()}, {DNNL_ARG_WEIGHTS, pw, data_pd.weights_desc()}},
                 {DNNL_ARG_DIFF_SRC, px, data_pd.diff_src_desc()});
    weights_ = plan(dnnl::convolution_backward_weights(weights_pd),
                    {{DNNL_ARG_SRC, px, weights_pd.src_desc()}, {DNNL_ARG_DIFF_DST, py, weights_pd.diff_dst_desc()}},
                    {DNNL_ARG_DIFF_WEIGHTS, pw, weights_pd.diff_weights_desc()});
  }

  void forward() { run(forward_); }
  void grad_input() { run(data_); }
  void grad_weight() { run(weights_); }

 private:
  struct Argument {
    int id;
    memory plain;
    memory::desc wanted;
  };
  struct Step {
    dnnl::primitive primitive;
    std::unordered_map<int, memory> arguments;
  };

  std::vector<Step> plan(const dnnl::primitive& p, const std::vector<Argument>& in, const Argument& out) {
    std::vector<Step> steps;
    std::unordered_map<int, memory> arguments;
    auto bring = [&](const Argument& a, bool output) {
      if (a.plain.get_desc() == a.wanted) {
        arguments[a.id] = a.plain;
        return;
      }
      memory own(a.wanted, engine_);
      arguments[a.id] = own;
      const memory &from = output ? own : a.plain, &to = output ? a.plain : own;
      steps.push_back({dnnl::reorder(from, to), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}});
    };
    for (const Argument& a : in) bring(a, false);
    size_t place = steps.size();
    bring(out, true);
    steps.insert(steps.begin() + static_cast<std::ptrdiff_t>(place), Step{p, arguments});
    return steps;
  }
  void run(std::vector<Step>& steps) {
    for (Step& s : steps) s.primitive.execute(stream_, s.arguments);
    stream_.wait();
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::convolution_forward::primitive_desc forward_pd_;
  std::vector<Step> forward_, data_, weights_;
};

void run(const Layer& l, int threads, int argc, char** argv) {
  auto size = [](int64_t n) { return static_cast<size_t>(n); };
  std::vector<float> x = randoms(size(l.n * l.c * l.hw * l.hw)), w = randoms(size(l.o * l.c * 9)),
                     y = randoms(size(l.n * l.o * l.hw * l.hw));
  std::vector<float> x2 = x, w2 = w, y2 = y;
  Conv2d d{DType::f32, l.n, l.c, l.hw, l.hw, l.o, 3, 3, l.hw, l.hw, 1, 1, 1, 1, 1, 1, 1};
  TestContext ctx(threads, false);
  omp_set_num_threads(threads);
  Peer plain(l, false, x2.data(), w2.data(), y2.data()), own(l, true, x2.data(), w2.data(), y2.data());
  auto report = [&](const std::string& pass, auto ours, auto peer) {
    std::string name = pass + " " + l.name + " b" + std::to_string(l.n) + " t" + std::to_string(threads);
    if (!chosen(argc, argv, name)) return;
    Pair a = best_of(threads, ours, [&] { peer(plain); }), b = best_of(threads, ours, [&] { peer(own); });
    print("conv2d", name, std::min(a.ours, b.ours) * 1e3, a.peer < b.peer ? "onednn nchw" : "onednn own layout",
          std::min(a.peer, b.peer) * 1e3, "ms");
  };
  report(
      "forward", [&] { cpu().conv2d(ctx, d, y.data(), x.data(), w.data(), nullptr, false); },
      [](Peer& p) { p.forward(); });
  report(
      "grad_input", [&] { cpu().conv2d_grad_input(ctx, d, x.data(), y.data(), w.data()); },
      [](Peer& p) { p.grad_input(); });
  report(
      "grad_weight", [&] { cpu().conv2d_grad_weight(ctx, d, w.data(), y.data(), x.data()); },
      [](Peer& p) { p.grad_weight(); });
}

}  // namespace
}  // namespace ds::kernels::bench

int main(int argc, char** argv) {
  using namespace ds::kernels::bench;
  for (int threads : {1, 2}) {
    for (int64_t batch : {128, 64, 32}) {
      run({"1x28x28-32", batch, 1, 28, 32}, threads, argc, argv);
      run({"32x14x14-64", batch, 32, 14, 64}, threads, argc, argv);
    }
  }
}
