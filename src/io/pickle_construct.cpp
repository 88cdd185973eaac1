// What the pickle machine is willing to build.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "l2c/core/torch.h"
#include "pickle.h"

namespace l2c::io::pickle {

namespace {

struct NamedType {
  std::string_view storage;  // torch.NAME, the class of a storage
  std::string_view dtype;    // torch.NAME, where a tensor names its dtype itself
  at::ScalarType type;
};

constexpr std::array<NamedType, 17> kTypes{{
    {"FloatStorage", "float32", at::kFloat},
    {"HalfStorage", "float16", at::kHalf},
    {"BFloat16Storage", "bfloat16", at::kBFloat16},
    {"DoubleStorage", "float64", at::kDouble},
    {"LongStorage", "int64", at::kLong},
    {"IntStorage", "int32", at::kInt},
    {"ShortStorage", "int16", at::kShort},
    {"CharStorage", "int8", at::kChar},
    {"ByteStorage", "uint8", at::kByte},
    {"BoolStorage", "bool", at::kBool},
    {"ComplexFloatStorage", "complex64", at::kComplexFloat},
    {"ComplexDoubleStorage", "complex128", at::kComplexDouble},
    {"", "uint16", at::kUInt16},
    {"", "uint32", at::kUInt32},
    {"", "uint64", at::kUInt64},
    {"", "float8_e4m3fn", at::kFloat8_e4m3fn},
    {"", "float8_e5m2", at::kFloat8_e5m2},
}};

constexpr std::size_t kMostAxes = 64;
// Of the known constructors; later ones are never looked at.
constexpr std::size_t kMostArguments = 8;
// In nodes: what a tensor's bookkeeping takes.
constexpr std::size_t kTensorCharge = 16;

struct Extent {
  std::int64_t offset;
  std::vector<std::int64_t> sizes, strides;
};

std::vector<std::int64_t> integers(const Graph& graph, NodeId id) {
  const auto* list = graph.get<List>(id);
  if (list == nullptr) graph.fail("a tensor whose size or stride is no tuple");
  if (list->size() > kMostAxes) graph.fail(fmt::format("a tensor of {} axes", list->size()));
  std::vector<std::int64_t> result;
  for (const NodeId each : *list) {
    const auto* value = graph.get<std::int64_t>(each);
    if (value == nullptr || *value < 0) graph.fail("a tensor with a size or stride below 0");
    result.push_back(*value);
  }
  return result;
}

std::int64_t multiply(const Graph& graph, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) graph.fail("a tensor beyond all bounds");
  return result;
}

// The last element that the view reads.
std::int64_t last_element(const Graph& graph, const Extent& extent) {
  std::int64_t last = extent.offset;
  for (std::size_t i = 0; i < extent.sizes.size(); ++i) {
    const std::int64_t step = multiply(graph, extent.sizes[i] - 1, extent.strides[i]);
    if (__builtin_add_overflow(last, step, &last)) graph.fail("a tensor beyond all bounds");
  }
  return last;
}

void check_view(const Graph& graph, const Extent& extent, std::int64_t elements) {
  std::int64_t count = 1;
  for (const std::int64_t size : extent.sizes) {
    count = multiply(graph, count, std::max<std::int64_t>(size, 1));
  }
  multiply(graph, count, 16);  // the widest element: bounds the size in bytes
  if (std::ranges::find(extent.sizes, 0) != extent.sizes.end()) return;
  const std::int64_t last = last_element(graph, extent);
  if (last >= elements) {
    graph.fail(fmt::format("a tensor of shape [{}] reads element {} of a storage of {} elements",
                           fmt::join(extent.sizes, ", "), last, elements));
  }
  // An expanded view can ask for any amount of memory as soon as somebody copies it.
  if (count > elements) {
    graph.fail(
        fmt::format("a tensor of shape [{}] is an expanded view of a storage of {} "
                    "elements: save it again after .contiguous()",
                    fmt::join(extent.sizes, ", "), elements));
  }
}

// arguments: storage, offset, sizes, strides; dtype of the tensor where it brings its own.
NodeId make_tensor(Graph& graph, const List& arguments, std::optional<at::ScalarType> dtype) {
  if (arguments.size() < 4) graph.fail("a tensor with too few arguments");
  const auto* storage = graph.get<Storage>(arguments[0]);
  const auto* offset = graph.get<std::int64_t>(arguments[1]);
  if (storage == nullptr) graph.fail("a tensor without a storage");
  if (offset == nullptr || *offset < 0) graph.fail("a tensor with an offset below 0");
  if (!dtype) dtype = storage->dtype;
  if (!dtype) graph.fail("a tensor without a dtype");
  const Extent extent{*offset, integers(graph, arguments[2]), integers(graph, arguments[3])};
  if (extent.sizes.size() != extent.strides.size()) {
    graph.fail("a tensor with unlike numbers of sizes and strides");
  }
  const auto item = static_cast<std::int64_t>(at::elementSize(*dtype));
  const at::Tensor bytes = storage->bytes;
  check_view(graph, extent, bytes.numel() / item);
  const auto options = at::TensorOptions().dtype(*dtype);
  graph.charge(kTensorCharge);
  if (std::ranges::find(extent.sizes, 0) != extent.sizes.end()) {
    return graph.add(at::empty(extent.sizes, options));
  }
  auto* start = static_cast<std::byte*>(bytes.data_ptr()) + extent.offset * item;
  return graph.add(at::from_blob(start, extent.sizes, extent.strides, [bytes](void*) {}, options));
}

std::optional<at::ScalarType> dtype_argument(const Graph& graph, const List& arguments) {
  constexpr std::size_t kPosition = 6;
  constexpr std::string_view kModule = "torch.";
  const auto* name =
      arguments.size() > kPosition ? graph.get<Global>(arguments[kPosition]) : nullptr;
  if (name != nullptr && name->name.starts_with(kModule)) {
    const std::string_view dtype = std::string_view(name->name).substr(kModule.size());
    for (const NamedType& known : kTypes) {
      if (known.dtype == dtype) return known.type;
    }
  }
  graph.fail(fmt::format("a tensor of the unknown dtype '{}'", name ? name->name : ""));
}

NodeId first_argument(const Graph& graph, const List& arguments, std::string_view what) {
  if (arguments.empty()) graph.fail(fmt::format("{} without arguments", what));
  return arguments[0];
}

// OrderedDict() or OrderedDict([[key, value], ...]).
NodeId make_dict(Graph& graph, const List& arguments) {
  Dict dict;
  if (!arguments.empty()) {
    const auto* items = graph.get<List>(arguments[0]);
    if (items == nullptr) graph.fail("an OrderedDict made of something that is no list");
    graph.charge(items->size());
    for (const NodeId item : *items) {
      const auto* pair = graph.get<List>(item);
      if (pair == nullptr || pair->size() != 2) graph.fail("an OrderedDict with a broken item");
      dict.emplace_back((*pair)[0], (*pair)[1]);
    }
  }
  return graph.add(std::move(dict));
}

// Tuples, sets and lists are alike here, so that the items themselves will do.
NodeId make_list(Graph& graph, const List& arguments) {
  if (arguments.empty()) return graph.add(List{});
  if (graph.get<List>(arguments[0]) == nullptr) {
    graph.fail("a torch.Size or set made of something that is no list");
  }
  return arguments[0];
}

NodeId make_object(Graph& graph, NodeId callable, NodeId arguments) {
  std::string type;
  if (const auto* global = graph.get<Global>(callable)) {
    type = global->name;
  } else if (const auto* object = graph.get<Object>(callable)) {
    type = object->type;
  } else {
    graph.fail("it calls something that is no class");
  }
  return graph.add(Object{std::move(type), arguments, kNoNode});
}

// "torch.FloatStorage", "torch.storage.UntypedStorage": the dtype, or nothing for an untyped one.
std::optional<at::ScalarType> storage_dtype(const Graph& graph, const std::string& type) {
  const std::string_view name = std::string_view(type).substr(type.rfind('.') + 1);
  if (type.starts_with("torch.")) {
    if (name == "UntypedStorage") return std::nullopt;
    for (const NamedType& known : kTypes) {
      if (known.storage == name && !name.empty()) return known.type;
    }
  }
  graph.fail(fmt::format("a storage of the unknown class '{}'", type));
}

}  // namespace

