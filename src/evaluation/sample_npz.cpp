#include <vector>

#include "l2c/evaluation/sample_set.h"
#include "l2c/io/npz.h"

namespace l2c {

void write_npz(const std::filesystem::path& path, const SampleSet& samples) {
  io::NpzWriter file(path);
  std::vector<at::Tensor> labels;
  for (int shard = 0; shard < samples.shards(); ++shard) {
    const auto part = samples.images(shard);
    const auto& images = part.images;
    if (shard == 0) {
      file.begin("arr_0", at::kByte, {samples.size(), images.size(2), images.size(3), 3});
    }
    const auto rgb = images.expand({images.size(0), 3, images.size(2), images.size(3)});
    file.append(rgb.permute({0, 2, 3, 1}));
    labels.push_back(part.labels);
  }
  file.add("arr_1", at::cat(labels));
  file.commit();
}

}  // namespace l2c
