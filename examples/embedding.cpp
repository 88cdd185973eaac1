// An image generator inside an application: loading, errors, cancelling, pixels, several caches on
// one model. docs/embedding.md explains it.
#include <l2c/l2c.h>

#include <atomic>
#include <iostream>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace {

const std::string assets = "assets/fashion-mnist/";

l2c::Pipeline load() {
  l2c::set_log_handler([](l2c::LogLevel level, std::string_view message) {
    if (level == l2c::LogLevel::warning) std::clog << "l2c: " << message << "\n";
  });
  l2c::LoadOptions options;
  options.dtype = "bf16";
  return l2c::Pipeline::load(assets + "dit.safetensors", options);
}

l2c::Request sandals() {
  l2c::Request request;
  request.labels = {5};
  request.per_class = 4;
  request.seed = 7;
  request.steps = 20;
  request.guidance = 1.5;
  return request;
}

enum class Answer { images, cancelled, bad_request, failed };

Answer answer(const l2c::Pipeline& pipeline, const l2c::Request& request, std::stop_token stop,
              const l2c::ProgressFunction& progress, l2c::Result& result) {
  try {
    result = pipeline.sample(request, progress, std::move(stop));
    return Answer::images;
  } catch (const l2c::Cancelled&) {
    return Answer::cancelled;  // as the user wished
  } catch (const l2c::InputError& error) {
    std::cerr << "your request: " << error.what() << "\n";  // the same again fails again
    return Answer::bad_request;
  } catch (const l2c::Error& error) {  // RunError, and what should not happen
    std::cerr << "our side: " << error.what() << "\n";
    return Answer::failed;
  }
}

// A window with a button: the image is wanted no more once three steps were seen.
Answer click_cancel(const l2c::Pipeline& pipeline, l2c::Request request) {
  request.steps = 1000;
  std::stop_source button;
  std::atomic<int> seen = 0;
  const std::jthread window([&] {
    for (int steps = 0; steps < 3; steps = seen) seen.wait(steps);
    button.request_stop();
  });
  const auto progress = [&](const l2c::Progress& now) {
    seen = now.step;
    seen.notify_one();
  };
  l2c::Result nothing;
  return answer(pipeline, request, button.get_token(), progress, nothing);
}

// 8-bit RGBA, as textures are: gray is repeated, nothing is transparent.
std::vector<std::uint8_t> rgba(const l2c::io::Bitmap& bitmap) {
  const auto channels = static_cast<std::size_t>(bitmap.channels);
  std::vector<std::uint8_t> texture;
  for (std::size_t i = 0; i < bitmap.pixels.size(); i += channels) {
    for (std::size_t c = 0; c < 3; ++c) texture.push_back(bitmap.pixels[i + c % channels]);
    texture.push_back(255);
  }
  return texture;
}

}  // namespace

int main() try {
  const l2c::Pipeline pipeline = load();
  l2c::Request request = sandals();
  l2c::Result result;
  for (const char* cache : {"router20_quality", "router20_fast", "placed20"}) {
    request.cache = l2c::parse_policy_spec("router:" + assets + cache + ".safetensors").policy;
    const auto cost = l2c::price(pipeline.plan(request).value(), pipeline.cost(), 2);
    if (answer(pipeline, request, {}, {}, result) != Answer::images) return 1;
    std::cout << cache << ": ideal speed-up " << cost.ideal_speedup << ", stores at most "
              << cost.cache_bytes << " bytes an image, took " << result.stats.denoise_seconds
              << " s\n";
  }
  const auto texture = rgba(result.images.front().bitmap);
  request.cache = nullptr;
  const bool stopped = click_cancel(pipeline, request) == Answer::cancelled;
  request.labels = {10};
  const bool refused = answer(pipeline, request, {}, {}, result) == Answer::bad_request;
  return texture.size() == 28 * 28 * 4 && stopped && refused ? 0 : 1;
} catch (const l2c::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
