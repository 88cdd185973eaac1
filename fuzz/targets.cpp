#include "targets.h"

#include <array>

namespace l2c::fuzz {

std::span<const Target> targets() {
  static constexpr std::array all{Target{"json_config", json_config},
                                  Target{"png_text", png_text},
                                  Target{"router", router},
                                  Target{"safetensors", safetensors},
                                  Target{"torch_legacy", torch_legacy},
                                  Target{"torch_zip", torch_zip}};
  return all;
}

}  // namespace l2c::fuzz
