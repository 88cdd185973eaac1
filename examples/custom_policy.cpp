// A cache policy of your own: shapes in, a plan out. No LibTorch header is needed for that.
#include <l2c/l2c.h>

#include <iostream>
#include <memory>

namespace {

// Reuses the MLPs of the deeper half of the blocks at every second evaluation.
class DeepMlps final : public l2c::CachePolicy {
 public:
  [[nodiscard]] std::string name() const override { return "MLPs of the deeper half"; }

  [[nodiscard]] std::optional<l2c::CachePlan> plan(const l2c::RunShape& shape) const override {
    const int evaluations = static_cast<int>(shape.evaluations.size());
    l2c::CachePlan plan(evaluations, shape.units());
    for (int e = 1; e < evaluations; e += 2) {
      for (int block = shape.blocks / 2; block < shape.blocks; ++block) {
        plan.reuse(e, l2c::BranchId{block, l2c::BranchKind::mlp}.unit());
      }
    }
    return plan;
  }
};

}  // namespace

int main(int argc, char** argv) try {
  const auto pipeline = l2c::Pipeline::load("assets/fashion-mnist/dit.safetensors");
  l2c::Request request;
  request.labels = {1, 9};
  request.steps = 10;
  request.cache = std::make_shared<DeepMlps>();

  // Decide before you pay: the plan is known before anything runs.
  const auto cost = l2c::price(pipeline.plan(request).value(), pipeline.cost());
  std::cout << "will reuse " << cost.reused << " branches, ideal speed-up " << cost.ideal_speedup
            << ", " << cost.cache_bytes << " bytes stored for one image\n";

  const auto result = pipeline.sample(request);
  l2c::io::write_png(argc > 1 ? argv[1] : "deep_mlps.png", l2c::contact_sheet(result.images, 2));
  std::cout << "reused " << result.stats.reused << " branches\n";
  return result.stats.reused == cost.reused && cost.reused == 5 * 4 ? 0 : 1;
} catch (const l2c::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
