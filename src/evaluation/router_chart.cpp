#include "l2c/evaluation/router_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "bitmap_text.h"
#include "l2c/cache/policies.h"
#include "l2c/core/error.h"
#include "l2c/sampling/planning.h"

namespace l2c {

namespace {

constexpr int margin = 16;
constexpr int capital = 14;  // height of a digit
constexpr int largest_pitch = 18;
constexpr int smallest_pitch = 4;
constexpr int framed_cell = 8;     // the smallest one in which a frame leaves room
constexpr int wanted_side = 1400;  // of all cells, in pixels; cells shrink to fit
constexpr int most_steps = 1000;
constexpr int legend_words = 120;  // room for the names of the colours
constexpr int legend_bar = 200;    // the scores from 0 to 1
constexpr const char* full_words = "all computed, whatever the scores";
constexpr std::int64_t most_pixels = std::int64_t{1} << 26;

constexpr Colour white{255, 255, 255};
constexpr Colour black{30, 30, 30};
constexpr Colour faint{120, 120, 120};
constexpr Colour full_step{222, 222, 222};
constexpr Colour frame{236, 236, 236};  // of a reused branch's cell

// Of score 0 and of score 1.
struct Shades {
  const char* name;
  Colour low, high;
};
constexpr std::array kinds{Shades{"attention", {253, 214, 172}, {176, 58, 0}},
                           Shades{"MLP", {187, 214, 242}, {8, 64, 129}}};

Colour shade(const Shades& kind, double score) {
  Colour mixed{};
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    mixed[i] = static_cast<std::uint8_t>(
        std::lround(kind.low[i] + std::clamp(score, 0.0, 1.0) * (kind.high[i] - kind.low[i])));
  }
  return mixed;
}

// A row of the picture.
struct Step {
  int row = 0;  // of the router
  bool decides = true;
};

std::vector<Step> steps_of(const Router& router) {
  std::vector<Step> steps;
  const RouterInfo& info = router.info();
  if (info.sampler.empty()) {
    for (int row = 0; row < router.rows(); ++row) steps.push_back({.row = row});
    return steps;
  }
  const RunShape shape = plan_shape(router.units() / 2, info.spacing, router.rows(), info.sampler);
  const auto decides = router_cache_steps(info.group, shape);
  for (std::size_t k = 0; k < shape.evaluations.size(); ++k) {
    steps.push_back({.row = shape.evaluations[k].row, .decides = decides[k]});
  }
  return steps;
}

// Every so many-th label has room.
int label_every(int pitch, int room) {
  int power = 1;
  while (true) {
    for (const int factor : {1, 2, 5}) {
      if (factor * power * pitch >= room) return factor * power;
    }
    power *= 10;
  }
}

// Sizes and places in pixels.
class Drawing {
 public:
  Drawing(const Router& router, double threshold, std::string title)
      : router_(router),
        threshold_(threshold),
        title_(std::move(title)),
        steps_(steps_of(router)),
        blocks_(router.units() / 2) {
    const auto rows = static_cast<int>(steps_.size());
    pitch_ = std::clamp(wanted_side / std::max(2 * blocks_, rows), smallest_pitch, largest_pitch);
    cell_ = pitch_ - (pitch_ >= 10 ? 2 : 1);
    left_ = margin + std::max(text_width(step_word()), text_width("000")) + margin / 2;
    top_ = margin + 2 * text_height + margin + text_height;
    panel_ = blocks_ * pitch_;
    bottom_ = top_ + rows * pitch_;
    const int right = panel_left(1) + panel_ + margin / 2 + text_width("reused") + margin;
    const int width = std::max({right, 2 * margin + text_width(title_),
                                2 * margin + text_width(summary()), 2 * margin + legend_width()});
    const int height = bottom_ + 2 * text_height + 2 * margin + 3 * text_height + margin;
    if (std::int64_t{width} * height > most_pixels) {
      throw InputError(
          fmt::format("{} steps of {} blocks are too many for a picture", rows, blocks_));
    }
    bitmap_ = {.width = width, .height = height, .channels = 3, .pixels = {}};
    bitmap_.pixels.assign(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3,
                          white[0]);
  }

  io::Bitmap operator()() {
    draw_text(bitmap_, margin, margin, title_, black);
    draw_text(bitmap_, margin, margin + text_height, summary(), black);
    headings();
    for (std::size_t k = 0; k < steps_.size(); ++k) step(k);
    axis();
    legend(bottom_ + 2 * text_height + 2 * margin);
    return std::move(bitmap_);
  }

 private:
  [[nodiscard]] const char* step_word() const {
    return router_.info().sampler.empty() ? "row" : "step";
  }
  [[nodiscard]] int panel_left(int kind) const { return left_ + kind * (panel_ + 2 * margin); }

  [[nodiscard]] bool computes(const Step& step, int unit) const {
    return !step.decides || router_.score(step.row, unit) > static_cast<float>(threshold_);
  }

  [[nodiscard]] int reused(const Step& step) const {
    int count = 0;
    for (int unit = 0; unit < router_.units(); ++unit) count += computes(step, unit) ? 0 : 1;
    return count;
  }

  [[nodiscard]] std::string summary() const {
    int count = 0;
    int of = 0;
    for (const Step& step : steps_) {
      count += reused(step);
      of += step.decides ? router_.units() : 0;
    }
    return fmt::format("threshold {:.6g}: {} of {} branches reused in the steps that may reuse",
                       threshold_, count, of);
  }

