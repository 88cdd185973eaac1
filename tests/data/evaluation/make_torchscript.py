"""Made tiny.pt (torch 2.11):  python3 make_torchscript.py

A TorchScript program in the form that l2c eval --inception takes: features [N, 16], spatial features
[N, 3, 4, 4], logits [N, 16].
"""
import torch


class Tiny(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        x = torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, [4, 4])
        features = x.mean(1).flatten(1)
        return {"features": features, "spatial": x, "logits": 10 * features}


torch.jit.save(torch.jit.script(Tiny()), "tiny.pt")
