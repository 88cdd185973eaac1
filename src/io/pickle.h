// Pickle protocols 2 to 5, read as data. Private to io.
//
// The machine builds a graph of plain nodes that refer to each other by number: such a graph can be
// cyclic or nested a million deep without harm. Only the finished graph is turned into
// PickleValues, and refused where it is cyclic or deep. Tensors get their memory at that time, too:
// until then only what the program says of storages is known, and checked against itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "allowance.h"
#include "l2c/core/torch.h"
#include "l2c/io/torch_checkpoint.h"

namespace l2c::io::pickle {

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

// What the program says of a saved block of memory.
struct Storage {
  std::string key;
  std::string type;  // "torch.FloatStorage"
  std::uint64_t count = 0;
  std::uint64_t item = 1;  // bytes of an element

  [[nodiscard]] std::uint64_t size() const { return count * item; }  // fits into 63 bits
};

// A storage, or (in files of PyTorch before 0.4) a part of one.
struct StorageSlice {
  std::uint32_t storage = 0;            // place in Graph::storages()
  std::optional<at::ScalarType> dtype;  // nothing: untyped
  std::uint64_t begin = 0, size = 0;    // bytes, within the storage
};

struct TensorView {
  std::uint32_t storage = 0;
  at::ScalarType dtype{};
  std::uint64_t begin = 0;  // bytes, of its first element in the storage
  std::vector<std::int64_t> sizes, strides;
};

// Place in Graph::tensors().
struct TensorId {
  std::uint32_t place = 0;
};

using Node = std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Dict,
                          Global, Object, StorageSlice, TensorId>;

// The bytes of a storage, exactly as many as the program says, as an aligned uint8 tensor that owns
// or keeps alive its memory. Throws InputError where the file does not hold them.
using StorageSource = std::function<at::Tensor(const Storage& storage)>;

class Graph {
 public:
  // The allowance must outlive the graph.
  Graph(std::string file, Allowance& allowance) : file_(std::move(file)), allowance_(allowance) {}

  NodeId add(Node node);
  // The storage's place; equal for equal keys. Throws where one key is said to have two sizes.
  std::uint32_t add_storage(Storage storage);
  NodeId add_tensor(TensorView tensor);
  // Counts memory beside the nodes, in bytes.
  void charge(std::uint64_t bytes, Allowance::Use use = Allowance::Use::objects);
  [[nodiscard]] Node& operator[](NodeId id) { return nodes_[id]; }
  [[nodiscard]] const Node& operator[](NodeId id) const { return nodes_[id]; }
  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
  [[nodiscard]] const std::vector<Storage>& storages() const noexcept { return storages_; }
  [[nodiscard]] const std::vector<TensorView>& tensors() const noexcept { return tensors_; }

  // The node's content when it is of this type.
  template <typename T>
  [[nodiscard]] const T* get(NodeId id) const {
    return id < nodes_.size() ? std::get_if<T>(&nodes_[id]) : nullptr;
  }
  [[noreturn]] void fail(const std::string& what) const;

 private:
  std::string file_;
  Allowance& allowance_;
  std::deque<Node> nodes_;  // which never copies them to grow
  std::vector<Storage> storages_;
  std::unordered_map<std::string, std::uint32_t> places_;  // of storages, by key
  std::vector<TensorView> tensors_;
};

// In bytes, for Graph::charge: what lists need beside their nodes, growing and converted.
constexpr std::uint64_t kItemCharge = 32;
constexpr std::uint64_t kPairCharge = 2 * kItemCharge;

// What torch.save's persistent ids stand for: ('storage', class, key, location, elements[, view]),
// or ('module', class, ...), which gives the class.
NodeId load_persistent(Graph& graph, NodeId id);

// The result of calling or instantiating `callable`: one of the known harmless constructors
// (OrderedDict, torch.Size, sets, tensors, parameters), else an unexecuted Object.
NodeId construct(Graph& graph, NodeId callable, NodeId arguments);

// Runs the program that starts at `position` up to STOP and moves the position behind it; the node
// it leaves.
NodeId run(std::span<const std::byte> program, std::size_t& position, Graph& graph);

// Takes the graph's content apart. Throws InputError for a graph that contains itself or is nested
// more than 100 deep.
PicklePtr to_value(Graph& graph, NodeId root, const StorageSource& source);

}  // namespace l2c::io::pickle
