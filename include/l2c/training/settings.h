// What a training was started with, as text: kept in its checkpoints, compared when it resumes. No
// LibTorch header behind it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace l2c {

// Names and values in a fixed order: "learning_rate" -> "0.0001".
class TrainingSettings {
 public:
  void add(std::string name, std::string value);
  // Not left to the compiler, which would take a literal for a bool.
  void add(std::string name, const char* value);
  void add(std::string name, double value);  // shortest text that reads back as the same number
  void add(std::string name, std::int64_t value);
  void add(std::string name, bool value);

  [[nodiscard]] std::string to_json() const;
  // Throws InputError, which starts with `where`.
  static TrainingSettings from_json(const std::string& json, const std::string& where);

  // One line for each name whose value differs or that only one of them has:
  // "learning_rate: 0.0001 in the checkpoint, 0.001 now". Empty: the same. `place` is where these
  // settings are.
  [[nodiscard]] std::vector<std::string> differences(
      const TrainingSettings& now, const std::string& place = "the checkpoint") const;

  friend bool operator==(const TrainingSettings&, const TrainingSettings&) = default;

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
};

}  // namespace l2c
