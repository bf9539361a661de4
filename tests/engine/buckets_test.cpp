// Gradients in buckets over the inproc transport.
#include "engine/parallel/buckets.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "engine/ops/functions.h"

namespace ds::parallel {
namespace {

// Rank 1 posts nothing until rank 0 says that it waits.
TEST(Buckets, TellOfAWaitAfterTheyWereMoved) {
  std::vector<std::unique_ptr<comm::Endpoint>> endpoints;
  std::vector<std::string> addresses;
  for (int r = 0; r < 2; ++r) {
    endpoints.push_back(comm::make_endpoint("inproc"));
    addresses.push_back(endpoints.back()->address());
  }
  std::promise<void> waiting;
  bool told = false;
  auto reduce = [&](int rank) {
    auto communicator = endpoints[rank]->connect(rank, addresses);
    bool first = true;
    auto on_wait = [&](bool begins) {
      if (rank == 0 && begins && std::exchange(first, false)) waiting.set_value();
    };
    Buckets made(*communicator, {{DType::f32, {3}}}, 1 << 20, on_wait), buckets = std::move(made);
    Tensor gradient = Tensor::from<float>({1, 2, 3}, {3}) * (rank + 1.0);
    if (rank == 1) told = waiting.get_future().wait_for(std::chrono::seconds(20)) == std::future_status::ready;
    Tensor sum = buckets.all_reduce({std::move(gradient)})[0];
    EXPECT_EQ((sum * 1.0).to_vector<float>(), (std::vector<float>{3, 6, 9}));
    communicator->barrier();
  };
  std::thread peer([&] { reduce(1); });
  reduce(0);
  peer.join();
  EXPECT_TRUE(told);
}

// Each has a place of its size in memory that peers read.
TEST(Buckets, RefuseTensorsThatDoNotFit) {
  auto endpoint = comm::make_endpoint("self");
  const std::string address[] = {endpoint->address()};
  auto communicator = endpoint->connect(0, address);
  Buckets buckets(*communicator, {{DType::f32, {2}}, {DType::f32, {3}}}, 1 << 20, {});
  EXPECT_THROW(buckets.all_reduce({ones({2})}), Error);
  EXPECT_THROW(buckets.all_reduce({ones({2}), ones({100})}), Error);
  EXPECT_THROW(buckets.all_reduce({ones({2}), ones({3}, DType::f64)}), Error);
  EXPECT_EQ(buckets.all_reduce({ones({2}), ones({3})})[1].to_vector<float>(), (std::vector<float>{1, 1, 1}));
}

}  // namespace
}  // namespace ds::parallel
