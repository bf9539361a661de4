// Ranks own a GPU each; NCCL does the collectives. Pointers are device memory, and what was written to it must be
// complete (the caller's stream synchronised) before a call. Differences from the other transports: sums are taken in
// NCCL's own order, so a sum of floats over more than two ranks must be asked for with deterministic = false; and
// messages between two ranks match in the order they are sent, whatever their tags.
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/comm/endpoints.h"
#include "engine/comm/reduce.h"

namespace ds::comm {
namespace {

using Clock = std::chrono::steady_clock;

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw CommError(std::string("[nccl] ") + what + ": " + cudaGetErrorString(status));
}

ncclDataType_t nccl_type(DType type) {
  switch (type) {
    case DType::f32:
      return ncclFloat32;
    case DType::f64:
      return ncclFloat64;
    case DType::bf16:
      return ncclBfloat16;
    case DType::i64:
      return ncclInt64;
    case DType::i32:
      return ncclInt32;
    case DType::f16:
      return ncclFloat16;
    case DType::i8:
      return ncclInt8;
    case DType::u32:
      return ncclUint32;
    case DType::u64:
      return ncclUint64;
    default:
      return ncclUint8;
  }
}

ncclRedOp_t nccl_op(ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
      return ncclSum;
    case ReduceOp::max:
      return ncclMax;
    case ReduceOp::min:
      break;
  }
  return ncclMin;
}

class DeviceBuffer final : public Buffer {
 public:
  explicit DeviceBuffer(size_t bytes) : bytes_(bytes) {
    if (bytes > 0) check(cudaMalloc(&data_, bytes), "cudaMalloc");
  }
  ~DeviceBuffer() override { cudaFree(data_); }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  void* data() override { return data_; }
  size_t bytes() const override { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_;
};

class NcclCommunicator;

// Done when the stream has come to its event. A message has none until it is launched.
class NcclWork final : public Work {
 public:
  explicit NcclWork(NcclCommunicator& owner) : owner_(owner) {}
  ~NcclWork() override;
  bool test() override;
  void wait() override;
  void launched(cudaStream_t stream) {
    check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "event");
    check(cudaEventRecord(event_, stream), "event");
  }

 private:
  NcclCommunicator& owner_;
  cudaEvent_t event_ = nullptr;
  bool done_ = false;
};

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(int rank, int size, const ncclUniqueId& id, double timeout_seconds);
  ~NcclCommunicator() override;
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const char* transport() const override { return "nccl"; }
  std::shared_ptr<Buffer> allocate(size_t bytes) override { return std::make_shared<DeviceBuffer>(bytes); }

  std::unique_ptr<Work> all_reduce_async(void* data, size_t count, DType type, ReduceOp op,
                                         const Options& options) override;
  std::unique_ptr<Work> reduce_scatter_async(void* out, const void* in, size_t count, DType type, ReduceOp op,
                                             const Options& options) override;
  std::unique_ptr<Work> all_gather_async(void* out, const void* in, size_t count, DType type,
                                         const Options& options) override;
  void broadcast(void* data, size_t count, DType type, int root, const Options& options) override;
  std::unique_ptr<Work> send_async(const void* data, size_t bytes, int peer, uint32_t tag) override;
  std::unique_ptr<Work> receive_async(void* data, size_t bytes, int peer, uint32_t tag) override;
  void barrier() override;
  void progress() override;
  void abort(const std::string& why) override;
  Stats stats() const override { return stats_; }

 private:
  friend class NcclWork;
  struct Message {
    NcclWork* work;
    void* data;
    size_t bytes;
    int peer;
    bool sends;
  };
  void admit(const char* collective, DType type, ReduceOp op, const Options& options) const;
  void call(ncclResult_t result, const char* what);
  void settle(const char* what);
  void check_alive();
  void forget(const NcclWork* work) {
    std::erase_if(messages_, [&](const Message& m) { return m.work == work; });
  }
  std::unique_ptr<NcclWork> launched() {
    auto work = std::make_unique<NcclWork>(*this);
    work->launched(stream_);
    return work;
  }

  int rank_, size_;
  ncclComm_t comm_ = nullptr;
  cudaStream_t stream_ = nullptr;
  DeviceBuffer token_{1};
  std::deque<Message> messages_;  // not launched yet: those of both directions go as one group
  std::atomic<bool> aborted_ = false;
  std::mutex mutex_;
  std::string why_;
  Stats stats_;
};

