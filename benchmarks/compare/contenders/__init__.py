"""What l2c is compared with.

make() gives a function (x, t, y) -> output: fp32 [N, C, S, S], [N], int64 [N] -> fp32 [N, out_channels, S, S].
make_sampler() gives a function (noise, labels) -> latents, a whole run.
"""

NAMES = {
    "eager": "PyTorch eager",
    "compile": "torch.compile, freezing",
    "diffusers": "Diffusers DiT, eager",
}

# Full runs and what each of them reuses; the pairs are set against each other.
SAMPLERS = {
    "eager": "PyTorch eager",
    "eager-router": "PyTorch eager, router",
    "compile": "torch.compile, freezing",
    "compile-router": "torch.compile, freezing, router",
    "diffusers": "Diffusers DiT, eager",
    "diffusers-fbcache": "Diffusers DiT, First Block Cache",
    "diffusers-cachedit": "Diffusers DiT, cache-dit",
}


def make(name, path, dtype):
    if name == "eager":
        from . import eager as module
    elif name == "compile":
        from . import compiled as module
    elif name == "diffusers":
        from . import diffusers_dit as module
    else:
        raise SystemExit(f"no contender is called {name}; known are {', '.join(NAMES)}")
    return module.make(path, dtype)


def make_sampler(name, path, dtype, steps, scale, router):
    from . import samplers
    return samplers.make(name, path, dtype, steps, scale, router)
