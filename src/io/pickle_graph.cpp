#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/core/words.h"
#include "pickle.h"

namespace l2c::io::pickle {

namespace {

// Far above any real checkpoint.
constexpr std::size_t kMostNodes = 5'000'000;
// In bytes, each with all that is kept beside it on the way to the finished value.
constexpr std::uint64_t kNodeCharge = 256;
constexpr std::uint64_t kStorageCharge = 512;
constexpr std::uint64_t kTensorCharge = 1024;
constexpr std::uint64_t kAxisCharge = 64;

// What the content of a node takes.
std::uint64_t content_size(const Node& node) {
  if (const auto* text = std::get_if<std::string>(&node)) return text->size();
  if (const auto* global = std::get_if<Global>(&node)) return global->name.size();
  if (const auto* object = std::get_if<Object>(&node)) return object->type.size();
  if (const auto* list = std::get_if<List>(&node)) return list->size() * kItemCharge;
  if (const auto* dict = std::get_if<Dict>(&node)) return dict->size() * kPairCharge;
  return 0;
}

}  // namespace

void Graph::fail(const std::string& what) const {
  constexpr std::size_t longest = 500;
  throw InputError(
      fmt::format("'{}': cannot read its pickled part: {}", file_, one_line(what, longest)));
}

NodeId Graph::add(Node node) {
  if (nodes_.size() >= kMostNodes) fail(fmt::format("it holds more than {} objects", kMostNodes));
  charge(kNodeCharge + content_size(node));
  nodes_.push_back(std::move(node));
  return static_cast<NodeId>(nodes_.size() - 1);
}

std::uint32_t Graph::add_storage(Storage storage) {
  const auto found = places_.find(storage.key);
  if (found != places_.end()) {
    const Storage& known = storages_[found->second];
    if (known.size() == storage.size()) return found->second;
    fail(fmt::format("storage '{}' is said to hold {} bytes and {} bytes", storage.key,
                     known.size(), storage.size()));
  }
  charge(kStorageCharge + 2 * storage.key.size() + storage.type.size());
  const auto place = static_cast<std::uint32_t>(storages_.size());
  places_.emplace(storage.key, place);
  storages_.push_back(std::move(storage));
  return place;
}

NodeId Graph::add_tensor(TensorView tensor) {
  charge(kTensorCharge + kAxisCharge * tensor.sizes.size());
  tensors_.push_back(std::move(tensor));
  return add(TensorId{static_cast<std::uint32_t>(tensors_.size() - 1)});
}

void Graph::charge(std::uint64_t bytes, Allowance::Use use) { allowance_.take(bytes, use); }

}  // namespace l2c::io::pickle