  void headings() {
    const int top = top_ - text_height;
    draw_text(bitmap_, margin, top, step_word(), black);
    for (int kind = 0; kind < 2; ++kind) {
      const char* name = kinds.at(static_cast<std::size_t>(kind)).name;
      const int left = panel_left(kind) + std::max((panel_ - text_width(name)) / 2, 0);
      draw_text(bitmap_, left, top, name, black);
    }
    draw_text(bitmap_, panel_left(1) + panel_ + margin / 2, top, "reused", black);
  }

  void step(std::size_t k) {
    const Step& step = steps_[k];
    const int top = top_ + static_cast<int>(k) * pitch_;
    for (int unit = 0; unit < router_.units(); ++unit) {
      const int left = panel_left(unit % 2) + unit / 2 * pitch_;
      if (step.decides) {
        const Colour colour =
            shade(kinds.at(static_cast<std::size_t>(unit % 2)), router_.score(step.row, unit));
        mark(left, top, computes(step, unit), colour);
      } else {
        fill(bitmap_, left, top, cell_, cell_, full_step);
      }
    }
    if (k % static_cast<std::size_t>(label_every(pitch_, capital + 2)) != 0) return;
    const auto number = fmt::format("{}", k);
    const int text_top = top + (cell_ - capital) / 2;
    draw_text(bitmap_, left_ - margin / 2 - text_width(number), text_top, number, black);
    draw_text(bitmap_, panel_left(1) + panel_ + margin / 2, text_top,
              step.decides ? fmt::format("{}", reused(step)) : "full",
              step.decides ? black : faint);
  }

  void square(int left, int top, int size, const Colour& colour) {
    fill(bitmap_, left + (cell_ - size) / 2, top + (cell_ - size) / 2, size, size, colour);
  }

  // A computed branch fills its cell; of a reused one there is a small square in a frame.
  void mark(int left, int top, bool computed, const Colour& colour) {
    if (computed) {
      square(left, top, cell_, colour);
      return;
    }
    if (cell_ >= framed_cell) {
      square(left, top, cell_, frame);
      square(left, top, cell_ - 2, white);
    }
    square(left, top, std::max(3 * cell_ / 8, 1), colour);
  }

  void axis() {
    const int room = text_width(fmt::format("{}", blocks_)) + 6;
    const int every = label_every(pitch_, room);
    for (int kind = 0; kind < 2; ++kind) {
      for (int block = 0; block < blocks_; block += every) {
        const auto number = fmt::format("{}", block);
        const int middle = panel_left(kind) + block * pitch_ + cell_ / 2;
        draw_text(bitmap_, middle - text_width(number) / 2, bottom_ + 4, number, black);
      }
      const int middle = panel_left(kind) + panel_ / 2;
      draw_text(bitmap_, middle - text_width("block") / 2, bottom_ + 4 + text_height, "block",
                black);
    }
  }

  [[nodiscard]] static int legend_width() {
    return legend_words + legend_bar + 2 * margin + capital + margin / 2 + text_width(full_words);
  }

  void legend(int top) {
    constexpr int bar = legend_bar;
    constexpr int words = legend_words;
    for (int kind = 0; kind < 2; ++kind) {
      const Shades& shades = kinds.at(static_cast<std::size_t>(kind));
      const int row = top + kind * text_height;
      draw_text(bitmap_, margin, row, shades.name, black);
      for (int x = 0; x < bar; ++x) {
        fill(bitmap_, margin + words + x, row, 1, capital, shade(shades, double{1} * x / bar));
      }
      const int at = margin + words + static_cast<int>(std::lround(threshold_ * (bar - 1)));
      fill(bitmap_, at - 1, row - 2, 2, capital + 4, black);
    }
    draw_text(bitmap_, margin, top + 2 * text_height, "score", black);
    draw_text(bitmap_, margin + words, top + 2 * text_height, "0", black);
    draw_text(bitmap_, margin + words + bar - text_width("1"), top + 2 * text_height, "1", black);
    samples(margin + words + bar + 2 * margin, top);
  }

  // What the marks of the cells mean.
  void samples(int left, int top) {
    const int size = std::exchange(cell_, capital);
    const Colour colour = shade(kinds[0], 1);
    const int text = left + capital + margin / 2;
    mark(left, top, true, colour);
    draw_text(bitmap_, text, top, "computed", black);
    mark(left, top + text_height, false, colour);
    draw_text(bitmap_, text, top + text_height, "reused", black);
    fill(bitmap_, left, top + 2 * text_height, capital, capital, full_step);
    draw_text(bitmap_, text, top + 2 * text_height, full_words, black);
    const int words = text + text_width("computed") + 2 * margin;
    fill(bitmap_, words + capital / 2, top - 2, 2, capital + 4, black);
    draw_text(bitmap_, words + capital + margin / 2, top, "the threshold", black);
    cell_ = size;
  }

  const Router& router_;
  double threshold_;
  std::string title_;
  std::vector<Step> steps_;
  int blocks_;
  int pitch_ = 0;               // from cell to cell
  int cell_ = 0;                // a cell's side
  int left_ = 0, top_ = 0;      // of the first cell
  int panel_ = 0, bottom_ = 0;  // a panel's width, where the cells end
  io::Bitmap bitmap_;
};

}  // namespace

io::Bitmap draw_router_chart(const Router& router, double threshold, const std::string& title) {
  if (!(threshold >= 0 && threshold <= 1)) {
    throw InputError(fmt::format("the threshold {} is outside [0, 1]", threshold));
  }
  if (router.rows() > most_steps) {
    throw InputError(fmt::format("a router of {} steps; {} are the most that are drawn",
                                 router.rows(), most_steps));
  }
  return Drawing(router, threshold, title)();
}

}  // namespace l2c