NcclWork::~NcclWork() {
  try {
    wait();
  } catch (const CommError&) {
    // the owner's next call throws it too
  }
  owner_.forget(this);
  if (event_) cudaEventDestroy(event_);
}

bool NcclWork::test() {
  if (done_) return true;
  owner_.progress();
  const cudaError_t status = cudaEventQuery(event_);
  if (status != cudaErrorNotReady) check(status, "event");
  done_ = status == cudaSuccess;
  return done_;
}

void NcclWork::wait() {
  const auto begin = Clock::now();
  while (!test()) std::this_thread::yield();
  owner_.stats_.all_reduce_seconds += std::chrono::duration<double>(Clock::now() - begin).count();
}

NcclCommunicator::NcclCommunicator(int rank, int size, const ncclUniqueId& id, double timeout_seconds)
    : rank_(rank), size_(size) {
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;  // so that a rank that never comes, or dies, does not hang the others
  const auto deadline = Clock::now() + std::chrono::duration<double>(timeout_seconds);
  ncclResult_t state = ncclCommInitRankConfig(&comm_, size, id, rank, &config);
  while (state == ncclInProgress && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ncclCommGetAsyncError(comm_, &state);
  }
  if (state == ncclSuccess) return;
  const std::string why = state == ncclInProgress ? "not all ranks have come in time" : ncclGetErrorString(state);
  if (comm_) ncclCommAbort(comm_);
  cudaStreamDestroy(stream_);
  throw CommError("[connect] rank " + std::to_string(rank) + " of " + std::to_string(size) + ": " + why);
}

NcclCommunicator::~NcclCommunicator() {
  if (aborted_.load()) {
    if (comm_) ncclCommAbort(comm_);
  } else {
    ncclCommFinalize(comm_);
    ncclResult_t state = ncclInProgress;
    while (ncclCommGetAsyncError(comm_, &state) == ncclSuccess && state == ncclInProgress) std::this_thread::yield();
    ncclCommDestroy(comm_);
  }
  cudaStreamDestroy(stream_);
}

void NcclCommunicator::check_alive() {
  if (aborted_.load(std::memory_order_acquire)) {
    if (comm_) ncclCommAbort(std::exchange(comm_, nullptr));  // by the thread that uses it
    std::lock_guard lock(mutex_);
    throw CommError(why_);
  }
  ncclResult_t state = ncclSuccess;
  ncclCommGetAsyncError(comm_, &state);
  if (state == ncclSuccess || state == ncclInProgress) return;
  abort(std::string("a peer is lost: ") + ncclGetErrorString(state));
  check_alive();
}

void NcclCommunicator::settle(const char* what) {
  ncclResult_t state = ncclInProgress;
  while (state == ncclInProgress) {
    check_alive();
    if (ncclCommGetAsyncError(comm_, &state) != ncclSuccess) break;
    if (state == ncclInProgress) std::this_thread::yield();
  }
  if (state != ncclSuccess) throw CommError(std::string("[") + what + "] " + ncclGetErrorString(state));
}

void NcclCommunicator::call(ncclResult_t result, const char* what) {
  if (result == ncclSuccess) return;
  if (result == ncclInProgress) return settle(what);
  throw CommError(std::string("[") + what + "] " + ncclGetErrorString(result) + ": " + ncclGetLastError(comm_));
}

void NcclCommunicator::admit(const char* collective, DType type, ReduceOp op, const Options& options) const {
  const std::string where = std::string("[") + collective + "] ";
  if (!options.algorithm.empty() && options.algorithm != "nccl") {
    throw CommError(where + "transport nccl chooses its algorithms itself; got " + std::string(options.algorithm));
  }
  if (type == DType::boolean || type == DType::i16 || type == DType::u16 || is_complex(type)) {
    throw CommError(where + "no " + name_of(op) + " for " + ds::name_of(type));
  }
  if (options.deterministic && size_ > 2 && is_floating(type) && op == ReduceOp::sum) {
    throw CommError(where + "transport nccl sums floats over " + std::to_string(size_) +
                    " ranks in an order of its own; ask for it with deterministic = false");
  }
}

std::unique_ptr<Work> NcclCommunicator::all_reduce_async(void* data, size_t count, DType type, ReduceOp op,
                                                         const Options& options) {
  admit("all_reduce", type, op, options);
  progress();
  const auto begin = Clock::now();
  call(ncclAllReduce(data, data, count, nccl_type(type), nccl_op(op), comm_, stream_), "all_reduce");
  stats_.all_reduce_calls += 1;
  stats_.all_reduce_bytes += count * size_of(type);
  stats_.all_reduce_seconds += std::chrono::duration<double>(Clock::now() - begin).count();
  return launched();
}

