// Taking the weights of a model out of a checkpoint, strictly.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/io/checkpoint.h"

namespace l2c {

using ShapeMap = std::map<std::string, std::vector<std::int64_t>>;

// Throws one InputError that lists every missing, unexpected, misshapen or non-floating tensor of
// the checkpoint (the first 12 of each kind, with expected and actual shape) and says what to do.
// `hint`, asked for only then, may say what the file looks like instead ("" for nothing).
void check_weights(const io::Checkpoint& checkpoint, const ShapeMap& expected,
                   const std::string& architecture, c10::function_ref<std::string()> hint);

// XXH3-128 over names, shapes and fp32 values of the tensors and over `configuration`: 32 hex
// digits. The same weights give the same text whatever file format or dtype width they came in
// (bf16 and fp16 are widened first).
std::string fingerprint(const io::TensorMap& tensors, const std::string& configuration);

}  // namespace l2c
