#include "engine/comm/point_to_point.h"

#include <cstring>

namespace ds::comm {
namespace {

constexpr size_t kBulk = 8 * 1024;  // from here on a header that may point into shared memory goes first

uint64_t reply_tag(uint32_t tag) { return (3ull << 40) | tag; }
uint64_t payload_tag(uint32_t tag) { return (4ull << 40) | tag; }

bool by_header(Group& group, size_t bytes, int peer) {
  return group.shares_memory() && bytes >= kBulk && peer != group.rank();
}

}  // namespace

Task send_message(Group& group, const void* data, size_t bytes, int peer, uint32_t tag) {
  Transport& transport = group.transport();
  if (!by_header(group, bytes, peer)) {
    Request sent = transport.send(peer, user_tag(tag), data, bytes);
    co_await until([&] { return sent.pending(); });
    co_return;
  }
  Descriptor header{};
  header.bytes = bytes;
  header.segment = kInlined;
  const auto place = group.memory().locate(data, bytes);
  if (place) {
    header.segment = place->segment;
    header.generation = place->generation;
    header.offset = place->offset;
  }
  Request announced = transport.send(peer, user_tag(tag), &header, sizeof header);
  co_await until([&] { return announced.pending(); });
  if (place) {
    std::byte taken;
    Request reply = transport.receive(peer, reply_tag(tag), &taken, 1);
    co_await until([&] { return reply.pending(); });
  } else {
    Request sent = transport.send(peer, payload_tag(tag), data, bytes);
    co_await until([&] { return sent.pending(); });
  }
}

Task receive_message(Group& group, void* data, size_t bytes, int peer, uint32_t tag) {
  Transport& transport = group.transport();
  if (!by_header(group, bytes, peer)) {
    Request received = transport.receive(peer, user_tag(tag), data, bytes);
    co_await until([&] { return received.pending(); });
    co_return;
  }
  Descriptor header{};
  Request announced = transport.receive(peer, user_tag(tag), &header, sizeof header);
  co_await until([&] { return announced.pending(); });
  if (header.bytes != bytes) {
    throw CommError("[receive] rank " + std::to_string(peer) + " sent " + std::to_string(header.bytes) +
                    " bytes with tag " + std::to_string(tag) + ", " + std::to_string(bytes) + " were expected");
  }
  if (header.segment == kInlined) {
    Request received = transport.receive(peer, payload_tag(tag), data, bytes);
    co_await until([&] { return received.pending(); });
    co_return;
  }
  std::memcpy(data, group.memory().at(peer, header, 0), bytes);
  const std::byte taken{1};
  Request reply = transport.send(peer, reply_tag(tag), &taken, 1);
  co_await until([&] { return reply.pending(); });
}

}  // namespace ds::comm
