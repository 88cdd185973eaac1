#include "l2c/io/safetensors_writer.h"

#include <c10/util/accumulate.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/core/words.h"
#include "safetensors_header.h"

namespace l2c::io {

namespace {

constexpr std::size_t kAlignment = 8;  // of the first tensor, as the official writer does
constexpr std::int64_t kPiece = std::int64_t{1} << 20;  // elements that are converted at a time

// Whatever our reader would refuse.
void check_limit(const std::filesystem::path& path, std::size_t number, std::size_t most,
                 std::string_view what) {
  if (number <= most) return;
  throw InputError(fmt::format("cannot write '{}': {} {}, {} are the most that l2c reads",
                               path.string(), number, what, most));
}

void check_spec(const std::filesystem::path& path, const std::string& name,
                const TensorSpec& spec) {
  check_limit(path, name.size(), kLongestName, "bytes in the name of a tensor");
  check_limit(path, spec.shape.size(), kMostAxes,
              fmt::format("axes of tensor '{}'", one_line(name, kLongestName)));
  if (name == kMetadataKey) {
    throw InputError(fmt::format("cannot write '{}': '{}' is reserved, rename that tensor",
                                 path.string(), name));
  }
  if (name_of_dtype(spec.dtype) == nullptr) {
    throw InputError(fmt::format(
        "cannot write '{}': tensor '{}' is of dtype {}, which safetensors has no name for; convert "
        "it first",
        path.string(), name, at::toString(spec.dtype)));
  }
}

// Wide elements first, then by name: with the padded header, every tensor is aligned.
std::vector<std::string> write_order(const TensorSpecs& tensors) {
  std::vector<std::string> order;
  for (const auto& [name, spec] : tensors) order.push_back(name);
  std::ranges::stable_sort(order, [&](const std::string& a, const std::string& b) {
    return at::elementSize(tensors.at(a).dtype) > at::elementSize(tensors.at(b).dtype);
  });
  return order;
}

// As JSON, with its quotation marks. What is no UTF-8 is refused later.
std::size_t json_size(const std::string& text) {
  return nlohmann::json(text)
      .dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace)
      .size();
}

void check_metadata(const std::filesystem::path& path, const Metadata& metadata) {
  check_limit(path, metadata.size(), kMostEntries, "entries of metadata");
  for (const auto& [key, value] : metadata) {
    check_limit(path, key.size(), kLongestName, "bytes in the name of an entry of metadata");
    check_limit(path, json_size(value), kLongestText, "bytes of JSON in an entry of metadata");
  }
}

nlohmann::json header_json(const TensorSpecs& tensors, const std::vector<std::string>& order,
                           const Metadata& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::int64_t offset = 0;
  for (const auto& name : order) {
    const TensorSpec& spec = tensors.at(name);
    const std::int64_t end = offset + spec.bytes();
    header[name] = {{"dtype", name_of_dtype(spec.dtype)},
                    {"shape", spec.shape},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  return header;
}

std::string header_text(const std::filesystem::path& path, const nlohmann::json& header) {
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& error) {
    throw InputError(
        fmt::format("cannot write '{}': a tensor name or a metadata string is not valid UTF-8 ({})",
                    path.string(), error.what()));
  }
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  if (text.size() > kLargestHeader) {
    throw InputError(
        fmt::format("cannot write '{}': names and metadata make a header of {} bytes, "
                    "the format allows {}",
                    path.string(), text.size(), kLargestHeader));
  }
  return text;
}

at::Tensor packed(const at::Tensor& tensor) {
  const at::Tensor dense =
      tensor.detach().layout() == at::kStrided ? tensor.detach() : tensor.detach().to_dense();
  return dense.cpu().resolve_conj().resolve_neg().contiguous();
}

// Numbers that were finite before they were converted, and are not any more.
bool overflows(const at::Tensor& before, const at::Tensor& after) {
  if (!after.is_floating_point()) return false;
  const at::Tensor lost = after.isfinite().logical_not();
  if (!lost.any().item<bool>()) return false;
  return before.to(at::kDouble).isfinite().logical_and(lost).any().item<bool>();
}

}  // namespace

std::int64_t TensorSpec::bytes() const {
  return c10::multiply_integers(shape) * static_cast<std::int64_t>(at::elementSize(dtype));
}

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, TensorSpecs tensors,
                                     const Metadata& metadata)
    : path_(std::move(path)), tensors_(std::move(tensors)) {
  check_limit(path_, tensors_.size(), kMostTensors, "tensors");
  check_metadata(path_, metadata);
  for (const auto& [name, spec] : tensors_) check_spec(path_, name, spec);
  names_ = write_order(tensors_);
  const std::string header = header_text(path_, header_json(tensors_, names_, metadata));
  const std::uint64_t size = header.size();
  file_.emplace(path_);
  file_->write(&size, sizeof size);
  file_->write(header);
}

void SafetensorsWriter::write(const std::string& name, const at::Tensor& tensor) {
  if (next_ == names_.size() || names_[next_] != name) {
    throw Error(fmt::format("'{}': tensor '{}' does not come now, but {}", path_.string(), name,
                            next_ == names_.size() ? "commit()" : names_[next_]));
  }
  const TensorSpec& spec = tensors_.at(name);
  if (!tensor.defined() || tensor.sizes() != c10::IntArrayRef(spec.shape)) {
    throw InputError(fmt::format(
        "cannot write '{}': tensor '{}' was announced as [{}], but is {}", path_.string(), name,
        fmt::join(spec.shape, ", "),
        tensor.defined() ? fmt::format("[{}]", fmt::join(tensor.sizes(), ", ")) : "undefined"));
  }
  const at::NoGradGuard no_grad;
  const at::Tensor data = packed(tensor);
  if (data.scalar_type() == spec.dtype) {
    file_->write(data.const_data_ptr(), data.nbytes());
  } else {
    write_converted(name, data.view({-1}), spec.dtype);
  }
  ++next_;
}

void SafetensorsWriter::write_converted(const std::string& name, const at::Tensor& flat,
                                        at::ScalarType dtype) {
  if (!piece_.defined() || piece_.scalar_type() != dtype) piece_ = at::empty({kPiece}, dtype);
  for (std::int64_t first = 0; first < flat.numel(); first += kPiece) {
    const at::Tensor from = flat.narrow(0, first, std::min(kPiece, flat.numel() - first));
    at::Tensor to = piece_.narrow(0, 0, from.numel());
    to.copy_(from);
    if (overflows(from, to)) {
      throw InputError(fmt::format(
          "cannot write '{}': tensor '{}' holds a number that {} can't hold; keep its type ({})",
          path_.string(), name, at::toString(dtype), at::toString(flat.scalar_type())));
    }
    file_->write(to.const_data_ptr(), to.nbytes());
  }
}

void SafetensorsWriter::commit() {
  if (next_ != names_.size()) {
    throw Error(fmt::format("'{}': {} of {} tensors were written, '{}' comes next", path_.string(),
                            next_, names_.size(), names_[next_]));
  }
  file_->commit();
}

void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const Metadata& metadata) {
  TensorSpecs specs;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) {
      throw InputError(
          fmt::format("cannot write '{}': tensor '{}' is undefined", path.string(), name));
    }
    specs.emplace(name, TensorSpec{.dtype = tensor.scalar_type(), .shape = tensor.sizes().vec()});
  }
  SafetensorsWriter writer(path, std::move(specs), metadata);
  for (const auto& name : writer.names()) writer.write(name, tensors.at(name));
  writer.commit();
}

}  // namespace l2c::io
