#include "l2c/core/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace l2c {

namespace {

// Hands each message to the handler. base_sink's mutex serialises the calls.
class HandlerSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void replace(LogHandler handler) {
    const std::lock_guard<std::mutex> lock(mutex_);
    handler_ = std::move(handler);
  }

 private:
  static LogLevel translate(spdlog::level::level_enum level) {
    if (level <= spdlog::level::debug) return LogLevel::debug;
    return level == spdlog::level::info ? LogLevel::info : LogLevel::warning;
  }
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (!handler_) return;
    handler_(translate(message.level), {message.payload.data(), message.payload.size()});
  }
  void flush_() override {}

  LogHandler handler_;
};

struct Log {
  std::mutex changing;  // handler and level together
  std::shared_ptr<HandlerSink> sink = std::make_shared<HandlerSink>();
  spdlog::logger logger{"l2c", sink};
  Log() {
    logger.set_level(spdlog::level::off);
    // spdlog's own answer to a failing sink is a line on stderr: the library never prints.
    logger.set_error_handler([](const std::string&) {});
  }
};

// Never destroyed: threads that outlive main's end may still log.
Log& the_log() {
  static Log& instance = *new Log;
  return instance;
}

spdlog::level::level_enum level_of(LogLevel level) {
  if (level == LogLevel::debug) return spdlog::level::debug;
  return level == LogLevel::info ? spdlog::level::info : spdlog::level::warn;
}

void send(spdlog::level::level_enum level, std::string_view message) {
  the_log().logger.log(level, spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace

void set_log_handler(LogHandler handler, LogLevel least) {
  Log& log = the_log();
  const std::scoped_lock lock(log.changing);
  const auto level = handler ? level_of(least) : spdlog::level::off;
  log.sink->replace(std::move(handler));
  log.logger.set_level(level);
}

namespace log {

void debug(std::string_view message) { send(spdlog::level::debug, message); }
void info(std::string_view message) { send(spdlog::level::info, message); }
void warning(std::string_view message) { send(spdlog::level::warn, message); }

}  // namespace log

}  // namespace l2c
