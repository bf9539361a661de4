// The user's program under an executor: a process that dies with it, and a channel of lines between the two.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/process.h"

namespace ds::worker {

struct ChildOptions {
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;  // besides ours
  std::string folder;                              // it starts in
  std::string channel_variable;                    // names the channel's descriptor in its environment
};

class Child {
 public:
  // Not found or not executable: the error names argv[0]. Shares stdout and stderr.
  static absl::StatusOr<Child> start(const ChildOptions& options);

  // Waits up to `milliseconds` for lines or the end, and gives the whole lines that have come.
  std::vector<std::string> read(int milliseconds);
  // False: it does not listen any more.
  bool write(const std::string& line);
  std::optional<ExitStatus> exit();  // reaps it once it has ended
  const Process& process() const { return process_; }

 private:
  Process process_;
  UniqueFd channel_;
  std::string part_;  // of a line
  bool closed_ = false;
};

}  // namespace ds::worker
