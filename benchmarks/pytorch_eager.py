#!/usr/bin/env python3
"""DDIM sampling of a DiT in eager PyTorch: what `l2c sample` is measured against.

Needs torch and numpy. Reads a safetensors checkpoint with the official parameter names and the
model's configuration as JSON in its metadata ("config"), and prints one line of JSON. The latents
can be saved and compared with those of `l2c sample --initial-noise F --save-latents F`.
"""

import argparse
import json
import math
import statistics
import struct
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

TRAIN_STEPS = 1000
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


def read_safetensors(path):
    """Tensors by name, and the metadata."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = bytearray(file.read())
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = DTYPES[entry["dtype"]]
        count = (end - begin) // dtype.itemsize
        flat = torch.frombuffer(data, dtype=dtype, count=count, offset=begin).clone()
        tensors[name] = flat.reshape(entry["shape"])
    return tensors, metadata


def write_latents(path, latents):
    """One fp32 tensor named "latents"."""
    data = latents.float().contiguous().numpy().tobytes()
    entry = {"dtype": "F32", "shape": list(latents.shape), "data_offsets": [0, len(data)]}
    header = json.dumps({"latents": entry}).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + data)


class TimestepEmbedder(nn.Module):
    def __init__(self, width, frequencies=256):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(frequencies, width), nn.SiLU(), nn.Linear(width, width))
        half = frequencies // 2
        # No buffer: frequencies and angles stay fp32 in a model of another type.
        self.scale = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)

    def forward(self, t):
        angles = t[:, None].float() * self.scale
        frequencies = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return self.mlp(frequencies.to(self.mlp[0].weight.dtype))


class LabelEmbedder(nn.Module):
    def __init__(self, rows, width):
        super().__init__()
        self.embedding_table = nn.Embedding(rows, width)

    def forward(self, labels):
        return self.embedding_table(labels)


class PatchEmbed(nn.Module):
    def __init__(self, channels, width, patch):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)

    def forward(self, x):
        # Contiguous: otherwise every sum keeps the convolution's order and every norm copies (up to 1.1 times the time).
        return self.proj(x).flatten(2).transpose(1, 2).contiguous()


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).reshape(batch, tokens, width))


class Mlp(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


def norm(x):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


def modulate(x, shift, scale):
    return x * (1 + scale[:, None]) + shift[:, None]


class Block(nn.Module):
    def __init__(self, width, heads, mlp_ratio):
        super().__init__()
        self.attn = Attention(width, heads)
        self.mlp = Mlp(width, int(width * mlp_ratio))
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x, c):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c).chunk(6, dim=1)
        x = x + gate1[:, None] * self.attn(modulate(norm(x), shift1, scale1))
        return x + gate2[:, None] * self.mlp(modulate(norm(x), shift2, scale2))


class FinalLayer(nn.Module):
    def __init__(self, width, outputs):
        super().__init__()
        self.linear = nn.Linear(width, outputs)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x, c):
        shift, scale = self.adaLN_modulation(c).chunk(2, dim=1)
        return self.linear(modulate(norm(x), shift, scale))


class DiT(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, self.patch = config["hidden_size"], config["patch_size"]
        self.channels, self.classes = config["in_channels"], config["num_classes"]
        self.size = config["input_size"]
        self.grid = self.size // self.patch
        self.out_channels = self.channels * (2 if config["learn_sigma"] else 1)
        self.x_embedder = PatchEmbed(self.channels, width, self.patch)
        self.t_embedder = TimestepEmbedder(width)
        rows = self.classes + (config["class_dropout_prob"] > 0)
        self.y_embedder = LabelEmbedder(rows, width)
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid**2, width), requires_grad=False)
        self.blocks = nn.ModuleList(
            Block(width, config["num_heads"], config["mlp_ratio"]) for _ in range(config["depth"])
        )
        self.final_layer = FinalLayer(width, self.patch**2 * self.out_channels)

    def forward(self, x, t, labels):
        tokens = self.x_embedder(x) + self.pos_embed
        c = self.t_embedder(t) + self.y_embedder(labels)
        for block in self.blocks:
            tokens = block(tokens, c)
        patches = self.final_layer(tokens, c)
        patches = patches.view(-1, self.grid, self.grid, self.patch, self.patch, self.out_channels)
        return patches.permute(0, 5, 1, 3, 2, 4).reshape(-1, self.out_channels, self.size, self.size)


def guided(model, x, t, labels, scale):
    """Both halves of classifier-free guidance as one batch; guides the first 3 channels."""
    output = model(x, t, labels)
    conditional, unconditional = output.chunk(2)
    n = min(3, model.channels)
    eps = unconditional[:, :n] + scale * (conditional[:, :n] - unconditional[:, :n])
    return torch.cat([eps, conditional[:, n:]], dim=1)


def spaced_schedule(steps):
    """Timesteps (cleanest first) and alphas_cumprod of the official spacing string "N"."""
    stride = (TRAIN_STEPS - 1) / (steps - 1) if steps > 1 else 1.0
    timesteps, position = [], 0.0
    for _ in range(steps):
        timesteps.append(round(position))
        position += stride
    alphas = np.cumprod(1 - np.linspace(0.0001, 0.02, TRAIN_STEPS, dtype=np.float64))
    return timesteps, alphas[timesteps]


def sample(model, noise, labels, steps, scale):
    """DDIM with eta 0; pred_xstart is not clipped."""
    timesteps, alphas = spaced_schedule(steps)
    null = torch.full_like(labels, model.classes)
    both_labels = torch.cat([labels, null])
    x = noise
    for i in reversed(range(steps)):
        t = torch.full((2 * len(x),), timesteps[i])
        output = guided(model, torch.cat([x, x]), t, both_labels, scale)
        eps = output[:, : model.channels]
        alpha, following = alphas[i], alphas[i - 1] if i > 0 else 1.0
        xstart = math.sqrt(1 / alpha) * x - math.sqrt(1 / alpha - 1) * eps
        x = math.sqrt(following) * xstart + math.sqrt(1 - following) * eps
    return x


def load_model(path):
    tensors, metadata = read_safetensors(path)
    if "config" not in metadata:
        raise SystemExit(f'{path} has no "config" in its metadata')
    model = DiT(json.loads(metadata["config"]))
    model.load_state_dict(tensors)
    return model.eval().requires_grad_(False)


def load_noise(name, shape):
    """F.safetensors or F.safetensors:tensor; without a name the file's only tensor, or "z"."""
    path, _, tensor = name.partition(".safetensors:")
    tensors, _ = read_safetensors(path + ".safetensors" if tensor else name)
    if not tensor:
        tensor = next(iter(tensors)) if len(tensors) == 1 else "z"
    noise = tensors[tensor]
    if tuple(noise.shape) != shape:
        raise SystemExit(f"{name}: shape {tuple(noise.shape)}, expected {shape}")
    return noise


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="checkpoint, F.safetensors")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16, help="images; labels 0, 1, ... in turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cfg-scale", type=float, default=3.0)
    parser.add_argument("--repeat", type=int, default=5, help="timed runs, after one to warm up")
    parser.add_argument("--initial-noise", help="F.safetensors[:tensor]; default: seed 0")
    parser.add_argument("--save-latents", help="F.safetensors")
    return parser.parse_args()


@torch.inference_mode()
def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    model = load_model(args.model)
    shape = (args.batch, model.channels, model.size, model.size)
    if args.initial_noise:
        noise = load_noise(args.initial_noise, shape)
    else:
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(args.batch) % model.classes
    latents = sample(model, noise, labels, args.steps, args.cfg_scale)
    seconds = []
    for _ in range(args.repeat):
        start = time.perf_counter()
        latents = sample(model, noise, labels, args.steps, args.cfg_scale)
        seconds.append(time.perf_counter() - start)
    if args.save_latents:
        write_latents(args.save_latents, latents)
    result = {
        "seconds": seconds,
        "median": statistics.median(seconds) if seconds else None,
        "torch": torch.__version__,
        "threads": args.threads,
        "batch": args.batch,
        "steps": args.steps,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
