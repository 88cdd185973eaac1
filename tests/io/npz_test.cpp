#include "l2c/io/npz.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <zlib.h>

#include <cstdlib>

#include "l2c/core/error.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/messages.h"

namespace l2c::io {
namespace {

using test::expect_equal;
using test::make_zip;
using test::message_of;
using test::packed;
using test::write_bytes;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// What tests/data/io/make_npz.py wrote.
void expect_numpys_arrays(const NpzFile& file) {
  expect_equal(file.tensor("arr_0"), at::arange(72, at::kByte).reshape({2, 4, 3, 3}), "arr_0");
  expect_equal(file.tensor("arr_1"), at::tensor({std::int64_t{7}, std::int64_t{-9'000'000'000}}),
               "arr_1");
  expect_equal(file.tensor("i4"), at::tensor({1, -2, 3}, at::kInt).reshape({1, 3}), "i4");
  expect_equal(file.tensor("mu"), at::tensor({-1.0, -0.5, 0.0, 0.5, 1.0}), "mu");
  const auto tenths = (at::arange(6, at::kFloat) * 0.1F).reshape({3, 2});
  expect_equal(file.tensor("f4"), tenths, "f4");
  expect_equal(file.tensor("scalar"), at::tensor(2.5, at::kDouble).reshape({}), "scalar");
  expect_equal(file.tensor("empty"), at::zeros({0, 3}), "empty");
}

TEST(Npz, ReadsWhatNumpySaves) {
  const auto file = NpzFile::open(test::data("io/stored.npz"));
  EXPECT_THAT(file.names(), ElementsAre("arr_0", "arr_1", "empty", "f4", "i4", "mu", "scalar"));
  EXPECT_TRUE(file.contains("mu"));
  EXPECT_FALSE(file.contains("sigma"));
  expect_numpys_arrays(file);
}

TEST(Npz, ReadsWhatNumpyCompresses) {
  const auto file = NpzFile::open(test::data("io/deflated.npz"));
  expect_numpys_arrays(file);
  expect_equal(file.tensor("v2"), file.tensor("f4"), "version 2");
  expect_equal(file.tensor("v3"), file.tensor("f4"), "version 3");
}

TEST(Npz, ATensorOutlivesTheFile) {
  at::Tensor tensor;
  for (const char* name : {"io/stored.npz", "io/deflated.npz"}) {
    tensor = NpzFile::open(test::data(name)).tensor("arr_0");
    EXPECT_EQ(tensor.sum().item<std::int64_t>(), 71 * 36);
  }
}

TEST(Npz, RefusesWhatItDoesNotRead) {
  const auto file = NpzFile::open(test::data("io/deflated.npz"));
  const auto says = [&](const char* name) { return message_of([&] { (void)file.tensor(name); }); };
  EXPECT_THAT(says("sigma"), AllOf(HasSubstr("deflated.npz"), HasSubstr("no array 'sigma'"),
                                   HasSubstr("arr_0, arr_1")));
  EXPECT_THAT(says("fortran"), AllOf(HasSubstr("array 'fortran'"), HasSubstr("ascontiguousarray")));
  EXPECT_THAT(says("f2"), AllOf(HasSubstr("type '<f2'"), HasSubstr("astype")));
  EXPECT_THAT(says("big"), HasSubstr("type '>f4'"));
  EXPECT_THAT(says("text"), HasSubstr("type '<U1'"));
  EXPECT_THAT(says("records"), HasSubstr("records"));
}

TEST(Npz, RefusesWhatIsNoNpz) {
  const auto path = test::scratch() / "a.npz";
  write_bytes(path, "hello");
  EXPECT_THAT(message_of([&] { (void)NpzFile::open(path); }),
              AllOf(HasSubstr("a.npz"), HasSubstr("no .npz file")));
}

std::string npy(const std::string& header, const std::string& data, char version = 1) {
  return std::string("\x93NUMPY") + version + '\0' +
         packed(static_cast<std::uint16_t>(header.size())) + header + data;
}

std::string refusal(const std::string& entry) {
  const auto path = test::scratch() / "a.npz";
  write_bytes(path, make_zip({{"x.npy", entry}}));
  return message_of([&] { (void)NpzFile::open(path).tensor("x"); });
}

TEST(Npz, RefusesDamagedArrays) {
  const std::string order = "'fortran_order': False, ";
  EXPECT_THAT(refusal("hello, this is text"), HasSubstr("no .npy array"));
  EXPECT_THAT(refusal(npy("{}", "")), HasSubstr("lacks descr"));
  EXPECT_THAT(refusal(npy("{'descr': '<f4', " + order + "'shape': (2,)}", "abcd")),
              HasSubstr("shape (2) needs 8 bytes, it has 4"));
  EXPECT_THAT(refusal(npy("{'descr': '<f4', " + order + "'shape': (-2,)}", "")),
              HasSubstr("no .npy header near"));
  EXPECT_THAT(
      refusal(
          npy("{'descr': '<f8', " + order + "'shape': (4000000000, 4000000000, 4000000000)}", "")),
      HasSubstr("impossible"));
  // One extent of 0 makes no bytes, but the strides still overflow.
  for (const char* shape : {"(0, 4000000000, 4000000000)", "(4000000000, 4000000000, 0)"}) {
    EXPECT_THAT(refusal(npy("{'descr': '<f4', " + order + "'shape': " + shape + "}", "")),
                HasSubstr("impossible"));
  }
  EXPECT_THAT(refusal(npy("{'descr': '<f4', 'colour': 1}", "")), HasSubstr("unknown key 'colour'"));
  EXPECT_THAT(refusal(npy("{'descr': '<f4'", "")), HasSubstr("no .npy header near"));
  EXPECT_THAT(refusal(npy("{}", "", 4)), HasSubstr("version is 4"));
  EXPECT_THAT(refusal(npy("{}", "").substr(0, 11)), HasSubstr("no .npy array"));
  EXPECT_THAT(refusal(std::string("\x93NUMPY\x01\0", 8) + "\xff\xff{}"), HasSubstr("cut off"));
}

TEST(Npz, FindsEveryFlippedByteOfADeflatedArray) {
  const auto whole = test::read_bytes(test::data("io/deflated.npz"));
  const auto path = test::scratch() / "a.npz";
  const auto start = whole.find("arr_0.npy") + 9 + 20;  // its packed bytes, behind a zip64 field
  int noticed = 0;
  for (std::size_t i = start; i < start + 100; ++i) {
    auto bytes = whole;
    bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
    write_bytes(path, bytes);
    const auto text = message_of([&] { (void)NpzFile::open(path).tensor("arr_0"); });
    if (text.find("damaged or truncated") != text.npos) ++noticed;
  }
  EXPECT_EQ(noticed, 100);
}

TEST(Npz, RefusesADeflatedArrayThatClaimsTooMuch) {
  auto bytes = test::read_bytes(test::data("io/deflated.npz"));
  test::patch_entry(bytes, "arr_0.npy", test::ZipField::size, packed(std::uint32_t{0x7fffffff}));
  const auto path = test::scratch() / "a.npz";
  write_bytes(path, bytes);
  EXPECT_THAT(message_of([&] { (void)NpzFile::open(path).tensor("arr_0"); }),
              HasSubstr("cannot be as large as it says"));
}

// In bytes, since the process began.
std::int64_t most_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

TEST(Npz, UnpackingTakesMemoryForWhatIsThere) {
  constexpr std::uint32_t claimed = 1000U << 20U;
  std::string content(std::size_t{2} << 20U, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) {
    content[i] = static_cast<char>(i * i >> 7U);
  }
  // Stored within the deflate stream: 2 MiB that could be as large as the header claims.
  auto size = compressBound(content.size());
  std::string packed_content(size, '\0');
  ASSERT_EQ(compress2(reinterpret_cast<Bytef*>(packed_content.data()), &size,
                      reinterpret_cast<const Bytef*>(content.data()), content.size(), 0),
            Z_OK);
  packed_content = packed_content.substr(2, size - 6);  // without zlib's own header and checksum
  auto bytes = make_zip({{"x.npy", packed_content}});
  test::patch_entry(bytes, "x.npy", test::ZipField::method, packed(std::uint16_t{8}));
  test::patch_entry(bytes, "x.npy", test::ZipField::size, packed(claimed));
  const auto path = test::scratch() / "a.npz";
  write_bytes(path, bytes);
  const auto before = most_memory();
  EXPECT_THAT(message_of([&] { (void)NpzFile::open(path).tensor("x"); }),
              HasSubstr("cannot be unpacked"));
  EXPECT_LT(most_memory() - before, 200 << 20);
  // The same stream with its true size is an array (of another kind, here).
  test::patch_entry(bytes, "x.npy", test::ZipField::size,
                    packed(static_cast<std::uint32_t>(content.size())));
  const auto checksum = crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
  test::patch_entry(bytes, "x.npy", test::ZipField::checksum,
                    packed(static_cast<std::uint32_t>(checksum)));
  write_bytes(path, bytes);
  EXPECT_THAT(message_of([&] { (void)NpzFile::open(path).tensor("x"); }),
              HasSubstr("no .npy array"));
}

// ---------------------------------------------------------------------------------------- writing

// 5 images in two parts, labels, a table of doubles.
std::filesystem::path write_sample(NpzWriterOptions options = {}) {
  const auto path = test::scratch() / "sample.npz";
  const auto images = at::arange(240, at::kByte).reshape({5, 4, 4, 3});
  NpzWriter writer(path, options);
  writer.begin("arr_0", at::kByte, {5, 4, 4, 3});
  writer.append(images.narrow(0, 0, 2));
  writer.append(images.narrow(0, 2, 3));
  writer.add("arr_1", at::arange(5, at::kLong));
  writer.add("sigma", at::eye(3, at::kDouble).t());
  writer.add("scalar", at::tensor(1.5F));
  writer.commit();
  return path;
}

void expect_sample(const std::filesystem::path& path) {
  const auto file = NpzFile::open(path);
  EXPECT_THAT(file.names(), ElementsAre("arr_0", "arr_1", "scalar", "sigma"));
  expect_equal(file.tensor("arr_0"), at::arange(240, at::kByte).reshape({5, 4, 4, 3}), "arr_0");
  expect_equal(file.tensor("arr_1"), at::arange(5, at::kLong), "arr_1");
  expect_equal(file.tensor("sigma"), at::eye(3, at::kDouble), "sigma");
  expect_equal(file.tensor("scalar"), at::tensor(1.5F).reshape({1}), "scalar");
}

TEST(NpzWriter, WritesWhatTheReaderReads) { expect_sample(write_sample()); }

TEST(NpzWriter, WritesZip64WhereTheLimitIsPassed) {
  // 0: everything; 300: the images and what lies behind them.
  const auto plain = test::read_bytes(write_sample());
  EXPECT_EQ(plain.find("PK\6\6"), plain.npos);
  for (const std::uint64_t limit : {0, 300}) {
    const auto path = write_sample({.zip64_from = limit});
    EXPECT_NE(test::read_bytes(path).find("PK\6\6"), std::string::npos);
    expect_sample(path);
  }
}

TEST(NpzWriter, EqualContentGivesEqualFiles) {
  EXPECT_EQ(test::read_bytes(write_sample()), test::read_bytes(write_sample()));
}

TEST(NpzWriter, TakesTensorsInAnyMemoryLayout) {
  const auto path = test::scratch() / "a.npz";
  const auto images = at::arange(24, at::kByte).reshape({2, 3, 2, 2});
  NpzWriter writer(path);
  writer.add("x", images.permute({0, 2, 3, 1}));
  writer.commit();
  expect_equal(NpzFile::open(path).tensor("x"), images.permute({0, 2, 3, 1}), "NHWC");
}

TEST(NpzWriter, WithoutCommitThereIsNoFile) {
  const auto folder = test::scratch();
  {
    NpzWriter writer(folder / "a.npz");
    writer.add("x", at::ones({3}));
  }
  EXPECT_THAT(test::names_in(folder), ElementsAre());
}

TEST(NpzWriter, RefusesMistakes) {
  const auto folder = test::scratch();
  NpzWriter writer(folder / "a.npz");
  const auto says = [&](auto work) { return message_of(work); };
  EXPECT_THAT(says([&] { writer.append(at::ones({3})); }), HasSubstr("begin an array first"));
  EXPECT_THAT(says([&] { writer.begin("x", at::kHalf, {3}); }), HasSubstr("Half"));
  EXPECT_THAT(says([&] { writer.begin("x", at::kFloat, {-3}); }), HasSubstr("impossible"));
  EXPECT_THAT(says([&] { writer.begin("", at::kFloat, {3}); }), HasSubstr("names"));
  writer.begin("x", at::kFloat, {3});
  EXPECT_THAT(says([&] { writer.append(at::ones({3}, at::kDouble)); }),
              AllOf(HasSubstr("array 'x"), HasSubstr("a part of Double for an array of Float")));
  EXPECT_THAT(says([&] { writer.append(at::ones({4})); }), HasSubstr("16 bytes where 12 are"));
  EXPECT_THAT(says([&] { writer.commit(); }), HasSubstr("12 bytes of it are missing"));
  EXPECT_THAT(says([&] { writer.begin("y", at::kFloat, {3}); }), HasSubstr("missing"));
  writer.append(at::ones({3}));
  EXPECT_THAT(says([&] { writer.begin("x", at::kFloat, {3}); }), HasSubstr("different"));
  EXPECT_THAT(says([&] { NpzWriter(folder / "b.npz", {.zip64_from = 1ULL << 40U}); }),
              HasSubstr("at most"));
  EXPECT_THAT(says([&] { NpzWriter(folder / "no" / "b.npz"); }), HasSubstr("b.npz"));
}

int exit_status(const std::string& command) {
  const auto status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Reads the samples with Python's standard library alone, by the documentation of the formats.
constexpr const char* check_sample = R"(
import array, ast, struct, sys, zipfile

def read(archive, name):
    raw = archive.read(name + ".npy")
    assert raw[:8] == b"\x93NUMPY\x01\x00", raw[:8]
    length, = struct.unpack("<H", raw[8:10])
    assert (10 + length) % 64 == 0 and raw[9 + length:10 + length] == b"\n"
    header = ast.literal_eval(raw[10:10 + length].decode())
    assert header["fortran_order"] is False
    code = {"|u1": "B", "<i8": "q", "<f8": "d", "<f4": "f"}[header["descr"]]
    return header["shape"], header["descr"], list(array.array(code, raw[10 + length:]))

with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    names = ["arr_0", "arr_1", "sigma", "scalar"]
    assert archive.namelist() == [name + ".npy" for name in names], archive.namelist()
    found = {name: read(archive, name) for name in names}
assert found["arr_0"] == ((5, 4, 4, 3), "|u1", list(range(240)))
assert found["arr_1"] == ((5,), "<i8", list(range(5)))
assert found["sigma"] == ((3, 3), "<f8", [1, 0, 0, 0, 1, 0, 0, 0, 1])
assert found["scalar"] == ((1,), "<f4", [1.5])
)";

TEST(NpzWriter, PythonsOwnZipfileReadsIt) {
  const auto script = test::scratch() / "check.py";
  write_bytes(script, check_sample);
  for (const std::uint64_t limit : {0xFFFFFFFFU, 0U, 300U}) {
    const auto path = write_sample({.zip64_from = limit}).string();
    EXPECT_EQ(exit_status(fmt::format("python3 '{}' '{}'", script.string(), path)), 0) << limit;
  }
}

}  // namespace
}  // namespace l2c::io
