// How much memory reading one file may take. Private to io.
#pragma once

#include <cstdint>
#include <string>

namespace l2c::io {

// Counts what a reader takes for what a file says: three times the file's size and 48 MB are the
// most. With the mapped file itself (once its size) and the program's own needs, reading any file
// then stays below four times its size and 64 MB.
class Allowance {
 public:
  enum class Use {
    objects,   // values, names, entries, copies of tensors that lie askew in the file
    unpacked,  // compressed entries
    expanded,  // elements of expanded views, which whoever copies them will need
  };

  Allowance(std::string file, std::uint64_t file_size);
  // Before the memory is taken. Throws InputError, which names the file and what to do.
  void take(std::uint64_t bytes, Use use);

 private:
  std::string file_;
  std::uint64_t file_size_;
  std::uint64_t left_;
};

}  // namespace l2c::io
