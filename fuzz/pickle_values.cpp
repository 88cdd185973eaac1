#include "pickle_values.h"

#include <cstddef>
#include <utility>
#include <variant>

#include "l2c/io/checkpoint.h"
#include "reading.h"

namespace l2c::fuzz {

namespace {

// Values can be shared, so that a small file spells out a tree of any size: no more than this.
constexpr std::size_t most_values = 20'000;

class Walk {
 public:
  void visit(const io::PicklePtr& value) {
    if (!value || ++seen_ > most_values) return;
    (void)value->find("args");
    std::visit([this](const auto& content) { enter(content); }, value->value);
  }

 private:
  template <typename Plain>
  void enter(const Plain& /*content*/) {}
  void enter(const io::PickleList& list) {
    for (const auto& each : list) {
      require(each != nullptr, "a list with nothing in it");
      visit(each);
    }
  }
  void enter(const io::PickleDict& dict) {
    for (const auto& [key, item] : dict) {
      require(key != nullptr && item != nullptr, "a dict with nothing in it");
      visit(key);
      visit(item);
    }
  }
  void enter(const io::PickleObject& object) {
    visit(object.arguments);
    visit(object.state);
  }
  void enter(const at::Tensor& tensor) { touch(tensor); }
  std::size_t seen_ = 0;
};

}  // namespace

void torch_file(Bytes bytes) {
  const auto& path = file_of(bytes);
  const bool sound = accepted(path.native(), [&] { Walk().visit(io::read_torch_file(path)); });
  accepted(path.native(), [&] {
    const auto checkpoint = io::open_checkpoint(path);
    if (checkpoint.format == "safetensors") return;
    require(sound && io::looks_like_torch_file(path), "a checkpoint that cannot be read");
    for (const auto& [name, tensor] : checkpoint.tensors) touch(tensor);
  });
  accepted(path.native(), [&] { io::verify_torch_file(path); });
}

}  // namespace l2c::fuzz
