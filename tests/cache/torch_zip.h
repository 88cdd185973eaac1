// Writes router files in the format of torch.save, good ones and bad ones.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace l2c::test {

// What a published router file may hold.
struct PublishedFile {
  std::vector<std::pair<std::string, std::vector<float>>> rows;  // "<i>.prob" -> logits
  bool bare = false;                                             // without {'routers': ...}
  std::map<std::string, double> args;  // of the argparse.Namespace; left out when empty
  std::string model;                   // args.model
};

void write_published(const std::filesystem::path& path, const PublishedFile& file);

}  // namespace l2c::test
