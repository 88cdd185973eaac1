// Pickle protocols 2 to 4, read as data. Private to io.
//
// The machine builds a graph of plain nodes that refer to each other by number: such a graph can be
// cyclic or nested a million deep without harm. Only the finished graph is turned into
// PickleValues, and refused where it is cyclic or deep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/io/torch_checkpoint.h"

namespace l2c::io {

// The bytes of the storage saved under a key, as an aligned uint8 tensor that owns or keeps alive
// its memory. Throws InputError when there is none.
using StorageSource = std::function<at::Tensor(const std::string& key)>;

namespace pickle {

using NodeId = std::uint32_t;
constexpr NodeId kNoNode = 0xFFFFFFFF;

using List = std::vector<NodeId>;
using Dict = std::vector<std::pair<NodeId, NodeId>>;

// A name in a module, as yet neither called nor looked up anywhere.
struct Global {
  std::string name;  // "module.name"
};

struct Object {
  std::string type;
  NodeId arguments = kNoNode;
  NodeId state = kNoNode;
};

struct Storage {
  std::string type;
  std::optional<at::ScalarType> dtype;  // nothing: untyped
  at::Tensor bytes;
};

using Node = std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Dict,
                          Global, Object, Storage, at::Tensor>;

class Graph {
 public:
  explicit Graph(std::string file) : file_(std::move(file)) {}

  NodeId add(Node node);
  // Counts memory beside the nodes, in units of a node, against the same bound.
  void charge(std::size_t units);
  [[nodiscard]] Node& operator[](NodeId id) { return nodes_[id]; }
  [[nodiscard]] const Node& operator[](NodeId id) const { return nodes_[id]; }
  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }

  // The node's content when it is of this type.
  template <typename T>
  [[nodiscard]] const T* get(NodeId id) const {
    return id < nodes_.size() ? std::get_if<T>(&nodes_[id]) : nullptr;
  }
  [[noreturn]] void fail(const std::string& what) const;

 private:
  std::string file_;
  std::vector<Node> nodes_;
  std::size_t charged_ = 0;
};

// What torch.save's persistent ids stand for: ('storage', class, key, location, elements).
NodeId load_storage(Graph& graph, NodeId id, const StorageSource& source);

// The result of calling or instantiating `callable`: one of the known harmless constructors
// (OrderedDict, torch.Size, sets, tensors, parameters), else an unexecuted Object.
NodeId construct(Graph& graph, NodeId callable, NodeId arguments);

// Runs the program up to STOP; the node it leaves.
NodeId run(std::span<const std::byte> program, const StorageSource& source, Graph& graph);

// Throws InputError for a graph that contains itself or is nested more than 100 deep.
PicklePtr to_value(const Graph& graph, NodeId root);

}  // namespace pickle

}  // namespace l2c::io
