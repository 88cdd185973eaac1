// Weights to start a training from.
#pragma once

#include "l2c/io/safetensors.h"
#include "l2c/models/dit_config.h"
#include "l2c/training/random.h"

namespace l2c {

// The official initialisation (initialize_weights in DiT's models.py), under the official names,
// fp32 on the CPU: Xavier-uniform layers without bias, sin-cos positions, label and timestep
// embeddings from N(0, 0.02^2); adaLN and the final layer zero, so that every block starts as the
// identity.
io::TensorMap initial_dit_weights(const DiTConfig& config, const TrainingRandom& random);

}  // namespace l2c
