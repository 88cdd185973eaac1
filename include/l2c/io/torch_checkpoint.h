// Files written by torch.save (the zip format, and the one before PyTorch 1.6; pickle protocols 2
// to 5), read by an own pickle machine that knows a fixed list of harmless constructors and never
// executes anything. docs/formats.md lists what is read and what is refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "l2c/core/torch.h"

namespace l2c::io {

struct PickleValue;
using PicklePtr = std::shared_ptr<const PickleValue>;
using PickleList = std::vector<PicklePtr>;                        // list, tuple, set
using PickleDict = std::vector<std::pair<PicklePtr, PicklePtr>>;  // dict, OrderedDict, in order

// An object of a class the reader does not build (argparse.Namespace, an optimizer, a numpy
// scalar, a sparse tensor; "builtins.int" for a number of more than 64 bits): its name and whatever
// was pickled for it, unexecuted. A class or function by itself has no arguments.
struct PickleObject {
  std::string type;     // "module.name"
  PicklePtr arguments;  // may be null
  PicklePtr state;      // may be null
};

struct PickleValue {
  std::variant<std::monostate, bool, std::int64_t, double, std::string, PickleList, PickleDict,
               PickleObject, at::Tensor>
      value;
  // The value of a dict's string key, or of a Namespace's attribute; null when there is none.
  [[nodiscard]] PicklePtr find(std::string_view key) const;
  [[nodiscard]] const at::Tensor* tensor() const { return std::get_if<at::Tensor>(&value); }
  [[nodiscard]] const std::string* text() const { return std::get_if<std::string>(&value); }
  [[nodiscard]] const PickleDict* dict() const { return std::get_if<PickleDict>(&value); }
};

// The object saved in the file. Tensors of any saved device (cuda:0 included) come as CPU tensors,
// with the strides they were saved with (0 in expanded views: copying one takes more memory than it
// seems). They read the mapped file, or a copy where they lie askew in it or compressed; tensors
// that share a storage share its bytes here. Memory stays below four times the file's size and
// 64 MB. Throws InputError: not such a file, truncated, an opcode or a tensor storage outside the
// list, a storage shorter than its tensors, cycles, nesting beyond 100, more than 5 million
// objects, more memory than said, entries of the archive that are encrypted, doubled, share bytes
// or disagree with the table of contents, big-endian data, the tar format of PyTorch before 0.1.10.
// Checksums are compared for the pickled part and what is compressed, not for the other tensors'
// data. Thread-safe.
PicklePtr read_torch_file(const std::filesystem::path& path);

// Compares every entry of a torch.save zip file with its checksum; a stored 0 means that its writer
// left it out. Of the older format, which has none, the structure is checked. Reads the whole file.
// Throws InputError as read_torch_file does, and for damage.
void verify_torch_file(const std::filesystem::path& path);

// True when the file starts like one of torch.save, of whatever version.
bool looks_like_torch_file(const std::filesystem::path& path);

// True for a zip archive that holds a program (torch.jit.save), and not only data. Throws
// InputError for a damaged archive.
bool holds_torchscript(const std::filesystem::path& path);

}  // namespace l2c::io
