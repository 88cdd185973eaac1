// Files of torch.save before PyTorch 1.6: pickles one after the other, then the storages.
#include "pickle_values.h"

namespace l2c::fuzz {

void torch_legacy(Bytes bytes) { torch_file(bytes); }

}  // namespace l2c::fuzz
