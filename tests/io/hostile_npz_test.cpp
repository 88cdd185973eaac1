// .npz files that lie or ask for too much. docs/formats.md has the table.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "l2c/io/npz.h"
#include "support/byte_files.h"
#include "support/hostile_files.h"

namespace {

using namespace l2c::test;  // NOLINT: the table's words

// Version 2, whose header may have any length.
std::string array(const std::string& shape, const std::string& data) {
  const std::string header =
      joined({"{'descr': '|u1', 'fortran_order': False, 'shape': (", shape, "), }"});
  return joined({"\x93NUMPY\x02", std::string(1, '\0'),
                 packed(static_cast<std::uint32_t>(header.size())), header, data});
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// An entry that says it is compressed: `size` bytes to 6 MB.
std::string says_it_unpacks_to(std::uint64_t size) {
  constexpr std::uint64_t true_size = 6'000'000;
  std::string zip = make_zip({{"arr_0.npy", std::string(true_size, 'x')}}, true);
  const std::string sizes = packed(true_size) + packed(true_size);
  for (auto at = zip.find(sizes); at != zip.npos; at = zip.find(sizes, at + 1)) {
    zip.replace(at, 8, packed(size));
  }
  constexpr std::size_t method = 8;  // in the entry's own header, with which the file begins
  zip.replace(method, 2, packed(std::uint16_t{8}));
  patch_entry(zip, "arr_0.npy", ZipField::method, packed(std::uint16_t{8}), false);
  return zip;
}

void read_arrays(const std::filesystem::path& path) {
  const auto file = l2c::io::NpzFile::open(path);
  for (const auto& name : file.names()) (void)file.tensor(name);
}

TEST(HostileFiles, Npz) {
  const std::string zeros(std::size_t{4} << 20U, '\0');
  const std::string ones = repeated("1,", 64);
  expect_answers(
      {
          {"an array of 64 axes", "a.npz", make_zip({{"arr_0.npy", array(ones, "x")}}), ""},
          {"an array of 10 million axes", "a.npz",
           make_zip({{"arr_0.npy", array(repeated("1,", 10'000'000), "x")}}),
           "its shape has more than 64 axes"},
          {"an array of 64 axes without its data", "a.npz",
           make_zip({{"arr_0.npy", array(repeated("9223372036854775807,", 64), "")}}),
           "is impossible"},
          {"a compressed array of 4 MB in 4 KB", "a.npz",
           make_deflated_zip({{"arr_0.npy", array("4194304,", zeros)}}), ""},
          {"a compressed array of 5 GB in 6 MB", "a.npz",
           says_it_unpacks_to(std::uint64_t{5} << 30U), "it unpacks to 5368709120 bytes"},
      },
      read_arrays);
}

}  // namespace
