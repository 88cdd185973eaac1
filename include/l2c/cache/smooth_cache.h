// SmoothCache (arXiv 2411.10510; official code: Roblox/SmoothCache): schedules of whole kinds of
// branches, read from its JSON files or made by calibration (branch_changes.h). No LibTorch header
// behind it.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "l2c/cache/policy.h"

namespace l2c {

// For each evaluation whether branches are computed: of all blocks ("attn", "mlp"; Diffusers'
// "attn1" and "ff" are the same) or of one ("attn-3", which goes before "attn"). What is reused is
// the branch's output before the adaLN gate; the official helper for DiT keeps the outputs of the
// same modules, and those of the norms, which cost next to nothing and are computed here. Branches
// that no entry names are computed.
class SmoothCache final : public CachePolicy {
 public:
  using Schedule = std::map<std::string, std::vector<int>>;  // 1: computed, 0: reused

  // Throws InputError: no entries, entries of other names, two for the same branches, of different
  // lengths, with other numbers than 0 and 1, or that reuse in the first evaluation. `source`
  // begins the messages.
  explicit SmoothCache(Schedule schedule, std::string source = "the schedule");
  // {"attn": [1, 0, ...], "mlp": [...]}. Throws InputError, with the file's name.
  static SmoothCache load(const std::filesystem::path& file);
  // Throws RunError when it cannot be written.
  void save(const std::filesystem::path& file) const;

  [[nodiscard]] std::string name() const override;
  // Throws InputError when the run has another number of evaluations, or fewer blocks than named.
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override;
  [[nodiscard]] int evaluations() const;
  [[nodiscard]] const Schedule& schedule() const { return schedule_; }
  // 32 hex digits of the schedule.
  [[nodiscard]] std::string fingerprint() const;

 private:
  [[nodiscard]] const std::vector<int>* entry(int unit) const;
  Schedule schedule_;
  std::string source_;     // for messages
  std::string file_name_;  // without folder and extension; empty: made in memory
};

}  // namespace l2c
