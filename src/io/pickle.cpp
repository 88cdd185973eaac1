#include "pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace l2c::io::pickle {

namespace {

constexpr std::size_t kLongestName = 1000;

class Machine {
 public:
  Machine(std::span<const std::byte> program, std::size_t position, Graph& graph)
      : program_(program), position_(position), graph_(graph) {}
  NodeId run();
  [[nodiscard]] std::size_t position() const noexcept { return position_; }

 private:
  bool step_scalar(std::uint8_t opcode);
  bool step_text(std::uint8_t opcode);
  bool step_stack(std::uint8_t opcode);
  bool step_container(std::uint8_t opcode);
  bool step_object(std::uint8_t opcode);

  template <typename T>
  T read();
  std::string_view take(std::uint64_t size);
  std::string_view line();
  Node long_integer(std::uint64_t size);
  double big_endian_double();
  void check_protocol(int protocol) const;

  void push(Node node) { push_id(graph_.add(std::move(node))); }
  void push_id(NodeId id);
  void push_mark();
  NodeId pop();
  [[nodiscard]] NodeId top() const;
  List pop_to_mark();
  List pop_some(std::size_t count);
  void remember(std::uint64_t key);
  void recall(std::uint64_t key);
  void append(NodeId target, const List& items);
  void set_items(NodeId target, const List& items);
  Dict pairs(const List& items) const;
  void build();
  void global(std::string_view module, std::string_view name);

  std::span<const std::byte> program_;
  std::size_t position_;
  Graph& graph_;
  std::vector<NodeId> stack_;
  std::size_t deepest_stack_ = 0;
  std::vector<std::size_t> marks_;
  std::size_t most_marks_ = 0;
  std::unordered_map<std::uint64_t, NodeId> memo_;
};

constexpr std::uint8_t kStop = '.';

NodeId Machine::run() {
  while (true) {
    const std::size_t start = position_;
    const auto opcode = read<std::uint8_t>();
    if (opcode == kStop) return pop();
    if (step_scalar(opcode) || step_text(opcode) || step_stack(opcode) || step_container(opcode) ||
        step_object(opcode)) {
      continue;
    }
    graph_.fail(
        fmt::format("opcode 0x{:02x} at byte {} is not one that torch.save writes", opcode, start));
  }
}

bool Machine::step_scalar(std::uint8_t opcode) {
  switch (opcode) {
    case 0x80:  // PROTO
      check_protocol(read<std::uint8_t>());
      return true;
    case 0x95:  // FRAME
      read<std::uint64_t>();
      return true;
    case 'N':
      push(std::monostate{});
      return true;
    case 0x88:  // NEWTRUE
    case 0x89:  // NEWFALSE
      push(opcode == 0x88);
      return true;
    case 'J':
      push(std::int64_t{read<std::int32_t>()});
      return true;
    case 'K':
      push(std::int64_t{read<std::uint8_t>()});
      return true;
    case 'M':
      push(std::int64_t{read<std::uint16_t>()});
      return true;
    case 0x8a:  // LONG1
      push(long_integer(read<std::uint8_t>()));
      return true;
    case 0x8b:  // LONG4
      push(long_integer(read<std::uint32_t>()));
      return true;
    case 'G':
      push(big_endian_double());
      return true;
    default:
      return false;
  }
}

bool Machine::step_text(std::uint8_t opcode) {
  std::uint64_t size = 0;
  switch (opcode) {
    case 'U':   // SHORT_BINSTRING
    case 'C':   // SHORT_BINBYTES
    case 0x8c:  // SHORT_BINUNICODE
      size = read<std::uint8_t>();
      break;
    case 'T':  // BINSTRING: signed, but a negative one is too long as well
    case 'B':  // BINBYTES
    case 'X':  // BINUNICODE
      size = read<std::uint32_t>();
      break;
    case 0x8d:  // BINUNICODE8
    case 0x8e:  // BINBYTES8
    case 0x96:  // BYTEARRAY8
      size = read<std::uint64_t>();
      break;
    default:
      return false;
  }
  push(std::string(take(size)));
  return true;
}

bool Machine::step_stack(std::uint8_t opcode) {
  switch (opcode) {
    case '(':
      push_mark();
      return true;
    case '0':  // POP takes a mark when nothing lies above it
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();
      } else {
        pop();
      }
      return true;
    case '1':
      pop_to_mark();
      return true;
    case '2':
      push_id(top());
      return true;
    case 'q':
      remember(read<std::uint8_t>());
      return true;
    case 'r':
      remember(read<std::uint32_t>());
      return true;
    case 0x94:  // MEMOIZE
      remember(memo_.size());
      return true;
    case 'h':
      recall(read<std::uint8_t>());
      return true;
    case 'j':
      recall(read<std::uint32_t>());
      return true;
    default:
      return false;
  }
}

