// Many mixed runs of the demo model over several threads on one pipeline a dtype, half of them
// cancelled: every finished one must have the bits of a run that was alone, and memory must not
// grow. Exit code 0: all kept; 1: not; 2: bad input.
#include <l2c/l2c.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "report.h"
#include "soak.h"
#include "verdict.h"

namespace {

struct Arguments {
  l2c::soak::Options options;
  std::string out;
  std::string plant;
};

void add_options(CLI::App& app, Arguments& arguments) {
  auto& options = arguments.options;
  app.add_option("--runs", options.runs)->capture_default_str();
  app.add_option("--threads", options.threads, "that sample at once")->capture_default_str();
  app.add_option("--pool-threads", options.pool_threads, "within a run (0: LibTorch's choice)")
      ->capture_default_str();
  app.add_option("--cases", options.cases, "distinct requests")->capture_default_str();
  app.add_option("--dtype", options.dtypes, "one pipeline each")
      ->delimiter(',')
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  app.add_option("--memory-limit", options.memory_limit, "bytes of a request")
      ->capture_default_str();
  app.add_option("--seed", options.seed)->capture_default_str();
  app.add_option("--assets", options.assets, "folder of the demo model")->capture_default_str();
  app.add_option("--out", arguments.out, "report (JSON)");
  app.add_option("--plant", arguments.plant, "make a mistake that must be found")
      ->check(CLI::IsMember({"bits", "growth", "files", "stops"}));
}

void print(const std::vector<l2c::soak::Criterion>& criteria) {
  for (const auto& criterion : criteria) {
    std::cout << (criterion.kept() ? "kept    " : "BROKEN  ") << criterion.name << ": "
              << static_cast<std::int64_t>(criterion.value) << " (at most "
              << static_cast<std::int64_t>(criterion.limit) << ") " << criterion.unit << "\n";
  }
}

int run(const Arguments& arguments) {
  if (!arguments.out.empty()) l2c::io::check_writable(arguments.out);
  const auto findings = l2c::soak::soak(arguments.options);
  const auto criteria = l2c::soak::judge(findings, arguments.options);
  for (const std::string& problem : findings.problems) std::cerr << problem << "\n";
  print(criteria);
  if (!arguments.out.empty()) {
    l2c::io::AtomicFile file(arguments.out);
    file.write(l2c::soak::to_json(arguments.options, findings, criteria) + "\n");
    file.commit();
  }
  const auto kept = [](const auto& criterion) { return criterion.kept(); };
  return std::all_of(criteria.begin(), criteria.end(), kept) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Many mixed runs at once: same bits, no growth."};
  add_options(app, arguments);
  CLI11_PARSE(app, argc, argv);
  arguments.options.planted = {.wrong_bits = arguments.plant == "bits",
                               .growth = arguments.plant == "growth",
                               .open_files = arguments.plant == "files",
                               .ignored_stops = arguments.plant == "stops"};
  try {
    return run(arguments);
  } catch (const l2c::InputError& error) {
    std::cerr << error.what() << "\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
