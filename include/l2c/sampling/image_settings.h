// What images were made with, as text that travels in their PNG file. No LibTorch header behind it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "l2c/sampling/pipeline.h"
#include "l2c/sampling/request.h"

namespace l2c {

// The keyword of the PNG text.
inline constexpr std::string_view image_settings_keyword = "l2c";

struct ImageSettings {
  std::string version{};  // of l2c
  // The model: DenoiserInfo's fingerprint and architecture, "fp32" or "bf16", "cpu" or "cuda", the
  // instruction set of the CPU's operations (ops::name()), and the fingerprint of the VAE that made
  // the pictures (empty: none).
  std::string model{};
  std::string architecture{};
  std::string dtype{};
  std::string device{};
  std::string instruction_set{};
  std::string vae{};
  // What was reused, wherever its files lie, as PolicySpec::identity; and, from which to make it
  // again, either the text of a policy that names no file, or a router's fingerprint with threshold
  // and recall.
  std::string cache = "compute all";
  std::string policy{};
  std::string router{};
  std::optional<double> threshold{};
  std::string recall{};
  std::string scheduler{};  // ModelSummary's, for SamplerKind::folder
  // All but cache, memory_limit, initial_noise and how it is shown. steps is set, batch_size is
  // what really ran at a time.
  Request request{};
  std::string initial_noise{};  // latents_fingerprint() of it; empty: from the seeds
  bool compared = false;        // the picture shows the images with everything computed, too
  std::optional<int> image{};   // the picture shows one image alone: its number within the request
};

// Of a run of that pipeline. What was reused is known by its policy's name() only: whoever made the
// policy fills in cache, policy or router with threshold and recall, without which the settings do
// not say how to make it again.
ImageSettings image_settings(const Pipeline& pipeline, const Request& request,
                             const RunStats& stats);

// For one image's own file: the request of its micro-batch alone, which gives the same image to the
// bit. Of a run with initial noise: the whole request. Throws InputError for a number outside of
// it.
ImageSettings of_image(const ImageSettings& settings, int index);

// 32 hex digits of shape and values.
std::string latents_fingerprint(const Latents& latents);

// One line of JSON, ASCII.
std::string to_text(const ImageSettings& settings);

// Takes nothing on trust: throws InputError, beginning with `where`, for text that is no settings,
// of another format, or with a value of another type or outside its range. Whether the request fits
// a model is left to the pipeline. The texts within are printable ASCII; `policy` may name a file
// all the same (opens_no_file()).
ImageSettings parse_image_settings(std::string_view text, const std::string& where);

// Of a PNG file; nullopt: it carries none. Throws InputError (file, text).
std::optional<ImageSettings> read_image_settings(const std::filesystem::path& png);

}  // namespace l2c