std::unique_ptr<Work> NcclCommunicator::reduce_scatter_async(void* out, const void* in, size_t count, DType type,
                                                             ReduceOp op, const Options& options) {
  admit("reduce_scatter", type, op, options);
  progress();
  call(ncclReduceScatter(in, out, count, nccl_type(type), nccl_op(op), comm_, stream_), "reduce_scatter");
  stats_.all_reduce_calls += 1;
  stats_.all_reduce_bytes += count * size_ * size_of(type) / 2;
  return launched();
}

std::unique_ptr<Work> NcclCommunicator::all_gather_async(void* out, const void* in, size_t count, DType type,
                                                         const Options&) {
  progress();
  call(ncclAllGather(in, out, count, nccl_type(type), comm_, stream_), "all_gather");
  stats_.all_reduce_bytes += count * size_ * size_of(type) / 2;
  return launched();
}

void NcclCommunicator::broadcast(void* data, size_t count, DType type, int root, const Options&) {
  progress();
  call(ncclBroadcast(data, data, count, nccl_type(type), root, comm_, stream_), "broadcast");
  launched()->wait();
}

std::unique_ptr<Work> NcclCommunicator::send_async(const void* data, size_t bytes, int peer, uint32_t) {
  auto work = std::make_unique<NcclWork>(*this);
  messages_.push_back({work.get(), const_cast<void*>(data), bytes, peer, true});
  return work;
}

std::unique_ptr<Work> NcclCommunicator::receive_async(void* data, size_t bytes, int peer, uint32_t) {
  auto work = std::make_unique<NcclWork>(*this);
  messages_.push_back({work.get(), data, bytes, peer, false});
  return work;
}

void NcclCommunicator::barrier() {
  progress();
  call(ncclAllReduce(token_.data(), token_.data(), 1, ncclUint8, ncclMax, comm_, stream_), "barrier");
  launched()->wait();
}

void NcclCommunicator::progress() {
  check_alive();
  if (messages_.empty()) return;
  const std::deque<Message> going = std::exchange(messages_, {});
  call(ncclGroupStart(), "messages");
  for (const Message& m : going) {
    m.sends ? ncclSend(m.data, m.bytes, ncclUint8, m.peer, comm_, stream_)
            : ncclRecv(m.data, m.bytes, ncclUint8, m.peer, comm_, stream_);
  }
  call(ncclGroupEnd(), "messages");
  for (const Message& m : going) m.work->launched(stream_);
}

void NcclCommunicator::abort(const std::string& why) {
  std::lock_guard lock(mutex_);
  if (aborted_.load()) return;
  why_ = why;
  aborted_.store(true, std::memory_order_release);
}

// Every endpoint draws an id; that of rank 0 is the group's.
class NcclEndpoint final : public Endpoint {
 public:
  NcclEndpoint() {
    int devices = 0;
    check(cudaGetDeviceCount(&devices), "no GPU can be used");
    if (const ncclResult_t r = ncclGetUniqueId(&id_); r != ncclSuccess) {
      throw CommError(std::string("[nccl] unique id: ") + ncclGetErrorString(r));
    }
  }
  std::string address() const override { return {id_.internal, sizeof id_.internal}; }
  std::unique_ptr<Communicator> connect(int rank, std::span<const std::string> addresses,
                                        double timeout_seconds) override {
    if (rank < 0 || rank >= static_cast<int>(addresses.size()) || addresses[rank] != address()) {
      throw CommError("[connect] rank " + std::to_string(rank) + " of " + std::to_string(addresses.size()) +
                      " is not at this endpoint's address");
    }
    if (addresses[0].size() != sizeof id_.internal)
      throw CommError("[connect] rank 0's address is not one of transport nccl");
    ncclUniqueId id;
    std::memcpy(id.internal, addresses[0].data(), sizeof id.internal);
    return std::make_unique<NcclCommunicator>(rank, static_cast<int>(addresses.size()), id, timeout_seconds);
  }

 private:
  ncclUniqueId id_;
};

}  // namespace

std::unique_ptr<Endpoint> make_nccl(const EndpointOptions&) { return std::make_unique<NcclEndpoint>(); }

bool has_nccl() { return true; }

}  // namespace ds::comm
