// An image generator inside an application (docs/embedding.md explains it).
#include <l2c/l2c.h>

#include <chrono>
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
  request.labels = {5};   // a class of the model, 0 ... summary().num_classes - 1
  request.per_class = 4;  // so many images of it
  request.seed = 7;       // the same seed, the same images
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

// A button, in a thread of its own: the images are not wanted any more.
Answer click_cancel(const l2c::Pipeline& pipeline, l2c::Request request) {
  request.steps = 1000;
  std::stop_source button;
  const std::jthread user([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    button.request_stop();
  });
  l2c::Result nothing;
  return answer(pipeline, request, button.get_token(), {}, nothing);
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
  const auto show = [](const l2c::Progress& now) {
    std::clog << "\r" << 100 * now.step / now.of << " % " << std::flush;
  };
  for (const char* cache : {"router20_quality", "router20_fast", "placed20"}) {
    request.cache = l2c::parse_policy_spec("router:" + assets + cache + ".safetensors").policy;
    const auto cost = l2c::price(pipeline.plan(request).value(), pipeline.cost(), 2);
    if (answer(pipeline, request, {}, show, result) != Answer::images) return 1;
    std::cout << cache << ": ideal speed-up " << cost.ideal_speedup << ", stores "
              << cost.cache_bytes << " bytes an image\n";
  }
  if (rgba(result.images.front().bitmap).size() != 28 * 28 * 4) return 1;
  request.cache = nullptr;
  if (click_cancel(pipeline, request) != Answer::cancelled) return 1;
  request.labels = {10};
  return answer(pipeline, request, {}, {}, result) == Answer::bad_request ? 0 : 1;
} catch (const l2c::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
