// From the pickle machine's graph to the values that callers see.
#include <fmt/format.h>

#include <algorithm>
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
  explicit Converter(const Graph& graph) : graph_(graph), done_(graph.size()) {}

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
    std::visit([&](const auto& node) { fill(*value, node, level + 1, height); }, graph_[id]);
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
  void fill(PickleValue& value, const T& node, int level, int& height) {
    if constexpr (std::is_same_v<T, List>) {
      PickleList list;
      for (const NodeId each : node) list.push_back(child(each, level, height));
      value.value = std::move(list);
    } else if constexpr (std::is_same_v<T, Dict>) {
      PickleDict dict;
      for (const auto& [key, item] : node) {
        PicklePtr name = child(key, level, height);
        dict.emplace_back(std::move(name), child(item, level, height));
      }
      value.value = std::move(dict);
    } else if constexpr (std::is_same_v<T, Object>) {
      PicklePtr arguments = child(node.arguments, level, height);
      value.value = PickleObject{node.type, std::move(arguments), child(node.state, level, height)};
    } else if constexpr (std::is_same_v<T, Global>) {
      value.value = PickleObject{node.name, nullptr, nullptr};
    } else if constexpr (std::is_same_v<T, Storage>) {
      value.value = PickleObject{node.type, nullptr, nullptr};
    } else {
      value.value = node;
    }
  }

  const Graph& graph_;
  std::vector<Slot> done_;
};

}  // namespace

PicklePtr to_value(const Graph& graph, NodeId root) { return Converter(graph).convert(root, 1); }

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
