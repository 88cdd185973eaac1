// What decides the last bit of a training beside its settings.
#pragma once

#include "l2c/training/run_folder.h"
#include "l2c/training/settings.h"

namespace l2c {

// Notes LibTorch's version and the number of threads.
void note_environment(TrainingSettings& settings);

// Logs a warning for each of them that was another when the checkpoint was saved.
void warn_of_other_environment(const SavedState& saved, const TrainingSettings& now);

}  // namespace l2c
