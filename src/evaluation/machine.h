// The machine in reports.
#pragma once

#include <nlohmann/json.hpp>

namespace l2c {

// Versions and processor.
nlohmann::ordered_json machine_json();

}  // namespace l2c
