#include "engine/io/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace ds::io {
namespace {

TEST(Crc32c, HasThePublishedValues) {
  EXPECT_EQ(crc32c("123456789", 9), 0xE3069283u);  // the catalogue's check value
  const std::string zeros(32, '\0'), ones(32, '\xff');
  EXPECT_EQ(crc32c(zeros.data(), 32), 0x8A9136AAu);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(ones.data(), 32), 0x62A8AB43u);
  EXPECT_EQ(crc32c(nullptr, 0), 0u);
}

TEST(Crc32c, IsTheSameByTablesByInstructionAndInPieces) {
  std::mt19937 random(1);
  std::vector<unsigned char> bytes(4099);
  for (unsigned char& b : bytes) b = static_cast<unsigned char>(random());
  const detail::Crc32cFunction hardware = detail::crc32c_hardware();
  for (size_t n : {0, 1, 7, 8, 9, 63, 64, 65, 4098}) {
    const uint32_t portable = ~detail::crc32c_portable(bytes.data() + 1, n, ~0u);
    EXPECT_EQ(crc32c(bytes.data() + 1, n), portable) << n;
    if (hardware != nullptr) {
      EXPECT_EQ(~hardware(bytes.data() + 1, n, ~0u), portable) << n;
    }
    const size_t cut = n / 3;
    EXPECT_EQ(crc32c(bytes.data() + 1 + cut, n - cut, crc32c(bytes.data() + 1, cut)), portable) << n;
  }
}

}  // namespace
}  // namespace ds::io
