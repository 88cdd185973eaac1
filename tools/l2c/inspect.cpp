// l2c inspect: what a file holds, and whether it is sound; how two files differ.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Error.hpp>
#include <CLI/Validators.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "console.h"
#include "inspecting.h"
#include "l2c/cache/router.h"
#include "l2c/core/error.h"
#include "l2c/evaluation/report.h"
#include "l2c/io/file.h"
#include "l2c/io/json_text.h"
#include "l2c/io/png.h"
#include "l2c/io/sharded.h"
#include "outputs.h"
#include "report.h"

namespace l2c::cli {

namespace {

using Json = nlohmann::ordered_json;

// What l2c eval wrote: its table, and what it was made of.
void inspect_report(const InspectOptions& options) {
  const std::string text = io::read_text(options.file, io::most_json_bytes);
  io::check_json_text(text, options.file);
  const std::string table = recorded_table(text, options.file);
  if (options.json) {
    say(printable_json(text));
    return;
  }
  const auto report = parse_in_order(text, options.file);
  say(table);
  for (const auto* part : {"settings", "machine", "model", "network", "reference"}) {
    if (report.contains(part)) say(fmt::format("{:<10} {}", part, report[part].dump()));
  }
}

enum class Kind { report, picture, router, weights };

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::report:
      return "JSON";
    case Kind::picture:
      return "a picture";
    case Kind::router:
      return "a router";
    case Kind::weights:
      break;
  }
  return "no router";
}

// By what the file holds. That is looked at once: a compressed one is unpacked for it.
Kind kind_of(const std::string& path) {
  if (is_folder(path)) return Kind::weights;
  if (path.ends_with(".json") && !io::is_shard_index(path)) return Kind::report;
  if (io::is_png(path)) return Kind::picture;
  return Router::recognises(path) ? Kind::router : Kind::weights;
}

Json describe_file(const InspectOptions& options, Kind kind) {
  if (kind == Kind::picture) return describe_picture(options.file);
  return kind == Kind::router ? describe_router(options) : describe_weights(options);
}

// For options that make sense for files of another kind alone.
void check_options(const InspectOptions& options, Kind kind) {
  const auto refuse = [&](bool given, Kind its, const char* name, const char* what) {
    if (!given || kind == its) return;
    throw InputError(
        fmt::format("{} is for {}, and '{}' is none: leave it out", name, what, options.file));
  };
  refuse(!options.heat_map.empty(), Kind::router, "--heat-map", "routers");
  refuse(options.threshold.has_value(), Kind::router, "--threshold", "routers");
  refuse(!options.arch.empty(), Kind::weights, "--arch", "models");
}

void describe(const InspectOptions& options) {
  const Kind kind = kind_of(options.file);
  check_options(options, kind);
  if (kind == Kind::report) {
    inspect_report(options);
    return;
  }
  check_outputs({options.heat_map}, {options.file});
  Json description{{"file", options.file}, {"sound", true}};
  description.update(describe_file(options, kind));
  if (!options.heat_map.empty()) {
    draw_heat_map(options);
    description["heat_map"] = options.heat_map;
  }
  if (options.json) {
    say(json_text(description));
  } else {
    print_description(description);
  }
}

Kind kind_to_compare(const std::string& path) {
  const Kind kind = kind_of(path);
  if (kind == Kind::weights || kind == Kind::router) return kind;
  throw InputError(
      fmt::format("'{}' is {}: files of tensors are compared, and routers; name two of a kind",
                  path, name_of(kind)));
}

void compare(const InspectOptions& options) {
  if (!options.heat_map.empty()) throw InputError("--heat-map draws one router: give one file");
  if (!options.arch.empty()) throw InputError("--arch describes one model: give one file");
  const Kind kind = kind_to_compare(options.file), other = kind_to_compare(options.other);
  if (kind != other) {
    throw InputError(fmt::format("'{}' is {} and '{}' is {}: name two of a kind", options.file,
                                 name_of(kind), options.other, name_of(other)));
  }
  check_options(options, kind);
  const Json differences =
      kind == Kind::router ? describe_router_differences(options) : describe_differences(options);
  if (options.json) {
    say(json_text(differences));
  } else {
    print_differences(differences);
  }
  if (!differences["same"].get<bool>()) throw CLI::RuntimeError(different);
}

}  // namespace

void add_inspect(CLI::App& app) {
  auto* command = app.add_subcommand(
      "inspect",
      "Describe a checkpoint, Diffusers folder, router, tensor file, training checkpoint, report "
      "of eval or picture of sample: exit code 0 sound, 2 bad. With two files, how they differ, "
      "tensor by tensor under "
      "the names in the files, or decision by decision for routers: exit code 0 the same, 1 "
      "different, 2 a bad file. Metadata are shown, but do not count as a difference.");
  auto options = std::make_shared<InspectOptions>();
  command->add_option("file", options->file, "the file, or the folder of a Diffusers DiT")
      ->required();
  command->add_option("other", options->other, "another one, to compare with");
  command->add_flag("--json", options->json, "for programs");
  command->add_option("--heat-map", options->heat_map,
                      "PNG of a router: steps, blocks, scores, and what is reused");
  command->add_option("--threshold", options->threshold,
                      "of a router (default: 0.1, 0.5 and 0.9; for --heat-map the router's own)");
  command->add_option("--arch", options->arch,
                      "of a DiT whose file does not say it: \"DiT-XL/2\", ... or a JSON file");
  command
      ->add_option("--weights", options->weights,
                   "of training checkpoints that are compared: ema or model")
      ->check(CLI::IsMember({"ema", "model"}))
      ->capture_default_str();
  command->footer(
      "Example:\n"
      "  l2c inspect DDIM20_router.pt --heat-map router.png --threshold 0.1\n"
      "  l2c inspect before.safetensors after.safetensors");
  command->callback([options] { options->other.empty() ? describe(*options) : compare(*options); });
}

}  // namespace l2c::cli
