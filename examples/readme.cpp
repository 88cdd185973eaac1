// The program of the README: ten images, layers reused as a router says.
#include <l2c/l2c.h>

#include <iostream>

int main(int argc, char** argv) try {
  const auto pipeline = l2c::Pipeline::load("assets/fashion-mnist/dit.safetensors");
  const auto cache = l2c::parse_policy_spec("router:assets/fashion-mnist/placed20.safetensors");

  l2c::Request request;
  request.labels = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  request.steps = 20;
  request.guidance = 1.5;
  request.cache = cache.policy;

  const auto result = pipeline.sample(request, [](const l2c::Progress& progress) {
    std::cerr << "\rstep " << progress.step << " of " << progress.of << std::flush;
  });

  l2c::io::write_png(argc > 1 ? argv[1] : "clothes.png", l2c::contact_sheet(result.images, 5));
  std::cout << "\nreused " << result.stats.reused << " of " << result.stats.cache_step_branches
            << " branches, ideal speed-up " << result.stats.ideal_speedup << "\n";
  return 0;
} catch (const l2c::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
