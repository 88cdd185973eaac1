"""Plain PyTorch: benchmarks/pytorch_eager.py, all of it in the type that is asked for."""

import pytorch_eager
import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def load(path, dtype):
    return pytorch_eager.load_model(path).to(DTYPES[dtype])


def around(model, dtype):
    """fp32 in and out, as the sampler of either side wants it."""
    def forward(x, t, y):
        return model(x.to(DTYPES[dtype]), t, y).float()
    return forward


def make(path, dtype):
    return around(load(path, dtype), dtype)
