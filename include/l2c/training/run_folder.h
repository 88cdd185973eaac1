// The folder of one training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "l2c/io/folder_lock.h"
#include "l2c/io/safetensors.h"
#include "l2c/training/settings.h"

namespace l2c {

struct SavedState {
  std::int64_t step = 0;  // training steps done
  io::TensorMap tensors;  // may read a mapped file: clone() what must outlive it
  io::Metadata metadata;  // what the trainer gave to save(), "step", "settings" and "checksum"
  std::filesystem::path file;

  // Throws InputError that names the file when there is no such tensor.
  [[nodiscard]] const at::Tensor& tensor(const std::string& name) const;
};

// Holds a training's checkpoints (checkpoint-STEP.safetensors, the two newest), its lock and its
// results. A checkpoint is written aside, flushed to disk and renamed; the one before is removed
// only afterwards, so that a training killed at any moment loses at most the steps since its last
// save. Not thread-safe.
class RunFolder {
 public:
  // Creates the folder where needed and locks it until destroyed. Throws InputError when another
  // process (or another RunFolder of this one) has it locked, or when it cannot be written to.
  explicit RunFolder(std::filesystem::path folder);

  // The newest checkpoint that is whole, or nothing in a fresh folder. A damaged or renamed one is
  // logged as a warning and set aside (".damaged"), and the one before is taken. Throws InputError
  // when every one is damaged, and when `settings` differ from the saved ones: the message lists
  // the differences.
  [[nodiscard]] std::optional<SavedState> load(const TrainingSettings& settings) const;

  // Throws RunError (disk full, ...): the checkpoints that are there stay.
  void save(std::int64_t step, const io::TensorMap& tensors, const TrainingSettings& settings,
            io::Metadata metadata = {});

  [[nodiscard]] const std::filesystem::path& path() const { return folder_; }

 private:
  std::filesystem::path folder_;
  io::FolderLock lock_;
};

}  // namespace l2c
