// The policies that parse_policy_spec() knows, one entry each.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "l2c/evaluation/policy_spec.h"

namespace l2c {

struct PolicyKind {
  std::string_view name;  // what is before ":"
  std::string_view form;  // for messages: "every:N,warm-up=W"
  // Fills in all but spec.text from `text`, which begins with the name.
  void (*make)(PolicySpec& spec, const std::string& text);
};

std::span<const PolicyKind> policy_kinds();

// Throws InputError: what is wrong with the text, and how to write policies.
[[noreturn]] void refuse_policy(const std::string& text, std::string_view why);

}  // namespace l2c
