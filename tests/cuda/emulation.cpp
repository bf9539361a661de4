#include "tests/cuda/emulation.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace emulation {
namespace {

constexpr size_t kStack = 64 << 10;
constexpr unsigned kWarp = 32;

enum class State : uint8_t { ready, at_barrier, at_warp, done };

struct Fiber {
  ucontext_t start;  // enters the fiber's stack once; after that it is left and entered by jumps, without system calls
  jmp_buf here;
  std::unique_ptr<char[]> stack{new char[kStack]};
  bool started = false;
  State state;
  Thread place;
  uint64_t shown;
};

struct Block {
  const std::function<void()>* body;
  unsigned threads = 0;
  int any = 0, result = 0;  // of the barrier that is being gathered, of the last one
  uint64_t values[1024];    // of the last warp operation, by thread
  std::exception_ptr error;
};

Order order = Order::forward;
std::deque<Fiber> fibers;  // they do not move
jmp_buf scheduler;
Fiber* running = nullptr;
unsigned running_index = 0;
Block block;
std::vector<uint64_t> shared_memory;

void wait(State state) {
  running->state = state;
  if (_setjmp(running->here) == 0) _longjmp(scheduler, 1);
}

// The life of a fiber: a thread of one block after another.
void live() {
  for (;;) {
    try {
      (*block.body)();
    } catch (...) {
      block.error = std::current_exception();
    }
    wait(State::done);
  }
}

void resume(unsigned t) {
  running = &fibers[t];
  running_index = t;
  if (_setjmp(scheduler) != 0) return;
  if (running->started) _longjmp(running->here, 1);
  running->started = true;
  getcontext(&running->start);
  running->start.uc_stack.ss_sp = running->stack.get();
  running->start.uc_stack.ss_size = kStack;
  running->start.uc_link = nullptr;
  makecontext(&running->start, live, 0);
  setcontext(&running->start);
}

// Fibers that stopped in the middle of a kernel are of no further use.
[[noreturn]] void fault(const std::string& what) {
  fibers.clear();
  throw std::runtime_error("[emulation] " + what);
}

unsigned count(State state, unsigned begin, unsigned end) {
  unsigned n = 0;
  for (unsigned t = begin; t < end; ++t) n += fibers[t].state == state;
  return n;
}

// Runs one warp until its threads are all at a barrier or done: as far ahead of the others as a GPU might let it.
void run_warp(unsigned begin) {
  unsigned end = std::min(begin + kWarp, block.threads);
  while (count(State::ready, begin, end) > 0) {
    for (unsigned i = begin; i < end; ++i) {
      unsigned t = order == Order::forward ? i : begin + end - 1 - i;
      if (fibers[t].state == State::ready) resume(t);
    }
    unsigned waiting = count(State::at_warp, begin, end);
    if (waiting == 0) continue;
    if (waiting < end - begin && !block.error) fault("a warp operation is not reached by every lane of its warp");
    for (unsigned t = begin; t < end; ++t) {
      block.values[t] = fibers[t].shown;
      if (!block.error) fibers[t].state = State::ready;
    }
  }
}

void release_barrier() {
  if (count(State::at_barrier, 0, block.threads) < block.threads) {
    fault("a barrier is not reached by every thread of its block");
  }
  block.result = block.any;
  block.any = 0;
  for (unsigned t = 0; t < block.threads; ++t) fibers[t].state = State::ready;
}

void place_fibers(const Thread& place) {
  for (unsigned t = 0; t < block.threads; ++t) {
    fibers[t].state = State::ready;
    fibers[t].place = place;
    fibers[t].place.thread = {t % place.block_dim.x, t / place.block_dim.x, 0};
  }
}

void run_block(const Thread& place) {
  place_fibers(place);
  unsigned warps = (block.threads + kWarp - 1) / kWarp;
  for (;;) {
    for (unsigned w = 0; w < warps; ++w) run_warp((order == Order::forward ? w : warps - 1 - w) * kWarp);
    if (block.error) {
      fibers.clear();
      std::rethrow_exception(std::exchange(block.error, nullptr));
    }
    if (count(State::done, 0, block.threads) == block.threads) return;
    release_barrier();
  }
}

}  // namespace

void set_order(Order o) { order = o; }

void run(uint3_ grid, uint3_ dim, size_t shared, const std::function<void()>& body) {
  block.body = &body;
  block.threads = dim.x * dim.y * dim.z;
  block.any = 0;
  if (fibers.size() < block.threads) fibers.resize(block.threads);
  shared_memory.assign(shared / 8 + 1, 0xfff8fff8fff8fff8u);  // NaN in every float
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) run_block({{}, {x, y, z}, dim, grid});
    }
  }
}

const Thread& current() { return running->place; }
void* dynamic_shared() { return shared_memory.data(); }

int barrier_or(int value) {
  block.any |= value;
  wait(State::at_barrier);
  return block.result;
}

uint64_t exchange(uint64_t value, unsigned from) {
  running->shown = value;
  unsigned index = running_index;
  wait(State::at_warp);
  return from < kWarp ? block.values[index / kWarp * kWarp + from] : value;
}

uint32_t ballot(bool value) {
  running->shown = value;
  unsigned first = running_index / kWarp * kWarp;
  wait(State::at_warp);
  uint32_t lanes = 0;
  for (unsigned l = 0; l < kWarp; ++l) lanes |= static_cast<uint32_t>(block.values[first + l] != 0) << l;
  return lanes;
}

}  // namespace emulation
