// l2c place-steps: a router of whole steps, found by search.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "arguments.h"
#include "commands.h"
#include "console.h"
#include "inputs.h"
#include "interrupt.h"
#include "l2c/core/build_info.h"
#include "l2c/training/router_placement.h"
#include "outputs.h"

namespace l2c::cli {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds line_every(5);

struct PlaceStepsOptions {
  ModelOptions model;
  std::optional<int> steps;
  std::optional<int> threads;
  std::string dtype = "fp32";
  std::string out;
  PlacementOptions placement;
};

void place_steps(PlaceStepsOptions options) {
  if (options.placement.record.empty()) options.placement.record = options.out + ".search.json";
  check_outputs({options.out, options.placement.record.string()},
                {options.model.model, options.model.arch});
  const Interrupt interrupt;
  if (options.threads) set_threads(*options.threads);
  if (options.steps) options.placement.spacing = fmt::format("{}", *options.steps);
  const auto model =
      load_model(options.model, options.dtype == "bf16" ? at::kBFloat16 : at::kFloat);
  const auto placed = place_router(
      model, options.placement,
      [last = Clock::time_point()](int tried, double best) mutable {
        if (Clock::now() - last < line_every) return;
        last = Clock::now();
        complain(fmt::format("{} runs, smallest error {:.4g}", tried, best));
      },
      interrupt.token());
  placed.router.save(options.out);
  say(fmt::format(
      "computes everything in steps {} of 0 to {}\nideal speed-up {:.4f}x, error {:.4g}, "
      "drift {:.4g}, {} runs\nwrote {}",
      fmt::join(placed.full_steps, ", "), placed.router.rows() - 1, placed.ideal_speedup,
      placed.local_error, placed.drift, placed.tried, options.out));
}

}  // namespace

void add_place_steps(CLI::App& app) {
  auto* command = app.add_subcommand(
      "place-steps",
      "Search for the steps in which everything is computed while all others reuse: a router, in "
      "minutes, without images. Stopped or killed, it goes on from its record when started again, "
      "and "
      "searches for other numbers of full steps can share that.");
  auto options = std::make_shared<PlaceStepsOptions>();
  PlacementOptions& o = options->placement;
  add_model_options(*command, options->model);
  command->add_option("--device", options->model.device, "cpu, cuda or cuda:N")
      ->capture_default_str();
  command->add_option("--dtype", options->dtype, "fp32 or bf16: of the model's passes")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  auto* steps = command->add_option("--steps", options->steps, "DDIM steps the router is for");
  command->add_option("--spacing", o.spacing, "official spacing string, instead of --steps")
      ->excludes(steps)
      ->capture_default_str();
  auto* full = command->add_option("--full-steps", o.full_steps, "how many compute everything");
  command
      ->add_option("--target-speedup", o.target_speedup,
                   "as many as give this ideal speed-up, or up to 2 % less")
      ->excludes(full);
  command
      ->add_option("--recall", o.recall,
                   "what the others give: latest, taylor:ORDER, chebyshev:ORDER or "
                   "fitted:FILE@DEPTH")
      ->capture_default_str();
  command->add_option("--cfg-scale", o.guidance, "of the runs: classifier-free guidance; 1: off")
      ->capture_default_str();
  command->add_option("--images", o.images, "that each placement is tried on")
      ->capture_default_str();
  command->add_option("--seed", o.seed, "of their noise and classes")->capture_default_str();
  command->add_option("--threads", options->threads, "CPU threads (default: all cores)");
  command->add_option("--out", options->out, "the router, safetensors")->required();
  command->add_option("--record", o.record,
                      "JSON file of what each placement came to (default: OUT.search.json)");
  command->footer(
      "Example:\n"
      "  l2c place-steps --model M --steps 20 --target-speedup 2.8 --cfg-scale 1.5 --out "
      "placed.safetensors\n"
      "  l2c sample --model M --router placed.safetensors --cfg-scale 1.5 --compare");
  command->callback([options] { place_steps(*options); });
}

}  // namespace l2c::cli
