// Files written by torch.save (zip format, pickle protocols 2 to 4), read by an own pickle machine
// that knows a fixed list of harmless constructors and never executes anything.
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
// scalar): its name and whatever was pickled for it, unexecuted. A class or function by itself has
// no arguments.
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

// The object saved in the file. Tensors of any saved device (cuda:0 included) come as CPU tensors
// that read the mapped file. Throws InputError: not such a file (the pre-1.6 format without zip
// included, with what to do about it), truncated, compressed entries, an opcode or a tensor
// storage outside the list, an integer of more than 64 bits, a storage shorter than its tensors, an
// expanded view (more elements than its storage), cycles, nesting beyond 100, more than 5 million
// objects. Checksums are compared for the pickled part, not for the tensors' data. Thread-safe.
PicklePtr read_torch_file(const std::filesystem::path& path);

// Compares every entry of a torch.save zip file with its checksum; a stored 0 means that its writer
// left it out. Reads the whole file. Throws InputError as read_torch_file does, and for damage.
void verify_torch_file(const std::filesystem::path& path);

// True when the file starts like a zip archive.
bool looks_like_torch_zip(const std::filesystem::path& path);

// True for a zip archive that holds a program (torch.jit.save), and not only data. Throws
// InputError for a damaged archive.
bool holds_torchscript(const std::filesystem::path& path);

}  // namespace l2c::io
