// Collectives between the ranks of a job. One algorithm is one file under engine/comm/algorithms/, one transport one
// folder.
//
// Making a group: every rank creates an Endpoint, publishes its address() by any means, and calls connect() with all
// addresses in rank order. Every rank must make the same collective calls in the same order.
// Threading: a Communicator is used by one thread at a time; abort() may come from any thread.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/dtype.h"

namespace ds::comm {

enum class ReduceOp : uint8_t { sum, max, min };

// The peer went away, the group was aborted, or an algorithm forced by name cannot serve.
struct CommError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Memory that peers can reach directly where the transport allows it. Collectives work on any memory; on this kind they
// need no copy. Freed when the last owner lets go.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual void* data() = 0;
  virtual size_t bytes() const = 0;
};

// A collective under way. Destroying it unfinished waits.
class Work {
 public:
  virtual ~Work() = default;
  virtual bool test() = 0;  // makes progress; true when the result is in place
  virtual void wait() = 0;  // throws CommError when the group is aborted
};

struct Options {
  std::string_view algorithm = {};  // forced by name; empty: the cheapest that serves, by the latency-bandwidth model
  bool deterministic = true;        // choose only among algorithms that sum in the fixed tree
};

// A reduce_scatter and an all_gather count as the halves of an all_reduce that they are.
struct Stats {
  uint64_t all_reduce_calls = 0, all_reduce_bytes = 0;
  double all_reduce_seconds = 0;  // in calls and waits of the owner's thread
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual const char* transport() const = 0;

  // Memory for collectives; freed when the last owner lets go, and it may outlive the Communicator. Not collective:
  // peers map it when they first meet it.
  virtual std::shared_ptr<Buffer> allocate(size_t bytes) = 0;

  // In place. Sums are taken in one fixed binary tree over ranks, ((r0+r1)+(r2+r3))+..., in every algorithm marked
  // deterministic, so that the result has the same bits on all ranks, in every run, and under any power-of-two split.
  virtual std::unique_ptr<Work> all_reduce_async(void* data, size_t count, DType, ReduceOp, const Options& = {}) = 0;
  void all_reduce(void* data, size_t count, DType t, ReduceOp op, const Options& o = {}) {
    all_reduce_async(data, count, t, op, o)->wait();
  }
  // `in` holds size() * count elements; out gets chunk rank(), reduced: in the same tree. out may be that chunk of in.
  virtual std::unique_ptr<Work> reduce_scatter_async(void* out, const void* in, size_t count, DType, ReduceOp,
                                                     const Options& = {}) = 0;
  void reduce_scatter(void* out, const void* in, size_t count, DType t, ReduceOp op, const Options& o = {}) {
    reduce_scatter_async(out, in, count, t, op, o)->wait();
  }
  // out holds size() * count elements; in may be chunk rank() of it.
  virtual std::unique_ptr<Work> all_gather_async(void* out, const void* in, size_t count, DType,
                                                 const Options& = {}) = 0;
  void all_gather(void* out, const void* in, size_t count, DType t, const Options& o = {}) {
    all_gather_async(out, in, count, t, o)->wait();
  }
  virtual void broadcast(void* data, size_t count, DType, int root, const Options& = {}) = 0;
  // Messages between two ranks, matched by (peer, tag) in order; both sides name the same size, else CommError. Not
  // ordered with collectives. Two ranks that send to each other at once use the async forms: a blocking send may wait
  // for its receiver.
  virtual std::unique_ptr<Work> send_async(const void* data, size_t bytes, int peer, uint32_t tag) = 0;
  virtual std::unique_ptr<Work> receive_async(void* data, size_t bytes, int peer, uint32_t tag) = 0;
  void send(const void* data, size_t bytes, int peer, uint32_t tag) { send_async(data, bytes, peer, tag)->wait(); }
  void receive(void* data, size_t bytes, int peer, uint32_t tag) { receive_async(data, bytes, peer, tag)->wait(); }
  virtual void barrier() = 0;

  // Moves collectives under way forward without waiting; the executor calls it between ops.
  virtual void progress() = 0;
  // Wakes every waiter with CommError. Thread-safe, final.
  virtual void abort(const std::string& why) = 0;
  virtual Stats stats() const = 0;
};

class Endpoint {
 public:
  virtual ~Endpoint() = default;
  virtual std::string address() const = 0;  // opaque bytes
  // Collective; throws CommError after `timeout_seconds`.
  virtual std::unique_ptr<Communicator> connect(int rank, std::span<const std::string> addresses,
                                                double timeout_seconds = 60) = 0;
};

struct EndpointOptions {
  bool share_memory = true;         // false: treat every peer as if it were on another host
  std::string ucx_transports = {};  // UCX_TLS, e.g. "tcp,self"; empty: whatever UCX finds
};

// transport: "ucx", "inproc", "nccl", or "self" for a single rank. Throws CommError naming the ones that are built in.
std::unique_ptr<Endpoint> make_endpoint(std::string_view transport, const EndpointOptions& = {});

// Names of the algorithms of a collective ("all_reduce", ...), for tests, benches and `--algorithm`.
std::vector<std::string> algorithms(std::string_view collective);

}  // namespace ds::comm
