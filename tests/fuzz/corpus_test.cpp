// What the fuzzers have found and what they start from, read once more with every compiler.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "support/byte_files.h"
#include "support/golden.h"
#include "targets.h"

namespace l2c::fuzz {

// How the name of a test ends.
void PrintTo(const Target& target, std::ostream* out) { *out << target.name; }

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_of(const std::string& kind, const std::string& target) {
  const fs::path folder = test::source_dir() / "fuzz" / kind / target;
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

// What goes wrong, with the file's name; empty: nothing.
std::string problem(const Target& target, const fs::path& file) {
  const std::string bytes = test::read_bytes(file);
  try {
    target.read({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    return {};
  } catch (const std::exception& error) {
    return test::joined({file.string(), ": ", error.what()});
  }
}

class Corpus : public testing::TestWithParam<Target> {};

TEST_P(Corpus, IsReadOrRefused) {
  const auto files = files_of("corpus", GetParam().name);
  EXPECT_GE(files.size(), 20U) << "the corpus is missing: scripts/fuzz.py merge";
  for (const auto& file : files) EXPECT_EQ(problem(GetParam(), file), "");
}

TEST_P(Corpus, FindingsStayFixed) {
  const auto files = files_of("crashes", GetParam().name);
  if (files.empty()) GTEST_SKIP() << "nothing was ever found";
  for (const auto& file : files) EXPECT_EQ(problem(GetParam(), file), "");
}

INSTANTIATE_TEST_SUITE_P(All, Corpus, testing::ValuesIn(targets().begin(), targets().end()),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(CorpusFolder, HasATargetForEveryFolderAndStaysSmall) {
  std::set<std::string> names;
  for (const Target& target : targets()) names.insert(target.name);
  std::uintmax_t size = 0;
  for (const char* kind : {"corpus", "crashes"}) {
    const fs::path folder = test::source_dir() / "fuzz" / kind;
    if (!fs::exists(folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file()) size += entry.file_size();
      if (entry.path().parent_path() != folder) continue;
      EXPECT_TRUE(names.contains(entry.path().filename().string())) << entry.path();
    }
  }
  EXPECT_LT(size, 1'000'000U) << "git keeps every one of them for ever";
}

}  // namespace
}  // namespace l2c::fuzz
