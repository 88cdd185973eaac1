// The pickle machine, on hand-made programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "l2c/core/error.h"
#include "l2c/io/torch_checkpoint.h"
#include "support/byte_files.h"
#include "support/golden.h"

namespace {

using l2c::InputError;
using l2c::io::PickleObject;
using l2c::io::PicklePtr;
using l2c::io::read_torch_file;
using l2c::test::packed;
using l2c::test::torch_file;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

// A pickle program with zero bytes in it, from a literal.
template <std::size_t n>
std::string program(const char (&bytes)[n]) {
  return std::string(bytes, n - 1);
}

std::string text(const std::string& value) {
  return std::string("X") + packed(static_cast<std::uint32_t>(value.size())) + value;
}

std::string integer(std::int32_t value) { return std::string("J") + packed(value); }

// A tensor over storage "0": count elements declared, then offset, sizes, strides as programs.
std::string tensor(const std::string& count, const std::string& offset, const std::string& sizes,
                   const std::string& strides, const std::string& type = "torch\nFloatStorage\n",
                   const std::string& key = "0") {
  return std::string("ctorch._utils\n_rebuild_tensor_v2\n((") + text("storage") + "c" + type +
         text(key) + text("cuda:3") + count + "tQ" + offset + sizes + strides + "\x89}tR.";
}

void expect_refused(const std::string& code, const std::string& message) {
  const auto path = torch_file(code, packed(1.0F) + packed(2.0F));
  EXPECT_THAT([&] { read_torch_file(path); },
              ThrowsMessage<InputError>(AllOf(HasSubstr(path.string()), HasSubstr(message))));
}

TEST(Pickle, MaliciousReduceIsNotExecuted) {
  const auto witness = l2c::test::scratch() / "executed";
  const PicklePtr value = read_torch_file(
      torch_file(std::string("\x80\x02") + program("cposix\nsystem\n") +
                 text(std::string("touch ") + witness.string()) + program("\x85R.")));
  const auto* object = std::get_if<PickleObject>(&value->value);
  ASSERT_NE(object, nullptr);
  EXPECT_EQ(object->type, "posix.system");
  EXPECT_FALSE(std::filesystem::exists(witness));
}

TEST(Pickle, ATensorIsAViewOfItsStorage) {
  const auto path =
      torch_file(std::string("\x80\x02") + tensor("K\2", program("K\0"), "K\2\x85", "K\1\x85"),
                 packed(1.0F) + packed(2.0F));
  const PicklePtr value = read_torch_file(path);
  ASSERT_NE(value->tensor(), nullptr);
  l2c::test::expect_equal(*value->tensor(), at::tensor({1.0F, 2.0F}), "tensor");
}

TEST(Pickle, LaterItemsOfAKeyWin) {
  const PicklePtr value = read_torch_file(
      torch_file(std::string("\x80\x02}(") + text("a") + "K\1" + text("a") + "K\2u."));
  EXPECT_EQ(std::get<std::int64_t>(value->find("a")->value), 2);
  EXPECT_EQ(value->find("b"), nullptr);
}

TEST(Pickle, StackOpcodes) {
  // DUP, POP of a value, POP of a mark, POP_MARK, DICT, LIST, TUPLE, OrderedDict of pairs.
  const PicklePtr value = read_torch_file(torch_file(std::string("\x80\x02(") +
                                                     program("K\1"
                                                             "20(0(K\5K\6"
                                                             "1") +
                                                     "(" + text("k") + "K\2d" + "(K\3K\4l" +
                                                     "ccollections\nOrderedDict\n](" + text("x") +
                                                     "K\7\x86" + program("e\x85R") + "t."));
  const auto& items = std::get<l2c::io::PickleList>(value->value);
  ASSERT_EQ(items.size(), 4U);
  EXPECT_EQ(std::get<std::int64_t>(items[0]->value), 1);
  EXPECT_EQ(std::get<std::int64_t>(items[1]->find("k")->value), 2);
  EXPECT_EQ(std::get<l2c::io::PickleList>(items[2]->value).size(), 2U);
  EXPECT_EQ(std::get<std::int64_t>(items[3]->find("x")->value), 7);
}

TEST(Pickle, LongIntegers) {
  const auto number = [](const std::string& code) {
    return std::get<std::int64_t>(
        read_torch_file(torch_file(std::string("\x80\x02") + code + "."))->value);
  };
  EXPECT_EQ(number(program("\x8a\0")), 0);
  EXPECT_EQ(number(program("\x8a\1\xff")), -1);
  EXPECT_EQ(number(program("\x8a\2\xff\0")), 255);
  EXPECT_EQ(number(program("\x8a\x08\0\0\0\0\0\0\0\x80")), INT64_MIN);
  EXPECT_EQ(number(program("\x8b\2\0\0\0\0\1")), 256);
  // Larger ones are not what weights are made of, and no reason to refuse a file.
  const PicklePtr large = read_torch_file(torch_file(program("\x80\2\x8a\x09\0\0\0\0\0\0\0\0\1.")));
  EXPECT_EQ(std::get<PickleObject>(large->value).type, "builtins.int");
}

TEST(Pickle, RefusesOtherProtocolsAndOpcodes) {
  expect_refused("\x80\x06N.", "pickle protocol 6, but l2c reads 2 to 5");
  expect_refused("\x80\x01N.", "pickle protocol 1");
  expect_refused("\x80\x02I1\n.", "opcode 0x49 at byte 2");
  expect_refused("\x80\x02\x82\x01.", "opcode 0x82");
  expect_refused("\x80\x02\xff.", "opcode 0xff");
}

TEST(Pickle, RefusesBrokenPrograms) {
  expect_refused("", "ends at byte 0");
  expect_refused("\x80\x02N", "ends at byte 3");
  expect_refused("\x80\x02.", "stack runs empty");
  expect_refused("\x80\x02N(.", "stack runs empty");
  expect_refused("\x80\x02t.", "has no mark");
  expect_refused("\x80\x02h\x05.", "memo 5, never set");
  expect_refused("\x80\x02X\xff\xff\xff\xff.", "in the middle of a value");
  expect_refused(program("\x80\2\x8e\xff\xff\xff\xff\xff\xff\xff\xff."), "in the middle");
  expect_refused(
      "\x80\x02NK\x01"
      "a.",
      "no list");
  expect_refused("\x80\x02NNNs.", "no dict");
  expect_refused("\x80\x02}(Nu.", "a key but no value");
  expect_refused("\x80\x02N)R.", "no class");
  expect_refused("\x80\x02(o.", "an object without a class");
  expect_refused("\x80\x02NN\x93.", "a class without a name");
  expect_refused(
      "\x80\x02"
      "cmodule",
      "a class name without an end");
  expect_refused(std::string("\x80\x02"
                             "c") +
                     std::string(2000, 'm') + "\nn\n.",
                 "a class name without an end");
  expect_refused("\x80\x02NQ.", "persistent id");
}

TEST(Pickle, RefusesCyclesAndDepth) {
  expect_refused(program("\x80\2]q\0h\0a."), "contains itself");
  expect_refused(std::string("\x80\x02N") + std::string(100'000, '\x85') + ".",
                 "nested more than 100 deep");
  // Shallow at its first use, too deep at the second.
  const std::string inner = std::string("N") + std::string(60, '\x85') + program("q\0");
  expect_refused(std::string("\x80\x02(") + inner + program("h\0") + std::string(60, '\x85') + "t.",
                 "nested more than 100 deep");
}

TEST(Pickle, RefusesMoreObjectsThanMemoryIsAllowed) {
  expect_refused(
      std::string("\x80\x02(") + std::string(1'000'000, 'N') + "t.",
      "would take more memory than three times that and 48 MB: it holds too many objects");
}

TEST(Pickle, RefusesMoreObjectsThanAnyCheckpointHas) {
  const auto path = l2c::test::scratch() / "many.pt";
  l2c::test::write_bytes(
      path, l2c::test::make_zip(
                {{"a/data.pkl", std::string("\x80\x02(") + std::string(5'000'001, 'N') + "t."},
                 {"a/rest", std::string(500'000'000, '\0')}}));
  EXPECT_THAT([&] { read_torch_file(path); },
              ThrowsMessage<InputError>(HasSubstr("more than 5000000 objects")));
}

TEST(Pickle, ProtocolFiveAndOldStyleObjects) {
  const PicklePtr bytes =
      read_torch_file(torch_file(std::string("\x80\x05\x96") + packed(std::uint64_t{2}) + "ab."));
  EXPECT_EQ(*bytes->text(), "ab");
  const PicklePtr object = read_torch_file(
      torch_file(std::string("\x80\x02(copt\nOptions\nK\1o}") + text("a") + "K\2sb."));
  EXPECT_EQ(std::get<PickleObject>(object->value).type, "opt.Options");
  EXPECT_EQ(std::get<std::int64_t>(object->find("a")->value), 2);
}

TEST(Pickle, ExpandedViewsKeepTheirStrides) {
  const auto path = torch_file(
      std::string("\x80\x02") + tensor("K\2", "K\1", "K\3K\4\x86", program("K\0K\0\x86")),
      packed(1.0F) + packed(2.0F));
  const PicklePtr value = read_torch_file(path);
  EXPECT_EQ(value->tensor()->strides(), (at::IntArrayRef{0, 0}));
  l2c::test::expect_equal(*value->tensor(), at::full({3, 4}, 2.0F), "expanded");
}

TEST(Pickle, RefusesBadTensors) {
  const std::string zero = program("K\0"), one = "K\1", two = "K\2", minus = integer(-1);
  const std::string two_row = "K\2\x85", one_row = "K\1\x85";
  const auto refused = [](const std::string& code, const std::string& message) {
    expect_refused(std::string("\x80\x02") + code, message);
  };
  refused(tensor(two, zero, "K\3\x85", one_row), "shape [3] reads element 2 of a storage of 2");
  refused(tensor(two, one, two_row, one_row), "reads element 2");
  refused(tensor(two, zero, two_row, two_row), "reads element 2");
  refused(tensor(one, zero, two_row, one_row), "a storage of 1 elements");
  refused(tensor("K\3", zero, two_row, one_row), "should hold 3 elements of 4 bytes, but has 8");
  refused(tensor(minus, zero, two_row, one_row), "should hold -1 elements");
  refused(tensor(program("\x8a\x08\0\0\0\0\0\0\0\x40"), zero, two_row, one_row),
          "should hold 4611686018427387904 elements");
  refused(tensor(two, minus, two_row, one_row), "an offset below 0");
  refused(tensor(two, zero, minus + "\x85", one_row), "a size or stride below 0");
  refused(tensor(two, zero, two_row, minus + "\x85"), "a size or stride below 0");
  refused(tensor(two, zero, two_row, ")"), "unlike numbers of sizes and strides");
  refused(tensor(two, zero, one, one_row), "no tuple");
  const std::string huge = program("\x8a\x08\0\0\0\0\0\0\0\x40");
  refused(tensor(two, zero, huge + huge + "\x86", zero + zero + "\x86"), "beyond all bounds");
  refused(tensor(two, zero, zero + huge + huge + "\x87", one + one + one + "\x87"),
          "beyond all bounds");
  refused(tensor(two, zero, integer(1 << 30) + "\x85", zero + "\x85"), "expanded views");
  refused(tensor(two, zero, two_row, one_row, "torch\nQuantStorage\n"),
          "unknown class 'torch.QuantStorage'");
  refused(tensor(two, zero, two_row, one_row, "torch\nUntypedStorage\n"), "without a dtype");
  refused(tensor(two, zero, two_row, one_row, "torch\nFloatStorage\n", "7"),
          "no entry 'file/data/7'");
  refused(tensor(two, zero, two_row, one_row, "torch\nFloatStorage\n", "../data.pkl"), "no entry");
  refused("ctorch._utils\n_rebuild_tensor_v2\n)R.", "too few arguments");
  refused("ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR.", "without a storage");
  refused("ctorch._utils\n_rebuild_parameter\n)R.", "without arguments");
}

}  // namespace
