// Changed files have the checksums and sizes that their readers ask for.
#include "mutators.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "l2c/io/png_text.h"
#include "l2c/io/safetensors.h"
#include "l2c/io/torch_checkpoint.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/pickle_programs.h"

namespace l2c::fuzz {
namespace {

constexpr std::size_t most = 4096;

std::filesystem::path written(const std::string& bytes) {
  auto path = test::scratch() / "file";
  test::write_bytes(path, bytes);
  return path;
}

// Of the same length everywhere but within its texts.
std::string renamed(std::string bytes, std::size_t) {
  const auto at = bytes.find("weight");
  if (at != bytes.npos) bytes.replace(at, 6, "bright");
  return bytes;
}

std::string torch_zip() {
  return test::make_torch_zip(test::pickle_dict(test::pickle_text("weight")),
                              {{.key = "0", .count = 1, .bytes = "1234"}});
}

TEST(Mutators, AChangedArchiveIsSoundAgain) {
  int changed = 0;
  for (const auto& archive :
       {torch_zip(),
        test::make_deflated_zip({{"a/data.pkl", "\x80\x02Xweight"}, {"a/data/0", "weight"}})}) {
    for (unsigned seed = 0; seed < 100; ++seed) {
      Random random(seed);
      const std::string bytes = mutated_zip(archive, most, random, renamed);
      ASSERT_FALSE(bytes.empty());
      EXPECT_NO_THROW(io::verify_torch_file(written(bytes))) << seed;
      changed += bytes != archive ? 1 : 0;
    }
  }
  EXPECT_GT(changed, 100);
}

TEST(Mutators, MostlyTheProgramOfAnArchiveIsChanged) {
  int programs = 0;
  for (unsigned seed = 0; seed < 100; ++seed) {
    Random random(seed);
    const auto path = written(mutated_zip(torch_zip(), most, random, renamed));
    try {
      const auto value = io::read_torch_file(path)->find("w");
      programs += value && value->text() != nullptr && *value->text() == "bright" ? 1 : 0;
    } catch (const std::exception&) {  // its entry was taken away or renamed
    }
  }
  EXPECT_GT(programs, 40);
}

TEST(Mutators, AChangedPictureHasRightChecksums) {
  const io::Bitmap bitmap{.width = 2, .height = 1, .channels = 1, .pixels = {0, 255}};
  const auto png = io::with_png_text(io::encode_png(bitmap), "weight", "1");
  const std::string bytes =
      mutated_png({reinterpret_cast<const char*>(png.data()), png.size()}, most, renamed);
  EXPECT_EQ(io::read_png_text(written(bytes), "bright"), "1");
  EXPECT_EQ(io::read_png(written(bytes)).pixels, bitmap.pixels);
  EXPECT_EQ(mutated_png("no picture", most, renamed), "");
}

TEST(Mutators, AChangedHeaderHasItsSize) {
  const auto path = test::scratch() / "weights";
  io::write_safetensors(path, {{"weight", at::ones({3})}});
  const auto grow = [](std::string header, std::size_t) {
    return header.replace(header.find("weight"), 6, "a longer name");
  };
  const std::string bytes = mutated_safetensors(test::read_bytes(path), most, grow);
  const auto file = io::SafetensorsFile::open(written(bytes));
  test::expect_equal(file.tensor("a longer name"), at::ones({3}), "the data");
  EXPECT_EQ(mutated_safetensors("no weights", most, grow), "");
}

TEST(Mutators, NothingIsEverTooLong) {
  const auto fill = [](std::string bytes, std::size_t limit) {
    bytes.resize(limit, 'x');
    return bytes;
  };
  const std::string archive = torch_zip();
  for (const std::size_t limit : {std::size_t{1}, archive.size() / 2, archive.size() + 10}) {
    for (unsigned seed = 0; seed < 200; ++seed) {
      Random random(seed);
      const std::string start = archive.substr(0, limit);
      EXPECT_LE(mutated(start, limit, random, fill).size(), limit);
    }
  }
}

TEST(Mutators, DamagedArchivesAreLeftAlone) {
  const std::string archive = torch_zip();
  for (std::size_t size = 0; size + 2 < archive.size(); ++size) {  // but for the comment's length
    Random random(1);
    EXPECT_EQ(mutated_zip(archive.substr(0, size), most, random, renamed), "") << size;
  }
  for (std::size_t at = 0; at < archive.size(); ++at) {
    Random random(1);
    std::string bytes = archive;
    bytes[at] = '\xff';
    (void)mutated_zip(bytes, most, random, renamed);  // reads within the archive: AddressSanitizer
  }
}

}  // namespace
}  // namespace l2c::fuzz
