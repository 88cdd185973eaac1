// The subcommands of the program. Each adds itself to the command line; its work runs when the line
// was parsed. Errors are exceptions; main.cpp turns them into messages and exit codes.
#pragma once

#include <CLI/App.hpp>

namespace l2c::cli {

void add_sample(CLI::App& app);
void add_plan(CLI::App& app);
void add_inspect(CLI::App& app);
void add_convert(CLI::App& app);
void add_doctor(CLI::App& app);
void add_train_dit(CLI::App& app);
void add_train_classifier(CLI::App& app);
void add_eval(CLI::App& app);
void add_sweep(CLI::App& app);
void add_bench(CLI::App& app);
void add_calibrate(CLI::App& app);
void add_validate(CLI::App& app);
void add_train_router(CLI::App& app);
void add_place_steps(CLI::App& app);
// app outlives what it adds.
void add_manual(CLI::App& app);

// Exit codes that scripts rely on.
enum ExitCode : int { ok = 0, run_error = 1, different = 1, input_error = 2, interrupted = 130 };

}  // namespace l2c::cli
