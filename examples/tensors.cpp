// With LibTorch's tensors: a denoising loop of one's own noise, and tensors that come out of it.
#include <l2c/torch/l2c.h>

#include <iostream>

namespace {

l2c::DenoiseResult sample(const l2c::Denoiser& model, const at::Tensor& noise,
                          const at::Tensor& labels) {
  const l2c::Schedule schedule = l2c::make_schedule("20");
  const l2c::EveryN every_second(2);
  const l2c::DenoiseJob job{.model = model,
                            .schedule = schedule,
                            .policy = every_second,
                            .step =
                                [&](int i, int, const at::Tensor& x, const at::Tensor& output) {
                                  return l2c::ddim_step(schedule, i, x, output, 0, {});
                                },
                            .guidance = {.scale = 1.5, .channels = 1},
                            .sampler = "ddim",
                            .stop = {},
                            .observer = {}};
  l2c::DenoiseResult result;
  l2c::with_our_errors("try fewer images", [&] { result = l2c::denoise(job, noise, labels); });
  return result;
}

}  // namespace

int main() try {
  const auto source = l2c::open_dit("assets/fashion-mnist/dit.safetensors");
  const auto model = l2c::DiT::load(source.config, *source.weights, at::kCPU, at::kFloat);
  const at::Tensor noise =
      at::stack({l2c::philox_normal(/*seed=*/7, /*image=*/0, /*step=*/-1, {1, 28, 28}),
                 l2c::philox_normal(7, 1, -1, {1, 28, 28})});
  const auto own = sample(*model, noise, at::tensor({8, 9}, at::kLong));
  std::cout << "latents " << own.latents.sizes() << ", cached " << own.cache_bytes << " bytes\n";

  // The same by the pipeline: one model, shared.
  const l2c::Pipeline pipeline(model);
  l2c::Request request;
  request.labels = {8, 9};
  request.seed = 7;
  request.guidance = 1.5;
  request.cache = std::make_shared<l2c::EveryN>(2);
  const at::Tensor latents = l2c::to_tensor(pipeline.sample(request).latents);
  return at::equal(own.latents, latents) ? 0 : 1;
} catch (const l2c::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
