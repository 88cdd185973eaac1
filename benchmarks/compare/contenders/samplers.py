"""Whole runs: DDIM with guidance (benchmarks/pytorch_eager.py) around each kind of model."""

import json

import pytorch_eager

from . import eager, make as make_forward, routed


def configuration(path):
    _, metadata = pytorch_eager.read_safetensors(path)
    return json.loads(metadata["config"])


class Model:
    """What pytorch_eager.sample asks for, around a function (x, t, y) -> output."""

    def __init__(self, path, forward):
        config = configuration(path)
        self.channels, self.classes = config["in_channels"], config["num_classes"]
        self.forward = forward

    def __call__(self, x, t, y):
        return self.forward(x, t, y)


def build(name, path, dtype, steps, router):
    if name in ("eager-router", "compile-router"):
        if not router:
            raise SystemExit(f"{name} needs a router")
        compile_part = routed.compiled if name == "compile-router" else routed.as_is
        return routed.Routed(eager.load(path, dtype), dtype, routed.Plan(router, steps), compile_part)
    if name == "diffusers-cachedit":
        from .cache_dit_blocks import DBCache
        return DBCache(path, dtype, steps)
    if name == "diffusers-fbcache":
        from .first_block_cache import FirstBlockCache
        return FirstBlockCache(path, dtype)
    return make_forward(name, path, dtype)


def make(name, path, dtype, steps, scale, router):
    forward = build(name, path, dtype, steps, router)
    model = Model(path, forward)

    def run(noise, labels):
        if hasattr(forward, "begin"):
            forward.begin()  # nothing of the run before is reused
        return pytorch_eager.sample(model, noise, labels, steps, scale)
    return run
