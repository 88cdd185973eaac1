"""Learning-to-Cache around the plain PyTorch model: which branches of a step are kept from the one before.

The rule is the published one: an evaluation at an odd index of the spaced schedule (the last is 0), or with
nothing stored, computes everything and stores its branches; any other reuses what its row of the router says.
"""

import types

import pytorch_eager
import torch
import torch._inductor.config
from pytorch_eager import norm

from .eager import DTYPES


class Plan:
    """Which branches each evaluation reuses: {index of the spaced schedule: (attention0, mlp0, ...)}."""

    def __init__(self, router, steps):
        tensors, metadata = pytorch_eager.read_safetensors(router)
        logits = tensors["logits"]
        if len(logits) != steps:
            raise SystemExit(f"{router} has {len(logits)} rows: it serves so many steps, not {steps}")
        threshold = torch.tensor(float(metadata["threshold"]), dtype=torch.float32)
        reused = ~(torch.sigmoid(logits.float()) > threshold)
        self.reused = [row.tolist() if index % 2 == 0 else None for index, row in enumerate(reused)]
        timesteps, _ = pytorch_eager.spaced_schedule(steps)
        self.index = {t: index for index, t in enumerate(timesteps)}

    def at(self, t):
        """Of the evaluation at timestep t; None where everything is computed."""
        return self.reused[self.index[t]]


def head(model):
    def run(x, t, y):
        c = model.t_embedder(t) + model.y_embedder(y)
        modulations = [block.adaLN_modulation(c)[:, None].chunk(6, dim=2) for block in model.blocks]
        return model.x_embedder(x) + model.pos_embed, c, modulations
    return run


def attention(block):
    def run(x, shift, scale, gate):
        branch = block.attn(norm(x) * (1 + scale) + shift)
        return x + gate * branch, branch
    return run


def mlp(block):
    def run(x, shift, scale, gate):
        branch = block.mlp(norm(x) * (1 + scale) + shift)
        return x + gate * branch, branch
    return run


def add(x, gate, branch):
    return x + gate * branch


def tail(model):
    def run(tokens, c):
        patches = model.final_layer(tokens, c)
        grid, patch, channels = model.grid, model.patch, model.out_channels
        patches = patches.view(-1, grid, grid, patch, patch, channels)
        return patches.permute(0, 5, 1, 3, 2, 4).reshape(-1, channels, model.size, model.size)
    return run


def as_is(function):
    return function


def compiled(function):
    """A graph of its own, weights frozen: closures share their code, and torch.compile keeps its graphs by code."""
    torch._inductor.config.freezing = True
    own = types.FunctionType(function.__code__.replace(), function.__globals__, function.__name__,
                             function.__defaults__, function.__closure__)
    return torch.compile(own, fullgraph=True, dynamic=False)


class Routed:
    """fp32 in and out. compile_part is given each part once: head, every branch, the sum, tail."""

    def __init__(self, model, dtype, plan, compile_part=as_is):
        self.plan, self.dtype, self.stored = plan, DTYPES[dtype], {}
        self.head, self.tail = compile_part(head(model)), compile_part(tail(model))
        self.add = compile_part(add)
        self.branches = [(compile_part(attention(block)), compile_part(mlp(block))) for block in model.blocks]

    def begin(self):
        self.stored.clear()

    def __call__(self, x, t, y):
        reused = self.plan.at(int(t[0])) if self.stored else None
        tokens, c, modulations = self.head(x.to(self.dtype), t, y)
        for i, (branches, parts) in enumerate(zip(self.branches, modulations)):
            for j, branch in enumerate(branches):
                shift, scale, gate = parts[3 * j:3 * j + 3]
                if reused and reused[2 * i + j]:
                    tokens = self.add(tokens, gate, self.stored[i, j])
                else:
                    tokens, self.stored[i, j] = branch(tokens, shift, scale, gate)
        return self.tail(tokens, c).float()
