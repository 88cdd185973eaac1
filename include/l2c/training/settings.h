// What a training was started with, as text: kept in its checkpoints, compared when it resumes. No
// LibTorch header behind it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace l2c {

// Names and values in a fixed order: "learning_rate" -> "0.0001". Bytes that are not UTF-8 (a path
// may hold them) are replaced by U+FFFD.
class TrainingSettings {
 public:
  void add(std::string name, std::string value);
  // Not left to the compiler, which would take a literal for a bool.
  void add(std::string name, const char* value);
  void add(std::string name, double value);  // shortest text that reads back as the same number
  void add(std::string name, std::int64_t value);
  void add(std::string name, bool value);

  // Information only: kept with the settings, but no difference and not part of equality.
  void note(std::string name, std::string value);
  // Nothing when there is no such note.
  [[nodiscard]] std::optional<std::string> noted(const std::string& name) const;

  [[nodiscard]] std::string to_json() const;
  // Throws InputError, which starts with `where`.
  static TrainingSettings from_json(const std::string& json, const std::string& where);

  // One line for each name whose value differs or that only one of them has:
  // "learning_rate: 0.0001 in the checkpoint, 0.001 now". Of values that are both JSON objects the
  // fields are compared: "model.depth: 8 in the checkpoint, 12 now". What is a note in one of the
  // two is no difference, whatever it is in the other: files from before it became one keep their
  // worth. Empty: the same. `place` is where these settings are.
  [[nodiscard]] std::vector<std::string> differences(
      const TrainingSettings& now, const std::string& place = "the checkpoint") const;

  friend bool operator==(const TrainingSettings& a, const TrainingSettings& b) {
    return a.entries_ == b.entries_;
  }

 private:
  std::vector<std::pair<std::string, std::string>> entries_, notes_;
};

}  // namespace l2c
