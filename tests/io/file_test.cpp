#include "l2c/io/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "l2c/core/error.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/memory.h"

namespace {

namespace fs = std::filesystem;
using l2c::InputError;
using l2c::RunError;
using l2c::io::AtomicFile;
using l2c::io::check_writable;
using l2c::io::MappedFile;
using l2c::test::read_bytes;
using l2c::test::resident_file_bytes;
using l2c::test::scratch;
using l2c::test::write_bytes;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

void save(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

// No file of this process may grow beyond `bytes`, as if the disk were full.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limited = before_;
    limited.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limited);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

// Root may read and write everywhere: acts as "nobody" while it lives, when run by root.
class OrdinaryUser {
 public:
  OrdinaryUser() { switched_ = geteuid() == 0 && seteuid(65534) == 0; }
  ~OrdinaryUser() {
    if (switched_ && seteuid(0) != 0) ADD_FAILURE() << "cannot become root again";
  }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;

 private:
  bool switched_ = false;
};

TEST(MappedFile, HoldsTheBytesUntilTheLastOwnerLetsGo) {
  const auto path = scratch() / "a";
  write_bytes(path, "hello");
  const auto file = MappedFile::open(path);
  fs::remove(path);
  ASSERT_EQ(file->bytes().size(), 5U);
  EXPECT_EQ(file->bytes()[1], std::byte{'e'});
  EXPECT_EQ(file->path(), path);
}

TEST(MappedFile, AnEmptyFileHasNoBytes) {
  const auto path = scratch() / "empty";
  write_bytes(path, "");
  EXPECT_TRUE(MappedFile::open(path)->bytes().empty());
}

TEST(MappedFile, RefusesWhatIsNoFile) {
  const auto folder = scratch();
  EXPECT_THAT([&] { MappedFile::open(folder / "none"); },
              ThrowsMessage<InputError>(AllOf(HasSubstr((folder / "none").string()),
                                              HasSubstr("No such file"), HasSubstr("check"))));
  EXPECT_THAT(
      [&] { MappedFile::open(folder); },
      ThrowsMessage<InputError>(AllOf(HasSubstr(folder.string()), HasSubstr("it is a directory"))));
  EXPECT_THAT([] { MappedFile::open("/dev/null"); },
              ThrowsMessage<InputError>(HasSubstr("a device or a pipe")));
  EXPECT_THAT([] { MappedFile::open(""); },
              ThrowsMessage<InputError>(HasSubstr("the path is empty")));
  const auto pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT([&] { MappedFile::open(pipe); },
              ThrowsMessage<InputError>(HasSubstr("a device or a pipe")));
}

TEST(ReadText, ReadsFilesAndPipes) {
  const auto folder = scratch();
  write_bytes(folder / "text", "{\"a\": 1}");
  EXPECT_EQ(l2c::io::read_text(folder / "text"), "{\"a\": 1}");
  const auto pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] { write_bytes(pipe, "through a pipe"); });
  EXPECT_EQ(l2c::io::read_text(pipe), "through a pipe");
  writer.join();
}

TEST(ReadText, RefusesDirectoriesAndEndlessFiles) {
  EXPECT_THAT([] { l2c::io::read_text("/tmp"); },
              ThrowsMessage<InputError>(HasSubstr("it is a directory")));
  EXPECT_THAT([] { l2c::io::read_text("/dev/zero"); },
              ThrowsMessage<InputError>(HasSubstr("larger than 64 MB")));
}

// Nobody writes into the pipe: it must not be waited for.
TEST(ReadTextFile, RefusesPipes) {
  const auto folder = scratch();
  write_bytes(folder / "text", "{}");
  std::filesystem::create_symlink("text", folder / "link");
  EXPECT_EQ(l2c::io::read_text_file(folder / "link"), "{}");
  const auto pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT([&] { l2c::io::read_text_file(pipe); },
              ThrowsMessage<InputError>(AllOf(HasSubstr(pipe.string()), HasSubstr("a pipe"))));
  EXPECT_THAT([&] { l2c::io::read_text_file(folder); },
              ThrowsMessage<InputError>(HasSubstr("it is a directory")));
  EXPECT_THAT([&] { l2c::io::read_text_file(folder / "no"); },
              ThrowsMessage<InputError>(HasSubstr("No such file")));
}

