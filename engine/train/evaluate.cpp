#include <algorithm>
#include <cmath>

#include "engine/train/run.h"

namespace ds::train {
namespace {

// Samples of a chunk, of about 500 targets and at most 16 MB of inputs: fixed by the data, so that the sums are the
// same for every number of ranks, and small enough for the logits of a large vocabulary.
int64_t chunk_of(const data::Dataset& test) {
  auto bytes = std::max<int64_t>(1, static_cast<int64_t>(data::offsets_of(test.inputs(), 64).back() / 64));
  return std::max<int64_t>(1, std::min(500 / std::max<int64_t>(1, test.target_elements()), (16 << 20) / bytes));
}

struct ChunkResult {
  double loss, correct;  // sums
};

ChunkResult run_chunk(Learner& learner, const data::Dataset& test, int64_t begin, int64_t end) {
  std::vector<int64_t> indices(end - begin);
  for (int64_t i = begin; i < end; ++i) indices[i - begin] = i;
  auto n = static_cast<int64_t>(indices.size());
  std::vector<char> inputs(data::offsets_of(test.inputs(), indices.size()).back());
  std::vector<char> targets(data::offsets_of(test.targets(), indices.size()).back());
  test.read(indices, inputs.data(), targets.data());
  models::Assessment a =
      learner.model().assess(samples_of(test, inputs.data(), targets.data(), n), {learner.seed(), -1, begin});
  std::vector<Tensor> results{a.loss};
  if (a.correct) results.push_back(a.correct);
  eval(results);
  return {results[0].item<float>(), a.correct ? static_cast<double>(a.correct.item<int64_t>()) : NAN};
}

}  // namespace

Evaluation evaluate(Learner& learner, const data::Dataset& test, int64_t samples, comm::Communicator& communicator,
                    TrainStatus& status) {
  PhaseScope scope(status, Phase::evaluating);
  int64_t chunk = chunk_of(test), chunks = (samples + chunk - 1) / chunk;
  std::vector<double> sums(2 * chunks, 0);  // each chunk by one rank; the others add zeros, which is exact
  for (int64_t c = communicator.rank(); c < chunks; c += communicator.size()) {
    ChunkResult r = run_chunk(learner, test, c * chunk, std::min((c + 1) * chunk, samples));
    sums[2 * c] = r.loss, sums[2 * c + 1] = r.correct;
    status.ticks.fetch_add(1);
  }
  if (communicator.size() > 1) {
    PhaseScope wait(status, Phase::collective);
    communicator.all_reduce(sums.data(), sums.size(), DType::f64, comm::ReduceOp::sum);
  }
  double loss = 0, correct = 0;
  for (int64_t c = 0; c < chunks; ++c) loss += sums[2 * c], correct += sums[2 * c + 1];
  auto targets = static_cast<double>(samples * test.target_elements());
  return {loss / targets, correct / targets};
}

}  // namespace ds::train
