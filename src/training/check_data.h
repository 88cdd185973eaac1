// Whether data and model go together.
#pragma once

#include "l2c/datasets/dataset.h"

namespace l2c {

// What a model takes.
struct InputShape {
  int channels = 0;
  int size = 0;
  int num_classes = 0;
};

// Throws InputError: no examples, another size or number of channels, more classes than the model
// has.
void check_data(const InputShape& model, const DataInfo& data);

}  // namespace l2c