bool Machine::step_container(std::uint8_t opcode) {
  switch (opcode) {
    case ']':
    case ')':
    case 0x8f:  // EMPTY_SET
      push(List{});
      return true;
    case '}':
      push(Dict{});
      return true;
    case 'l':
    case 't':
    case 0x91:  // FROZENSET
      push(pop_to_mark());
      return true;
    case 'd':
      push(pairs(pop_to_mark()));
      return true;
    case 0x85:  // TUPLE1 to TUPLE3
    case 0x86:
    case 0x87:
      push(pop_some(opcode - std::size_t{0x84}));
      return true;
    case 'a': {
      const List item = pop_some(1);
      append(top(), item);
      return true;
    }
    case 'e':
    case 0x90: {  // ADDITEMS
      const List items = pop_to_mark();
      append(top(), items);
      return true;
    }
    case 's': {
      const List item = pop_some(2);
      set_items(top(), item);
      return true;
    }
    case 'u': {
      const List items = pop_to_mark();
      set_items(top(), items);
      return true;
    }
    default:
      return false;
  }
}

bool Machine::step_object(std::uint8_t opcode) {
  switch (opcode) {
    case 'c': {
      const std::string_view module = line();
      global(module, line());
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const List names = pop_some(2);
      const auto* module = graph_.get<std::string>(names[0]);
      const auto* name = graph_.get<std::string>(names[1]);
      if (module == nullptr || name == nullptr) graph_.fail("a class without a name");
      // Copies: adding the node may move the strings.
      global(std::string(*module), std::string(*name));
      return true;
    }
    case 'R':
    case 0x81: {  // NEWOBJ
      const List call = pop_some(2);
      push_id(construct(graph_, call[0], call[1]));
      return true;
    }
    case 0x92: {  // NEWOBJ_EX: class, arguments, named arguments
      const List call = pop_some(3);
      const NodeId arguments = graph_.add(List{call[1], call[2]});
      push_id(construct(graph_, call[0], arguments));
      return true;
    }
    case 'o': {  // OBJ: class, then the arguments
      const List call = pop_to_mark();
      if (call.empty()) graph_.fail("an object without a class");
      push_id(construct(graph_, call[0], graph_.add(List(call.begin() + 1, call.end()))));
      return true;
    }
    case 'b':
      build();
      return true;
    case 'Q':
      push_id(load_persistent(graph_, pop()));
      return true;
    default:
      return false;
  }
}

template <typename T>
T Machine::read() {
  const std::string_view bytes = take(sizeof(T));
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::string_view Machine::take(std::uint64_t size) {
  if (size > program_.size() - position_) {
    graph_.fail(fmt::format("it ends at byte {}, in the middle of a value", program_.size()));
  }
  const auto* start = reinterpret_cast<const char*>(program_.data()) + position_;
  position_ += size;
  return {start, size};
}

std::string_view Machine::line() {
  // Only so far: behind the program of an old file come gigabytes of tensors.
  const std::string_view rest(reinterpret_cast<const char*>(program_.data()) + position_,
                              std::min(program_.size() - position_, kLongestName + 1));
  const std::size_t end = rest.find('\n');
  if (end == rest.npos) graph_.fail("a class name without an end");
  position_ += end + 1;
  return rest.substr(0, end);
}

Node Machine::long_integer(std::uint64_t size) {
  constexpr std::uint64_t kMost = sizeof(std::int64_t);
  const std::string_view bytes = take(size);
  if (size == 0) return std::int64_t{0};
  // Seeds and states of random generators: nothing that weights need.
  if (size > kMost) return Object{"builtins.int", kNoNode, kNoNode};
  const bool negative = (static_cast<unsigned char>(bytes.back()) & 0x80U) != 0;
  std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
  std::memcpy(&value, bytes.data(), size);
  return std::bit_cast<std::int64_t>(value);
}

double Machine::big_endian_double() {
  return std::bit_cast<double>(__builtin_bswap64(read<std::uint64_t>()));
}

void Machine::check_protocol(int protocol) const {
  if (protocol >= 2 && protocol <= 5) return;
  graph_.fail(
      fmt::format("pickle protocol {}, but l2c reads 2 to 5: save it again with "
                  "torch.save(..., pickle_protocol=2)",
                  protocol));
}

void Machine::push_id(NodeId id) {
  constexpr std::uint64_t kCharge = 3 * sizeof(NodeId);
  stack_.push_back(id);
  if (stack_.size() <= deepest_stack_) return;
  deepest_stack_ = stack_.size();
  graph_.charge(kCharge);
}

void Machine::push_mark() {
  constexpr std::uint64_t kCharge = 3 * sizeof(std::size_t);
  marks_.push_back(stack_.size());
  if (marks_.size() <= most_marks_) return;
  most_marks_ = marks_.size();
  graph_.charge(kCharge);
}

NodeId Machine::top() const {
  const std::size_t floor = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() <= floor) graph_.fail("its stack runs empty");
  return stack_.back();
}

