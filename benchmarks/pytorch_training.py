#!/usr/bin/env python3
"""Training a DiT in eager PyTorch: what `l2c train-dit` is measured against.

    python pytorch_training.py --l2c build/dev/tools/l2c/l2c --arch config.json --data DIR --dtype bf16

Needs torch and numpy. The same model, batch, loss, optimizer, clipping and average as the program's;
the two run in turn, each in a process of its own, and the medians of their samples per second are
printed as one line of JSON. --attention fp32 casts q, k and v as l2c does; "autocast" is what plain
PyTorch code does, whose bf16 attention is slow backwards on the CPU.
"""

import argparse
import gzip
import json
import math
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import pytorch_eager


def read_idx(path):
    raw = gzip.open(path).read()
    sizes = np.frombuffer(raw, ">u4", raw[3], 4)
    return torch.from_numpy(np.frombuffer(raw, np.uint8, -1, 4 + 4 * raw[3]).reshape(sizes).copy())


def fp32_attention(self, x):
    batch, tokens, width = x.shape
    qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
    with torch.autocast("cpu", enabled=False):
        out = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4).float().unbind(0))
    return self.proj(out.transpose(1, 2).reshape(batch, tokens, width))


class Diffusion:
    """Tables of the 1000-step schedule, and the loss: noise prediction, KL or decoder likelihood."""

    def __init__(self):
        betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
        alphas = (1 - betas).cumprod(0)
        before = F.pad(alphas[:-1], (1, 0), value=1.0)
        variance = betas * (1 - before) / (1 - alphas)
        self.sqrt_alphas, self.sqrt_rest = alphas.sqrt(), (1 - alphas).sqrt()
        self.shortest = torch.cat([variance[1:2], variance[1:]]).log()
        self.longest = betas.log()
        self.of_start = betas * before.sqrt() / (1 - alphas)
        self.of_noisy = (1 - before) * (1 - betas).sqrt() / (1 - alphas)

    @staticmethod
    def at(table, t):
        return table[t].float().view(-1, 1, 1, 1)

    def loss(self, model, x0, t, labels, noise, dtype):
        x = self.at(self.sqrt_alphas, t) * x0 + self.at(self.sqrt_rest, t) * noise
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
            output = model(x, t, labels)
        eps, v = output.float().chunk(2, dim=1)
        return ((eps - noise) ** 2).flatten(1).mean(1) + self.bound(x0, x, t, eps.detach(), v)

    def bound(self, x0, x, t, eps, v):
        short, fraction = self.at(self.shortest, t), (v + 1) / 2
        log_variance = fraction * self.at(self.longest, t) + (1 - fraction) * short
        start = (x - self.at(self.sqrt_rest, t) * eps) / self.at(self.sqrt_alphas, t)
        mean = self.at(self.of_start, t) * start + self.at(self.of_noisy, t) * x
        true_mean = self.at(self.of_start, t) * x0 + self.at(self.of_noisy, t) * x
        kl = 0.5 * (log_variance - short - 1 + (short - log_variance).exp()
                    + (true_mean - mean) ** 2 * (-log_variance).exp())
        nll = self.decoder_nll(x0, mean, log_variance)
        return torch.where(t == 0, nll.flatten(1).mean(1), kl.flatten(1).mean(1)) / math.log(2)

    @staticmethod
    def decoder_nll(x0, mean, log_variance):
        def cdf(z):
            return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
        inverse = (-0.5 * log_variance).exp()
        above, below = cdf((x0 - mean + 1 / 255) * inverse), cdf((x0 - mean - 1 / 255) * inverse)
        chance = torch.where(x0 < -0.999, above, torch.where(x0 > 0.999, 1 - below, above - below))
        return -chance.clamp(min=1e-12).log()


def train(args):
    """Samples per second over args.steps steps, after args.warmup."""
    torch.set_num_threads(args.threads)
    if args.attention == "fp32":
        pytorch_eager.Attention.forward = fp32_attention
    config = {"learn_sigma": True, "class_dropout_prob": 0.1, **json.loads(Path(args.arch).read_text())}
    model = pytorch_eager.DiT(config)
    images = read_idx(Path(args.data) / "train-images-idx3-ubyte.gz")[:, None]
    labels = read_idx(Path(args.data) / "train-labels-idx1-ubyte.gz").long()
    parameters = [p for p in model.parameters() if p.requires_grad]
    average = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0, fused=True)
    diffusion = Diffusion()
    for step in range(args.warmup + args.steps):
        if step == args.warmup:
            start = time.perf_counter()
        rows = torch.randint(0, len(images), (args.batch,))
        x0, y = images[rows].float() / 127.5 - 1, labels[rows]
        y[torch.rand(args.batch) < config["class_dropout_prob"]] = config["num_classes"]
        t = torch.randint(0, 1000, (args.batch,))
        loss = diffusion.loss(model, x0, t, y, torch.randn_like(x0), args.dtype).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1e-3)
        loss.item()
    return args.steps * args.batch / (time.perf_counter() - start)


def run_pytorch(args, attention):
    command = [sys.executable, __file__, "--worker", "--attention", attention, "--arch", args.arch,
               "--data", args.data, "--dtype", args.dtype, "--batch", args.batch, "--threads", args.threads,
               "--steps", args.steps, "--warmup", args.warmup]
    return float(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)


def run_l2c(args):
    """The rate of the second of two reports: the first one holds the start."""
    with tempfile.TemporaryDirectory() as folder:
        command = [args.l2c, "train-dit", "--data", args.data, "--arch", args.arch, "--out", folder,
                   "--batch-size", args.batch, "--lr", 1e-3, "--clip", 1, "--dtype", args.dtype, "--threads",
                   args.threads, "--steps", 2 * args.steps, "--report-every", args.steps]
        text = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stderr
    return float(re.findall(r"([\d.]+) samples/s", text)[1])


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--l2c", help="the program")
    parser.add_argument("--arch", required=True, help="JSON configuration")
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--attention", choices=["autocast", "fp32"], default="autocast")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    args = parse_arguments()
    if args.worker:
        print(train(args))
        return
    kinds = {"l2c": lambda: run_l2c(args), "pytorch": lambda: run_pytorch(args, "autocast")}
    if args.dtype == "bf16":
        kinds["pytorch, fp32 attention"] = lambda: run_pytorch(args, "fp32")
    rates = {name: [] for name in kinds}
    for _ in range(args.rounds):
        for name, run in kinds.items():
            rates[name].append(round(run(), 1))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    best = max(rate for name, rate in medians.items() if name != "l2c")
    print(json.dumps({"dtype": args.dtype, "threads": args.threads, "batch": args.batch, "torch": torch.__version__,
                      "samples_per_second": rates, "median": medians, "l2c_over_best": round(medians["l2c"] / best, 3)}))


if __name__ == "__main__":
    main()
