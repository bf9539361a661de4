// A server stream that sends what its owner queues, one message after the other.
#pragma once
#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace ds::coordinator {

// Derived classes call queue() and close() from any thread and give hooks for an empty queue and for the end.
// It keeps itself alive until gRPC is done with it.
template <class Message>
class WriteStream : public grpc::ServerWriteReactor<Message>,
                    public std::enable_shared_from_this<WriteStream<Message>> {
 public:
  void keep() { self_ = this->shared_from_this(); }

  void queue(Message message) {
    absl::MutexLock lock(&mutex_);
    if (closing_) return;
    messages_.push_back(std::move(message));
    advance();
  }
  // After what is queued.
  void close(grpc::Status status) {
    absl::MutexLock lock(&mutex_);
    if (closing_) return;
    closing_ = std::move(status);
    advance();
  }

 protected:
  virtual void drained() {}  // everything queued has been sent, and the stream is open
  virtual void ended() {}    // no callback of gRPC's comes after this

 private:
  void OnWriteDone(bool ok) override {
    bool empty;
    {
      absl::MutexLock lock(&mutex_);
      writing_ = false;
      if (!ok) {
        messages_.clear();
        if (!closing_) closing_ = grpc::Status::CANCELLED;
      }
      advance();
      empty = !writing_ && !closing_;
    }
    if (empty) drained();
  }
  void OnCancel() override {
    absl::MutexLock lock(&mutex_);
    messages_.clear();
    closing_ = grpc::Status::CANCELLED;
    advance();
  }
  void OnDone() override {
    ended();
    self_.reset();
  }
  void advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return;
    if (!messages_.empty()) {
      writing_ = true;
      current_ = std::move(messages_.front());
      messages_.pop_front();
      this->StartWrite(&current_);
    } else if (closing_) {
      finished_ = true;
      this->Finish(*closing_);
    }
  }

  absl::Mutex mutex_;
  std::deque<Message> messages_ ABSL_GUARDED_BY(mutex_);
  std::optional<grpc::Status> closing_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  Message current_ ABSL_GUARDED_BY(mutex_);  // gRPC's until OnWriteDone
  std::shared_ptr<WriteStream> self_;
};

}  // namespace ds::coordinator
