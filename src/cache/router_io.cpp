// Our own file format for routers: a safetensors file that says what it was trained for.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "l2c/cache/router.h"
#include "l2c/core/error.h"
#include "l2c/core/torch.h"
#include "l2c/core/words.h"
#include "l2c/io/file.h"
#include "l2c/io/safetensors.h"
#include "l2c/io/torch_checkpoint.h"
#include "router_published.h"

namespace l2c {

namespace {

constexpr const char* format_name = "l2c-router";
// Version 2 says by which rule the logits are used, which a reader of version 1 does not know.
constexpr const char* plain_version = "1";
constexpr const char* version_with_rule = "2";

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& problem) {
  constexpr std::size_t longest = 500;
  throw InputError(fmt::format("router {}: {}", path.string(), one_line(problem, longest)));
}

// The number that a metadata entry holds; nullopt when there is no such entry.
template <typename Number>
std::optional<Number> number(const std::filesystem::path& path, const io::Metadata& metadata,
                             const std::string& key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return std::nullopt;
  const std::string& digits = found->second;
  const char* end = digits.data() + digits.size();
  Number value{};
  const auto [stop, status] = std::from_chars(digits.data(), end, value);
  if (status != std::errc() || stop != end || !std::isfinite(static_cast<double>(value))) {
    fail(path, fmt::format("the metadata entry {} is '{}', not a number", key, digits));
  }
  return value;
}

void check_format(const io::SafetensorsFile& file) {
  const std::string format = io::metadata_value(file.metadata(), "format");
  if (format != format_name || !file.contains("logits")) {
    fail(file.path(), fmt::format("this safetensors file holds no router: a router has the tensor "
                                  "'logits' and the metadata entry format '{}'; this one has {} "
                                  "tensors and format '{}'",
                                  format_name, file.names().size(), format));
  }
  const std::string version = io::metadata_value(file.metadata(), "version");
  if (version != plain_version && version != version_with_rule) {
    fail(file.path(), fmt::format("its format has version '{}', this l2c reads versions {} and {}: "
                                  "use a newer l2c, or write the file again",
                                  version, plain_version, version_with_rule));
  }
}

RouterInfo read_info(const io::SafetensorsFile& file, std::int64_t rows) {
  const io::Metadata& metadata = file.metadata();
  RouterInfo info;
  info.model_fingerprint = io::metadata_value(metadata, "model_fingerprint");
  info.spacing = io::metadata_value(metadata, "spacing");
  info.sampler = io::metadata_value(metadata, "sampler");
  info.training = io::metadata_value(metadata, "training");
  info.threshold = number<double>(file.path(), metadata, "threshold");
  info.lambda = number<double>(file.path(), metadata, "lambda");
  info.recall = io::metadata_value(metadata, "recall");
  info.group = number<int>(file.path(), metadata, "group").value_or(2);
  if (info.threshold && !(*info.threshold >= 0 && *info.threshold <= 1)) {
    fail(file.path(),
         fmt::format("the metadata entry threshold is {}, outside [0, 1]", *info.threshold));
  }
  const auto steps = number<int>(file.path(), metadata, "steps");
  if (steps && *steps != rows) {
    fail(file.path(), fmt::format("the metadata entry steps is {}, but the tensor 'logits' has {} "
                                  "rows",
                                  *steps, rows));
  }
  return info;
}

Router read_own(const std::filesystem::path& path) {
  const io::SafetensorsFile file = io::SafetensorsFile::open(path);
  check_format(file);
  const at::Tensor logits = file.tensor("logits");
  if (logits.scalar_type() != at::kFloat || logits.dim() != 2) {
    fail(path, fmt::format("the tensor 'logits' has {} dimensions and dtype {}; expected F32 "
                           "[rows, units]",
                           logits.dim(), c10::toString(logits.scalar_type())));
  }
  const auto* data = logits.const_data_ptr<float>();
  std::vector<float> values(data, data + logits.numel());
  return {static_cast<int>(logits.size(0)), static_cast<int>(logits.size(1)), std::move(values),
          read_info(file, logits.size(0)), path.string()};
}

enum class FileKind { torch, safetensors, unknown };

// By content. A pickle without a zip archive around it counts as torch: its reader says what to do.
FileKind kind_of(const std::filesystem::path& path) {
  const auto file = io::MappedFile::open(path);
  const auto bytes = file->bytes();
  if (io::looks_like_torch_file(path)) return FileKind::torch;
  if (bytes.size() > 8 && bytes[8] == std::byte{'{'}) return FileKind::safetensors;
  return !bytes.empty() && bytes[0] == std::byte{0x80} ? FileKind::torch : FileKind::unknown;
}

}  // namespace

Router Router::load(const std::filesystem::path& path) {
  switch (kind_of(path)) {
    case FileKind::torch:
      return read_published_router(path);
    case FileKind::safetensors:
      return read_own(path);
    case FileKind::unknown:
      break;
  }
  fail(path,
       "is neither a file of torch.save (.pt) nor a safetensors file, or only the start of one");
}

bool Router::recognises(const std::filesystem::path& path) {
  switch (kind_of(path)) {
    case FileKind::torch:
      return holds_published_router(path);
    case FileKind::safetensors:
      return io::metadata_value(io::SafetensorsFile::open(path).metadata(), "format") ==
             format_name;
    case FileKind::unknown:
      break;
  }
  return false;
}

void Router::save(const std::filesystem::path& path) const {
  const bool plain = info_.group == 2 && info_.recall.empty();
  io::Metadata metadata = {{"format", format_name},
                           {"version", plain ? plain_version : version_with_rule},
                           {"steps", std::to_string(rows_)}};
  const auto add = [&](const char* key, std::string value) {
    if (!value.empty()) metadata.emplace(key, std::move(value));
  };
  add("model_fingerprint", info_.model_fingerprint);
  add("spacing", info_.spacing);
  add("sampler", info_.sampler);
  add("training", info_.training);
  add("recall", info_.recall);
  if (info_.group != 2) add("group", fmt::format("{}", info_.group));
  // The shortest text that reads back as the same number.
  if (info_.threshold) add("threshold", fmt::format("{}", *info_.threshold));
  if (info_.lambda) add("lambda", fmt::format("{}", *info_.lambda));
  const at::Tensor logits = at::empty({rows_, units_}, at::kFloat);
  std::copy(logits_.begin(), logits_.end(), logits.mutable_data_ptr<float>());
  io::write_safetensors(path, {{"logits", logits}}, metadata);
}

}  // namespace l2c
