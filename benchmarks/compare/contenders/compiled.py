"""torch.compile of the same model with the weights frozen into the graph: packed once, constants folded."""

import torch
import torch._inductor.config

from . import eager


def make(path, dtype):
    torch._inductor.config.freezing = True
    model = eager.load(path, dtype)
    # The whole function, casts included: nothing is left for eager PyTorch to do.
    return torch.compile(eager.around(model, dtype), fullgraph=True, dynamic=False)
