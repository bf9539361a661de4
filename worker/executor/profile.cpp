#include "engine/train/profile.h"

#include "worker/executor/inquiry.h"
#include "worker/executor/translate.h"

namespace ds::worker {
namespace {

void fill(v1::Work* to, const train::Work& work) {
  to->set_matmul_flops(work.matmul_flops);
  to->set_conv_flops(work.conv_flops);
  to->set_bytes(work.bytes);
  to->set_kernels(work.kernels);
}

void fill(v1::ModelProfile* to, const train::ModelProfile& profile) {
  to->set_parameters(profile.parameters);
  to->set_gradient_bytes(profile.gradient_bytes);
  to->set_forward_flops(profile.forward_flops);
  to->set_backward_flops(profile.backward_flops);
  to->set_activation_bytes(profile.activation_bytes);
  fill(to->mutable_sample(), profile.sample);
  fill(to->mutable_step(), profile.step);
  fill(to->mutable_update(), profile.update);
  for (const train::LayerProfile& layer : profile.layers) {
    v1::LayerProfile* l = to->add_layers();
    l->set_name(layer.name);
    l->set_parameters(layer.parameters);
    l->set_forward_flops(layer.forward_flops);
    l->set_activation_bytes(layer.activation_bytes);
  }
}

}  // namespace

v1::ProfileResult profile_model(const v1::StartRank& start) {
  v1::ProfileResult result;
  result.set_job(start.job());
  try {
    fill(result.mutable_profile(), train::profile(to_config(start, 1)));
  } catch (const train::UserError& e) {
    result.set_error(e.what());
  } catch (const std::exception& e) {
    result.set_error(e.what());
    result.set_retryable(true);
  }
  if (!result.error().empty()) result.clear_profile();
  return result;
}

}  // namespace ds::worker
