// The parts of l2c inspect.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "l2c/io/checkpoint.h"

namespace l2c::cli {

struct InspectOptions {
  std::string file;
  std::string other;  // empty: one file is described
  bool json = false;
  std::string heat_map;
  std::optional<double> threshold;
  std::string weights = "ema";
  std::string arch;  // of a DiT whose file does not say it
};

// All below throw InputError for a file that is bad, or of another kind.

// A checkpoint, a Diffusers model, a training's state. Reads every number.
nlohmann::ordered_json describe_weights(const InspectOptions& options);
bool is_folder(const std::string& path);
// Of a torch.save file whose checksums are right.
io::Checkpoint open_verified(const std::string& path, io::Weights weights);
// What a training goes on from.
bool is_training_state(const std::string& path);

// A PNG, with the settings that it carries.
nlohmann::ordered_json describe_picture(const std::string& path);

nlohmann::ordered_json describe_router(const InspectOptions& options);
// Writes its picture.
void draw_heat_map(const InspectOptions& options);

// Two files of tensors, or two routers. "same" says whether they are.
nlohmann::ordered_json describe_differences(const InspectOptions& options);
nlohmann::ordered_json describe_router_differences(const InspectOptions& options);

// Puts a name behind those of an object, which must not have it yet: to find that out, [] compares
// it with all of them, and files may have 100,000.
void append(nlohmann::ordered_json& object, const std::string& name, nlohmann::ordered_json value);

// For people.
void print_description(const nlohmann::ordered_json& json);
void print_differences(const nlohmann::ordered_json& json);

}  // namespace l2c::cli
