// Tables of hostile or odd files, each read in a process of its own.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace l2c::test {

struct HostileFile {
  std::string what;    // unique; docs/formats.md has a row of this name
  std::string file;    // its name, with the ending that it claims
  std::string bytes;   // what it holds
  std::string answer;  // a part of the error; empty: it can be read
};

// Reads each file in a child process and expects: the answer, an InputError that names the file
// where it is refused; no crash; at most four times the file's size and 64 MB of memory, measured
// as the growth of the child's peak resident set (not under sanitizers); a row in docs/formats.md;
// nothing made at executed_witness(). Prints how many files were read and refused. Where
// $L2C_KEEP_FILES names a folder, copies are put there (scripts/fuzz.py starts from them).
void expect_answers(const std::vector<HostileFile>& files,
                    const std::function<void(const std::filesystem::path&)>& read);

// Puts a copy of the bytes into $L2C_KEEP_FILES, if that is set, under a name made of `what` and
// the ending of `file`.
void keep_file(const std::string& what, const std::string& file, std::string_view bytes);

// A file in the checkout-wide temporary folder that the programs in hostile files try to make.
std::filesystem::path executed_witness();

}  // namespace l2c::test