NodeId Machine::pop() {
  const NodeId id = top();
  stack_.pop_back();
  return id;
}

List Machine::pop_to_mark() {
  if (marks_.empty()) graph_.fail("its stack has no mark");
  const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  List items(first, stack_.end());
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return items;
}

List Machine::pop_some(std::size_t count) {
  List items(count);
  while (count > 0) items[--count] = pop();
  return items;
}

void Machine::remember(std::uint64_t key) {
  constexpr std::uint64_t kCharge = 64;
  if (memo_.insert_or_assign(key, top()).second) graph_.charge(kCharge);
}

void Machine::recall(std::uint64_t key) {
  const auto found = memo_.find(key);
  if (found == memo_.end()) graph_.fail(fmt::format("it asks for memo {}, never set", key));
  push_id(found->second);
}

// Objects of a list or dict subclass get their items by the same opcodes: kept as their state.
void Machine::append(NodeId target, const List& items) {
  if (auto* object = std::get_if<Object>(&graph_[target])) {
    if (object->state == kNoNode) {
      const NodeId state = graph_.add(List{});
      std::get<Object>(graph_[target]).state = state;
    }
    target = std::get<Object>(graph_[target]).state;
  }
  auto* list = std::get_if<List>(&graph_[target]);
  if (list == nullptr) graph_.fail("it appends to something that is no list");
  graph_.charge(items.size() * kItemCharge);
  list->insert(list->end(), items.begin(), items.end());
}

void Machine::set_items(NodeId target, const List& items) {
  if (auto* object = std::get_if<Object>(&graph_[target])) {
    if (object->state == kNoNode) {
      const NodeId state = graph_.add(Dict{});
      std::get<Object>(graph_[target]).state = state;
    }
    target = std::get<Object>(graph_[target]).state;
  }
  auto* dict = std::get_if<Dict>(&graph_[target]);
  if (dict == nullptr) graph_.fail("it sets items of something that is no dict");
  graph_.charge(items.size() / 2 * kPairCharge);
  const Dict added = pairs(items);
  dict->insert(dict->end(), added.begin(), added.end());
}

Dict Machine::pairs(const List& items) const {
  if (items.size() % 2 != 0) graph_.fail("a dict with a key but no value");
  Dict result;
  for (std::size_t i = 0; i < items.size(); i += 2) result.emplace_back(items[i], items[i + 1]);
  return result;
}

// The attributes of a dict, list or tensor (an OrderedDict's _metadata) mean nothing here.
void Machine::build() {
  const NodeId state = pop();
  if (auto* object = std::get_if<Object>(&graph_[top()])) object->state = state;
}

void Machine::global(std::string_view module, std::string_view name) {
  // Objects carry a copy of their class's name.
  if (module.size() + name.size() > kLongestName) graph_.fail("a class name without an end");
  push(Global{fmt::format("{}.{}", module, name)});
}

}  // namespace

NodeId run(std::span<const std::byte> program, std::size_t& position, Graph& graph) {
  Machine machine(program, position, graph);
  const NodeId root = machine.run();
  position = machine.position();
  return root;
}

}  // namespace l2c::io::pickle
