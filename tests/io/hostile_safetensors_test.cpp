// safetensors files that lie or ask for too much. docs/formats.md has the table.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "io/open_hostile.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/hostile_files.h"

namespace {

using namespace l2c::test;  // NOLINT: the table's words

constexpr std::size_t kMillion = 1'000'000;

std::string file(const std::string& header, const std::string& data = std::string(8, '\1')) {
  return joined({packed(std::uint64_t{header.size()}), header, data});
}

std::string tensor(const std::string& name, const std::string& dtype = "F32",
                   const std::string& shape = "2", const std::string& offsets = "0,8") {
  return joined({"\"", name, R"(":{"dtype":")", dtype, R"(","shape":[)", shape,
                 R"(],"data_offsets":[)", offsets, "]}"});
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return file(joined({"{", tensor("w", dtype, shape, offsets), "}"}));
}

std::string two(const std::string& a, const std::string& b) {
  return file(joined({"{", a, ",", b, "}"}));
}

std::string metadata(const std::string& entries) {
  return file(joined({R"({"__metadata__":{)", entries, "},", tensor("w"), "}"}));
}

std::string many_tensors(int count) {
  std::string header = "{";
  for (int i = 0; i < count; ++i) {
    header += tensor(std::to_string(i), "U8", i == 0 ? "1" : "0", i == 0 ? "0,1" : "1,1");
    header += ',';
  }
  header.back() = '}';
  return file(header, "x");
}

std::string many_entries(int count) {
  std::string entries;
  for (int i = 0; i < count; ++i) entries += joined({"\"", std::to_string(i), "\":\"\","});
  entries.pop_back();
  return metadata(entries);
}

std::string repeated(const std::string& piece, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += piece;
  return all;
}

TEST(HostileFiles, Safetensors) {
  const std::string name = "a.safetensors";
  expect_answers(
      {
          {"a safetensors file of 4 bytes", name, "1234", "it has 4 bytes"},
          {"a header of 2^63 bytes", name, joined({packed(std::uint64_t{1} << 63U), "{}"}),
           "ask for a header of"},
          {"a header longer than the file", name, joined({packed(std::uint64_t{100}), "{}"}),
           "ends within its header"},
          {"a header that is not JSON", name, file("{,}"), "not valid JSON at byte"},
          {"a header that is a list", name, file("[]"), "does not begin with '{'"},
          {"a zero byte in the header", name, file(std::string("{}\0", 3)), "holds a zero byte"},
          {"a header in broken UTF-8", name, file("{\"\xff\":1}"), "not valid JSON"},
          {"10 million opening brackets", name,
           file(joined({"{\"a\":", std::string(10 * kMillion, '[')})), "expected an object"},
          {"a shape of a million axes", name,
           one("F32", repeated("0,", kMillion).append("0"), "0,8"), "holds more than 64 numbers"},
          {"a name of a million letters", name,
           file(joined({"{", tensor(std::string(kMillion, 'n')), "}"})),
           "a name of 1000000 bytes, 2000 are the most"},
          {"a number of 20 million digits", name,
           file(joined({"{\"a\":0.", std::string(20 * kMillion, '1')})),
           "a number of 20000002 bytes at byte 5, 100 are the most"},
          {"a text of 20 MB", name, file(joined({"{\"", std::string(20 * kMillion, 'a')})),
           "a text of 20000001 bytes at byte 1, 4194304 are the most"},
          {"metadata of 3 MB", name,
           metadata(joined({R"("a":")", std::string(3 * kMillion, 'b'), "\""})), ""},
          {"a tar archive's mark in a header", name,
           metadata(joined({R"("a":")", std::string(227, '-'), "ustar\""})), ""},
          {"60,000 tensors", name, many_tensors(60'000), "more than 50000 tensors"},
          {"50,000 tensors", name, many_tensors(50'000), ""},
          {"100,000 entries of metadata before a tensor", name, many_entries(100'000), ""},
          {"150,000 entries of metadata", name, many_entries(150'000), "more than 100000 entries"},
          {"one tensor's name twice", name, two(tensor("w"), tensor("w")),
           "the name 'w' occurs twice"},
          {"an entry of metadata twice", name, metadata(R"("a":"1","a":"2")"), "occurs twice"},
          {"metadata that are no text", name, metadata(R"("a":1)"), "expected a string"},
          {"tensors that overlap", name,
           two(tensor("a", "F32", "2", "0,8"), tensor("b", "F32", "1", "4,8")), "an overlap"},
          {"a gap between tensors", name,
           two(tensor("a", "U8", "2", "0,2"), tensor("b", "F32", "1", "4,8")), "a gap"},
          {"bytes behind the last tensor", name, one("F32", "1", "0,4"),
           "4 bytes follow the last tensor"},
          {"offsets behind the data", name, one("F32", "4", "0,16"), "reaches to byte 16"},
          {"offsets in the wrong order", name, one("F32", "2", "8,0"), "before it begins"},
          {"a shape that does not fit its offsets", name, one("F32", "3", "0,8"), "needs 12 bytes"},
          {"a shape of 2^96 elements", name, one("F32", "4294967296,4294967296,4294967296", "0,8"),
           "too large"},
          {"a size below 0", name, one("F32", "-2", "0,8"), "the negative number -2"},
          {"a size of 1e400", name, one("F32", "1e400", "0,8"), "not valid JSON"},
          {"an unknown dtype", name, one("F4", "4", "0,8"), "the unknown dtype 'F4'"},
          {"a tensor without a dtype", name, file(R"({"w":{"shape":[2],"data_offsets":[0,8]}})"),
           "has no dtype"},
          {"a tensor without elements, another without axes", name,
           two(tensor("a", "F32", "0,3", "0,0"), tensor("b", "F64", "", "0,8")), ""},
      },
      open_and_touch);
}

}  // namespace
