#include "l2c/models/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <system_error>
#include <utility>

#include "diffusers.h"
#include "l2c/core/error.h"
#include "l2c/core/words.h"
#include "l2c/io/file.h"
#include "l2c/io/safetensors_writer.h"
#include "l2c/io/torch_checkpoint.h"
#include "l2c/models/dit.h"
#include "l2c/models/dit_infer.h"
#include "l2c/models/dit_source.h"
#include "l2c/models/weight_source.h"
#include "l2c/models/weights.h"

namespace l2c {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_shown = 200;

struct Source {
  io::Checkpoint checkpoint{};
  std::unique_ptr<const WeightSource> weights{};  // under their new names
  std::optional<DiTConfig> config{};
  bool renamed = false;
};

// The file of weights, and Diffusers' configuration of them where there is one.
struct Files {
  fs::path weights;
  fs::path config;
};

Files find_files(const fs::path& source) {
  std::error_code error;
  if (fs::is_directory(source, error)) {
    DiffusersFiles files = find_diffusers(source);
    return {std::move(files.weights), std::move(files.config)};
  }
  const fs::path config = source.parent_path() / "config.json";
  return {source, fs::exists(config, error) ? config : fs::path()};
}

// Official names, or no DiT at all.
void open_named(Source& source, const ConvertOptions& options) {
  auto stored = std::make_unique<StoredWeights>(source.checkpoint);
  const bool is_dit = infer_dit_config(stored->shapes()).has_value();
  const bool says = source.checkpoint.metadata.contains("config");
  if (!options.arch.empty() && !is_dit) {
    throw InputError(
        fmt::format("{}: its tensors have not the names of a DiT that {} could describe: leave the "
                    "architecture out",
                    stored->description(), options.arch));
  }
  if (is_dit && (says || !options.arch.empty())) {
    source.config = resolve_dit_config(options.arch, source.checkpoint);
    check_weights(*stored, dit_shapes(*source.config), describe_dit(*source.config),
                  [&] { return std::string(); });
  }
  source.weights = std::move(stored);
}

void open_diffusers(Source& source, const ConvertOptions& options, const Files& files) {
  try {
    source.config = diffusers_config_for(options.arch, files.weights, files.config);
    source.weights = std::make_unique<DiffusersWeights>(*source.config, source.checkpoint);
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}; or keep its names: then it need be no DiT", error.what()));
  }
  source.renamed = true;
}

Source open_source(const fs::path& path, const ConvertOptions& options) {
  const Files files = find_files(path);
  if (io::looks_like_torch_file(files.weights)) io::verify_torch_file(files.weights);
  Source source{.checkpoint = io::open_checkpoint(files.weights, options.weights)};
  if (!has_diffusers_names(source.checkpoint.tensors)) {
    open_named(source, options);
  } else if (options.names == ConvertedNames::official) {
    open_diffusers(source, options, files);
  } else if (options.arch.empty()) {
    source.weights = std::make_unique<StoredWeights>(source.checkpoint);
  } else {
    throw InputError(fmt::format(
        "{}: the architecture {} is for the official names, but its own are to be kept: leave one "
        "of the two out",
        files.weights.string(), options.arch));
  }
  return source;
}

void check_target(const fs::path& target) {
  if (target.extension() != ".safetensors") {
    throw InputError(fmt::format(
        "cannot write '{}': what is written is a safetensors file; name it *.safetensors",
        target.string()));
  }
  io::check_writable(target);
}

void check_source(const io::Checkpoint& checkpoint, const fs::path& target) {
  const auto check = [&](const fs::path& file) {
    std::error_code error;
    if (!fs::equivalent(file, target, error)) return;
    throw InputError(fmt::format(
        "'{}' would be replaced by what is made of it: give the converted file another name",
        file.string()));
  };
  check(checkpoint.path);
  for (const auto& shard : checkpoint.shards) check(shard->path());
  if (checkpoint.metadata.contains("checksum")) {
    throw InputError(fmt::format(
        "'{}' is a safetensors file with a checksum of its content, a working file of l2c: "
        "converted, it would not be taken for one any more",
        checkpoint.path.string()));
  }
}

at::ScalarType new_type(at::ScalarType stored, ConvertedType type) {
  if (type == ConvertedType::keep || !at::isFloatingType(stored)) return stored;
  return type == ConvertedType::fp32 ? at::kFloat : at::kBFloat16;
}

io::TensorSpecs specs_of(const WeightSource& weights, ConvertedType type) {
  io::TensorSpecs specs;
  for (const auto& [name, shape] : weights.shapes()) {
    specs.emplace(name,
                  io::TensorSpec{.dtype = new_type(weights.dtype(name), type), .shape = shape});
  }
  return specs;
}

