#include "heat_map.h"

#include <fmt/format.h>

namespace l2c::cli {

namespace {

constexpr const char* computed_colour = "\x1b[48;5;208m";  // orange
constexpr const char* reused_colour = "\x1b[48;5;236m";    // dark gray
constexpr const char* plain = "\x1b[0m";

std::string cell(bool computes, bool colour) {
  if (!colour) return computes ? "#" : ".";
  return fmt::format("{} {}", computes ? computed_colour : reused_colour, plain);
}

}  // namespace

std::string heat_map(const CachePlan& plan, const RunShape& shape, bool colour) {
  std::string text = fmt::format(
      "step     t  {:<{}}  reused   ({} computed, {} reused; a block is attention, MLP)\n",
      "units 0 ...", plan.units(), cell(true, colour), cell(false, colour));
  for (int e = 0; e < plan.evaluations(); ++e) {
    std::string line;
    int reused = 0;
    for (int u = 0; u < plan.units(); ++u) {
      line += cell(plan.computes(e, u), colour);
      reused += plan.computes(e, u) ? 0 : 1;
    }
    const auto time = shape.evaluations[static_cast<std::size_t>(e)].time;
    text += fmt::format("{:>4}  {:>4.0f}  {}  {}\n", e, time, line,
                        plan.cache_step(e) ? fmt::format("{:>6}", reused) : "  full");
  }
  return text;
}

}  // namespace l2c::cli
