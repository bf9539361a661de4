// The Communicator over any transport: starts algorithms, moves them forward, waits, fails.
#pragma once
#include <atomic>
#include <chrono>
#include <deque>
#include <list>
#include <mutex>

#include "engine/comm/group.h"

namespace ds::comm {

class Collectives;

// One collective or message under way.
class Operation final : public Work {
 public:
  Operation(Collectives& owner, Task task, uint64_t shared_sequence, bool counted)
      : owner_(owner), task_(std::move(task)), shared_sequence_(shared_sequence), counted_(counted) {}
  ~Operation() override;
  bool test() override;
  void wait() override;

 private:
  friend class Collectives;
  Collectives& owner_;
  Task task_;
  uint64_t shared_sequence_;  // of the last collective over shared memory begun up to this one
  bool counted_;              // in Stats as an all_reduce
  bool through_ = false, complete_ = false;
  uint32_t tests_ = 0;
};

class Collectives final : public Communicator {
 public:
  explicit Collectives(std::unique_ptr<Transport>);
  ~Collectives() override;
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  const char* transport() const override { return name_; }

  std::shared_ptr<Buffer> allocate(size_t bytes) override { return group_.memory().allocate(bytes); }
  std::unique_ptr<Work> all_reduce_async(void*, size_t, DType, ReduceOp, const Options&) override;
  std::unique_ptr<Work> reduce_scatter_async(void*, const void*, size_t, DType, ReduceOp, const Options&) override;
  std::unique_ptr<Work> all_gather_async(void*, const void*, size_t, DType, const Options&) override;
  void broadcast(void*, size_t, DType, int root, const Options&) override;
  std::unique_ptr<Work> send_async(const void*, size_t, int peer, uint32_t tag) override;
  std::unique_ptr<Work> receive_async(void*, size_t, int peer, uint32_t tag) override;
  void barrier() override;
  void progress() override;
  void abort(const std::string& why) override;
  Stats stats() const override { return stats_; }

 private:
  friend class Operation;
  std::unique_ptr<Operation> start(Call, const Options&);
  std::unique_ptr<Work> start_counted(const Call&, size_t bytes, const Options&);
  void run(Call call, const Options& options) { wait(*start(call, options)); }
  std::unique_ptr<Operation> message(Task);
  void check_peer(const char* what, int peer) const;

  // One pass over what is under way; the rank the oldest of them (or `of`, when given) waits for, or kReady.
  int poll(const Operation* of = nullptr);
  void wait(Operation&);
  void forget(Operation&);
  // Throws when the group is aborted, here or by a peer.
  void check();
  void check_peer_state(int peer, const Operation& waiting);
  [[noreturn]] void fail(const std::string& why);

  Group group_;
  const char* name_;
  std::deque<Operation*> collectives_;  // complete in order
  std::list<Operation*> messages_;
  uint64_t sequence_ = 0;
  uint32_t polls_ = 0;
  bool failed_ = false;  // the transport is shut
  std::atomic<bool> aborted_ = false;
  std::mutex mutex_;
  std::string why_;
  Stats stats_;
};

}  // namespace ds::comm
