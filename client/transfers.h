// Files on their way, on a terminal: one line that is written over, and one that stays when a file is done.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>

#include "client/client.h"

namespace ds::client {

// "uploading model.safetensors  45%  12.3 of 27.1 MiB"
std::string transfer_line(const Transfer& transfer);

// Elsewhere than on a terminal it says nothing.
class Transfers {
 public:
  explicit Transfers(FILE* out);
  ~Transfers();
  void show(const Transfer& transfer);

 private:
  using Steady = std::chrono::steady_clock;
  void end_line();

  FILE* const out_;
  const bool terminal_;
  Transfer last_;
  bool open_ = false;  // a line that is not ended
  Steady::time_point shown_{};
};

}  // namespace ds::client
