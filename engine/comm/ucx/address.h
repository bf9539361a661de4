// What a rank tells the others about itself.
#pragma once
#include <cstdint>
#include <string>

namespace ds::comm {

struct UcxAddress {
  std::string host;     // equal for processes that can reach each other's memory
  std::string worker;   // UCX's
  std::string control;  // handle of the control block
  uint64_t token = 0;   // in the control block
  int64_t pid = 0;
  std::string cores;  // that it may run on
  uint32_t shares = 0;

  std::string encode() const;
  static UcxAddress decode(const std::string&);  // throws CommError
};

std::string this_host();

}  // namespace ds::comm
