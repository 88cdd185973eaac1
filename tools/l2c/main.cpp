// The l2c program.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Error.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <cstdio>
#include <exception>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>

#include "commands.h"
#include "console.h"
#include "interrupt.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/core/torch_errors.h"
#include "l2c/core/words.h"
#include "memory.h"
#include "option_checks.h"

namespace {

using namespace l2c::cli;

int fail(ExitCode code, const std::exception& error) {
  complain(error.what());
  return code;
}

// CLI11 repeats the arguments, which a shell may have taken from the names of files.
int refuse(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream text;
  app.exit(error, text, text);
  stderr_stream() << l2c::printable(text.str());
  return input_error;
}

// After add_option_checks() what is left is a whole number that an int does not hold.
CLI::ConversionError with_range(const CLI::ConversionError& error) {
  using Limits = std::numeric_limits<int>;
  return CLI::ConversionError(fmt::format("{}: give a whole number from {} to {}", error.what(),
                                          Limits::min(), Limits::max()));
}

const char* name_of(l2c::LogLevel level) {
  if (level == l2c::LogLevel::warning) return "note";
  return level == l2c::LogLevel::info ? "info" : "debug";
}

// The library's remarks of that level and above, on standard error.
void show_log(const std::string& least) {
  if (least == "none") return l2c::set_log_handler({});
  const auto level = least == "debug"  ? l2c::LogLevel::debug
                     : least == "info" ? l2c::LogLevel::info
                                       : l2c::LogLevel::warning;
  l2c::set_log_handler(
      [](l2c::LogLevel of, std::string_view message) {
        complain(fmt::format("{}: {}", name_of(of), message));
      },
      level);
}

// Not where files alone are read: whole tensors of many sizes come and go once, and what is left
// between them would add up.
void keep_memory_for_steps(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands({})) {
    if (command->get_name() == "inspect" || command->get_name() == "convert") continue;
    command->preparse_callback([](std::size_t) { keep_freed_memory(); });
  }
}

int run(int argc, char** argv) {
  CLI::App app{
      "l2c makes images with diffusion transformers, reusing layer outputs between denoising "
      "steps."};
  app.name("l2c");
  app.fallthrough();             // to the subcommands that are added: these options after them too
  app.require_subcommand(0, 1);  // none at all gets a message of our own, below
  app.add_option_function<std::string>("--log-level", show_log,
                                       "which remarks of the library to show: debug, info, warning "
                                       "or none")
      ->check(CLI::IsMember({"debug", "info", "warning", "none"}))
      ->trigger_on_parse()
      ->default_str("warning");
  app.set_version_flag("--version", l2c::version());
  app.footer(
      "Exit codes: 0 done, 1 failed while running, 2 bad input, 130 interrupted; inspect "
      "of two files: 1 different.");
  add_sample(app);
  add_plan(app);
  add_inspect(app);
  add_convert(app);
  add_doctor(app);
  add_train_dit(app);
  add_train_classifier(app);
  add_eval(app);
  add_sweep(app);
  add_calibrate(app);
  add_bench(app);
  add_validate(app);
  add_train_router(app);
  add_place_steps(app);
  add_manual(app);
  keep_memory_for_steps(app);
  add_option_checks(app);
  check_words(argc, argv);
  int code = ok;
  try {
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError& done) {
    code = done.get_exit_code();  // of a subcommand that did its work
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ConversionError& error) {
    return refuse(app, with_range(error));
  } catch (const CLI::ParseError& error) {
    return refuse(app, error);
  }
  if (app.get_subcommands().empty()) {
    complain("say what to do: sample, plan, inspect, train-dit, ... (l2c --help shows them all)");
    return input_error;
  }
  stdout_stream().flush();
  if (!stdout_stream()) throw l2c::RunError("cannot write standard output: is its disk full?");
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    show_log("warning");
    int code = run_error;
    // Subcommands give better advice where they can; this is for what gets past them.
    l2c::with_our_errors("close other programs, or ask for less at once",
                         [&] { code = run(argc, argv); });
    return code;
  } catch (const l2c::Cancelled& error) {
    return fail(interrupted, error);
  } catch (const l2c::InputError& error) {
    return fail(input_error, error);
  } catch (const std::exception& error) {
    return fail(run_error, error);
  }
}
