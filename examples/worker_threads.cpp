// Worker threads of an application that share one loaded model; each request has a future.
#include <l2c/l2c.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <iostream>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace {

class Workers {
 public:
  Workers(l2c::Pipeline pipeline, int count) : pipeline_(std::move(pipeline)) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this](const std::stop_token& closing) { work(closing); });
    }
  }

  // What sample() throws comes out of the future. Whoever keeps the stop_source can cancel, while
  // the request waits, too.
  std::future<l2c::Result> ask(l2c::Request request, std::stop_token stop = {}) {
    Task task([this, request = std::move(request), stop = std::move(stop)] {
      return pipeline_.sample(request, {}, stop);
    });
    auto future = task.get_future();
    {
      const std::scoped_lock lock(mutex_);
      waiting_.push_back(std::move(task));
    }
    arrived_.notify_one();
    return future;
  }

 private:
  using Task = std::packaged_task<l2c::Result()>;

  void work(const std::stop_token& closing) {
    while (true) {
      std::unique_lock lock(mutex_);
      if (!arrived_.wait(lock, closing, [this] { return !waiting_.empty(); })) return;
      Task task = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      task();
    }
  }

  const l2c::Pipeline pipeline_;
  std::mutex mutex_;
  std::condition_variable_any arrived_;
  std::deque<Task> waiting_;
  std::vector<std::jthread> threads_;  // last: they end before what they use
};

l2c::Request picture_of(int label) {
  l2c::Request request;
  request.labels = {label};
  request.steps = 10;
  request.guidance = 1.5;
  request.memory_limit = 8 << 20;
  return request;
}

}  // namespace

int main() try {
  l2c::set_threads(2);  // that compute at once, over all workers: before the first of them starts
  const auto pipeline = l2c::Pipeline::load("assets/fashion-mnist/dit.safetensors");
  Workers workers(pipeline, 3);
  std::vector<std::future<l2c::Result>> futures;
  for (int label = 0; label < 10; ++label) futures.push_back(workers.ask(picture_of(label)));
  std::stop_source nobody_waits;
  nobody_waits.request_stop();
  auto cancelled = workers.ask(picture_of(3), nobody_waits.get_token());

  int same = 0;
  for (int label = 0; label < 10; ++label) {
    const auto together = futures[static_cast<std::size_t>(label)].get();
    same += together.latents.values == pipeline.sample(picture_of(label)).latents.values ? 1 : 0;
  }
  std::cout << same << " of 10 images have the bits of a run that is alone\n";
  try {
    (void)cancelled.get();
    return 1;
  } catch (const l2c::Cancelled& error) {
    std::cout << error.what() << "\n";
  }
  return same == 10 ? 0 : 1;
} catch (const l2c::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
