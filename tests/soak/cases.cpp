#include "cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <memory>
#include <optional>

#include "draw.h"

namespace l2c::soak {

namespace {

struct Kind {
  std::string text;
  std::shared_ptr<const CachePolicy> policy;
  std::optional<int> steps;  // the only number that fits
};

std::vector<Kind> policy_kinds(const std::filesystem::path& assets) {
  std::vector<Kind> kinds;
  for (const char* file : {"router20_quality", "router20_fast", "placed20", "router50_fast"}) {
    const auto path = assets / (std::string(file) + ".safetensors");
    const PolicySpec spec = parse_policy_spec("router:" + path.string());
    kinds.push_back({file, spec.policy, spec.made_for_steps});
  }
  for (const char* text :
       {"full", "every:2", "every:3,warm-up=2", "every:2+taylor:1", "taylorseer:3,order=2",
        "chebbooster:4,order=3", "first-block:0.1", "teacache:0.2", "delta-dit:2"}) {
    kinds.push_back({text, parse_policy_spec(text).policy, std::nullopt});
  }
  return kinds;
}

Request draw_request(Draw& draw, const Kind& kind) {
  Request request;
  const std::size_t classes = 1 + draw.below(4);
  for (std::size_t i = 0; i < classes; ++i)
    request.labels.push_back(static_cast<int>(draw.below(10)));
  request.per_class = 1 + static_cast<int>(draw.below(2));
  request.seed = draw.below(1'000'000);
  request.first_image = static_cast<std::int64_t>(draw.below(3) * 100);
  request.steps = kind.steps ? *kind.steps : draw.of<int>({3, 6, 10, 15, 20});
  // Routers were made for one sampler.
  if (!kind.steps && draw.below(2) == 0) request.sampler = SamplerKind::ddpm;
  if (request.sampler == SamplerKind::ddim && draw.below(3) == 0) request.eta = 0.5;
  request.guidance = draw.of<double>({1, 1.5, 4});
  if (draw.below(4) == 0) request.guidance_channels = GuidanceChannels::all;
  request.batch_size = draw.of<int>({1, 2, 3, 8});
  request.cache = kind.policy;
  request.pictures = draw.below(8) != 0;
  return request;
}

std::string describe(const Request& request, const std::string& pipeline,
                     const std::string& policy) {
  const bool ddpm = request.sampler == SamplerKind::ddpm;
  return fmt::format(
      "{} {}, {} steps, {}, guidance {}, {} images by {}", pipeline, policy, *request.steps,
      ddpm ? "ddpm" : fmt::format("ddim eta {}", request.eta), request.guidance,
      request.labels.size() * static_cast<std::size_t>(request.per_class), request.batch_size);
}

// What the seed would give, as a tensor of the caller's.
Latents some_noise(std::int64_t images, int size, Draw& draw) {
  Latents noise{.shape = {images, 1, size, size}, .values = {}};
  noise.values.resize(static_cast<std::size_t>(images * size * size));
  for (float& value : noise.values) {
    value = static_cast<float>(draw.below(4001)) * 1e-3F - 2.0F;
  }
  return noise;
}

}  // namespace

std::vector<Case> make_cases(std::size_t count, const std::vector<std::string>& pipelines,
                             const std::filesystem::path& assets, std::int64_t memory_limit,
                             std::uint64_t seed) {
  constexpr int size = 28;  // of the Fashion-MNIST model
  const auto kinds = policy_kinds(assets);
  Draw draw(seed);
  std::vector<Case> cases;
  for (std::size_t i = 0; i < count; ++i) {
    const Kind& kind = kinds[i % kinds.size()];
    // Neighbours differ in type, and so do the rounds through the kinds.
    const std::size_t pipeline = (i + i / kinds.size()) % pipelines.size();
    Request request = draw_request(draw, kind);
    request.memory_limit = memory_limit;
    if (i % 6 == 5) {
      const auto images = static_cast<std::int64_t>(request.labels.size()) * request.per_class;
      request.initial_noise = some_noise(images, size, draw);
    }
    cases.push_back({describe(request, pipelines[pipeline], kind.text), pipeline, request});
  }
  return cases;
}

const char* name_of(Ending ending) {
  switch (ending) {
    case Ending::finish:
      return "finish";
    case Ending::stop_in_progress:
      return "stop in progress function";
    case Ending::stop_from_outside:
      return "stop from another thread";
    case Ending::stop_before:
      return "stop before the run";
    case Ending::throw_in_progress:
      return "throw in progress function";
    case Ending::refuse:
      return "refuse";
    case Ending::fail:
      return "fail";
  }
  return "";
}

void spoil(Request& request, std::size_t kind) {
  using Mistake = std::function<void(Request&)>;
  static const std::vector<Mistake> mistakes{
      [](Request& r) { r.labels.clear(); },
      [](Request& r) { r.labels.push_back(10); },
      [](Request& r) { r.labels.front() = -1; },
      [](Request& r) { r.per_class = 0; },
      [](Request& r) { r.steps = 0; },
      [](Request& r) {
        r.spacing = std::string(1, '7');
        r.steps = 8;
      },
      [](Request& r) { r.batch_size = 0; },
      [](Request& r) { r.memory_limit = 1000; },
      [](Request& r) { r.memory_limit = -1; },
      [](Request& r) { r.eta = -1; },
      [](Request& r) { r.guidance = std::numeric_limits<double>::quiet_NaN(); },
      [](Request& r) { r.first_image = -1; },
      [](Request& r) { r.sampler = SamplerKind::folder; },
      [](Request& r) { r.initial_noise = Latents{.shape = {1, 1, 2, 2}, .values = {0, 0, 0, 0}}; },
      [](Request& r) { r.initial_noise = Latents{.shape = {2, 1, 28, 28}, .values = {0}}; }};
  mistakes[kind % mistakes.size()](request);
}

std::vector<Job> make_jobs(std::size_t runs, const std::vector<int>& steps, std::uint64_t seed) {
  struct Share {
    Ending ending;
    std::size_t thousandths;
  };
  constexpr std::array<Share, 6> shares{{{Ending::stop_in_progress, 250},
                                         {Ending::stop_from_outside, 200},
                                         {Ending::stop_before, 50},
                                         {Ending::throw_in_progress, 50},
                                         {Ending::refuse, 40},
                                         {Ending::fail, 10}}};
  Draw draw(seed + 1);
  std::vector<Job> jobs;
  for (const Share& share : shares) {
    const std::size_t count = (runs * share.thousandths + 500) / 1000;
    for (std::size_t i = 0; i < count && jobs.size() < runs; ++i)
      jobs.push_back({0, share.ending, i});
  }
  jobs.resize(runs);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    jobs[i].index = draw.below(steps.size());
    const auto of = static_cast<std::size_t>(steps[jobs[i].index]);
    if (jobs[i].ending == Ending::refuse) continue;
    // Whoever stops from outside needs time to do so: the first third of the run leaves it.
    const bool outside = jobs[i].ending == Ending::stop_from_outside;
    jobs[i].at = 1 + draw.below(outside ? std::max<std::size_t>(1, of / 3) : of - 1);
  }
  draw.shuffle(jobs);
  return jobs;
}

}  // namespace l2c::soak
