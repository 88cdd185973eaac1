// Options of router training: their ranges, and as text.
#pragma once

#include "l2c/datasets/dataset.h"
#include "l2c/models/denoiser.h"
#include "l2c/training/router_trainer.h"
#include "l2c/training/settings.h"

namespace l2c {

// Of the published training of DiT-XL/2 for 20 steps.
inline constexpr double published_lambda = 5e-6;
// A target speed-up may take this many times the iterations asked for.
inline constexpr std::int64_t patience_for_target = 3;

// Each throws InputError that names the option, the value and what is allowed.
void check_options(const RouterTrainingOptions& options);
void check_model(const RouterTrainingOptions& options, const DenoiserInfo& model, bool has_data);

// Whether some labels are replaced by the null label.
bool drops_labels(const RouterTrainingOptions& options);

// Whatever changes the logits; what does not, as notes. data may be null.
TrainingSettings settings_of(const RouterTrainingOptions& options, const Denoiser& model,
                             const DataSet* data);

// "2000 iterations of 24, learning rate 0.05, ...": for the router's file.
std::string describe(const RouterTrainingOptions& options, std::int64_t iterations,
                     const std::string& data);

}  // namespace l2c
