#include "worker/logging.h"

#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>

namespace ds::worker {

void start_logging(std::string_view fields, const std::string& level) {
  auto parsed = spdlog::level::from_str(level);
  if (parsed == spdlog::level::off && level != "off") {
    throw spdlog::spdlog_ex("[log-level] got \"" + level + "\"; allowed: trace, debug, info, warning, error, off");
  }
  std::string escaped;  // a % of the user's is not one of the pattern's
  for (char c : fields) escaped += c == '%' ? std::string("%%") : std::string(1, c);
  auto logger = spdlog::stderr_logger_mt("ds");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l " + escaped + " %v");
  logger->set_level(parsed);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(logger);
}

}  // namespace ds::worker
