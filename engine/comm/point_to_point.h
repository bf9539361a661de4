// Send and receive: by message, or where memory is shared and the data lies in a buffer, by one copy out of the
// sender's memory.
#pragma once
#include "engine/comm/group.h"

namespace ds::comm {

Task send_message(Group&, const void* data, size_t bytes, int peer, uint32_t tag);
Task receive_message(Group&, void* data, size_t bytes, int peer, uint32_t tag);

}  // namespace ds::comm