TEST(AtomicFile, ReplacesOnlyAtCommit) {
  const auto folder = scratch();
  const auto path = folder / "out";
  write_bytes(path, "old");
  AtomicFile file(path);
  file.write("new content");
  EXPECT_EQ(read_bytes(path), "old");
  EXPECT_EQ(files_in(folder), 2U);
  file.commit();
  EXPECT_EQ(read_bytes(path), "new content");
  EXPECT_EQ(files_in(folder), 1U);
  EXPECT_THAT([&] { file.write("more"); }, ThrowsMessage<RunError>(HasSubstr("committed")));
}

TEST(AtomicFile, WithoutCommitNothingStays) {
  const auto folder = scratch();
  { AtomicFile(folder / "out").write("half"); }
  EXPECT_EQ(files_in(folder), 0U);
}

TEST(AtomicFile, KeepsTheModeOfTheOldFileAndObeysTheUmask) {
  const auto folder = scratch();
  const auto mode = [](const fs::path& path) {
    struct stat status {};
    stat(path.c_str(), &status);
    return status.st_mode & 0777U;
  };
  const mode_t before = umask(022);
  save(folder / "fresh", "x");
  umask(before);
  EXPECT_EQ(mode(folder / "fresh"), 0644U);
  write_bytes(folder / "private", "x");
  chmod((folder / "private").c_str(), 0600);
  save(folder / "private", "y");
  EXPECT_EQ(mode(folder / "private"), 0600U);
}

TEST(AtomicFile, WritesToWhatALinkPointsAt) {
  const auto folder = scratch();
  fs::create_directory(folder / "real");
  write_bytes(folder / "real/file", "old");
  fs::create_symlink("real/file", folder / "link");
  fs::create_symlink(folder / "real/later", folder / "dangling");
  save(folder / "link", "new");
  save(folder / "dangling", "made");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_bytes(folder / "real/file"), "new");
  EXPECT_EQ(read_bytes(folder / "real/later"), "made");
  fs::create_symlink("loop", folder / "loop");
  EXPECT_THAT([&] { save(folder / "loop", "x"); }, ThrowsMessage<InputError>(HasSubstr("loop")));
}

