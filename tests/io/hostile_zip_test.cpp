// Zip archives that lie, and odd ones that do not. docs/formats.md has the table.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "io/open_hostile.h"
#include "support/byte_files.h"
#include "support/hostile_files.h"
#include "support/pickle_programs.h"

namespace {

using namespace l2c::test;  // NOLINT: the table's words

std::string program() {
  return pickle_dict(pickle_tensor({.count = 2, .offset = 0, .sizes = {2}, .strides = {1}}));
}

const std::string kTwo = joined({packed(1.5F), packed(-2.0F)});
const std::string kProgram = "file/data.pkl";
const std::string kStorage = "file/data/0";

std::string good() { return make_torch_zip(program(), {{.count = 2, .bytes = kTwo}}); }

ZipEntries entries(const std::string& root = "file/") {
  return {{joined({root, "data.pkl"}), program()},
          {joined({root, "byteorder"}), "little"},
          {joined({root, "data/0"}), kTwo}};
}

void overwrite(std::string& bytes, std::size_t place, std::string_view value) {
  std::ranges::copy(value, bytes.begin() + static_cast<std::ptrdiff_t>(place));
}

// good() with one field of an entry changed.
template <typename T>
std::string patched(const std::string& name, ZipField field, T value, bool local_too = true) {
  std::string zip = good();
  patch_entry(zip, name, field, packed(value), local_too);
  return zip;
}

// good() with a field of its last record changed.
template <typename T>
std::string ended(std::size_t place, T value) {
  std::string zip = good();
  overwrite(zip, zip.size() - 22 + place, packed(value));
  return zip;
}

std::string with(const std::string& name, const std::string& content) {
  ZipEntries all = entries();
  all.emplace_back(name, content);
  return make_zip(all);
}

// The second storage lies within the first.
std::string overlapping() {
  const std::string inner = make_zip({{"file/data/1", kTwo}}).substr(0, 30 + 11 + 8);
  std::string zip = make_torch_zip(program(), {{.key = "0", .count = 2, .bytes = inner},
                                               {.key = "1", .count = 2, .bytes = kTwo}});
  const auto place = static_cast<std::uint32_t>(zip.find(inner));
  patch_entry(zip, "file/data/1", ZipField::header, packed(place), false);
  return zip;
}

std::string reaching_into_the_table() {
  std::string zip = patched(kStorage, ZipField::size, std::uint32_t{18});
  patch_entry(zip, kStorage, ZipField::packed_size, packed(std::uint32_t{18}));
  return zip;
}

// Both sizes differ between the headers, alike.
std::string grown_in_one_header() {
  std::string zip = patched(kStorage, ZipField::size, std::uint32_t{4}, false);
  patch_entry(zip, kStorage, ZipField::packed_size, packed(std::uint32_t{4}), false);
  return zip;
}

std::string far_too_large() {
  std::string zip = patched(kStorage, ZipField::size, std::uint32_t{0x7fffffff});
  patch_entry(zip, kStorage, ZipField::packed_size, packed(std::uint32_t{0x7fffffff}));
  return zip;
}

std::string renamed_in_one_header() {
  std::string zip = good();
  zip[zip.find(kStorage) + kStorage.size() - 1] = '1';
  return zip;
}

// A whole entry in front, in no table of contents: another archive to whoever goes from header to
// header.
std::string hidden_entry() {
  const std::string hidden =
      make_zip({{kProgram, program()}}).substr(0, 30 + kProgram.size() + program().size());
  const auto size = static_cast<std::uint32_t>(hidden.size());
  std::string zip = make_zip(entries());
  const std::size_t table = zip.find("PK\1\2");
  for (const auto& [name, content] : entries()) {
    patch_entry(zip, name, ZipField::header,
                packed(static_cast<std::uint32_t>(zip.find(name) - 30) + size), false);
  }
  overwrite(zip, zip.size() - 22 + 16, packed(static_cast<std::uint32_t>(table) + size));
  return joined({hidden, zip});
}

std::string with_comment() {
  std::string zip = ended(20, std::uint16_t{5});
  return joined({zip, "hello"});
}

std::string two_tables() {
  std::string zip = make_zip(entries(), true);
  overwrite(zip, zip.size() - 12, packed(std::uint16_t{2}));  // entries in all
  return zip;
}

std::string lost_table() {
  std::string zip = make_zip(entries(), true);
  overwrite(zip, zip.size() - 22 - 20 + 8, packed(std::uint64_t{3}));
  return zip;
}

std::string wide_and_endless() {
  std::string zip = make_zip(entries(), true);
  for (std::size_t at = zip.find(packed(std::uint64_t{8})); at != zip.npos;
       at = zip.find(packed(std::uint64_t{8}), at + 8)) {
    overwrite(zip, at, packed(std::uint64_t{1} << 63U));
  }
  return zip;
}

std::string without_checksum() { return patched(kProgram, ZipField::checksum, std::uint32_t{0}); }

std::string damaged_deflate() {
  std::string zip = make_deflated_zip(entries());
  overwrite(zip, 30 + kProgram.size() + 2, "\xff\xff\xff\xff");
  return zip;
}

// Says one byte less than it unpacks to.
std::string modest_deflate() {
  std::string zip = make_deflated_zip(entries());
  patch_entry(zip, kProgram, ZipField::size,
              packed(static_cast<std::uint32_t>(program().size() - 1)));
  return zip;
}

std::string packed_zeros(std::int64_t floats) {
  const std::string code =
      pickle_dict(pickle_tensor({.count = floats, .offset = 0, .sizes = {floats}, .strides = {1}}));
  return make_deflated_zip(
      {{kProgram, code}, {kStorage, std::string(static_cast<std::size_t>(floats) * 4, '\0')}});
}

std::string packed_program_of_nones() {
  const std::string code = joined({"\x80\x02(", std::string(100'000'000, 'N'), "t."});
  return make_deflated_zip({{kProgram, code}});
}

std::string many_entries() {
  ZipEntries all = entries();
  for (int i = 0; i < 60'000; ++i) all.emplace_back(std::string("x").append(std::to_string(i)), "");
  return make_zip(all);
}

TEST(HostileFiles, Zip) {
  expect_answers(
      {
          {"an empty file", "a.pt", "", "is no checkpoint"},
          {"a zip file that ends after its first mark", "a.pt", "PK\3\4", "too short"},
          {"a zip file cut in half", "a.pt", good().substr(0, good().size() / 2),
           "table of contents at its end is missing"},
          {"bytes behind the archive", "a.pt", joined({good(), "x"}),
           "is not the comment that it announces"},
          {"two archives in one file", "a.pt", joined({good(), good()}),
           "bytes lie between its table of contents and its end"},
          {"an entry before all that the table of contents names", "a.pt", hidden_entry(),
           "belong to no entry"},
          {"an archive with a comment", "a.pt", with_comment(), ""},
          {"one name twice", "a.pt", with(kStorage, kTwo), "'file/data/0' occurs twice"},
          {"an encrypted entry", "a.pt", patched(kStorage, ZipField::flags, std::uint16_t{1}),
           "is encrypted"},
          {"an entry encrypted in one of its headers", "a.pt",
           patched(kStorage, ZipField::flags, std::uint16_t{1}, false), "differ"},
          {"an entry with two names", "a.pt", renamed_in_one_header(), "differ"},
          {"an entry with two methods", "a.pt",
           patched(kStorage, ZipField::method, std::uint16_t{8}, false), "differ"},
          {"an entry with two sizes", "a.pt",
           patched(kStorage, ZipField::size, std::uint32_t{4}, false), "two sizes"},
          {"an entry whose headers have unlike sizes", "a.pt", grown_in_one_header(),
           "the sizes or checksum in the header"},
          {"an entry with two checksums", "a.pt",
           patched(kStorage, ZipField::checksum, std::uint32_t{4}, false),
           "the sizes or checksum in the header"},
          {"an entry within another entry", "a.pt", overlapping(), "two of its entries share"},
          {"an entry that reaches into the table of contents", "a.pt", reaching_into_the_table(),
           "an entry reaches into the table of contents"},
          {"an entry of 2 GB in a file of 1 KB", "a.pt", far_too_large(), "is cut off"},
          {"an entry whose header is elsewhere", "a.pt",
           patched(kStorage, ZipField::header, std::uint32_t{1}, false), "is missing"},
          {"a table of contents that counts too many", "a.pt", ended(8, std::uint32_t{0x00040004}),
           "entry 3 of the table of contents is missing"},
          {"a table of contents that counts too few", "a.pt", ended(8, std::uint32_t{0x00020002}),
           "more than the entries that it counts"},
          {"a table of contents behind the end", "a.pt", ended(16, std::uint32_t{0x7fffffff}),
           "reaches past the end"},
          {"a part of a split archive", "a.pt", ended(4, std::uint16_t{1}), "split archive"},
          {"a ZIP64 archive", "a.pt", make_zip(entries(), true), ""},
          {"a ZIP64 archive with two tables of contents", "a.pt", two_tables(),
           "two tables of contents (zip and zip64) differ"},
          {"a ZIP64 archive whose table is elsewhere", "a.pt", lost_table(),
           "zip64 table of contents is missing"},
          {"a ZIP64 entry of 2^63 bytes", "a.pt", wide_and_endless(), "is cut off"},
          {"a wrong checksum", "a.pt", patched(kProgram, ZipField::checksum, std::uint32_t{1}),
           "the checksum of its entry"},
          {"no checksum (0)", "a.pt", without_checksum(), ""},
          {"an archive packed again with compression", "a.pt", make_deflated_zip(entries()), ""},
          {"a damaged deflate stream", "a.pt", damaged_deflate(), "cannot be unpacked"},
          {"a deflate stream longer than its entry says", "a.pt", modest_deflate(),
           "there is more than it says"},
          {"a compressed program of 100 MB", "a.pt", packed_program_of_nones(),
           "its compressed entries unpack to too much"},
          {"compressed zeros, 100 MB", "a.pt", packed_zeros(25'000'000),
           "its compressed entries unpack to too much"},
          {"compressed zeros, 4 MB", "a.pt", packed_zeros(1'000'000), ""},
          {"another compression method", "a.pt",
           patched(kStorage, ZipField::method, std::uint16_t{12}), "packed with method 12"},
          {"two roots", "a.pt", with("other/data.pkl", program()), "holds 2 files of torch.save"},
          {"no root, or a deep one", "a.pt", make_zip(entries("some/where/else/")), ""},
          {"a zip file of something else", "a.pt", make_zip({{"a.txt", "x"}}), "holds no data.pkl"},
          {"byteorder: big", "a.pt", make_zip({{kProgram, program()}, {"file/byteorder", "big"}}),
           "only 'little' can be read; load it and save it again"},
          {"an entry named ../../etc/passwd", "a.pt", with("../../etc/passwd", "x"), ""},
          {"entries for folders", "a.pt", with("file/", ""), ""},
          {"60,000 empty entries", "a.pt", many_entries(), ""},
          {"the tar format of PyTorch before 0.1.10", "a.pt",
           joined({std::string(257, 'x'), "ustar", std::string(500, 'x')}), "the tar format"},
      },
      open_and_touch);
}

}  // namespace
