#include "check_data.h"

#include <fmt/format.h>

#include "l2c/core/error.h"

namespace l2c {

void check_data(const InputShape& model, const DataInfo& data) {
  if (data.size < 1) throw InputError(fmt::format("{}: nothing to train on", data.description));
  if (data.channels != model.channels || data.image_size != model.size) {
    throw InputError(fmt::format(
        "the data ({}) are {} x {} with {} channels, but the model takes {} x {} with {} "
        "(input_size and in_channels of its configuration): both must be the same",
        data.description, data.image_size, data.image_size, data.channels, model.size, model.size,
        model.channels));
  }
  if (data.num_classes > model.num_classes) {
    throw InputError(
        fmt::format("the data ({}) have {} classes, but the model only {} (num_classes of its "
                    "configuration)",
                    data.description, data.num_classes, model.num_classes));
  }
}

}  // namespace l2c
