#include "l2c/diffusion/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "l2c/core/error.h"

namespace l2c {

namespace {

constexpr int kTrainSteps = 1000;
constexpr std::string_view kDdim = "ddim";

// What was given, shortened and without control characters: it may be anything, also a whole file.
std::string quoted(std::string_view spacing) {
  constexpr std::size_t longest = 60;
  std::string shown(spacing.substr(0, longest));
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == 127; };
  std::replace_if(shown.begin(), shown.end(), is_control, '?');
  if (spacing.size() <= longest) return fmt::format("\"{}\"", shown);
  return fmt::format("\"{}...\" ({} characters)", shown, spacing.size());
}

[[noreturn]] void fail(std::string_view spacing, std::string_view what,
                       std::string_view instead = R"("20", "ddim20" or "10,15,20")") {
  throw InputError(
      fmt::format("spacing {}: {}; write for instance {}", quoted(spacing), what, instead));
}

int parse_count(std::string_view digits, std::string_view spacing, int train_steps) {
  if (digits.empty()) {
    fail(spacing, fmt::format("a number of steps (1 to {}) is missing", train_steps));
  }
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!std::all_of(digits.begin(), digits.end(), is_digit)) {
    fail(spacing, fmt::format("{} is not a number of steps (digits only, 1 to {})", quoted(digits),
                              train_steps));
  }
  int count = 0;
  for (const char c : digits) {
    // Stops growing once it is out of range, so that no number of digits overflows.
    count = std::min(count * 10 + (c - '0'), train_steps + 1);
  }
  if (count < 1 || count > train_steps) {
    fail(spacing, fmt::format("{} steps are outside the range of 1 to {}",
                              digits.size() > 12 ? "so many" : digits, train_steps));
  }
  return count;
}

// How many steps an integer stride keeps.
int steps_at_stride(int train_steps, int stride) { return (train_steps + stride - 1) / stride; }

// The counts next to `count` that have an integer stride, "ddim250 or ddim334".
std::string nearest_ddim(int count, int train_steps) {
  int above = 0;
  int below = 0;
  for (int stride = 1; stride < train_steps; ++stride) {
    const int possible = steps_at_stride(train_steps, stride);
    if (possible > count) above = possible;  // they fall as the stride grows
    if (possible < count) below = std::max(below, possible);
  }
  std::vector<std::string> names;
  for (const int possible : {below, above}) {
    if (possible > 0) names.push_back(fmt::format("ddim{}", possible));
  }
  return fmt::format("{}", fmt::join(names, " or "));
}

std::vector<int> integer_stride(std::string_view spacing, int train_steps) {
  const int count = parse_count(spacing.substr(kDdim.size()), spacing, train_steps);
  for (int stride = 1; stride < train_steps; ++stride) {
    if (steps_at_stride(train_steps, stride) != count) continue;
    std::vector<int> steps;
    for (int t = 0; t < train_steps; t += stride) steps.push_back(t);
    return steps;
  }
  fail(spacing,
       fmt::format("cannot create exactly {} steps with an integer stride over {}", count,
                   train_steps),
       fmt::format("{}, or \"{}\" for a fractional stride", nearest_ddim(count, train_steps),
                   count));
}

std::vector<int> parse_sections(std::string_view spacing, int train_steps) {
  std::vector<int> counts;
  for (std::size_t begin = 0;;) {
    const std::size_t comma = spacing.find(',', begin);
    const std::size_t end = comma == std::string_view::npos ? spacing.size() : comma;
    counts.push_back(parse_count(spacing.substr(begin, end - begin), spacing, train_steps));
    if (comma == std::string_view::npos) return counts;
    begin = comma + 1;
  }
}

std::vector<int> fractional_strides(std::string_view spacing, int train_steps) {
  const std::vector<int> counts = parse_sections(spacing, train_steps);
  const int sections = static_cast<int>(counts.size());
  std::vector<int> steps;
  int start = 0;
  for (int section = 0; section < sections; ++section) {
    const int count = counts[static_cast<std::size_t>(section)];
    const int size = train_steps / sections + (section < train_steps % sections ? 1 : 0);
    if (count > size) {
      fail(spacing, fmt::format("section {} of {} has {} timesteps, fewer than the {} steps asked",
                                section + 1, sections, size, count));
    }
    const double stride = count > 1 ? static_cast<double>(size - 1) / (count - 1) : 1.0;
    double position = 0;  // added up, not multiplied: the rounding of the sum decides some steps
    for (int step = 0; step < count; ++step) {
      // nearbyint rounds halves to even, as Python's round does.
      steps.push_back(start + static_cast<int>(std::nearbyint(position)));
      position += stride;
    }
    start += size;
  }
  return steps;
}

