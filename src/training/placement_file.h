// The placements that searches have tried, as a JSON file.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "l2c/training/settings.h"
#include "l2c/training/step_placement.h"

namespace l2c {

// One part a model and set of options: searches of any settings may share a file. Written anew
// after each placement: a run of the model takes far longer.
class PlacementFile final : public PlacementRecord {
 public:
  // Reads the file where there is one. Throws InputError: it is no such file, or cannot be written.
  PlacementFile(std::filesystem::path path, const TrainingSettings& settings);
  [[nodiscard]] std::optional<CacheDeviation> find(
      const std::vector<int>& full_steps) const override;
  void add(const std::vector<int>& full_steps, const CacheDeviation& error) override;

 private:
  using Tried = std::map<std::vector<int>, CacheDeviation>;
  void read();
  void write() const;
  std::filesystem::path path_;
  std::vector<std::pair<TrainingSettings, Tried>> searches_;
  std::size_t mine_ = 0;
};

}  // namespace l2c
