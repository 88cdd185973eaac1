// l2c convert: weights and routers of any kind that is read, as safetensors.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "commands.h"
#include "console.h"
#include "interrupt.h"
#include "l2c/cache/router.h"
#include "l2c/core/error.h"
#include "l2c/core/words.h"
#include "l2c/io/file.h"
#include "l2c/io/torch_checkpoint.h"
#include "l2c/models/convert.h"
#include "l2c/models/dit_infer.h"

namespace l2c::cli {

namespace {

struct ConvertLine {
  std::string in;
  std::string out;
  std::string dtype = "keep";
  std::string names = "official";
  std::string weights = "ema";
  std::string arch;
};

ConvertOptions options_of(const ConvertLine& line) {
  ConvertOptions options;
  if (line.dtype == "fp32") options.type = ConvertedType::fp32;
  if (line.dtype == "bf16") options.type = ConvertedType::bf16;
  if (line.names == "keep") options.names = ConvertedNames::keep;
  if (line.weights == "model") options.weights = io::Weights::model;
  options.arch = line.arch;
  return options;
}

bool is_router(const std::string& path) {
  std::error_code error;
  return !std::filesystem::is_directory(path, error) && Router::recognises(path);
}

// Rounded scores could fall on the other side of a threshold.
void check_router(const ConvertLine& line) {
  if (line.dtype == "bf16") {
    throw InputError(
        fmt::format("'{}' is a router: its scores stay fp32, or its decisions could change; leave "
                    "out --dtype",
                    line.in));
  }
  if (!line.arch.empty()) {
    throw InputError(fmt::format("'{}' is a router: leave out --arch", line.in));
  }
}

// A published router becomes one of our own format, with what is known of it.
void convert_published(const ConvertLine& line) {
  const std::filesystem::path out(line.out);
  if (out.extension() != ".safetensors") {
    throw InputError(fmt::format(
        "cannot write '{}': what is written is a safetensors file; name it *.safetensors",
        line.out));
  }
  std::error_code error;
  if (std::filesystem::equivalent(line.in, line.out, error)) {
    throw InputError(fmt::format("'{}' would be replaced by what is made of it", line.in));
  }
  io::verify_torch_file(line.in);
  const auto router = Router::load(line.in);
  router.save(out);
  say(fmt::format("wrote {}: a router for {} steps and {} blocks", line.out, router.rows(),
                  router.units() / 2));
}

void convert_all_else(const ConvertLine& line, const std::stop_token& stop) {
  TenthLines lines;
  const auto show = [&](const ConvertProgress& progress) {
    if (!lines.due(progress.doing, progress.done, progress.of)) return;
    remark(fmt::format("{}: {} of {}", progress.doing,
                       bytes_text(static_cast<double>(progress.done)),
                       bytes_text(static_cast<double>(progress.of))));
  };
  const auto done = convert_weights(line.in, line.out, options_of(line), show, stop);
  say(fmt::format("wrote {}: {} tensors, {}, of a {} file{}{}", line.out, done.tensors,
                  bytes_text(static_cast<double>(done.bytes)), done.format,
                  done.section.empty() ? "" : fmt::format(", {} weights", done.section),
                  done.renamed ? ", Diffusers' names made official" : ""));
  if (done.config) say("  " + describe_dit(*done.config));
  if (!done.fingerprint.empty()) {
    say(fmt::format("  fingerprint of the source {}", done.fingerprint));
  }
}

void convert(const ConvertLine& line) {
  const Interrupt interrupt;
  if (!is_router(line.in)) {
    convert_all_else(line, interrupt.token());
    return;
  }
  check_router(line);
  if (io::looks_like_torch_file(line.in)) {
    convert_published(line);
  } else {
    (void)Router::load(line.in);  // whatever is wrong with it is said before it is copied
    convert_all_else(line, interrupt.token());
  }
}

}  // namespace

void add_convert(CLI::App& app) {
  auto* command = app.add_subcommand(
      "convert",
      "Write any file of weights that l2c reads (torch.save, safetensors, shards, Diffusers), or a "
      "router, as one safetensors file.");
  auto line = std::make_shared<ConvertLine>();
  command
      ->add_option("in", line->in,
                   "checkpoint (.safetensors, .pt, .pth, .bin, ...safetensors.index.json), folder "
                   "of a Diffusers DiT, or router")
      ->required();
  command->add_option("out", line->out, "FILE.safetensors")->required();
  command
      ->add_option("--dtype", line->dtype,
                   "of floating-point tensors: keep, fp32, or bf16 (half the size, rounded: "
                   "another model than the source)")
      ->check(CLI::IsMember({"keep", "fp32", "bf16"}))
      ->capture_default_str();
  command
      ->add_option("--names", line->names,
                   "of a Diffusers DiT's tensors: official (then the file needs no config.json "
                   "beside it), or keep")
      ->check(CLI::IsMember({"official", "keep"}))
      ->capture_default_str();
  command->add_option("--weights", line->weights, "of a training checkpoint: ema or model")
      ->check(CLI::IsMember({"ema", "model"}))
      ->capture_default_str();
  command->add_option("--arch", line->arch,
                      "of a DiT whose file does not say it: \"DiT-XL/2\", ... or a JSON file; the "
                      "converted one says it");
  command->footer(
      "Example: a file that is mapped, not unpacked, and says what it is\n"
      "  l2c convert DiT-XL-2-256x256.pt dit.safetensors --arch DiT-XL/2\n"
      "  l2c convert DiT-XL-2-256 dit.safetensors\n"
      "  l2c inspect dit.safetensors");
  command->callback([line] { convert(*line); });
}

}  // namespace l2c::cli
