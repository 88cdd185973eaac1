"""Writes what all contenders read: the model, the inputs, and eager PyTorch's fp32 output of them."""

import argparse
import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # pytorch_eager

import torch
from contenders import eager, weights
from safetensors.torch import save_file
from safetensors import safe_open

DEMO = Path(__file__).resolve().parents[2] / "assets/fashion-mnist/dit.safetensors"


def write_model(name, path):
    if name == "demo":
        shutil.copyfile(DEMO, path)
    elif name.endswith(".safetensors"):
        shutil.copyfile(name, path)
    else:
        weights.write(path, weights.preset(name))


def make_inputs(config, batch):
    """Noise; times spread over the schedule; labels in turn, the last one unconditional."""
    shape = (batch, config["in_channels"], config["input_size"], config["input_size"])
    labels = torch.arange(batch) % config["num_classes"]
    if config["class_dropout_prob"] > 0:
        labels[-1] = config["num_classes"]
    return {"x": torch.randn(shape, generator=torch.Generator().manual_seed(0)),
            "t": torch.linspace(1, 999, batch).round(), "y": labels}


@torch.inference_mode()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="demo, DiT-S/2, ... or F.safetensors")
    parser.add_argument("--batches", type=lambda text: [int(n) for n in text.split(",")], required=True)
    parser.add_argument("--folder", type=Path, required=True)
    args = parser.parse_args()
    path = args.folder / "model.safetensors"
    write_model(args.model, path)
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
    forward = eager.make(path, "fp32")
    for batch in args.batches:
        inputs = make_inputs(config, batch)
        save_file(inputs, args.folder / f"inputs{batch}.safetensors")
        output = forward(inputs["x"], inputs["t"], inputs["y"])
        save_file({"output": output.contiguous()}, args.folder / f"expected{batch}.safetensors")


if __name__ == "__main__":
    main()
