#include "support/hostile_files.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/memory.h"

namespace l2c::test {

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryIsReal = false;
#else
constexpr bool kMemoryIsReal = true;
#endif

enum class Outcome : char { read = 'r', refused = 'e', other_error = 'o' };

struct Answer {
  bool crashed = true;
  Outcome outcome = Outcome::other_error;
  std::int64_t grown = 0;  // bytes
  std::string message;
};

struct Attempt {
  Outcome outcome = Outcome::read;
  std::string message;
};

Attempt attempt(const std::filesystem::path& path,
                const std::function<void(const std::filesystem::path&)>& read) {
  try {
    read(path);
    return {};
  } catch (const InputError& error) {
    return {.outcome = Outcome::refused, .message = error.what()};
  } catch (const std::exception& error) {
    return {.outcome = Outcome::other_error, .message = error.what()};
  }
}

[[noreturn]] void answer_as_child(int pipe, const std::filesystem::path& path,
                                  const std::function<void(const std::filesystem::path&)>& read) {
  reset_peak_memory();
  const std::int64_t before = peak_memory_bytes();
  const Attempt result = attempt(path, read);
  std::ostringstream text;
  text << static_cast<char>(result.outcome) << ' ' << peak_memory_bytes() - before << ' '
       << result.message;
  const std::string bytes = text.str();
  const bool written = ::write(pipe, bytes.data(), bytes.size()) >= 0;
  ::_exit(written ? 0 : 1);
}

std::string read_all(int pipe) {
  std::string text;
  std::array<char, 4096> piece{};
  for (ssize_t size = 0; (size = ::read(pipe, piece.data(), piece.size())) > 0;) {
    text.append(piece.data(), static_cast<std::size_t>(size));
  }
  return text;
}

Answer ask(const std::filesystem::path& path,
           const std::function<void(const std::filesystem::path&)>& read) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    answer_as_child(ends[1], path, read);
  }
  ::close(ends[1]);
  Answer answer;
  std::istringstream text(read_all(ends[0]));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  answer.crashed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  char outcome = 0;
  text >> outcome >> answer.grown;
  answer.outcome = static_cast<Outcome>(outcome);
  text.get();
  std::getline(text, answer.message, '\0');
  return answer;
}

void expect_answer(const HostileFile& file, const std::filesystem::path& path,
                   const Answer& answer) {
  ASSERT_FALSE(answer.crashed) << "the reader crashed";
  ASSERT_NE(answer.outcome, Outcome::other_error) << answer.message;
  if (file.answer.empty()) {
    EXPECT_EQ(answer.outcome, Outcome::read) << answer.message;
  } else {
    EXPECT_EQ(answer.outcome, Outcome::refused);
    EXPECT_NE(answer.message.find(file.answer), std::string::npos) << answer.message;
    EXPECT_NE(answer.message.find(path.filename().string()), std::string::npos) << answer.message;
    EXPECT_LT(answer.message.size(), 2000U);
  }
  constexpr std::int64_t kBase = std::int64_t{64} << 20;
  const auto bound = 4 * static_cast<std::int64_t>(file.bytes.size()) + kBase;
  if (kMemoryIsReal) {
    EXPECT_LE(answer.grown, bound) << "bytes of memory taken";
  }
}

// A row "| what | answer |" of the page.
void expect_documented(const std::string& page, const HostileFile& file) {
  const std::size_t row = page.find(std::string("| ").append(file.what).append(" |"));
  ASSERT_NE(row, page.npos) << "docs/formats.md has no such row";
  const std::string line = page.substr(row, page.find('\n', row) - row);
  EXPECT_NE(line.find(file.answer.empty() ? "| read" : file.answer), line.npos)
      << "docs/formats.md says: " << line;
}

}  // namespace

void keep_file(const std::string& what, const std::string& file, std::string_view bytes) {
  const char* folder = std::getenv("L2C_KEEP_FILES");
  if (folder == nullptr) return;
  std::string name;
  for (const char letter : what) {
    name += std::isalnum(static_cast<unsigned char>(letter)) != 0 ? letter : '-';
  }
  name += std::filesystem::path(file).extension().string();
  write_bytes(std::filesystem::path(folder) / name, bytes);
}

std::filesystem::path executed_witness() {
  return std::filesystem::temp_directory_path() / "l2c-hostile-file-was-executed";
}

void expect_answers(const std::vector<HostileFile>& files,
                    const std::function<void(const std::filesystem::path&)>& read) {
  const std::string page = io::read_text(source_dir() / "docs/formats.md");
  std::set<std::string> names;
  int refused = 0;
  std::int64_t most = 0;
  std::filesystem::remove(executed_witness());
  for (const HostileFile& file : files) {
    SCOPED_TRACE(file.what);
    EXPECT_TRUE(names.insert(file.what).second) << "two rows of one name";
    expect_documented(page, file);
    const auto path = scratch() / file.file;
    write_bytes(path, file.bytes);
    keep_file(file.what, file.file, file.bytes);
    const Answer answer = ask(path, read);
    expect_answer(file, path, answer);
    refused += answer.outcome == Outcome::refused ? 1 : 0;
    most = std::max(most, answer.grown);
    EXPECT_FALSE(std::filesystem::exists(executed_witness())) << "something in it was executed";
  }
  std::cout << files.size() << " files, " << refused << " refused, " << most / (1 << 20)
            << " MB of memory at most\n";
}

}  // namespace l2c::test
