// Datasets of one's own tensors: any dtypes, with or without a test set; what does not fit together is named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "engine/data/dataset.h"
#include "engine/io/safetensors.h"

namespace ds::data {
namespace {

using io::TensorView;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TensorsDataset : public testing::Test {
 protected:
  ~TensorsDataset() override { std::filesystem::remove(path_); }

  std::unique_ptr<Dataset> open(std::vector<TensorView> tensors, Split split = Split::train, int64_t limit = 0) {
    io::write_safetensors(path_, tensors);
    DatasetOptions o;
    o.path = path_, o.split = split, o.limit = limit;
    return open_dataset("tensors", o);
  }
  std::string refusal(std::vector<TensorView> tensors, Split split = Split::train) {
    try {
      open(std::move(tensors), split);
    } catch (const DataError& e) {
      return e.what();
    }
    return "it was taken";
  }

  std::string path_ = std::filesystem::temp_directory_path() / ("ds-tensors-" + std::to_string(::getpid()));
  uint8_t x_[6] = {1, 2, 3, 4, 5, 6};
  int32_t y_[3] = {0, 7, 2};
  double z_[3] = {0.5, -1, 2};
  TensorView inputs_{"train.inputs", DType::u8, {3, 2}, x_}, targets_{"train.targets", DType::i32, {3}, y_};
};

TEST_F(TensorsDataset, GivesRowsAsTheyAre) {
  auto d = open({inputs_, targets_});
  EXPECT_EQ(d->size(), 3);
  EXPECT_THAT(d->input_shape(), ElementsAre(2));
  EXPECT_EQ(d->input_dtype(), DType::u8);
  EXPECT_EQ(d->target_dtype(), DType::i32);
  EXPECT_EQ(d->classes(), 8);
  int64_t indices[] = {2, 0};
  uint8_t x[4];
  int32_t y[2];
  d->read(indices, x, y);
  EXPECT_THAT(x, ElementsAre(5, 6, 1, 2));
  EXPECT_THAT(y, ElementsAre(2, 0));
  int64_t outside = 3;
  EXPECT_THROW(d->read({&outside, 1}, x, y), DataError);
  EXPECT_EQ(open({inputs_, targets_}, Split::train, 2)->size(), 2);
}

TEST_F(TensorsDataset, SeveralTensorsASample) {
  TensorView more[] = {{"train.inputs.0", DType::u8, {3, 2}, x_}, {"train.inputs.1", DType::f64, {3}, z_}};
  auto d = open({more[0], more[1], targets_});
  ASSERT_EQ(d->inputs().size(), 2u);
  EXPECT_EQ(d->targets().size(), 1u);
  EXPECT_THAT(d->inputs()[0].shape, ElementsAre(2));
  EXPECT_EQ(d->inputs()[1].dtype, DType::f64);
  int64_t indices[] = {2, 0};
  auto offsets = offsets_of(d->inputs(), 2);
  EXPECT_THAT(offsets, ElementsAre(0, 64, 128));
  alignas(64) char inputs[128];
  int32_t y[2];
  d->read(indices, inputs, y);
  EXPECT_THAT(std::span(reinterpret_cast<uint8_t*>(inputs), 4), ElementsAre(5, 6, 1, 2));
  EXPECT_THAT(std::span(reinterpret_cast<double*>(inputs + 64), 2), ElementsAre(2, 0.5));
  EXPECT_THAT(y, ElementsAre(2, 0));
  EXPECT_THAT(refusal({more[0], {"train.inputs.1", DType::f64, {2}, z_}, targets_}),
              HasSubstr("train.inputs.0 has 3 samples, train.inputs.1 2"));
  TensorView x{"test.inputs", DType::u8, {1, 2}, x_}, y1{"test.targets", DType::i32, {1}, y_};
  EXPECT_THAT(refusal({more[0], more[1], targets_, x, y1}, Split::test), HasSubstr("has 1 tensors"));
}

TEST_F(TensorsDataset, FloatTargetsAreNoClasses) {
  auto d = open({inputs_, {"train.targets", DType::f64, {3, 1}, z_}});
  EXPECT_EQ(d->classes(), 0);
  EXPECT_THAT(d->target_shape(), ElementsAre(1));
}

TEST_F(TensorsDataset, ATestSetMayBeMissing) {
  EXPECT_EQ(open({inputs_, targets_}, Split::test)->size(), 0);
  TensorView x{"test.inputs", DType::u8, {1, 2}, x_}, y{"test.targets", DType::i32, {1}, y_};
  EXPECT_EQ(open({inputs_, targets_, x, y}, Split::test)->size(), 1);
}

TEST_F(TensorsDataset, WhatDoesNotFitIsNamed) {
  EXPECT_THAT(refusal({inputs_}), HasSubstr("train.inputs and no train.targets"));
  EXPECT_THAT(refusal({{"other", DType::u8, {3, 2}, x_}}), HasSubstr("no train.inputs and train.targets"));
  EXPECT_THAT(refusal({inputs_, {"train.targets", DType::i32, {2}, y_}}), HasSubstr("3 samples, train.targets 2"));
  EXPECT_THAT(refusal({inputs_, {"train.targets", DType::i32, {}, y_}}), HasSubstr("no dimension of samples"));
  TensorView x{"test.inputs", DType::u8, {2, 1}, x_}, y{"test.targets", DType::i32, {2}, y_};
  EXPECT_THAT(refusal({inputs_, targets_, x}, Split::test), HasSubstr("test.inputs and no test.targets"));
  EXPECT_THAT(refusal({inputs_, targets_, x, y}, Split::test), HasSubstr("different types"));
  std::filesystem::remove(path_);
  DatasetOptions o;
  o.path = path_;
  EXPECT_THROW(open_dataset("tensors", o), DataError);
}

}  // namespace
}  // namespace ds::data
