#include "console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>

namespace l2c::cli {

namespace {

constexpr int bar_width = 30;

double seconds_left(const Progress& progress) {
  return progress.elapsed_seconds / std::max(progress.step, 1) * (progress.of - progress.step);
}

}  // namespace

std::ostream& stdout_stream() { return std::cout; }
std::ostream& stderr_stream() { return std::cerr; }

void say(std::string_view line) { std::cout << printable(line) << std::endl; }
void remark(std::string_view line) { std::cerr << printable(line) << std::endl; }
void complain(std::string_view line) { std::cerr << "l2c: " << printable(line) << std::endl; }
bool stdout_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

ProgressLine::ProgressLine(std::string_view title)
    : title_(printable(title)), terminal_(::isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  if (drawn_) std::cerr << std::endl;
}

void ProgressLine::show(const Progress& progress) {
  if (progress.phase != Phase::denoise || progress.of == 0) return;
  terminal_ ? draw_bar(progress) : print_line(progress);
}

void ProgressLine::draw_bar(const Progress& progress) {
  const auto now = std::chrono::steady_clock::now();
  const bool last = progress.step == progress.of;
  // Ten times a second is enough for an eye.
  if (!last && drawn_ && now - last_drawn_ < std::chrono::milliseconds(100)) return;
  last_drawn_ = now;
  drawn_ = true;
  const int filled = bar_width * progress.step / progress.of;
  std::cerr
      << fmt::format(
             "\r{} [{:=<{}}{:.<{}}] {}/{} steps, {:.1f} s, {} branches reused, {:.0f} s left\x1b[K",
             title_, "", filled, "", bar_width - filled, progress.step, progress.of,
             progress.elapsed_seconds, progress.reused, seconds_left(progress))
      << std::flush;
}

void ProgressLine::print_line(const Progress& progress) {
  const int tenths = 10 * progress.step / progress.of;
  if (tenths == tenths_) return;
  tenths_ = tenths;
  std::cerr << fmt::format("{}: step {} of {}, {:.1f} s, {} branches reused\n", title_,
                           progress.step, progress.of, progress.elapsed_seconds, progress.reused);
}

bool TenthLines::due(const std::string& doing, std::int64_t done, std::int64_t of) {
  const std::int64_t tenths = 10 * done / std::max<std::int64_t>(of, 1);
  if (doing == doing_ && tenths == tenths_) return false;
  doing_ = doing;
  tenths_ = tenths;
  return true;
}

void show_training(const TrainingProgress& progress) {
  std::string line = fmt::format("step {} of {}:", progress.step, progress.of);
  for (const auto& [name, value] : progress.values) line += fmt::format(" {} {:.4g}", name, value);
  const double done = static_cast<double>(progress.step - progress.resumed_from);
  const double left = static_cast<double>(progress.of - progress.step) / done;
  std::cerr << fmt::format("{}, {:.0f} samples/s, {:.0f} s left\n", line,
                           progress.samples_per_second, left * progress.elapsed_seconds);
}

}  // namespace l2c::cli
