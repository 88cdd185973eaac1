#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <utility>

#include "l2c/core/error.h"
#include "pickle.h"

namespace l2c::io::pickle {

namespace {

// Far above any real checkpoint: a bound on what a hostile file can make us allocate.
constexpr std::size_t kMostNodes = 5'000'000;

}  // namespace

void Graph::fail(const std::string& what) const {
  throw InputError(fmt::format("'{}': cannot read the pickled part (data.pkl): {}", file_, what));
}

NodeId Graph::add(Node node) {
  charge(1);
  nodes_.push_back(std::move(node));
  return static_cast<NodeId>(nodes_.size() - 1);
}

void Graph::charge(std::size_t units) {
  if (units > kMostNodes - charged_) {
    fail(fmt::format("it holds more than {} objects", kMostNodes));
  }
  charged_ += units;
}

}  // namespace l2c::io::pickle
