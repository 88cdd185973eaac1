#include "l2c/models/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "l2c/core/error.h"

namespace l2c {

namespace {

constexpr std::size_t listed_at_most = 12;

std::string shape_text(c10::ArrayRef<std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// What is wrong with the tensors of a source, by kind.
struct Findings {
  std::vector<std::string> missing, unexpected, misshapen, not_floating;

  [[nodiscard]] bool empty() const {
    return missing.empty() && unexpected.empty() && misshapen.empty() && not_floating.empty();
  }
  [[nodiscard]] std::string text() const {
    return list("missing", missing) + list("unexpected", unexpected) +
           list("of another shape", misshapen) + list("not floating-point", not_floating);
  }

 private:
  static std::string list(const char* kind, const std::vector<std::string>& names) {
    if (names.empty()) return {};
    const auto shown = std::min(names.size(), listed_at_most);
    const auto end = names.begin() + static_cast<std::ptrdiff_t>(shown);
    std::string text =
        fmt::format("\n  {} ({}): {}", kind, names.size(), fmt::join(names.begin(), end, ", "));
    if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
    return text;
  }
};

Findings compare(const WeightSource& source, const ShapeMap& expected) {
  Findings findings;
  const ShapeMap& actual = source.shapes();
  for (const auto& [name, shape] : expected) {
    if (!actual.contains(name)) {
      findings.missing.push_back(fmt::format("{} {}", name, shape_text(shape)));
    }
  }
  for (const auto& [name, shape] : actual) {
    const auto found = expected.find(name);
    if (found == expected.end()) {
      findings.unexpected.push_back(fmt::format("{} {}", name, shape_text(shape)));
    } else if (shape != found->second) {
      findings.misshapen.push_back(
          fmt::format("{} {} instead of {}", name, shape_text(shape), shape_text(found->second)));
    } else if (!at::isFloatingType(source.dtype(name))) {
      findings.not_floating.push_back(
          fmt::format("{} ({})", name, c10::toString(source.dtype(name))));
    }
  }
  return findings;
}

}  // namespace

void check_weights(const WeightSource& source, const ShapeMap& expected,
                   const std::string& architecture, c10::function_ref<std::string()> hint) {
  const Findings findings = compare(source, expected);
  if (findings.empty()) return;
  const std::string looks_like = hint();
  throw InputError(
      fmt::format("{}: the weights do not fit {}; tensors{}\n  {}", source.description(),
                  architecture, findings.text(),
                  looks_like.empty()
                      ? "name the architecture that the file was made with, or use a complete file"
                      : looks_like));
}

}  // namespace l2c