NodeId load_storage(Graph& graph, NodeId id, const StorageSource& source) {
  const auto* parts = graph.get<List>(id);
  if (parts == nullptr || parts->size() < 5) graph.fail("a persistent id that is no storage");
  const auto* kind = graph.get<std::string>((*parts)[0]);
  const auto* type = graph.get<Global>((*parts)[1]);
  const auto* key = graph.get<std::string>((*parts)[2]);
  const auto* count = graph.get<std::int64_t>((*parts)[4]);
  if (kind == nullptr || *kind != "storage" || type == nullptr || key == nullptr ||
      count == nullptr) {
    graph.fail("a persistent id that is no storage");
  }
  const auto dtype = storage_dtype(graph, type->name);
  const auto item = static_cast<std::int64_t>(dtype ? at::elementSize(*dtype) : 1);
  at::Tensor bytes = source(*key);
  if (*count < 0 || *count > bytes.numel() / item) {
    graph.fail(fmt::format("storage '{}' should hold {} elements of {} bytes, but has {} bytes",
                           *key, *count, item, bytes.numel()));
  }
  graph.charge(kTensorCharge);
  bytes = bytes.narrow(0, 0, *count * item);
  return graph.add(Storage{type->name, dtype, std::move(bytes)});
}

NodeId construct(Graph& graph, NodeId callable, NodeId arguments) {
  const auto* global = graph.get<Global>(callable);
  const auto* list = graph.get<List>(arguments);
  if (global == nullptr || list == nullptr) return make_object(graph, callable, arguments);
  const std::string name = global->name;
  const List given(list->begin(), list->begin() + static_cast<std::ptrdiff_t>(
                                                      std::min(list->size(), kMostArguments)));
  if (name == "collections.OrderedDict") return make_dict(graph, given);
  if (name == "torch.Size" || name == "builtins.set" || name == "__builtin__.set" ||
      name == "builtins.frozenset" || name == "__builtin__.frozenset") {
    return make_list(graph, given);
  }
  if (name == "torch._utils._rebuild_tensor" || name == "torch._utils._rebuild_tensor_v2") {
    return make_tensor(graph, given, std::nullopt);
  }
  if (name == "torch._utils._rebuild_tensor_v3") {
    return make_tensor(graph, given, dtype_argument(graph, given));
  }
  if (name == "torch._utils._rebuild_parameter" ||
      name == "torch._utils._rebuild_parameter_with_state") {
    return first_argument(graph, given, "a parameter");
  }
  return make_object(graph, callable, arguments);
}

}  // namespace l2c::io::pickle
