"""Writes the noise and what eager PyTorch makes of it in fp32, everything computed and with the router."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # pytorch_eager

import contenders
import torch
from contenders import samplers
from safetensors.torch import save_file


@torch.inference_mode()
def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--router", required=True)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--cfg-scale", type=float, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    args = parser.parse_args()
    config = samplers.configuration(args.model)
    shape = (args.images, config["in_channels"], config["input_size"], config["input_size"])
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(args.images) % config["num_classes"]
    save_file({"x": noise, "y": labels}, args.folder / "noise.safetensors")
    for name, file in [("eager", "full"), ("eager-router", "router")]:
        sample = contenders.make_sampler(name, args.model, "fp32", args.steps, args.cfg_scale, args.router)
        save_file({"output": sample(noise, labels).contiguous()}, args.folder / f"{file}.safetensors")


if __name__ == "__main__":
    main()
