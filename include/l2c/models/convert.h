// Weights of any kind of file or folder that is read here, as one safetensors file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "l2c/io/checkpoint.h"
#include "l2c/models/dit_config.h"

namespace l2c {

// Of floating-point tensors; all others keep theirs.
enum class ConvertedType {
  keep,
  fp32,
  bf16,  // rounded to the nearest: 8 significant bits. Another model, with another fingerprint.
};

enum class ConvertedNames {
  official,  // Diffusers' names of a DiT become the official ones; all others stay as they are
  keep,
};

struct ConvertOptions {
  io::Weights weights = io::Weights::ema;  // of a training checkpoint
  ConvertedType type = ConvertedType::keep;
  ConvertedNames names = ConvertedNames::official;
  // As in open_dit. The converted file says it, so that it need not be named again.
  std::string arch{};
};

struct ConvertProgress {
  std::string doing{};    // "checking" (once for a DiT's fingerprint), then "writing"
  std::int64_t done = 0;  // bytes
  std::int64_t of = 0;
};

// What was read and written.
struct Converted {
  std::string format{};   // of the source, as io::Checkpoint says it
  std::string section{};  // "ema", "model" or ""
  std::int64_t tensors = 0;
  std::int64_t bytes = 0;             // of the tensors written
  bool renamed = false;               // from Diffusers' names
  std::optional<DiTConfig> config{};  // of a DiT that says, or was said, what it is
  std::string fingerprint{};          // of the source, where there is a config (DenoiserInfo)
};

// Reads a checkpoint (io::open_checkpoint), a Diffusers DiT (its folder, its transformer's folder
// or file), or any file of named tensors, and writes `target`, aside and renamed. One tensor at a
// time lies in memory, but for what the source's format asks for (docs/formats.md). Checksums of a
// torch.save file are compared first. The source's metadata are kept; added are "l2c.source" (its
// name), "l2c.source_weights" (ema or model, if there was a choice) and, of a DiT whose
// configuration is known, "config" and "l2c.source_fingerprint". With another type than bf16 the
// model is the same to the bit. Equal sources give equal files.
//
// Throws InputError: what cannot be read, a target that is one of the source's files, cannot be
// written or is not named *.safetensors, an arch that does not fit, tensors that do not fit the
// configuration, a type that safetensors has no name for, a finite number that does not fit into
// the new type, what SafetensorsWriter refuses, tensors of more than 16 times the source's bytes
// and 1 GiB (many views of the same bytes), a source with a checksum of its content (l2c's own
// working files); RunError (disk full); Cancelled after `stop`, which is looked at before each
// tensor. What was at `target` then is untouched. Routers are Router::load and save. Thread-safe.
Converted convert_weights(const std::filesystem::path& source, const std::filesystem::path& target,
                          const ConvertOptions& options = {},
                          const std::function<void(const ConvertProgress&)>& progress = {},
                          std::stop_token stop = {});

}  // namespace l2c
