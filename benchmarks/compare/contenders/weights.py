"""Seeded weights in official DiT names: a model that computes something, without a download.

The rule is that of l2c's reference vectors: sorted names, one generator a tensor, scaled by fan-in.
"""

import json
import math

import numpy as np
import pytorch_eager
import torch
from safetensors.torch import save_file

SIZES = {"S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16), "XL": (1152, 28, 16)}


def preset(name):
    """The configuration of "DiT-S/2", ..., at 256 pixels (latents of 32)."""
    size, _, patch = name.removeprefix("DiT-").partition("/")
    if not name.startswith("DiT-") or size not in SIZES or patch not in ("2", "4", "8"):
        raise SystemExit(f"{name} is no preset: DiT-{{{','.join(SIZES)}}}/{{2,4,8}}")
    width, depth, heads = SIZES[size]
    return {"input_size": 32, "patch_size": int(patch), "in_channels": 4, "hidden_size": width, "depth": depth,
            "num_heads": heads, "mlp_ratio": 4.0, "class_dropout_prob": 0.1, "num_classes": 1000,
            "learn_sigma": True}


def sin_cos(positions, width):
    frequencies = 1 / 10000 ** (np.arange(width // 2, dtype=np.float64) / (width / 2))
    angles = np.outer(positions.reshape(-1), frequencies)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def positions(width, grid):
    """[1, grid * grid, width]: half for the column, half for the row."""
    column, row = np.meshgrid(np.arange(grid, dtype=np.float32), np.arange(grid, dtype=np.float32))
    table = np.concatenate([sin_cos(column, width // 2), sin_cos(row, width // 2)], axis=1)
    return torch.from_numpy(table).float()[None]


def value(name, shape, seed, index):
    r = torch.randn(shape, generator=torch.Generator().manual_seed(seed * 100000 + index))
    if name.endswith("embedding_table.weight"):
        return r * 0.02
    if len(shape) >= 2:
        return r * (1 / math.sqrt(math.prod(shape[1:])) * (0.5 if "adaLN_modulation" in name else 1))
    return r * 0.02


def seeded(config, seed):
    """Every tensor of the model, by official name."""
    model = pytorch_eager.DiT(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    tensors = {}
    for index, name in enumerate(sorted(shapes)):
        if name == "pos_embed":
            tensors[name] = positions(config["hidden_size"], model.grid)
        else:
            tensors[name] = value(name, shapes[name], seed, index)
    return tensors


def write(path, config, seed=1):
    tensors = {name: tensor.contiguous() for name, tensor in seeded(config, seed).items()}
    save_file(tensors, path, metadata={"config": json.dumps(config), "weight_seed": str(seed)})
