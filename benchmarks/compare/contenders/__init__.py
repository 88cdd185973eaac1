"""What l2c is compared with. Each module has make(path, dtype), which gives a function
(x, t, y) -> output: fp32 [N, C, S, S], fp32 [N], int64 [N] -> fp32 [N, out_channels, S, S]."""

NAMES = {
    "eager": "PyTorch eager",
    "compile": "torch.compile, freezing",
    "diffusers": "Diffusers DiT, eager",
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
