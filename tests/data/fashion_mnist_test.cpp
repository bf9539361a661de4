#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "engine/data/dataset.h"
#include "tests/data/idx_file.h"
#include "tests/io/folder.h"

namespace ds::data {
namespace {

using ::ds::testing::Folder;
using ::ds::testing::gzipped;
using ::ds::testing::message_of;
using ::ds::testing::small_images;
using ::ds::testing::small_labels;
using ::ds::testing::spill;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kPackage = "/usr/share/datasets/fashion-mnist";

std::string why_not(const DatasetOptions& options) {
  return message_of<DataError>([&] { open_dataset("fashion_mnist", options); });
}

TEST(OpenDataset, ListsTheKnownNames) {
  EXPECT_THAT(message_of<DataError>([] { open_dataset("cifar"); }),
              AllOf(HasSubstr("\"cifar\""), HasSubstr("fashion_mnist, tokens")));
  EXPECT_THAT(dataset_names(), ElementsAre("fashion_mnist", "tokens", "tensors"));
}

TEST(FashionMnist, ReadsASmallFolderPlainOrPacked) {
  const Folder folder;
  spill(folder / "train-images-idx3-ubyte", small_images(5));
  spill(folder / "train-labels-idx1-ubyte.gz", gzipped(small_labels(5)));
  DatasetOptions options;
  options.path = folder.path();
  const auto data = open_dataset("fashion_mnist", options);
  EXPECT_EQ(data->size(), 5);
  EXPECT_THAT(data->input_shape(), ElementsAre(1, 2, 3));
  EXPECT_TRUE(data->target_shape().empty());
  EXPECT_EQ(data->input_elements(), 6);
  EXPECT_EQ(data->target_elements(), 1);
  EXPECT_EQ(data->classes(), 10);

  const std::vector<int64_t> indices = {4, 0, 4};
  std::vector<float> inputs(18, -99);
  std::vector<int64_t> targets(3, -1);
  data->read(indices, inputs.data(), targets.data());
  EXPECT_THAT(targets, ElementsAre(4, 0, 4));
  for (size_t i = 0; i < 3; ++i) {
    for (size_t p = 0; p < 6; ++p) {
      const double x = static_cast<double>(16 * indices[i] + static_cast<int64_t>(p));
      EXPECT_NEAR(inputs[6 * i + p], (x / 255 - 0.2860) / 0.3530, 1e-6);
    }
  }
  for (int64_t bad : {int64_t{5}, int64_t{-1}}) {
    EXPECT_THAT(message_of<DataError>([&] {
                  data->read({&bad, 1}, inputs.data(), targets.data());
                }),
                HasSubstr("index " + std::to_string(bad) + " is outside [0, 5)"));
  }
  options.limit = 2;
  EXPECT_EQ(open_dataset("fashion_mnist", options)->size(), 2);
  options.limit = 99;
  EXPECT_EQ(open_dataset("fashion_mnist", options)->size(), 5);
  options.limit = -1;
  EXPECT_THAT(why_not(options), HasSubstr("limit is -1"));
}

TEST(FashionMnist, NamesWhatIsWrong) {
  const Folder folder;
  DatasetOptions options;
  options.path = folder.path();
  EXPECT_THAT(why_not(options), HasSubstr("train-images-idx3-ubyte[.gz] is not there"));
  spill(folder / "train-images-idx3-ubyte", small_images(5));
  spill(folder / "train-labels-idx1-ubyte", small_labels(4));
  EXPECT_THAT(why_not(options), AllOf(HasSubstr("5 images"), HasSubstr("4 labels"), HasSubstr("train-labels")));
  std::string labels = small_labels(5);
  labels[labels.size() - 2] = 10;
  spill(folder / "train-labels-idx1-ubyte", labels);
  EXPECT_THAT(why_not(options), HasSubstr("label 3 is 10, there are 10 classes"));
  options.split = Split::test;
  EXPECT_THAT(why_not(options), HasSubstr("t10k-images"));
}

TEST(FashionMnist, OfThePackageIsWhatItShouldBe) {
  const bool installed = std::filesystem::exists(kPackage);
  if (!installed) {
    EXPECT_THAT(why_not({}), HasSubstr("apt install dataset-fashion-mnist"));
    GTEST_SKIP() << "the package dataset-fashion-mnist is not installed";
  }
  const auto train = open_dataset("fashion_mnist");
  DatasetOptions options;
  options.split = Split::test;
  const auto test = open_dataset("fashion_mnist", options);
  ASSERT_EQ(train->size(), 60000);
  ASSERT_EQ(test->size(), 10000);
  EXPECT_THAT(train->input_shape(), ElementsAre(1, 28, 28));

  std::vector<int64_t> indices(60000), targets(60000), count(10);
  std::iota(indices.begin(), indices.end(), 0);
  std::vector<float> inputs(60000 * 784);
  train->read(indices, inputs.data(), targets.data());
  double sum = 0, squares = 0;
  for (float x : inputs) {
    sum += x;
    squares += static_cast<double>(x) * x;
  }
  const double n = static_cast<double>(inputs.size()), mean = sum / n;
  EXPECT_NEAR(mean, 0, 1e-3);  // the constants are those of this data
  EXPECT_NEAR(std::sqrt(squares / n - mean * mean), 1, 1e-3);
  for (int64_t target : targets) ++count.at(static_cast<size_t>(target));
  EXPECT_THAT(count, ::testing::Each(6000));
}

}  // namespace
}  // namespace ds::data
