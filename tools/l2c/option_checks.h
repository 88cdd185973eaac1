// What CLI11 lets through: empty text, numbers that wrap, saturate or are read as octal.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>

namespace l2c::cli {

// For every option of the program and of its subcommands, by the type that it holds. Afterwards the
// only number that CLI11 itself cannot convert is one that does not fit an int.
void add_option_checks(CLI::App& app);

// "--router=", for which CLI11 takes the next word instead. Throws InputError.
void check_words(int argc, const char* const* argv);

// "500MB", "1.5 GiB": makes bytes of it.
CLI::Validator size_in_bytes();

}  // namespace l2c::cli
