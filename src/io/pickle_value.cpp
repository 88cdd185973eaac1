// From the pickle machine's graph to the values that callers see.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "l2c/io/torch_checkpoint.h"
#include "pickle.h"

namespace l2c::io::pickle {

namespace {

// Values are taken down (and walked) by recursion, so their depth must be bounded.
constexpr int kDeepest = 100;

class Converter {
 public:
  Converter(Graph& graph, const StorageSource& source)
      : graph_(graph), source_(source), done_(graph.size()), bytes_(graph.storages().size()) {}

  PicklePtr convert(NodeId id, int level) {
    if (id == kNoNode) return nullptr;
    Slot& slot = done_[id];
    if (slot.value) {
      check_depth(level + slot.height);
      return slot.value;
    }
    if (slot.open) graph_.fail("an object that contains itself");
    check_depth(level);
    slot.open = true;
    auto value = std::make_shared<PickleValue>();
    int height = 0;
    std::visit([&](auto& node) { fill(*value, node, level + 1, height); }, graph_[id]);
    slot.value = std::move(value);
    slot.height = height;
    return slot.value;
  }

 private:
  struct Slot {
    PicklePtr value;
    int height = 0;  // levels below
    bool open = false;
  };

  void check_depth(int depth) const {
    if (depth > kDeepest) graph_.fail(fmt::format("objects nested more than {} deep", kDeepest));
  }

  PicklePtr child(NodeId id, int level, int& height) {
    PicklePtr value = convert(id, level);
    if (value) height = std::max(height, done_[id].height + 1);
    return value;
  }

  template <typename T>
  void fill(PickleValue& value, T& node, int level, int& height) {
    if constexpr (std::is_same_v<T, List>) {
      PickleList list;
      list.reserve(node.size());
      for (const NodeId each : node) list.push_back(child(each, level, height));
      value.value = std::move(list);
    } else if constexpr (std::is_same_v<T, Dict>) {
      PickleDict dict;
      dict.reserve(node.size());
      for (const auto& [key, item] : node) {
        PicklePtr name = child(key, level, height);
        dict.emplace_back(std::move(name), child(item, level, height));
      }
      value.value = std::move(dict);
    } else if constexpr (std::is_same_v<T, Object>) {
      PicklePtr arguments = child(node.arguments, level, height);
      PicklePtr state = child(node.state, level, height);
      value.value = PickleObject{std::move(node.type), std::move(arguments), std::move(state)};
    } else if constexpr (std::is_same_v<T, Global>) {
      value.value = PickleObject{std::move(node.name), nullptr, nullptr};
    } else if constexpr (std::is_same_v<T, StorageSlice>) {
      value.value = PickleObject{graph_.storages()[node.storage].type, nullptr, nullptr};
    } else if constexpr (std::is_same_v<T, TensorId>) {
      value.value = tensor(graph_.tensors()[node.place]);
    } else {
      value.value = std::move(node);
    }
  }

  at::Tensor tensor(const TensorView& view) {
    const auto options = at::TensorOptions().dtype(view.dtype);
    if (std::ranges::find(view.sizes, 0) != view.sizes.end()) return at::empty(view.sizes, options);
    at::Tensor& bytes = bytes_[view.storage];
    if (!bytes.defined()) bytes = source_(graph_.storages()[view.storage]);
    auto* start = static_cast<std::byte*>(bytes.data_ptr()) + view.begin;
    return at::from_blob(start, view.sizes, view.strides, [bytes](void*) {}, options);
  }

  Graph& graph_;
  const StorageSource& source_;
  std::vector<Slot> done_;
  std::vector<at::Tensor> bytes_;  // of the storages that were asked for
};

}  // namespace

PicklePtr to_value(Graph& graph, NodeId root, const StorageSource& source) {
  return Converter(graph, source).convert(root, 1);
}

}  // namespace l2c::io::pickle

namespace l2c::io {

PicklePtr PickleValue::find(std::string_view key) const {
  if (const auto* object = std::get_if<PickleObject>(&value)) {
    return object->state ? object->state->find(key) : nullptr;
  }
  const PickleDict* items = dict();
  if (items == nullptr) return nullptr;
  // From the end: of two items with one key, Python keeps the later.
  const auto found = std::find_if(items->rbegin(), items->rend(), [&](const auto& item) {
    const std::string* name = item.first->text();
    return name != nullptr && *name == key;
  });
  return found == items->rend() ? nullptr : found->second;
}

}  // namespace l2c::io
