"""Writes forward.safetensors and samples.safetensors: what the official DiT code computes with the shipped model
and routers (assets/fashion-mnist).

    python make_files.py --dit CHECKOUT_OF_facebookresearch/DiT

Needs torch, torchvision, timm and safetensors. Model, schedule and DDIM step are the official ones;
guidance on the noise channel alone (the official code's first three channels would guide the variance of
this one-channel model) and the cache (reuse of branch outputs before the gate, by forward hooks) are the few
own lines below. A second run on the same machine gives bit-equal tensors.
"""
import argparse
import importlib
import json
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent
ASSETS = HERE.parents[2] / "assets/fashion-mnist"
GUIDANCE = 1.5


def normal(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def load_model(models):
    with safe_open(ASSETS / "dit.safetensors", "pt") as file:
        config = json.loads(file.metadata()["config"])
    model = models.DiT(**config)
    model.load_state_dict({k: v.float() for k, v in load_file(ASSETS / "dit.safetensors").items()})
    return model.eval()


class Cache:
    """Replaces the output of attn and mlp of every block by the one before it, where a router says so.

    An evaluation is full iff its spaced index is odd or nothing is stored yet; otherwise a branch is computed iff
    sigmoid(logit) > threshold.
    """

    def __init__(self, model, router, threshold):
        self.logits = None if router is None else load_file(ASSETS / router)["logits"]
        self.threshold = torch.tensor(threshold, dtype=torch.float32)
        self.index, self.stored, self.reused = None, {}, 0
        self.hooks = [module.register_forward_hook(self.hook(2 * i + kind))
                      for i, block in enumerate(model.blocks)
                      for kind, module in enumerate((block.attn, block.mlp))]

    def hook(self, unit):
        def replace(module, inputs, output):
            if self.logits is not None and self.index % 2 == 0 and unit in self.stored:
                if not torch.sigmoid(self.logits[self.index, unit]) > self.threshold:
                    self.reused += 1
                    return self.stored[unit]
            self.stored[unit] = output
            return None
        return replace

    def remove(self):
        for hook in self.hooks:
            hook.remove()


def sample(model, diffusion, z, labels, router, threshold):
    cache = Cache(model, router, threshold)
    both = torch.cat([labels, torch.full_like(labels, model.y_embedder.num_classes)])

    def guided(x, t, **_):
        half = x[: len(x) // 2]
        output = model(torch.cat([half, half]), t, both)
        eps, rest = output.split(model.in_channels, dim=1)
        cond, uncond = eps.chunk(2)
        eps = uncond + GUIDANCE * (cond - uncond)
        return torch.cat([torch.cat([eps, eps]), rest], dim=1)

    x = torch.cat([z, z])
    with torch.no_grad():
        for index in reversed(range(diffusion.num_timesteps)):
            cache.index = index
            t = torch.full((len(x),), index)
            x = diffusion.ddim_sample(guided, x, t, clip_denoised=False)["sample"]
    cache.remove()
    return x[: len(z)].clamp(-1, 1), cache.reused


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dit", type=Path, required=True)
    sys.path.insert(0, str(parser.parse_args().dit))
    torch.set_num_threads(1)
    models, diffusions = importlib.import_module("models"), importlib.import_module("diffusion")
    model = load_model(models)

    x, t, y = normal(11, 4, 1, 28, 28), torch.tensor([0, 53, 500, 999]), torch.tensor([0, 3, 9, 10])
    with torch.no_grad():
        save_file({"x": x, "t": t, "y": y, "output": model(x, t, y)}, HERE / "forward.safetensors")

    z, labels = normal(0, 10, 1, 28, 28), torch.arange(10)
    tensors, notes = {"z": z, "labels": labels}, {"guidance": str(GUIDANCE)}
    for steps in (20, 50):
        diffusion = diffusions.create_diffusion(str(steps))
        for name, router in [("full", None), ("quality", f"router{steps}_quality.safetensors"),
                             ("fast", f"router{steps}_fast.safetensors")]:
            pixels, reused = sample(model, diffusion, z, labels, router, 0.1)
            tensors[f"{steps}.{name}"], notes[f"{steps}.{name}.reused"] = pixels, str(reused)
            print(steps, name, "reused", reused)
    save_file(tensors, HERE / "samples.safetensors", notes)


if __name__ == "__main__":
    main()
