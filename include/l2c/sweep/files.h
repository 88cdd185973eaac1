// A sweep's files.
#pragma once

#include <filesystem>
#include <string>

#include "l2c/evaluation/scatter_chart.h"
#include "l2c/sweep/record.h"

namespace l2c {

// Indented JSON with everything the other files are made from; of a plan, what it computes (what it
// recalls is not kept).
std::string sweep_json(const SweepRecord& record);
// Reads it back. Throws InputError, which starts with `where`: other JSON, numbers or points that
// are missing.
SweepRecord read_sweep(const std::string& json, const std::string& where);
// From a file of any size: pictures make it large. Throws InputError that names the file.
SweepRecord load_sweep(const std::filesystem::path& path);

// A header, then a line for each point and set of seeds it was measured on (RFC 4180, UTF-8).
// Fields of what was not measured are empty.
std::string sweep_csv(const SweepRecord& record);

enum class SweepAxis { time, flops, memory };
// Frechet distance against the axis: reported points filled, the others hollow, where their
// percentage and speed-up on the choosing seeds put them (SweepRecord::comparable_frechet), the
// front joined. Notes and names of points are UTF-8; draw() shows what is not ASCII as '?'.
ScatterChart sweep_chart(const SweepRecord& record, SweepAxis axis);

// One HTML page without scripts and without anything from elsewhere.
std::string sweep_page(const SweepRecord& record);

// sweep.json, sweep.csv, sweep.png and report.html in `folder` (made where needed), each written
// aside and renamed. Throws InputError, RunError.
void write_sweep(const std::filesystem::path& folder, const SweepRecord& record);

}  // namespace l2c
