#include "engine/io/crc32c.h"

namespace ds::io::detail {

Crc32cFunction crc32c_hardware() { return nullptr; }

}  // namespace ds::io::detail