TEST(AtomicFile, WritesPipesAndDevicesStraightThrough) {
  const auto folder = scratch();
  const auto pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::string received;
  std::thread reader([&] { received = read_bytes(pipe); });
  save(pipe, "through");
  reader.join();
  EXPECT_EQ(received, "through");
  EXPECT_TRUE(fs::is_fifo(pipe));
  save("/dev/null", "gone");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(AtomicFile, ARedirectedStandardOutputKeepsItsFile) {
  const auto path = scratch() / "redirected";
  const int file = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  struct stat before {
  }, after{};
  fstat(file, &before);
  save(std::string("/dev/fd/") + std::to_string(file), "text");
  fstat(file, &after);
  close(file);
  EXPECT_EQ(read_bytes(path), "text");
  struct stat named {};
  stat(path.c_str(), &named);
  EXPECT_EQ(named.st_ino, before.st_ino);
  EXPECT_EQ(after.st_size, 4);
}

TEST(AtomicFile, AFullDeviceIsAnError) {
  EXPECT_THAT([] { save("/dev/full", "x"); },
              ThrowsMessage<RunError>(
                  AllOf(HasSubstr("/dev/full"), HasSubstr("disk is full"), HasSubstr("No space"))));
}

TEST(AtomicFile, DiskFullWhileWritingLosesNothing) {
  const auto folder = scratch();
  const auto path = folder / "out";
  write_bytes(path, "precious");
  const std::vector<char> large(1 << 20, 'x');
  {
    const FileSizeLimit limit(1 << 16);
    const auto write = [&] { save(path, {large.data(), large.size()}); };
    EXPECT_THAT(write, ThrowsMessage<RunError>(
                           AllOf(HasSubstr(path.string()), HasSubstr("larger than the file size"),
                                 HasSubstr("untouched"), HasSubstr("Free some space"))));
  }
  EXPECT_EQ(read_bytes(path), "precious");
  EXPECT_EQ(files_in(folder), 1U);
}

TEST(AtomicFile, TakesTheLongestNamesOfTheFileSystem) {
  const auto path = scratch() / std::string(255, 'n');
  save(path, "x");
  EXPECT_EQ(read_bytes(path), "x");
}

TEST(CheckWritable, CreatesNothing) {
  const auto folder = scratch();
  check_writable(folder / "out.png");
  EXPECT_EQ(files_in(folder), 0U);
  write_bytes(folder / "there", "x");
  check_writable(folder / "there");
  EXPECT_EQ(read_bytes(folder / "there"), "x");
  check_writable("/dev/null");
  check_writable("relative_name.png");
}

TEST(CheckWritable, SaysWhatIsWrong) {
  const auto folder = scratch();
  EXPECT_THAT(
      [&] { check_writable(folder / "no" / "out.png"); },
      ThrowsMessage<InputError>(AllOf(
          HasSubstr(std::string("the folder '") + (folder / "no").string() + "' does not exist"),
          HasSubstr("create it"))));
  EXPECT_THAT([&] { check_writable(folder); },
              ThrowsMessage<InputError>(HasSubstr("it is a directory")));
  EXPECT_THAT([&] { check_writable(folder / "new/"); },
              ThrowsMessage<InputError>(HasSubstr("ends with a slash")));
  EXPECT_THAT([] { check_writable(""); }, ThrowsMessage<InputError>(HasSubstr("path is empty")));
  write_bytes(folder / "file", "x");
  EXPECT_THAT([&] { check_writable(folder / "file" / "out.png"); },
              ThrowsMessage<InputError>(HasSubstr("is not a folder")));
}

TEST(CheckWritable, ReadOnlyFilesAndFoldersAreRefused) {
  const auto folder = scratch();
  write_bytes(folder / "file", "x");
  chmod((folder / "file").c_str(), 0400);
  chmod(folder.c_str(), 0500);
  const OrdinaryUser user;
  for (const char* name : {"file", "other"}) {
    EXPECT_THAT([&] { check_writable(folder / name); },
                ThrowsMessage<InputError>(
                    AllOf(HasSubstr("Permission denied"), HasSubstr("choose another path"))));
  }
  EXPECT_THAT([&] { AtomicFile file(folder / "other"); },
              ThrowsMessage<InputError>(HasSubstr("no file can be made in its folder")));
}

TEST(MappedFile, UnreadableFilesAreRefused) {
  const auto path = scratch() / "secret";
  write_bytes(path, "x");
  chmod(path.c_str(), 0);
  const OrdinaryUser user;
  EXPECT_THAT(
      [&] { MappedFile::open(path); },
      ThrowsMessage<InputError>(AllOf(HasSubstr("Permission denied"), HasSubstr("permissions"))));
}

TEST(MappedFile, DroppedPagesComeBackFromTheFile) {
  const auto path = scratch() / "large";
  constexpr std::size_t size = 16 << 20;
  write_bytes(path, std::string(size, 'x'));
  const auto file = MappedFile::open(path);
  const auto all = file->bytes();
  const auto count = [&] { return std::count(all.begin(), all.end(), std::byte{'x'}); };
  const auto before = resident_file_bytes();
  EXPECT_EQ(count(), size);
  EXPECT_GT(resident_file_bytes() - before, 14 << 20);
  file->drop_pages(all.subspan(1));
  EXPECT_LT(resident_file_bytes() - before, 2 << 20);
  EXPECT_EQ(count(), size);
  file->drop_pages(all.subspan(100, 200));  // within a page
  file->drop_pages({});
  const std::vector<std::byte> other(1 << 20, std::byte{1});
  file->drop_pages(other);  // memory of others: dropping it would lose what it holds
  EXPECT_EQ(std::count(other.begin(), other.end(), std::byte{1}), 1 << 20);
}

}  // namespace
