// Loading a model once and sampling from it. No LibTorch header behind it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>

#include "l2c/core/cost.h"
#include "l2c/models/class_names.h"
#include "l2c/sampling/request.h"

namespace l2c {

class Denoiser;

struct LoadOptions {
  // "DiT-XL/2", a JSON file, or empty: the file's own metadata says, or a Diffusers config.json
  std::string architecture{};
  std::string weights = "ema";  // of a training checkpoint: "ema" or "model"
  std::string device = "cpu";   // "cpu", "cuda", "cuda:N"
  // Of the products and of what the cache keeps: "fp32", or "bf16" (faster, half the memory; sums,
  // residual stream, norms, embeddings and sampler stay fp32).
  std::string dtype = "fp32";
  // What makes pictures of latents: the folder of a Diffusers AutoencoderKL; "none"; or empty: the
  // vae/ of the model's Diffusers folder, if it has one. Always fp32.
  std::string vae{};
};

// What is loaded; see DenoiserInfo for the fields' meaning.
struct ModelSummary {
  std::string architecture;
  std::string fingerprint;
  int channels = 0;
  int size = 0;
  int blocks = 0;
  int num_classes = 0;
  std::string dtype;   // of products and kept branches: "fp32" or "bf16"
  std::string device;  // "cpu" or "cuda"
  bool can_be_guided = false;
  bool makes_pixels = false;  // 1 or 3 channels in [-1, 1]; otherwise latents
  // Height and width of the pictures: with a VAE, larger than the latents.
  int image_size = 0;
  bool decodes = false;  // there is a VAE
  std::string vae{};     // its fingerprint
  // For SamplerKind::folder: "DDIMScheduler, leading"; empty: there is none.
  std::string scheduler{};
};

// Immutable: any number of threads may sample from one pipeline. Copies share the model.
class Pipeline {
 public:
  // `model`: a checkpoint, or the folder of a Diffusers DiT pipeline or transformer (open_dit,
  // which says what that may be). Throws InputError (files, architecture, weights, device).
  static Pipeline load(const std::filesystem::path& model, const LoadOptions& options = {});
  // A model of `architecture` ("DiT-XL/2" or a JSON file) with weights made from a seed, for
  // measurements of models whose weights are not at hand: see SeededWeights. options.architecture
  // and options.weights say nothing here. Throws InputError (architecture, a seed above
  // largest_weight_seed, device).
  static Pipeline seeded(const std::string& architecture, std::uint64_t seed,
                         const LoadOptions& options = {});
  // Around a model made by other means (<l2c/torch/l2c.h>).
  explicit Pipeline(std::shared_ptr<const Denoiser> model);

  // On a GPU the steps are queued without waiting: progress runs ahead of the device, and
  // non-finite latents are reported, with their step, at the end of the micro-batch.
  // Throws InputError (request), Cancelled (within one step), RunError (non-finite latents, ...).
  [[nodiscard]] Result sample(const Request& request, const ProgressFunction& progress = {},
                              std::stop_token stop = {}) const;

  // What the request's policy would do, without running the model. Throws like sample();
  // nullopt for a policy that decides as it goes.
  [[nodiscard]] std::optional<CachePlan> plan(const Request& request) const;

  [[nodiscard]] const ModelSummary& summary() const;
  // What the labels are called: id2label of a Diffusers folder; empty for other models.
  [[nodiscard]] const ClassNames& class_names() const;
  [[nodiscard]] const ForwardCost& cost() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace l2c
