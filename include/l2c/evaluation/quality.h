// How good a set of generated images is.
#pragma once

#include <cstdint>
#include <stop_token>

#include "l2c/evaluation/feature_network.h"
#include "l2c/evaluation/reference.h"
#include "l2c/evaluation/sample_set.h"
#include "l2c/metrics/distribution.h"

namespace l2c {

struct QualityOptions {
  int neighbour = 3;          // of precision and recall
  int inception_blocks = 10;  // at most; fewer where they do not divide the number of images
  // Of KID, evenly spread over the generated ones: its time grows with their square.
  std::int64_t kid_images = 10000;
};

// How the inception score of so many images is taken.
struct InceptionBlocks {
  std::int64_t blocks = 1;
  std::int64_t rows = 1;  // images in each
};
// The largest number of blocks up to the options' that divides the images. Throws InputError for
// numbers < 1.
InceptionBlocks inception_blocks(std::int64_t images, const QualityOptions& options);

// Throws InputError for fewer than 2 kid_images.
void check_kid_images(const QualityOptions& options);

// NaN stands for what cannot be measured: kid, precision and recall against a reference without
// images, spatial_frechet and the inception scores without such outputs of the network, accuracy
// where the network does not know the labels.
struct Quality {
  std::int64_t images = 0;
  double frechet = 0;          // to all reference images: FID, with the Inception network
  double spatial_frechet = 0;  // of the spatial features: sFID
  double kid = 0;              // to the reference's subset, as precision and recall
  double precision = 0;
  double recall = 0;
  double inception_score = 0;        // mean over blocks, see inception_blocks()
  double inception_score_whole = 0;  // of all images as one block
  std::int64_t recognised = 0;       // images in which the network sees the asked label
  Interval accuracy;                 // recognised / images
};

// Throws InputError: a network, image size, channels or number of classes other than the
// reference's, fewer images than neighbour + 1, fewer than 2 kid_images, features that are not
// finite. Cancelled. RunError: out of memory, ...
Quality measure_quality(const SampleSet& samples, const FeatureNetwork& network,
                        const ReferenceStatistics& reference, const QualityOptions& options = {},
                        std::stop_token stop = {});

}  // namespace l2c
