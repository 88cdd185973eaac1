#include "l2c/io/folder_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <utility>

#include "l2c/core/error.h"
#include "support/golden.h"

namespace {

namespace fs = std::filesystem;
using l2c::InputError;
using l2c::io::FolderLock;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

FolderLock lock(const fs::path& folder) { return {folder, "work folder", "another evaluation"}; }

TEST(FolderLock, HasOneHolderAtATime) {
  const auto folder = l2c::test::scratch() / "a/b";
  {
    const FolderLock first = lock(folder);
    EXPECT_THAT([&] { (void)lock(folder); },
                ThrowsMessage<InputError>(AllOf(HasSubstr("another evaluation is running in"),
                                                HasSubstr(folder.string()))));
    EXPECT_FALSE(FolderLock::attempt(folder, "work folder"));
  }
  EXPECT_NO_THROW((void)lock(folder));
  EXPECT_TRUE(FolderLock::attempt(folder, "work folder"));
}

TEST(FolderLock, MovesWithItsHolder) {
  const auto folder = l2c::test::scratch();
  auto attempt = FolderLock::attempt(folder, "work folder");
  ASSERT_TRUE(attempt);
  const FolderLock kept = std::move(*attempt);
  attempt.reset();
  EXPECT_FALSE(FolderLock::attempt(folder, "work folder"));
}

TEST(FolderLock, EndsWithItsProcessHoweverThatEnds) {
  const auto folder = l2c::test::scratch();
  const pid_t child = ::fork();
  if (child == 0) {
    const FolderLock held = lock(folder);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_NO_THROW((void)lock(folder));
}

TEST(FolderLock, RemovesPartialFilesOfTheNamesAskedFor) {
  const auto folder = l2c::test::scratch();
  for (const auto* name : {"shard-1.safetensors.abc123.partial", "other.png.abc123.partial",
                           "shard-1.safetensors", "shard-notes.partial", "shard-.partial"}) {
    std::ofstream(folder / name) << "x";
  }
  const FolderLock held = lock(folder);
  std::vector<std::string> asked;
  held.remove_partial_files([&](std::string_view name) {
    asked.emplace_back(name);
    return name.starts_with("shard-");
  });
  EXPECT_THAT(asked, testing::UnorderedElementsAre("shard-1.safetensors", "other.png"));
  EXPECT_THAT(l2c::test::names_in(folder),
              ElementsAre("lock", "other.png.abc123.partial", "shard-.partial",
                          "shard-1.safetensors", "shard-notes.partial"));
}

TEST(FolderLock, RefusesWhereItCannotWrite) {
  const auto folder = l2c::test::scratch();
  std::ofstream(folder / "file") << "in the way";
  EXPECT_THAT([&] { (void)lock(folder / "file" / "set"); },
              ThrowsMessage<InputError>(HasSubstr("cannot make the work folder")));
  fs::create_directory(folder / "lock");
  EXPECT_THAT([&] { (void)lock(folder); },
              ThrowsMessage<InputError>(HasSubstr("cannot write to the work folder")));
}

}  // namespace
