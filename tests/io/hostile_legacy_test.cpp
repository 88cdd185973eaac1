// Files in torch.save's format before PyTorch 1.6 that lie. docs/formats.md has the table.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "io/open_hostile.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/hostile_files.h"
#include "support/pickle_programs.h"

namespace {

using namespace l2c::test;  // NOLINT: the table's words

const std::string kTwo = packed(1.5F) + packed(-2.0F);

std::string program() {
  return pickle_dict(pickle_tensor({.count = 2, .offset = 0, .sizes = {2}, .strides = {1}}));
}

std::string with(const std::vector<RawStorage>& storages) {
  return make_legacy(program(), storages);
}

std::string good() { return with({{.count = 2, .bytes = kTwo}}); }

std::string headed(const std::string& head) { return head + good().substr(legacy_head().size()); }

// A tensor over a part of its storage.
std::string viewed(const std::string& view) {
  const std::string code = std::string("ctorch._utils\n_rebuild_tensor\n(") +
                           pickle_storage("FloatStorage", "0", 2, view) + "K" +
                           std::string(1, '\0') + pickle_tuple({1}) + pickle_tuple({1}) + "tR";
  return make_legacy(pickle_dict(code), {{.count = 2, .bytes = kTwo}});
}

std::string without_keys() {
  return legacy_head() + program() + "\x80\x02N." + packed(std::uint64_t{2}) + kTwo;
}

std::string saved_with_its_source() {
  return make_legacy(pickle_dict(std::string("(") + pickle_text("module") + "cmodel\nNet\n" +
                                 pickle_text("net.py") + pickle_text("class Net: ...") + "tQ"));
}

TEST(HostileFiles, Legacy) {
  const std::string whole = good();
  expect_answers(
      {
          {"the format before PyTorch 1.6", "a.pth", whole, ""},
          {"the same from a GPU, with views, Parameters, a Namespace", "a.pth",
           read_bytes(data("io/torch_mix_legacy.pt")), ""},
          {"a part of an older storage", "a.pth",
           viewed(std::string("(") + pickle_text("1") + "K\1K\1t"), ""},
          {"a part behind the end of its storage", "a.pth",
           viewed(std::string("(") + pickle_text("1") + "K\2K\1t"),
           "a view of the bytes 8 to 12 of a storage of 8"},
          {"an old file cut within its tensors", "a.pth", whole.substr(0, whole.size() - 1),
           "it ends at byte"},
          {"an old file cut within its program", "a.pth", whole.substr(0, whole.size() - 60),
           "it ends at byte"},
          {"an old file that ends after its magic number", "a.pth", whole.substr(0, 15),
           "it ends at byte 15"},
          {"an old storage of another length", "a.pth", with({{.count = 3, .bytes = kTwo}}),
           "should hold 2 elements of 4 bytes, but has 3"},
          {"an old storage of 2^63 elements", "a.pth",
           with({{.count = std::uint64_t{1} << 63U, .bytes = kTwo}}),
           "but has 9223372036854775808"},
          {"an old storage that nothing refers to", "a.pth",
           with({{.count = 2, .bytes = kTwo}, {.key = "1", .count = 2, .bytes = kTwo}}),
           "nothing in it refers to the storage '1'"},
          {"an old storage that is not there", "a.pth", with({}), "storage '0' is missing"},
          {"an old storage twice", "a.pth",
           with({{.count = 2, .bytes = kTwo}, {.count = 2, .bytes = kTwo}}),
           "storage '0' occurs twice"},
          {"an old file without its list of storages", "a.pth", without_keys(),
           "the list of its storages' keys is missing"},
          {"an old file of another version", "a.pth", headed(legacy_head(1002)),
           "it has the version 1002, only 1001 exists"},
          {"an old file of a big-endian machine", "a.pth", headed(legacy_head(1001, false)),
           "was written on a big-endian machine"},
          {"two old files in one", "a.pth", whole + whole, "bytes follow its last storage"},
          {"posix.system in an old file", "a.pth", make_legacy(pickle_attack("posix", "system")),
           "holds no state_dict"},
          {"a model saved with its source", "a.pth", saved_with_its_source(),
           "holds no state_dict"},
          {"a plain pickle", "a.pth", "\x80\x02K\1.", "is no checkpoint"},
      },
      open_and_touch);
}

}  // namespace
