#include "machine.h"

#include "l2c/core/build_info.h"
#include "l2c/ops/cpu_isa.h"

namespace l2c {

nlohmann::ordered_json machine_json() {
  const auto info = build_info();
  return {{"l2c", info.version},
          {"libtorch", info.libtorch},
          {"compiler", info.compiler},
          {"cpu_model", info.cpu_model},
          {"cpu_capability", info.cpu_capability},
          {"cpu_isa", ops::name(ops::cpu_isa())}};
}

}  // namespace l2c
