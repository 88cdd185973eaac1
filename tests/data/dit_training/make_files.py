"""Writes losses.safetensors: what the official DiT code computes while it trains.

    python make_files.py --dit CHECKOUT_OF_facebookresearch/DiT

Needs torch, torchvision and timm; train.py's import of diffusers (for the VAE, unused here) is stubbed.
The file in the repository was made with torch 2.11.0 (CPU, fp32, one thread), timm 1.0.31 and commit
ed81ce2 of DiT. A second run gives bit-equal tensors.
"""
import argparse
import importlib
import json
import sys
from copy import deepcopy
from pathlib import Path
from unittest import mock

import torch
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent
TINY = HERE.parent / "dit_tiny"

WITH_GRADIENT = ["x_embedder.proj.weight", "t_embedder.mlp.0.weight", "y_embedder.embedding_table.weight",
                 "blocks.0.attn.qkv.weight", "blocks.1.adaLN_modulation.1.weight", "blocks.3.mlp.fc2.weight",
                 "final_layer.adaLN_modulation.1.bias", "final_layer.linear.weight"]
AFTER_STEPS = ["x_embedder.proj.weight", "y_embedder.embedding_table.weight", "blocks.0.attn.proj.weight",
               "blocks.2.attn.qkv.bias", "final_layer.adaLN_modulation.1.bias", "final_layer.linear.weight"]
LEARNING_RATE = 1e-4
DECAYS = (0.9999, 0.9)  # train.py's, and one whose effect fp32 shows after three steps


def import_official(checkout):
    sys.path.insert(0, str(checkout))
    for name in ("diffusers", "diffusers.models"):
        sys.modules[name] = mock.MagicMock()
    return [importlib.import_module(name) for name in ("models", "diffusion", "train")]


def normal(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tiny_model(models):
    config = json.loads((TINY / "config.json").read_text())
    config.pop("weight_seed")
    model = models.DiT(**config)
    model.load_state_dict(load_file(TINY / "weights.safetensors"))
    return model.eval()  # labels are dropped by hand: no random draw in the model


def batch():
    x0 = (0.6 * normal(81, 6, 4, 8, 8)).clamp(-1, 1)
    x0[:, 0, 0] = -1.0  # pixels at the ends of the range, in every sample
    x0[:, 1, 1] = 1.0
    return dict(x0=x0, noise=normal(82, 6, 4, 8, 8), t=torch.tensor([0, 0, 1, 500, 998, 999]),
                y=torch.tensor([3, 10, 7, 10, 0, 9]))


def losses_of(diffusion, model, b):
    return diffusion.training_losses(model, b["x0"], b["t"], dict(y=b["y"]), noise=b["noise"])


def loss_goldens(diffusion, model, b):
    terms = losses_of(diffusion, model, b)
    model.zero_grad()
    terms["loss"].mean().backward()
    parameters = dict(model.named_parameters())
    record = {**b, "x_t": diffusion.q_sample(b["x0"], b["t"], b["noise"])}
    record.update({key: terms[key].detach() for key in ("mse", "vb", "loss")})
    record.update({f"grad.{name}": parameters[name].grad.clone() for name in WITH_GRADIENT})
    return record


def step_goldens(diffusion, model, train, b):
    emas = {decay: deepcopy(model) for decay in DECAYS}
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0)
    record, means = {}, []
    for step in (1, 2, 3):
        loss = losses_of(diffusion, model, b)["loss"].mean()
        means.append(loss.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for decay, ema in emas.items():
            train.update_ema(ema, model, decay=decay)
        for name in AFTER_STEPS:
            record[f"step{step}.{name}"] = model.get_parameter(name).detach().clone()
            record[f"step{step}.ema.{name}"] = emas[DECAYS[0]].get_parameter(name).detach().clone()
    for name in AFTER_STEPS:
        record[f"step3.ema{DECAYS[1]}.{name}"] = emas[DECAYS[1]].get_parameter(name).detach().clone()
    record["steps.loss"] = torch.stack(means)
    return record


def decoder_goldens(diffusion):
    """The variational bound at t = 0: the discretized decoder's negative log-likelihood in bits."""
    x0 = ((normal(83, 4, 4, 8, 8).clamp(-2, 2) / 2 + 1) * 127.5).round() / 127.5 - 1  # whole grey levels
    x0[:, 0, :2], x0[:, 1, :2] = -1.0, 1.0
    noise = normal(84, 4, 4, 8, 8)
    t = torch.zeros(4, dtype=torch.int64)
    x_t = diffusion.q_sample(x0, t, noise)
    output = torch.empty(4, 8, 8, 8)
    # From a perfect guess of the noise to one that is far off.
    output[:, :4] = noise + torch.tensor([0.0, 0.1, 1.0, 30.0])[:, None, None, None] * normal(85, 4, 4, 8, 8)
    order = torch.randperm(4 * 256, generator=torch.Generator().manual_seed(86))
    output[:, 4:] = torch.linspace(-3, 3, 4 * 256)[order].view(4, 4, 8, 8)
    output.requires_grad_()
    vb = diffusion._vb_terms_bpd(lambda *_: output, x0, x_t, t, clip_denoised=False)["output"]
    gradient, = torch.autograd.grad(vb.sum(), output)
    return {"nll.x0": x0, "nll.x_t": x_t, "nll.t": t, "nll.model_output": output.detach(), "nll.vb": vb.detach(),
            "nll.grad_variance": gradient[:, 4:]}  # of the sum; training never lets vb reach the mean


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dit", type=Path, required=True)
    checkout = parser.parse_args().dit
    torch.set_num_threads(1)
    models, diffusions, train = import_official(checkout)
    diffusion = diffusions.create_diffusion("")
    model, b = tiny_model(models), batch()
    record = {**loss_goldens(diffusion, model, b), **step_goldens(diffusion, model, train, b), **decoder_goldens(diffusion)}
    save_file({name: value.contiguous() for name, value in record.items()}, HERE / "losses.safetensors",
              {"learning_rate": str(LEARNING_RATE), "weight_decay": "0", "ema_decay": str(DECAYS[0]),
               "torch": torch.__version__, "vb": "in bits per dimension"})
    for name in ("mse", "vb", "loss", "steps.loss", "nll.vb"):
        print(name, record[name].tolist())


if __name__ == "__main__":
    main()
