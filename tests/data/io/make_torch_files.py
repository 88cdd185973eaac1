"""Makes the torch_*.pt files beside it, and torch_mix.safetensors with what is in them, by torch itself
(made with 2.11.0; needs the safetensors package): one content in the zip format, in that of PyTorch before
1.6, and in an archive that was packed again with compression, under another root and in another order."""

import argparse
import collections
import pathlib
import zipfile

import safetensors.torch
import torch

HERE = pathlib.Path(__file__).parent


def tensors():
    base = torch.arange(24, dtype=torch.float32).view(2, 3, 4) / 8 - 1
    halves = torch.tensor([0.5, -1.0, 65504.0, 0.0])
    return collections.OrderedDict(
        base=base,
        shared_row=base[1, 2],
        permuted=base.permute(2, 0, 1),
        strided=base[:, ::2, 1::2],
        expanded=base[:, :1, :].expand(2, 5, 4),
        zero_strides=torch.tensor(3.0).expand(3, 2),
        parameter=torch.nn.Parameter(torch.linspace(-1, 1, 5)),
        frozen=torch.nn.Parameter(torch.ones(2), requires_grad=False),
        bf16=torch.tensor([1.0, -2.5, 3e38]).bfloat16(),
        f16=halves.half().view(2, 2),
        f64=torch.tensor([1 / 3, -1e300], dtype=torch.float64),
        i64=torch.tensor([-(2**62), 7]),
        i32=torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32),
        i16=torch.tensor([-32768, 5], dtype=torch.int16),
        i8=torch.tensor([-128, 127], dtype=torch.int8),
        u8=torch.tensor([0, 255], dtype=torch.uint8),
        u16=torch.tensor([0, 65535], dtype=torch.uint16),
        bool=torch.tensor([True, False, True]),
        f8=torch.tensor([1.0, -2.0]).to(torch.float8_e4m3fn),
        scalar=torch.tensor(-7, dtype=torch.int64),
        empty=torch.empty(0, 3),
        none=torch.empty(0),
    )


def content():
    named = torch.nn.Parameter(torch.full((2,), 4.0))
    named.origin = "an attribute"  # saved with its state
    return {
        "model": tensors(),
        "named": named,
        "args": argparse.Namespace(model="DiT-tiny", nested={"list": [1, (2, [3.5, {"deep": torch.ones(1)}])]}),
        "device": torch.device("cpu"),
        "dtype": torch.bfloat16,
        "size": torch.Size([2, 3]),
        "path": pathlib.PurePosixPath("/nowhere"),
        "seed": 2**100,
    }


def packed_again(source, target):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in sorted(old.infolist(), key=lambda e: e.filename, reverse=True):
            name = "a/deeper folder/" + entry.filename.split("/", 1)[1]
            new.writestr(zipfile.ZipInfo(name), old.read(entry), zipfile.ZIP_DEFLATED)


def main():
    # No GPU wrote them, but their storages say so.
    torch.serialization.location_tag = lambda storage: "cuda:0"
    torch.save(content(), HERE / "torch_mix.pt")
    torch.save(content(), HERE / "torch_mix_legacy.pt", _use_new_zipfile_serialization=False)
    packed_again(HERE / "torch_mix.pt", HERE / "torch_mix_deflated.pt")
    torch.save({"w": torch.eye(3).to_sparse(), "b": torch.ones(3)}, HERE / "torch_sparse.pt")
    torch.save({"w": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "b": torch.ones(3)},
               HERE / "torch_quantized.pt")
    torch.save(torch.nn.Linear(2, 1), HERE / "torch_module_legacy.pt", _use_new_zipfile_serialization=False)
    expected = {name: tensor.detach().contiguous().clone() for name, tensor in tensors().items()}
    (HERE / "torch_mix.safetensors").write_bytes(safetensors.torch.save(expected))


if __name__ == "__main__":
    main()
