// What a transport gives the collectives: messages between ranks, and where it can, memory that peers load and store.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "engine/comm/communicator.h"
#include "engine/comm/control.h"
#include "engine/comm/task.h"

namespace ds::comm {

enum class PeerState : uint8_t {
  here,
  left,  // said goodbye: everything it sent has been delivered
  lost,  // died or cannot be reached any more
};

// A message under way. Destroying it unfinished cancels it.
class Request {
 public:
  class Handle {
   public:
    virtual ~Handle() = default;
    virtual bool done() = 0;  // throws CommError when the message failed
  };
  Request() = default;
  Request(int peer, std::unique_ptr<Handle> handle) : peer_(peer), handle_(std::move(handle)) {}
  // kReady, or the peer
  int pending() {
    if (handle_ && handle_->done()) handle_.reset();
    return handle_ ? peer_ : kReady;
  }

 private:
  int peer_ = kReady;
  std::unique_ptr<Handle> handle_;  // null: done
};

// Memory of this process that peers can map by its handle.
class Segment : public Buffer {
 public:
  virtual std::string_view handle() const = 0;  // at most Export::kHandle bytes
};

// A peer's segment in this process.
class Mapping {
 public:
  virtual ~Mapping() = default;
  virtual std::byte* data() = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;  // says goodbye to the peers that are still here
  virtual const char* name() const = 0;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual bool crowded() const = 0;  // some host has more ranks than cores for them; the same answer on all ranks

  // Every rank maps every other's segments; all ranks agree.
  virtual bool shares_memory() const = 0;
  virtual ControlBlock* control(int rank) = 0;  // null where memory is not shared
  virtual std::shared_ptr<Segment> allocate(size_t bytes) = 0;
  virtual std::shared_ptr<Mapping> map(int rank, std::string_view handle) = 0;

  // Messages match by (peer, tag), in order. The memory stays the caller's until the request is done.
  virtual Request send(int peer, uint64_t tag, const void* data, size_t bytes) = 0;
  virtual Request receive(int peer, uint64_t tag, void* data, size_t bytes) = 0;
  virtual void progress() = 0;
  virtual bool busy() const = 0;  // messages are under way, so progress() has something to move
  // Sleeps until a message may have come, or for `limit`.
  virtual void sleep(std::chrono::microseconds limit) = 0;
  // May be slow. `why` is set when the peer is lost.
  virtual PeerState state(int peer, std::string& why) = 0;
  // After a failure: drops every connection and request, so that no memory of the caller is touched any more.
  virtual void shut() = 0;
};

}  // namespace ds::comm
