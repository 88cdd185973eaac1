// Pickle programs that lie, attack or ask for too much. docs/formats.md has the table.
#include <gtest/gtest.h>

#include <cstdint>
#include <ctime>
#include <limits>
#include <string>
#include <vector>

#include "io/open_hostile.h"
#include "l2c/core/error.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/hostile_files.h"
#include "support/pickle_programs.h"

namespace {

using namespace l2c::test;  // NOLINT: the table's words

constexpr std::int64_t kHuge = std::int64_t{1} << 62U;
constexpr std::size_t kMillion = 1'000'000;

std::string zip(const std::string& program) {
  return make_torch_zip(program, {{.count = 2, .bytes = packed(1.5F) + packed(-2.0F)}});
}

std::string start() { return "\x80\x02"; }

std::string good() {
  return pickle_tensor({.count = 2, .offset = 0, .sizes = {2}, .strides = {1}});
}

// {"w": a tensor, "v": what the program leaves}.
std::string beside(const std::string& program) {
  return zip(start() + "}(" + pickle_text("w") + good() + pickle_text("v") + program + "u.");
}

std::string of_tensor(const PickledTensor& tensor) {
  return zip(pickle_dict(pickle_tensor(tensor)));
}

std::string repeated(const std::string& piece, std::size_t times) {
  std::string all;
  all.reserve(piece.size() * times);
  for (std::size_t i = 0; i < times; ++i) all += piece;
  return all;
}

// Ninety levels, each twice the one before: 2^90 leaves for whoever walks them all.
std::string laughs() { return std::string("N") + repeated("2\x86", 90); }

// A class with a name of 900 letters, kept, and objects of it.
std::string many_objects() {
  return std::string("cmodule\n") + std::string(900, 'c') + literal("\nq\0)q\1") +
         repeated(literal("h\0h\1R"), kMillion);
}

// One tensor's constructor and arguments, kept, and a million calls.
std::string many_tensors() {
  return std::string("ctorch._utils\n_rebuild_tensor_v2\n") + literal("q\1(") +
         pickle_storage("FloatStorage", "0", 2) + "K" + std::string(1, '\0') + pickle_tuple({2}) +
         pickle_tuple({1}) + "\x89}tq\2" + repeated("h\1h\2R0", kMillion) + "]";
}

// The same, with a dict of so many facts beside each call.
std::string tensors_with_facts(std::size_t facts, std::size_t calls) {
  return std::string("ctorch._utils\n_rebuild_tensor_v2\n") + literal("q\1(") +
         pickle_storage("FloatStorage", "0", 2) + "K" + std::string(1, '\0') + pickle_tuple({2}) +
         pickle_tuple({1}) + "\x89}}(" + repeated("NN", facts) + "utq\2" +
         repeated("h\1h\2R0", calls) + "]";
}

// One long persistent id, kept, and asked for again and again.
std::string long_ids(std::size_t parts, std::size_t calls) {
  return "(" + pickle_text("storage") + "ctorch\nFloatStorage\n" + pickle_text("0") +
         pickle_text("cpu") + pickle_integer(2) + "Nq\2" + repeated("h\2", parts) +
         literal("tq\1") + repeated("h\1Q0", calls) + "]";
}

// Eight bytes of a storage of single bytes, from the second on, as one number.
std::string askew() {
  const std::string part = "(" + pickle_text("1") + "K\1K\7t";
  return zip(pickle_dict(std::string("ctorch._utils\n_rebuild_tensor_v3\n(") +
                         pickle_storage("ByteStorage", "0", 8, part) + "K" + std::string(1, '\0') +
                         pickle_tuple({1}) + pickle_tuple({1}) + "\x89}ctorch\nfloat32\ntR"));
}

std::string long_key() {
  return of_tensor(
      {.key = std::string(kMillion, '0'), .count = 2, .offset = 0, .sizes = {2}, .strides = {1}});
}

std::string of_type(const std::string& type) {
  return of_tensor({.type = type, .count = 2, .offset = 0, .sizes = {2}, .strides = {1}});
}

// What torch saves of a view that shows its storage's values negated.
std::string negated() {
  std::string program = pickle_tensor({.count = 2, .offset = 0, .sizes = {2}, .strides = {1}});
  program.resize(program.size() - 2);  // without the call
  return zip(pickle_dict(joined({program, "}", pickle_text("neg"), "\x88stR"})));
}

TEST(HostileFiles, PickleAttacks) {
  const char* inert = "holds no state_dict";
  std::string built = start() + "}" + pickle_text("w") + "cbuiltins\nobject\n)\x81}" +
                      pickle_text("__setstate__") + "cposix\nsystem\nsb" + "s.";
  expect_answers(
      {
          {"a call of posix.system", "a.pt", zip(pickle_attack("posix", "system")), inert},
          {"a call of builtins.eval", "a.pt", zip(pickle_attack("builtins", "eval")), inert},
          {"a call of builtins.exec", "a.pt", zip(pickle_attack("builtins", "exec")), inert},
          {"a call of subprocess.Popen", "a.pt", zip(pickle_attack("subprocess", "Popen")), inert},
          {"a call of torch.hub.load", "a.pt", zip(pickle_attack("torch.hub", "load")), inert},
          {"a state with __setstate__", "a.pt", zip(built), inert},
          {"an attack beside weights", "a.pt",
           beside("cposix\nsystem\n" +
                  pickle_text(std::string("touch ") + executed_witness().string()) + "\x85R"),
           ""},
      },
      open_and_touch);
}

TEST(HostileFiles, PickleStructure) {
  expect_answers(
      {
          {"a list that holds itself", "a.pt", beside(literal("]q\0h\0a")), "contains itself"},
          {"tuples nested 100,000 deep", "a.pt",
           beside(std::string("N") + std::string(100'000, '\x85')), "nested more than 100 deep"},
          {"a graph of 2^90 leaves", "a.pt", beside(laughs()), ""},
          {"8 million objects", "a.pt", zip(start() + "(" + std::string(8 * kMillion, 'N') + "t."),
           "it holds too many objects"},
          {"8 million memo entries", "a.pt",
           zip(start() + "N" + std::string(8 * kMillion, '\x94') + "."),
           "it holds too many objects"},
          {"8 million marks", "a.pt", zip(start() + std::string(8 * kMillion, '(') + "."),
           "it holds too many objects"},
          {"8 million copies of one reference", "a.pt",
           zip(start() + "(N" + std::string(8 * kMillion, '2') + "t."),
           "it holds too many objects"},
          {"a million objects of a class with a long name", "a.pt",
           zip(start() + "(" + many_objects() + "t."), "it holds too many objects"},
          {"a million tensors over one storage", "a.pt", zip(start() + many_tensors() + "."),
           "it holds too many objects"},
          {"a dict of a hundred facts for thousands of tensors", "a.pt",
           zip(start() + tensors_with_facts(100, 10'000) + "."),
           "a tensor with 100 facts about it, 64 are the most"},
          {"a persistent id of 500,000 parts, 20,000 times", "a.pt",
           zip(start() + long_ids(500'000, 20'000) + "."), "holds no state_dict"},
          {"a storage with a name of a million letters", "a.pt", long_key(),
           "a storage whose name has 1000000 bytes, 1000 are the most"},
          {"a text of 4 GB", "a.pt", zip(start() + "X\xff\xff\xff\xff."),
           "in the middle of a value"},
          {"bytes of 2^64", "a.pt", zip(start() + "\x8e" + std::string(8, '\xff') + "."),
           "in the middle of a value"},
          {"a class name without an end", "a.pt", zip(start() + "c" + std::string(kMillion, 'm')),
           "a class name without an end"},
          {"an unknown opcode", "a.pt", zip(start() + "\xff."), "opcode 0xff at byte 2"},
          {"pickle protocol 0 or 1", "a.pt", zip("\x80\x01N."), "protocol 1, but l2c reads 2 to 5"},
          {"a program without an end", "a.pt", zip(start() + "N"), "ends at byte 3"},
          {"an empty stack", "a.pt", zip(start() + "."), "its stack runs empty"},
          {"a memo that was never set", "a.pt", zip(start() + "h\x05."), "memo 5, never set"},
          {"an integer of 128 bits", "a.pt",
           beside(std::string("\x8a\x10") + std::string(16, '\x11')), ""},
          {"a model instead of its weights", "a.pt",
           zip(start() + "cmodel\nNet\n)\x81}" + pickle_text("weight") + good() + "sb."),
           "holds no state_dict"},
          {"a training checkpoint with an argparse.Namespace", "a.pt",
           beside(std::string("cargparse\nNamespace\n)\x81}") + pickle_text("lr") + "K\1sb"), ""},
      },
      open_and_touch);
}

// The answer alone would be the same if each call went through the whole id: 10^10 parts.
TEST(PickleWork, LongPersistentIdsCostNoMoreThanShortOnes) {
  const auto path = scratch() / "a.pt";
  const auto seconds = [&](std::size_t parts) {
    write_bytes(path, zip(start() + long_ids(parts, 20'000) + "."));
    const std::clock_t before = std::clock();
    EXPECT_THROW((void)l2c::io::open_checkpoint(path), l2c::InputError);
    return static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  };
  const double few = seconds(1);
  EXPECT_LT(seconds(500'000), 10 * few + 0.2);
}

TEST(HostileFiles, Tensors) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  expect_answers(
      {
          {"a storage of 2^62 elements", "a.pt",
           of_tensor({.count = kHuge, .sizes = {2}, .strides = {1}}),
           "should hold 4611686018427387904"},
          {"a storage of -1 elements", "a.pt",
           of_tensor({.count = -1, .sizes = {2}, .strides = {1}}), "should hold -1 elements"},
          {"a storage larger than its entry", "a.pt",
           of_tensor({.count = 3, .sizes = {3}, .strides = {1}}),
           "should hold 3 elements of 4 bytes, but has 8 bytes"},
          {"a storage that is not there", "a.pt",
           of_tensor({.key = "7", .count = 2, .sizes = {2}, .strides = {1}}),
           "no entry 'file/data/7'"},
          {"a storage named ../data.pkl", "a.pt",
           of_tensor({.key = "../data.pkl", .count = 2, .sizes = {2}, .strides = {1}}), "no entry"},
          {"one storage of two sizes", "a.pt",
           beside(pickle_tensor({.count = 1, .sizes = {1}, .strides = {1}})),
           "is said to hold 8 bytes and 4 bytes"},
          {"an offset behind the storage", "a.pt",
           of_tensor({.count = 2, .offset = 2, .sizes = {1}, .strides = {1}}),
           "reads element 2 of a storage of 2"},
          {"an offset of 2^63-1", "a.pt",
           of_tensor({.count = 2, .offset = most, .sizes = {2}, .strides = {1}}),
           "beyond all bounds"},
          {"strides behind the storage", "a.pt",
           of_tensor({.count = 2, .sizes = {2}, .strides = {2}}), "reads element 2"},
          {"a stride below 0", "a.pt",
           of_tensor({.count = 2, .offset = 1, .sizes = {2}, .strides = {-1}}),
           "a size or stride below 0"},
          {"2^124 elements", "a.pt",
           of_tensor({.count = 2, .sizes = {kHuge, kHuge}, .strides = {0, 0}}),
           "beyond all bounds"},
          {"an empty tensor of 2^62 rows and columns", "a.pt",
           of_tensor({.count = 2, .sizes = {0, kHuge, kHuge}, .strides = {1, 1, 1}}),
           "beyond all bounds"},
          {"a tensor of 1,000 axes", "a.pt",
           of_tensor({.count = 2,
                      .sizes = std::vector<std::int64_t>(1000, 1),
                      .strides = std::vector<std::int64_t>(1000, 1)}),
           "a tensor of 1000 axes"},
          {"more sizes than strides", "a.pt",
           of_tensor({.count = 2, .sizes = {1, 2}, .strides = {1}}),
           "unlike numbers of sizes and strides"},
          {"an expanded view of 2^30 elements", "a.pt",
           of_tensor({.count = 2, .sizes = {1 << 30}, .strides = {0}}),
           "save them again after .contiguous()"},
          {"an expanded view of 1,000 elements", "a.pt",
           of_tensor({.count = 2, .sizes = {1000}, .strides = {0}}), ""},
          {"a permuted view", "a.pt", of_tensor({.count = 2, .sizes = {2, 1}, .strides = {1, 2}}),
           ""},
          {"a tensor without axes", "a.pt", of_tensor({.count = 2, .offset = 1}), ""},
          {"an empty tensor", "a.pt", of_tensor({.count = 0, .sizes = {0}, .strides = {1}}), ""},
          {"a number that lies askew in its storage", "a.pt", askew(),
           "a tensor of 4-byte elements at the byte 1 of its storage"},
          {"a lazy negative view", "a.pt", negated(), "save it again after .resolve_neg()"},
          {"a quantized storage", "a.pt", of_type("QInt8Storage"),
           "unknown class 'torch.QInt8Storage': make the tensor a plain one"},
          {"a sparse tensor", "a.pt", read_bytes(data("io/torch_sparse.pt")),
           "make it a plain one (.to_dense(), .dequantize()) and save it again"},
          {"a storage on a GPU", "a.pt", read_bytes(data("io/torch_mix.pt")), ""},
      },
      open_and_touch);
}

}  // namespace
