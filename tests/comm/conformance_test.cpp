// What every transport and every algorithm must do. Ranks compare with a reference they compute alone.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <tuple>

#include "engine/comm/reduce.h"
#include "engine/comm/registry.h"
#include "tests/comm/ranks.h"

namespace ds::comm {
namespace {

using testing::on_ranks;
using testing::require;
using testing::Where;

constexpr DType kTypes[] = {DType::f32, DType::f64, DType::bf16, DType::i64, DType::i32, DType::u8, DType::f16};
constexpr ReduceOp kOps[] = {ReduceOp::sum, ReduceOp::max, ReduceOp::min};
constexpr size_t kSizes[] = {0, 1, 7, 64, 1000, 4099, 40'009};

// Element i of a rank's input. Sums in different orders differ in their last bits.
double value(int rank, size_t i) {
  uint64_t h = (i + 1) * 0x9e3779b97f4a7c15ull ^ (static_cast<uint64_t>(rank) + 17) * 0xc2b2ae3d27d4eb4full;
  h ^= h >> 29;
  h *= 0xbf58476d1ce4e5b9ull;
  h ^= h >> 32;
  return static_cast<double>(static_cast<int64_t>(h % 200001) - 100000) / 97.0;
}

void fill(void* data, DType type, int rank, size_t count, size_t first = 0) {
  for (size_t i = 0; i < count; ++i) {
    const double v = value(rank, first + i);
    switch (type) {
      case DType::f32:
        static_cast<float*>(data)[i] = static_cast<float>(v);
        break;
      case DType::f64:
        static_cast<double*>(data)[i] = v;
        break;
      case DType::bf16:
        static_cast<bfloat16*>(data)[i] = bfloat16(static_cast<float>(v));
        break;
      case DType::f16:
        static_cast<float16*>(data)[i] = float16(static_cast<float>(v));
        break;
      case DType::i64:
        static_cast<int64_t*>(data)[i] = static_cast<int64_t>(v * 1e6);
        break;
      case DType::i32:
        static_cast<int32_t*>(data)[i] = static_cast<int32_t>(v * 100);
        break;
      default:
        static_cast<uint8_t*>(data)[i] = static_cast<uint8_t>(static_cast<int64_t>(v));
        break;
    }
  }
}

using Bytes = std::vector<std::byte>;

// References are computed once, before ranks start: processes inherit them.
class References {
 public:
  const Bytes& filled(DType type, int rank, size_t count, size_t first) {
    return find({static_cast<int>(type), -1, rank, count, first}, [&] {
      Bytes b(count * size_of(type));
      fill(b.data(), type, rank, count, first);
      return b;
    });
  }
  const Bytes& reduced(DType type, ReduceOp op, int ranks, size_t count, size_t first) {
    return find({static_cast<int>(type), static_cast<int>(op), ranks, count, first}, [&] {
      std::vector<const void*> at;
      for (int r = 0; r < ranks; ++r) at.push_back(filled(type, r, count, first).data());
      Bytes result(count * size_of(type));
      void* out[] = {result.data()};
      reduce_tree(type, op, out, at, count);
      return result;
    });
  }

 private:
  using Key = std::tuple<int, int, int, size_t, size_t>;
  template <class Make>
  const Bytes& find(Key key, Make make) {
    {
      std::lock_guard lock(mutex_);
      if (const auto it = known_.find(key); it != known_.end()) return it->second;
    }
    Bytes made = make();
    std::lock_guard lock(mutex_);
    return known_.emplace(key, std::move(made)).first->second;
  }
  std::mutex mutex_;
  std::map<Key, Bytes> known_;
};

References& references() {
  static References all;
  return all;
}
const Bytes& filled(DType type, int rank, size_t count, size_t first = 0) {
  return references().filled(type, rank, count, first);
}
const Bytes& reduced(DType type, ReduceOp op, int ranks, size_t count, size_t first = 0) {
  return references().reduced(type, op, ranks, count, first);
}

// Large sizes with one op a dtype.
bool wanted(DType type, ReduceOp op, size_t count) {
  return count <= 1000 || static_cast<int>(op) == (size_of(type) == 2 ? 0 : static_cast<int>(type) % 3);
}

double as_double(const std::byte* at, DType type) {
  switch (type) {
    case DType::f32:
      return *reinterpret_cast<const float*>(at);
    case DType::f64:
      return *reinterpret_cast<const double*>(at);
    case DType::f16:
      return static_cast<float>(*reinterpret_cast<const float16*>(at));
    default:
      return static_cast<float>(*reinterpret_cast<const bfloat16*>(at));
  }
}

// Bitwise; algorithms that sum in another order may differ by rounding, in floating sums only.
void compare(const void* got, const Bytes& expected, DType type, ReduceOp op, bool bitwise, const std::string& what) {
  if (expected.empty() || std::memcmp(got, expected.data(), expected.size()) == 0) return;
  require(!bitwise && is_floating(type) && op == ReduceOp::sum, what + ": the bits differ");
  const double unit = size_of(type) == 2 ? 1.0 / 32 : type == DType::f32 ? 1e-6 : 1e-14;
  for (size_t i = 0; i < expected.size() / size_of(type); ++i) {
    const double a = as_double(static_cast<const std::byte*>(got) + i * size_of(type), type);
    const double b = as_double(expected.data() + i * size_of(type), type);
    require(std::abs(a - b) <= unit * 8000,
            what + ": element " + std::to_string(i) + " is " + std::to_string(a) + ", expected " + std::to_string(b));
  }
}

std::string label(const Algorithm& a, DType type, ReduceOp op, size_t count) {
  return std::string(name_of(a.collective)) + " " + a.name + " " + ds::name_of(type) + " " + name_of(op) + " x " +
         std::to_string(count);
}

// Calls body for every algorithm, dtype, op and size; body returns after its collective. A refusal skips the case, on
// all ranks alike; an algorithm that refuses everything is counted.
template <class Body>
void every_case(Collective collective, Body body) {
  for (const Algorithm* a : registered(collective)) {
    for (DType type : kTypes) {
      for (ReduceOp op : kOps) {
        for (size_t count : kSizes) {
          if (!wanted(type, op, count)) continue;
          try {
            body(*a, type, op, count);
          } catch (const CommError& e) {
            if (std::string(e.what()).find("does not serve") == std::string::npos) throw;
          }
        }
      }
    }
  }
}

class Conformance : public ::testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    const int ranks = GetParam().ranks;
    for (DType type : kTypes) {
      for (ReduceOp op : kOps) {
        for (size_t count : kSizes) {
          if (!wanted(type, op, count)) continue;
          reduced(type, op, ranks, count);
          for (int r = 0; r < ranks; ++r) {
            filled(type, r, count * static_cast<size_t>(ranks));
            reduced(type, op, ranks, count, count * static_cast<size_t>(r));
          }
        }
      }
    }
  }
};

TEST_P(Conformance, AllReduceOnAnyMemory) {
  on_ranks(GetParam(), [](Communicator& c) {
    every_case(Collective::all_reduce, [&](const Algorithm& a, DType type, ReduceOp op, size_t count) {
      Bytes data = filled(type, c.rank(), count);
      c.all_reduce(data.data(), count, type, op, {.algorithm = a.name});
      compare(data.data(), reduced(type, op, c.size(), count), type, op, a.deterministic, label(a, type, op, count));
    });
  });
}

TEST_P(Conformance, AllReduceOnSlicesOfABuffer) {
  on_ranks(GetParam(), [](Communicator& c) {
    const auto buffer = c.allocate(1 << 20);
    require(buffer->bytes() >= 1 << 20, "the buffer is too small");
    std::byte* const base = static_cast<std::byte*>(buffer->data());
    every_case(Collective::all_reduce, [&](const Algorithm& a, DType type, ReduceOp op, size_t count) {
      // Ranks may keep their data at different offsets.
      std::byte* const at = base + 4096 + static_cast<size_t>(c.rank()) * 136;
      std::memset(base, 0x5a, 1 << 20);
      if (count > 0) std::memcpy(at, filled(type, c.rank(), count).data(), count * size_of(type));
      c.all_reduce(at, count, type, op, {.algorithm = a.name});
      compare(at, reduced(type, op, c.size(), count), type, op, a.deterministic, label(a, type, op, count));
      require(at[-1] == std::byte{0x5a} && at[count * size_of(type)] == std::byte{0x5a},
              "memory beside a slice changed");
    });
  });
}

TEST_P(Conformance, ChosenAlgorithmsSumInTheFixedTree) {
  on_ranks(GetParam(), [](Communicator& c) {
    for (DType type : kTypes) {
      for (size_t count : {size_t(1), size_t(300), size_t(5000), size_t(50'000), size_t(300'000)}) {
        Bytes data = filled(type, c.rank(), count);
        c.all_reduce(data.data(), count, type, ReduceOp::sum);
        compare(data.data(), reduced(type, ReduceOp::sum, c.size(), count), type, ReduceOp::sum, true,
                std::string("chosen for ") + ds::name_of(type) + " x " + std::to_string(count));
      }
    }
    require(c.stats().all_reduce_calls == 5 * std::size(kTypes), "calls are counted");
    require(c.stats().all_reduce_bytes > 0 && c.stats().all_reduce_seconds > 0, "bytes and seconds are counted");
  });
}

TEST_P(Conformance, ReduceScatter) {
  on_ranks(GetParam(), [](Communicator& c) {
    const auto buffer = c.allocate(static_cast<size_t>(c.size()) * 40'009 * 8);
    bool registered_memory = false;
    every_case(Collective::reduce_scatter, [&](const Algorithm& a, DType type, ReduceOp op, size_t count) {
      const size_t n = static_cast<size_t>(c.size()), bytes = count * size_of(type);
      Bytes heap(bytes * n), out(bytes);
      const Bytes& mine_in = filled(type, c.rank(), count * n);
      registered_memory = !registered_memory;
      std::byte* const in = registered_memory ? static_cast<std::byte*>(buffer->data()) : heap.data();
      if (!mine_in.empty()) std::memcpy(in, mine_in.data(), mine_in.size());
      c.reduce_scatter(out.data(), in, count, type, op, {.algorithm = a.name});
      const Bytes expected = reduced(type, op, c.size(), count, count * static_cast<size_t>(c.rank()));
      compare(out.data(), expected, type, op, a.deterministic, label(a, type, op, count));
      // In place: out is this rank's chunk of in.
      std::byte* const mine = in + bytes * static_cast<size_t>(c.rank());
      c.reduce_scatter(mine, in, count, type, op, {.algorithm = a.name});
      compare(mine, expected, type, op, a.deterministic, "in place " + label(a, type, op, count));
    });
  });
}

TEST_P(Conformance, AllGather) {
  on_ranks(GetParam(), [](Communicator& c) {
    const auto buffer = c.allocate(static_cast<size_t>(c.size()) * 40'009 * 8);
    bool in_place = false;
    every_case(Collective::all_gather, [&](const Algorithm& a, DType type, ReduceOp op, size_t count) {
      if (op != ReduceOp::sum) return;
      const size_t bytes = count * size_of(type);
      Bytes heap(bytes * static_cast<size_t>(c.size()));
      in_place = !in_place;
      std::byte* const out = in_place ? static_cast<std::byte*>(buffer->data()) : heap.data();
      const Bytes mine = filled(type, c.rank(), count);
      std::byte* const own = out + bytes * static_cast<size_t>(c.rank());
      if (in_place && bytes > 0) std::memcpy(own, mine.data(), bytes);
      c.all_gather(out, in_place ? own : mine.data(), count, type, {.algorithm = a.name});
      for (int r = 0; r < c.size(); ++r) {
        compare(out + bytes * static_cast<size_t>(r), filled(type, r, count), type, op, true,
                label(a, type, op, count));
      }
    });
  });
}

TEST_P(Conformance, BroadcastFromEveryRoot) {
  on_ranks(GetParam(), [](Communicator& c) {
    for (int root = 0; root < c.size(); ++root) {
      every_case(Collective::broadcast, [&](const Algorithm& a, DType type, ReduceOp op, size_t count) {
        if (op != ReduceOp::sum || type == DType::f64 || type == DType::i32) return;
        Bytes data = filled(type, c.rank() + 100 * root, count);
        c.broadcast(data.data(), count, type, root, {.algorithm = a.name});
        compare(data.data(), filled(type, 101 * root, count), type, op, true, label(a, type, op, count));
      });
    }
    try {
      c.broadcast(nullptr, 0, DType::f32, c.size());
      require(false, "a root out of range must be refused");
    } catch (const CommError& e) {
      require(std::string(e.what()).find("[broadcast] root is rank " + std::to_string(c.size())) == 0, e.what());
    }
  });
}

TEST_P(Conformance, BarrierLetsNobodyThroughEarly) {
  on_ranks(GetParam(), [](Communicator& c) {
    // A message sent before the barrier by every rank has its receipt after; the sums count who has come.
    for (int round = 0; round < 50; ++round) {
      int32_t come = 1;
      auto work = c.all_reduce_async(&come, 1, DType::i32, ReduceOp::sum);
      c.barrier();
      require(work->test(), "a collective begun before a barrier is done after it");
      require(come == c.size(), "everybody has come");
    }
  });
}

TEST_P(Conformance, BucketsOverlap) {
  on_ranks(GetParam(), [](Communicator& c) {
    constexpr size_t kBuckets = 40, kCount = 20'011;  // more than may be under way at once
    const auto buffer = c.allocate(kBuckets * kCount * 4);
    float* const base = static_cast<float*>(buffer->data());
    std::vector<std::vector<float>> heap(kBuckets, std::vector<float>(kCount));
    for (int round = 0; round < 3; ++round) {
      std::vector<std::unique_ptr<Work>> works;
      std::vector<float*> at;
      for (size_t b = 0; b < kBuckets; ++b) {
        at.push_back(b % 3 == 2 ? heap[b].data() : base + b * kCount);
        fill(at[b], DType::f32, c.rank(), kCount - b, b);
        works.push_back(c.all_reduce_async(at[b], kCount - b, DType::f32, ReduceOp::sum));
        if (b % 4 == 0) c.progress();
      }
      if (round == 0) {
        for (auto& w : works) w->wait();
      } else if (round == 1) {
        while (!works.back()->test()) std::this_thread::yield();  // in order: the last means all
      } else {
        works.clear();  // destroying waits
      }
      for (auto& w : works) require(w->test(), "works are done in order");
      for (size_t b = 0; b < kBuckets; ++b) {
        compare(at[b], reduced(DType::f32, ReduceOp::sum, c.size(), kCount - b, b), DType::f32, ReduceOp::sum, true,
                "bucket " + std::to_string(b));
      }
      c.barrier();  // the next round writes into memory that peers may still reduce
    }
  });
}

TEST_P(Conformance, DifferentAlgorithmsOverlap) {
  on_ranks(GetParam(), [](Communicator& c) {
    std::vector<std::vector<int64_t>> data;
    std::vector<std::unique_ptr<Work>> works;
    for (int round = 0; round < 4; ++round) {
      for (const std::string& name : algorithms("all_reduce")) {
        data.emplace_back(777, 1 + c.rank());
        try {
          works.push_back(c.all_reduce_async(data.back().data(), 777, DType::i64, ReduceOp::sum, {.algorithm = name}));
        } catch (const CommError&) {
          data.pop_back();  // does not serve
        }
      }
    }
    for (size_t i = works.size(); i-- > 0;) works[i]->wait();
    const int64_t expected = c.size() * (c.size() + 1) / 2;
    for (auto& d : data) {
      for (int64_t x : d) require(x == expected, "got " + std::to_string(x) + ", expected " + std::to_string(expected));
    }
  });
}

TEST_P(Conformance, ManyBuffersComeAndGo) {
  on_ranks(GetParam(), [](Communicator& c) {
    for (int round = 0; round < 60; ++round) {
      const size_t count = 5000 + 1000 * static_cast<size_t>(round % 7);
      const auto a = c.allocate(count * 4), b = c.allocate(count * 4);
      for (const auto& buffer : {a, b}) {
        fill(buffer->data(), DType::f32, c.rank(), count, static_cast<size_t>(round));
        c.all_reduce(buffer->data(), count, DType::f32, ReduceOp::sum);
        compare(buffer->data(), reduced(DType::f32, ReduceOp::sum, c.size(), count, static_cast<size_t>(round)),
                DType::f32, ReduceOp::sum, true, "round " + std::to_string(round));
      }
      require(c.allocate(0)->bytes() == 0, "an empty buffer");
    }
  });
}

TEST_P(Conformance, MessagesAroundARing) {
  on_ranks(GetParam(), [](Communicator& c) {
    const int next = (c.rank() + 1) % c.size(), previous = (c.rank() + c.size() - 1) % c.size();
    for (size_t count : {size_t(0), size_t(1), size_t(1000), size_t(9000), size_t(400'000)}) {
      for (bool registered_memory : {false, true}) {
        const auto buffer = c.allocate(count + 64);
        Bytes heap(count + 64), in(count);
        std::byte* const out = (registered_memory ? static_cast<std::byte*>(buffer->data()) : heap.data()) + 32;
        fill(out, DType::u8, c.rank(), count);
        // Everybody sends at once, and receives in the order opposite to the sends: tags tell them apart.
        auto first = c.send_async(out, count, next, 7), second = c.send_async(out, count / 2, next, 8);
        Bytes half(count / 2);
        auto got_half = c.receive_async(half.data(), half.size(), previous, 8);
        auto got = c.receive_async(in.data(), count, previous, 7);
        for (auto* w : {got.get(), got_half.get(), second.get(), first.get()}) w->wait();
        require(in == filled(DType::u8, previous, count), "message of " + std::to_string(count));
        require(half == filled(DType::u8, previous, count / 2), "message of half " + std::to_string(count));
      }
    }
  });
}

TEST_P(Conformance, MessagesKeepTheirOrder) {
  on_ranks(GetParam(), [](Communicator& c) {
    constexpr uint32_t kMessages = 300;
    if (c.rank() == 0) {
      for (uint32_t i = 0; i < kMessages; ++i) {
        for (int r = 1; r < c.size(); ++r) c.send(&i, sizeof i, r, 1);
      }
    } else {
      for (uint32_t i = 0; i < kMessages; ++i) {
        uint32_t got = 0;
        c.receive(&got, sizeof got, 0, 1);
        require(got == i, "message " + std::to_string(i) + " came out of order");
      }
    }
    c.barrier();
    if (c.rank() == 0) {  // blocking messages beside a collective under way
      int32_t come = 1;
      auto work = c.all_reduce_async(&come, 1, DType::i32, ReduceOp::sum);
      for (int r = 1; r < c.size(); ++r) c.send(&r, sizeof r, r, 2);
      work->wait();
    } else {
      int got = 0;
      c.receive(&got, sizeof got, 0, 2);
      require(got == c.rank(), "a message came to the wrong rank");
      int32_t come = 1;
      c.all_reduce(&come, 1, DType::i32, ReduceOp::sum);
      require(come == c.size(), "everybody has come");
    }
    try {
      c.send(nullptr, 0, c.size(), 0);
      require(false, "a peer out of range must be refused");
    } catch (const CommError& e) {
      require(std::string(e.what()).find("[send] peer is rank") == 0, e.what());
    }
  });
}

TEST_P(Conformance, AnUnknownAlgorithmIsNamedWithWhatThereIs) {
  on_ranks(GetParam(), [](Communicator& c) {
    float x = 1;
    try {
      c.all_reduce(&x, 1, DType::f32, ReduceOp::sum, {.algorithm = "magic"});
      require(false, "an unknown algorithm must be refused");
    } catch (const CommError& e) {
      require(std::string(e.what()).find(
                  "[all_reduce] no algorithm is called magic; there are direct, exchange, flat") == 0,
              e.what());
    }
    c.barrier();  // a refusal does not break the group
    require(c.transport() != nullptr && x == 1, "nothing has changed");
  });
}

std::vector<Where> everywhere() {
  std::vector<Where> all;
  for (int ranks : {1, 2, 3, 4, 5, 8}) all.push_back({"inproc", ranks, {}});
  for (int ranks : {2, 3, 4}) all.push_back({"inproc", ranks, {.share_memory = false}});
  for (int ranks : {2, 3, 4, 8}) all.push_back({"ucx", ranks, {}});
  for (int ranks : {2, 3, 4}) all.push_back({"ucx", ranks, {.share_memory = false, .ucx_transports = "tcp,self"}});
  all.push_back({"ucx", 2, {.share_memory = false}});
  all.push_back({"self", 1, {}});
  return all;
}

INSTANTIATE_TEST_SUITE_P(, Conformance, ::testing::ValuesIn(everywhere()),
                         [](const auto& info) { return info.param.name(); });

TEST(Algorithms, AreListedByCollective) {
  EXPECT_EQ(algorithms("all_reduce"), (std::vector<std::string>{"direct", "exchange", "flat", "rabenseifner",
                                                                "recursive_doubling", "ring", "tree"}));
  EXPECT_FALSE(algorithms("barrier").empty());
  EXPECT_TRUE(algorithms("teleport").empty());
}

TEST(MakeEndpoint, NamesTheTransportsThereAre) {
  try {
    make_endpoint("pigeon");
    FAIL();
  } catch (const CommError& e) {
    EXPECT_EQ(std::string(e.what()).find("[make_endpoint] no transport is called 'pigeon'; built in are self, inproc"),
              0u);
  }
}

// Without a GPU, or built without NCCL, it says so in a sentence.
TEST(MakeEndpoint, NcclAnswersOrSaysWhyNot) {
  try {
    EXPECT_EQ(make_endpoint("nccl")->address().size(), 128u);
  } catch (const CommError& e) {
    EXPECT_TRUE(std::string(e.what()).find("[nccl] no GPU can be used") == 0 ||
                std::string(e.what()).find("[make_endpoint] this build has no transport nccl") == 0)
        << e.what();
  }
}

}  // namespace
}  // namespace ds::comm
