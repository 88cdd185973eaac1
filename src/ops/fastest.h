// Which of several ways to do the same is the fastest here: measured once, then remembered.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "l2c/core/error.h"
#include "l2c/core/torch.h"

namespace l2c::ops {

// What measuring the candidates came to: the fastest, and what the others said that could not.
struct Measured {
  std::optional<std::size_t> fastest;
  std::string failures;
};

// Calls measure(i), which gives any unit of time, for 0 ... candidates - 1, in this order. One that
// throws cannot do it and is left out, except for want of memory, which reaches the caller: with
// more of it, the candidate might be the fastest. The first wins a tie.
Measured measure_all(std::size_t candidates, c10::function_ref<double(std::size_t)> measure);

// One choice for each key, for the life of the object. Any thread may ask; measurements do not
// overlap, so they do not disturb each other.
template <class Key>
class Fastest {
 public:
  // The choice for the key; at its first call the candidates are measured. Throws Error, and
  // remembers nothing, when none of them can do it.
  std::size_t choose(const Key& key, std::size_t candidates,
                     c10::function_ref<double(std::size_t)> measure);
  // The choice for the key, if it was made.
  std::optional<std::size_t> chosen(const Key& key) const;

 private:
  mutable std::mutex mutex_;  // of choices_
  std::mutex measuring_;
  std::map<Key, std::size_t> choices_;
};

template <class Key>
std::optional<std::size_t> Fastest<Key>::chosen(const Key& key) const {
  const std::scoped_lock lock(mutex_);
  const auto found = choices_.find(key);
  if (found == choices_.end()) return std::nullopt;
  return found->second;
}

template <class Key>
std::size_t Fastest<Key>::choose(const Key& key, std::size_t candidates,
                                 c10::function_ref<double(std::size_t)> measure) {
  if (const auto known = chosen(key)) return *known;
  const std::scoped_lock measuring(measuring_);
  if (const auto known = chosen(key)) return *known;  // by the thread that this one waited for
  const Measured measured = measure_all(candidates, measure);
  if (!measured.fastest) throw Error("no candidate can do it: " + measured.failures);
  const std::scoped_lock lock(mutex_);
  choices_.emplace(key, *measured.fastest);
  return *measured.fastest;
}

}  // namespace l2c::ops
