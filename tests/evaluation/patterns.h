// A tiny data set that a classifier can learn in a second.
#pragma once

#include <memory>

#include "l2c/datasets/dataset.h"

namespace l2c::test {

// 8 x 8 images of one channel and 3 classes: a bright square at one of three places, with noise.
std::shared_ptr<const DataSet> patterns(int size = 96);

}  // namespace l2c::test
