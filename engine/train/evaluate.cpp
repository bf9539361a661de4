#include <algorithm>

#include "engine/train/run.h"

namespace ds::train {
namespace {

// Samples of a chunk, of about 500 targets: fixed by the data, so that the sums are the same for every number of ranks,
// and small enough for the logits of a large vocabulary.
int64_t chunk_of(const data::Dataset& test) { return std::max<int64_t>(1, 500 / test.target_elements()); }

struct ChunkResult {
  double loss, correct;  // sums
};

ChunkResult run_chunk(Learner& learner, const data::Dataset& test, int64_t begin, int64_t end) {
  std::vector<int64_t> indices(end - begin);
  for (int64_t i = begin; i < end; ++i) indices[i - begin] = i;
  auto n = static_cast<int64_t>(indices.size());
  std::vector<int64_t> targets(n * test.target_elements());
  std::vector<char> inputs(n * test.input_elements() * size_of(test.input_dtype()));
  test.read(indices, inputs.data(), targets.data());
  Tensor target = target_tensor(test, targets.data(), n);
  Tensor logits = learner.logits(input_tensor(test, inputs.data(), n));
  Tensor results[] = {cross_entropy(logits, target, Reduction::sum), sum(equal(argmax(logits, -1), target))};
  eval(results);
  return {results[0].item<float>(), static_cast<double>(results[1].item<int64_t>())};
}

}  // namespace

Evaluation evaluate(Learner& learner, const data::Dataset& test, comm::Communicator& communicator,
                    TrainStatus& status) {
  PhaseScope scope(status, Phase::evaluating);
  int64_t chunk = chunk_of(test), chunks = (test.size() + chunk - 1) / chunk;
  std::vector<double> sums(2 * chunks, 0);  // each chunk by one rank; the others add zeros, which is exact
  for (int64_t c = communicator.rank(); c < chunks; c += communicator.size()) {
    ChunkResult r = run_chunk(learner, test, c * chunk, std::min((c + 1) * chunk, test.size()));
    sums[2 * c] = r.loss, sums[2 * c + 1] = r.correct;
    status.ticks.fetch_add(1);
  }
  if (communicator.size() > 1) {
    PhaseScope wait(status, Phase::collective);
    communicator.all_reduce(sums.data(), sums.size(), DType::f64, comm::ReduceOp::sum);
  }
  double loss = 0, correct = 0;
  for (int64_t c = 0; c < chunks; ++c) loss += sums[2 * c], correct += sums[2 * c + 1];
  auto targets = static_cast<double>(test.size() * test.target_elements());
  return {loss / targets, correct / targets};
}

}  // namespace ds::train
