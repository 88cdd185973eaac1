// Where the library's own remarks go. The library never prints: without a handler they are dropped.
#pragma once

#include <functional>
#include <string_view>

namespace l2c {

enum class LogLevel { debug, info, warning };

using LogHandler = std::function<void(LogLevel, std::string_view message)>;

// Installs the process-wide handler for messages of at least that level; an empty one drops all
// messages again (the default). The handler is called from whatever thread logs, one call at a
// time, and must not throw. Thread-safe.
void set_log_handler(LogHandler handler, LogLevel least = LogLevel::debug);

namespace log {
void debug(std::string_view message);
void info(std::string_view message);
void warning(std::string_view message);
}  // namespace log

}  // namespace l2c
