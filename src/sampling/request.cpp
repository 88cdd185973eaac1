#include "l2c/sampling/request.h"

namespace l2c {

const char* name_of(SamplerKind sampler) {
  switch (sampler) {
    case SamplerKind::ddim:
      return "ddim";
    case SamplerKind::ddpm:
      return "ddpm";
    case SamplerKind::folder:
      break;
  }
  return "folder";
}

const char* name_of(GuidanceChannels channels) {
  return channels == GuidanceChannels::all ? "all" : "three";
}

}  // namespace l2c
