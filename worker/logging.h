// One line a record, `key=value` first, so that a log can be cut by worker, job, generation and rank.
#pragma once
#include <spdlog/spdlog.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace ds::worker {

// Logs to stderr; `fields` ("worker=w0") stand in each line. Throws spdlog_ex on an unknown level.
void start_logging(std::string_view fields, const std::string& level);

// A line about one rank.
template <typename... Args>
void log_rank(spdlog::level::level_enum level, const std::string& job, int64_t generation, int rank,
              fmt::format_string<Args...> format, Args&&... args) {
  if (!spdlog::should_log(level)) return;
  spdlog::log(level, "job={} generation={} rank={} {}", job, generation, rank,
              fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace ds::worker
