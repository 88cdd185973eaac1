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

constexpr std::string_view kFromType = "torch._tensor._rebuild_from_type_v2";
constexpr std::size_t kMostAxes = 64;
// Of the known constructors; later ones are never looked at.
constexpr std::size_t kMostArguments = 8;
constexpr std::size_t kMostFacts = 64;
// A number in all of PyTorch's files. It is looked up, and copied, for each tensor.
constexpr std::size_t kLongestKey = 1000;
constexpr std::uint64_t kWidestElement = 16;
constexpr auto kMostElements =
    static_cast<std::int64_t>(std::numeric_limits<std::int64_t>::max() / kWidestElement);

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
    if (value == nullptr) graph.fail("a tensor with a size or stride that is no number");
    if (*value < 0) graph.fail("a tensor with a size or stride below 0");
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

// That the view lies within its storage of so many elements; the elements it shows.
std::int64_t check_view(const Graph& graph, const Extent& extent, std::int64_t elements) {
  std::int64_t count = 1;
  for (const std::int64_t size : extent.sizes) {
    count = multiply(graph, count, std::max<std::int64_t>(size, 1));
  }
  if (count > kMostElements) graph.fail("a tensor beyond all bounds");
  if (std::ranges::find(extent.sizes, 0) != extent.sizes.end()) return 0;
  const std::int64_t last = last_element(graph, extent);
  if (last >= elements) {
    graph.fail(fmt::format("a tensor of shape [{}] reads element {} of a storage of {} elements",
                           fmt::join(extent.sizes, ", "), last, elements));
  }
  return count;
}

// arguments: storage, offset, sizes, strides; dtype of the tensor where it brings its own.
NodeId make_tensor(Graph& graph, const List& arguments, std::optional<at::ScalarType> dtype) {
  if (arguments.size() < 4) graph.fail("a tensor with too few arguments");
  const auto* storage = graph.get<StorageSlice>(arguments[0]);
  const auto* offset = graph.get<std::int64_t>(arguments[1]);
  if (storage == nullptr) graph.fail("a tensor without a storage");
  if (offset == nullptr || *offset < 0) graph.fail("a tensor with an offset below 0");
  if (!dtype) dtype = storage->dtype;
  if (!dtype) graph.fail("a tensor without a dtype");
  Extent extent{*offset, integers(graph, arguments[2]), integers(graph, arguments[3])};
  if (extent.sizes.size() != extent.strides.size()) {
    graph.fail("a tensor with unlike numbers of sizes and strides");
  }
  const auto item = at::elementSize(*dtype);
  // Only a storage of single bytes can be cut so, and only old files cut storages.
  if (storage->begin % item != 0) {
    graph.fail(fmt::format("a tensor of {}-byte elements at the byte {} of its storage", item,
                           storage->begin));
  }
  const auto elements = static_cast<std::int64_t>(storage->size / item);
  const std::int64_t count = check_view(graph, extent, elements);
  // Whoever copies an expanded view needs more memory than the file is large.
  if (count > elements) {
    graph.charge(static_cast<std::uint64_t>(count) * item, Allowance::Use::expanded);
  }
  const std::uint64_t begin =
      count == 0 ? 0 : storage->begin + static_cast<std::uint64_t>(extent.offset) * item;
  return graph.add_tensor({.storage = storage->storage,
                           .dtype = *dtype,
                           .begin = begin,
                           .sizes = std::move(extent.sizes),
                           .strides = std::move(extent.strides)});
}

// The dict that newer versions add for lazy views, whose storage holds other values than they show.
void refuse_lazy_view(const Graph& graph, const List& arguments, std::size_t position) {
  const auto* facts = arguments.size() > position ? graph.get<Dict>(arguments[position]) : nullptr;
  if (facts == nullptr) return;
  // Many tensors may share one dict: looking through a long one for each takes minutes.
  if (facts->size() > kMostFacts) {
    graph.fail(
        fmt::format("a tensor with {} facts about it, {} are the most", facts->size(), kMostFacts));
  }
  for (const auto& [key, value] : *facts) {
    const auto* name = graph.get<std::string>(key);
    const auto* set = graph.get<bool>(value);
    if (name == nullptr || set == nullptr || !*set || (*name != "neg" && *name != "conj")) continue;
    graph.fail(fmt::format("a tensor that is a lazy view ({0}): save it again after .resolve_{0}()",
                           *name));
  }
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
  graph.fail(fmt::format(
      "a storage of the unknown class '{}': make the tensor a plain one (.dequantize(), "
      ".to(torch.float32)) and save it again",
      type));
}

}  // namespace

