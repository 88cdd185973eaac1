// What the program says on the terminal. Results go to standard output, everything else (progress,
// notes, errors) to standard error.
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>

#include "l2c/core/words.h"
#include "l2c/sampling/request.h"
#include "l2c/training/progress.h"

namespace l2c::cli {

// For text of our own, colours included.
std::ostream& stdout_stream();
std::ostream& stderr_stream();

// What files and arguments hold may be in a line: a terminal gets it printable (words.h).
void say(std::string_view line);       // standard output
void remark(std::string_view line);    // standard error
void complain(std::string_view line);  // standard error, with "l2c: " in front
bool stdout_is_terminal();

// Shows a run's progress: a bar that redraws itself on a terminal, else a plain line for each
// tenth.
class ProgressLine {
 public:
  explicit ProgressLine(std::string_view title);
  ~ProgressLine();  // ends the bar's line
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  void show(const Progress& progress);

 private:
  void draw_bar(const Progress& progress);
  void print_line(const Progress& progress);
  std::string title_;
  bool terminal_;
  bool drawn_ = false;
  int tenths_ = 0;
  std::chrono::steady_clock::time_point last_drawn_{};
};

// Whether a plain line is due: when something else is being done, and for each tenth of it.
class TenthLines {
 public:
  bool due(const std::string& doing, std::int64_t done, std::int64_t of);

 private:
  std::string doing_;
  std::int64_t tenths_ = -1;
};

// A line of a training's progress, on standard error.
void show_training(const TrainingProgress& progress);

}  // namespace l2c::cli