// alphas_cumprod of the 1000 training steps.
std::vector<double> training_alphas_cumprod() {
  constexpr double scale = 1000.0 / kTrainSteps;
  constexpr double first = scale * 0.0001;
  constexpr double last = scale * 0.02;
  constexpr double stride = (last - first) / (kTrainSteps - 1);
  std::vector<double> result;
  result.reserve(kTrainSteps);
  double product = 1;
  for (int t = 0; t < kTrainSteps; ++t) {
    const double beta = t + 1 < kTrainSteps ? t * stride + first : last;
    product *= 1.0 - beta;
    result.push_back(product);
  }
  return result;
}

std::vector<double> spaced_betas(const std::vector<int>& timestep_map) {
  const std::vector<double> alphas_cumprod = training_alphas_cumprod();
  std::vector<double> betas;
  betas.reserve(timestep_map.size());
  double previous = 1;
  for (const int t : timestep_map) {
    const double current = alphas_cumprod[static_cast<std::size_t>(t)];
    betas.push_back(1 - current / previous);
    previous = current;
  }
  return betas;
}

void add_tables_of_step(Schedule& s, double beta, double cumprod_before) {
  const double alpha = 1.0 - beta;
  const double cumprod = cumprod_before * alpha;
  s.alphas_cumprod.push_back(cumprod);
  s.alphas_cumprod_prev.push_back(cumprod_before);
  s.sqrt_alphas_cumprod.push_back(std::sqrt(cumprod));
  s.sqrt_one_minus_alphas_cumprod.push_back(std::sqrt(1.0 - cumprod));
  s.sqrt_recip_alphas_cumprod.push_back(std::sqrt(1.0 / cumprod));
  s.sqrt_recipm1_alphas_cumprod.push_back(std::sqrt(1.0 / cumprod - 1));
  const double variance = beta * (1.0 - cumprod_before) / (1.0 - cumprod);
  s.posterior_variance.push_back(variance);
  s.posterior_log_variance_clipped.push_back(std::log(variance));
  s.posterior_mean_coef1.push_back(beta * std::sqrt(cumprod_before) / (1.0 - cumprod));
  s.posterior_mean_coef2.push_back((1.0 - cumprod_before) * std::sqrt(alpha) / (1.0 - cumprod));
}

}  // namespace

std::vector<int> space_timesteps(std::string_view spacing, int train_steps) {
  if (train_steps < 1) {
    throw InputError(fmt::format("{} training steps to space; at least 1 is needed", train_steps));
  }
  std::vector<int> steps;
  if (spacing.empty()) {
    for (int t = 0; t < train_steps; ++t) steps.push_back(t);
  } else if (spacing.starts_with(kDdim)) {
    steps = integer_stride(spacing, train_steps);
  } else {
    steps = fractional_strides(spacing, train_steps);
  }
  return steps;
}

Schedule make_schedule(std::string_view spacing) {
  Schedule s;
  s.spacing = spacing;
  s.timestep_map = space_timesteps(spacing, kTrainSteps);
  s.betas = spaced_betas(s.timestep_map);
  double cumprod = 1;
  for (const double beta : s.betas) {
    add_tables_of_step(s, beta, cumprod);
    cumprod = s.alphas_cumprod.back();
  }
  s.alphas_cumprod_next.assign(s.alphas_cumprod.begin() + 1, s.alphas_cumprod.end());
  s.alphas_cumprod_next.push_back(0);
  // The posterior variance of index 0 is 0, its logarithm of no use.
  s.posterior_log_variance_clipped[0] =
      s.steps() > 1 ? s.posterior_log_variance_clipped[1] : std::log(s.betas[0]);
  return s;
}

double error_weight(const Schedule& schedule, int i) {
  if (i < 0 || i >= schedule.steps()) {
    throw InputError(
        fmt::format("spaced timestep index {} is outside the {} steps of spacing "
                    "\"{}\"",
                    i, schedule.steps(), schedule.spacing));
  }
  const auto sigma = [&](int index) {
    if (index < 0) return 0.0;
    return std::sqrt(1 / schedule.alphas_cumprod[static_cast<std::size_t>(index)] - 1);
  };
  const double step = sigma(i) - sigma(i - 1);
  return step * step / (sigma(i - 1) * sigma(i - 1) + sigma(0) * sigma(0));
}

}  // namespace l2c