// Many tensors may show the same bytes of a small file.
void check_size(const io::Checkpoint& checkpoint, const io::TensorSpecs& specs) {
  constexpr double times = 16, beside = 1 << 30;  // far above what wider numbers and zip files need
  double source = 0, made = 0;
  const auto add = [&](const fs::path& file) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    if (!error) source += static_cast<double>(size);
  };
  add(checkpoint.path);
  for (const auto& shard : checkpoint.shards) add(shard->path());
  for (const auto& [name, spec] : specs) made += static_cast<double>(spec.bytes());
  if (made <= times * source + beside) return;
  throw InputError(
      fmt::format("'{}': {} would be written of a file of {}: many of its tensors are the same "
                  "bytes; save those that you need",
                  checkpoint.path.string(), bytes_text(made), bytes_text(source)));
}

// A folder given with a slash at its end has a name, too. Metadata are UTF-8, names of files need
// not be: bytes beyond ASCII are kept only where all of them could be read back.
std::string name_of(const fs::path& source) {
  const fs::path path = source.has_filename() ? source : source.parent_path();
  std::string name = one_line(path.filename().string(), longest_shown);
  std::ranges::replace_if(name, [](char c) { return c < 0; }, '?');
  return name;
}

io::Metadata metadata_of(const Source& source, const fs::path& path,
                         const std::string& fingerprint) {
  io::Metadata metadata = source.checkpoint.metadata;
  metadata["l2c.source"] = name_of(path);
  metadata.erase("l2c.source_weights");
  metadata.erase("l2c.source_fingerprint");
  if (!source.checkpoint.section.empty()) {
    metadata["l2c.source_weights"] = source.checkpoint.section;
  }
  if (source.config) {
    metadata["config"] = to_json(*source.config);
    metadata["l2c.source_fingerprint"] = fingerprint;
  }
  return metadata;
}

// One way through all tensors.
class Pass {
 public:
  Pass(std::string doing, const WeightSource& weights, const io::TensorSpecs& specs,
       const std::function<void(const ConvertProgress&)>& progress, const std::stop_token& stop,
       const fs::path& target)
      : weights_(weights), specs_(specs), progress_(progress), stop_(stop), target_(target) {
    state_.doing = std::move(doing);
    for (const auto& [name, spec] : specs) state_.of += spec.bytes();
  }

  template <typename Use>
  void tensor(const std::string& name, const Use& use) {
    if (stop_.stop_requested()) {
      throw Cancelled(fmt::format("stopped: '{}' was not written", target_.string()));
    }
    use(weights_.tensor(name));
    weights_.release(name);
    state_.done += specs_.at(name).bytes();
    if (progress_) progress_(state_);
  }

  [[nodiscard]] std::int64_t bytes() const { return state_.of; }

 private:
  const WeightSource& weights_;
  const io::TensorSpecs& specs_;
  const std::function<void(const ConvertProgress&)>& progress_;
  const std::stop_token& stop_;
  const fs::path& target_;
  ConvertProgress state_;
};

}  // namespace

Converted convert_weights(const fs::path& source, const fs::path& target,
                          const ConvertOptions& options,
                          const std::function<void(const ConvertProgress&)>& progress,
                          std::stop_token stop) {
  const at::NoGradGuard no_grad;
  check_target(target);
  const Source opened = open_source(source, options);
  check_source(opened.checkpoint, target);
  const WeightSource& weights = *opened.weights;
  const io::TensorSpecs specs = specs_of(weights, options.type);
  check_size(opened.checkpoint, specs);

  Converted result{.format = opened.checkpoint.format,
                   .section = opened.checkpoint.section,
                   .tensors = static_cast<std::int64_t>(specs.size()),
                   .renamed = opened.renamed,
                   .config = opened.config};
  if (opened.config) {
    Fingerprint fingerprint(to_json(*opened.config));
    Pass checking("checking", weights, specs, progress, stop, target);
    for (const auto& [name, spec] : specs) {
      checking.tensor(name, [&](const at::Tensor& tensor) { fingerprint.add(name, tensor); });
    }
    result.fingerprint = fingerprint.text();
  }
  io::SafetensorsWriter writer(target, specs, metadata_of(opened, source, result.fingerprint));
  Pass writing("writing", weights, specs, progress, stop, target);
  for (const auto& name : writer.names()) {
    writing.tensor(name, [&](const at::Tensor& tensor) { writer.write(name, tensor); });
  }
  writer.commit();
  result.bytes = writing.bytes();
  return result;
}

}  // namespace l2c
