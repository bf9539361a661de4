// Runs dsctl as a user does, and keeps what it said.
#pragma once

#include <string>
#include <vector>

namespace ds::client {

struct Outcome {
  int code = -1;
  std::string out, err;
};

// A folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string write(const std::string& name, const std::string& text, bool program = false) const;

 private:
  std::string path_;
};

std::string read_text(const std::string& path);

// Runs a shell line with `environment` ("NAME=VALUE ...") before it, both outputs to files.
Outcome run_shell(const std::string& environment, const std::string& line);

}  // namespace ds::client
