"""Diffusers' DiTTransformer2DModel with the official arithmetic.

Two things differ from the official DiT in Diffusers: timestep frequencies are divided by 127 instead of
128, and a block's second norm has eps 1e-5 instead of 1e-6. Both are set right, so outputs agree.
"""

import json

import pytorch_eager
import torch
from diffusers import DiTTransformer2DModel
from diffusers.models.embeddings import Timesteps

from . import key_map
from .eager import DTYPES


def state_dict(official, depth):
    mapped = {}
    for name, tensor in official.items():
        targets, how = key_map.diffusers_names(name, depth)
        parts = tensor.chunk(len(targets)) if how == "split" else [tensor] * len(targets)
        mapped.update((target, part.clone()) for target, part in zip(targets, parts))
    return mapped


def patch(model):
    """The official arithmetic."""
    for module in model.modules():
        if isinstance(module, Timesteps):
            module.downscale_freq_shift = 0
    for block in model.transformer_blocks:
        block.norm3.eps = 1e-6


def load(path, dtype, kind=DiTTransformer2DModel):
    tensors, metadata = pytorch_eager.read_safetensors(path)
    config = json.loads(metadata["config"])
    channels = config["in_channels"]
    if config["mlp_ratio"] != 4:
        raise SystemExit(f"{path}: mlp_ratio is {config['mlp_ratio']}, Diffusers' DiT knows 4 only")
    model = kind(
        num_attention_heads=config["num_heads"], attention_head_dim=config["hidden_size"] // config["num_heads"],
        in_channels=channels, out_channels=channels * (2 if config["learn_sigma"] else 1),
        num_layers=config["depth"], sample_size=config["input_size"], patch_size=config["patch_size"],
        num_embeds_ada_norm=config["num_classes"])
    missing, unexpected = model.load_state_dict(state_dict(tensors, config["depth"]), strict=False)
    if unexpected or [name for name in missing if name != "pos_embed.pos_embed"]:
        raise SystemExit(f"{path} does not fit Diffusers' DiT: missing {missing}, unexpected {unexpected}")
    patch(model)
    return model.eval().requires_grad_(False).to(DTYPES[dtype])


def make(path, dtype):
    model = load(path, dtype)

    def forward(x, t, y):
        return model(x.to(DTYPES[dtype]), timestep=t, class_labels=y, return_dict=False)[0].float()
    return forward
