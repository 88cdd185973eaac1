#include "l2c/sweep/files.h"

#include <fmt/format.h>

#include <system_error>

#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "l2c/io/png.h"

namespace l2c {

namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  io::AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace

void write_sweep(const std::filesystem::path& folder, const SweepRecord& record) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw InputError(
        fmt::format("cannot make the folder '{}': {}", folder.string(), error.message()));
  }
  write(folder / "sweep.json", sweep_json(record) + "\n");
  write(folder / "sweep.csv", sweep_csv(record));
  io::write_png(folder / "sweep.png", draw(sweep_chart(record, SweepAxis::time)));
  write(folder / "report.html", sweep_page(record));
}

}  // namespace l2c