namespace {

// Elements within a storage, from a persistent id's numbers.
std::uint64_t element_count(const Graph& graph, NodeId id) {
  const auto* count = graph.get<std::int64_t>(id);
  if (count == nullptr) graph.fail("a persistent id that is no storage");
  if (*count < 0 || *count > kMostElements) {
    graph.fail(fmt::format("a storage that should hold {} elements", *count));
  }
  return static_cast<std::uint64_t>(*count);
}

// (key, offset, elements): how files of PyTorch before 0.4 name a part of a storage.
void narrow(const Graph& graph, StorageSlice& slice, std::uint64_t item, NodeId view) {
  if (graph.get<std::monostate>(view) != nullptr) return;
  const auto* parts = graph.get<List>(view);
  if (parts == nullptr || parts->size() != 3) graph.fail("a storage with a broken view");
  slice.begin = element_count(graph, (*parts)[1]) * item;
  const std::uint64_t size = element_count(graph, (*parts)[2]) * item;
  if (slice.begin > slice.size || size > slice.size - slice.begin) {
    graph.fail(fmt::format("a view of the bytes {} to {} of a storage of {} bytes", slice.begin,
                           slice.begin + size, slice.size));
  }
  slice.size = size;
}

NodeId load_storage(Graph& graph, const List& parts) {
  constexpr std::size_t kLeast = 5;
  if (parts.size() < kLeast) graph.fail("a persistent id that is no storage");
  const auto* type = graph.get<Global>(parts[1]);
  const auto* key = graph.get<std::string>(parts[2]);
  if (type == nullptr || key == nullptr) graph.fail("a persistent id that is no storage");
  if (key->size() > kLongestKey) {
    graph.fail(fmt::format("a storage whose name has {} bytes, {} are the most", key->size(),
                           kLongestKey));
  }
  const auto dtype = storage_dtype(graph, type->name);
  Storage storage{.key = *key,
                  .type = type->name,
                  .count = element_count(graph, parts[4]),
                  .item = dtype ? at::elementSize(*dtype) : 1};
  const std::uint64_t item = storage.item;
  StorageSlice slice{.storage = 0, .dtype = dtype, .begin = 0, .size = storage.size()};
  if (parts.size() > kLeast) narrow(graph, slice, item, parts[kLeast]);
  slice.storage = graph.add_storage(std::move(storage));
  return graph.add(slice);
}

}  // namespace

NodeId load_persistent(Graph& graph, NodeId id) {
  const auto* list = graph.get<List>(id);
  const auto* kind =
      list != nullptr && !list->empty() ? graph.get<std::string>(list->front()) : nullptr;
  if (kind != nullptr && *kind == "storage") {
    // A copy, since new nodes may move the list; of what is looked at, for a long one could be
    // referred to as often.
    const auto looked_at = std::min(list->size(), kMostArguments);
    return load_storage(
        graph, List(list->begin(), list->begin() + static_cast<std::ptrdiff_t>(looked_at)));
  }
  // A class whose source code was kept beside it.
  if (kind != nullptr && *kind == "module" && list->size() > 1) return (*list)[1];
  graph.fail("a persistent id that is no storage");
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
    refuse_lazy_view(graph, given, 6);
    return make_tensor(graph, given, std::nullopt);
  }
  if (name == "torch._utils._rebuild_tensor_v3") {
    refuse_lazy_view(graph, given, 7);
    return make_tensor(graph, given, dtype_argument(graph, given));
  }
  if (name == "torch._utils._rebuild_parameter" ||
      name == "torch._utils._rebuild_parameter_with_state") {
    return first_argument(graph, given, "a parameter");
  }
  if (name == kFromType && given.size() > 2) {
    // (rebuild, class, its arguments, attributes): the plain tensor is all that counts here.
    const auto* inner = graph.get<Global>(given[0]);
    if (inner != nullptr && inner->name != kFromType) return construct(graph, given[0], given[2]);
  }
  return make_object(graph, callable, arguments);
}

}  // namespace l2c::io::pickle
