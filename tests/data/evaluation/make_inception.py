"""Made inception.safetensors with pytorch-fid 0.3.0's network (torch 2.11, torchvision 0.26):

    python3 make_inception.py

Weights (names and shapes are in the file's metadata) and images follow a rule (tests/evaluation/inception_weights.h has it, too), so that only the
answers are stored: "pytorch.*" for pytorch-fid's own preparation of the images, "tensorflow.*" for that
of the graph of 2015 (bilinear without half-pixel centres, (v - 128) / 128). Spatial features are in
the order (H, W, C), as ADM's evaluator flattens TensorFlow's.
"""
import json

import numpy as np
import torch
from pytorch_fid import inception
from safetensors.numpy import save_file


def noise(stream, count):
    """splitmix64 of (stream << 40) + 0 ... count - 1, as numbers in [0, 1) of 24 bits."""
    with np.errstate(over="ignore"):
        z = (np.uint64(stream) << np.uint64(40)) + np.arange(count, dtype=np.uint64)
        z = z + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2**24


def weight(name, index, shape):
    u = noise(index, int(np.prod(shape)))
    if name.endswith(("bn.weight", "bn.running_var")):
        value = 0.75 + 0.5 * u
    elif name.endswith((".bias", "running_mean")):
        value = (2 * u - 1) * (1.0 if name == "fc.bias" else 0.1)
    else:
        value = (2 * u - 1) * np.sqrt(6 / np.prod(shape[1:]))
    return torch.tensor(value.astype(np.float32).reshape(shape))


def state():
    network = inception._inception_v3(num_classes=1008, aux_logits=False, weights=None)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()
              if not name.endswith("num_batches_tracked")}
    return {name: weight(name, i, shapes[name]) for i, name in enumerate(sorted(shapes))}


def images(stream, count, size):
    values = np.floor(noise(stream, count * 3 * size * size) * 256)
    return torch.tensor(values.reshape(count, 3, size, size).astype(np.float32))


def axis_weights(size):
    table = np.zeros((299, size))
    for i in range(299):
        place = i * size / 299
        low = int(place)
        table[i, low] += 1 - (place - low)
        table[i, min(low + 1, size - 1)] += place - low
    return torch.tensor(table)


def answers(network, x):
    kept = {}
    block = network.blocks[2][6]  # Mixed_6d, TensorFlow's mixed_6
    hook = block.branch1x1.register_forward_hook(lambda module, given, out: kept.update(spatial=out))
    with torch.no_grad():
        pool = network(x)[0].flatten(1)
    hook.remove()
    logits = pool @ network.fc_weight.T
    return {"pool": pool, "spatial": kept["spatial"][:, :7].permute(0, 2, 3, 1).flatten(1), "softmax": logits.softmax(1)}


def main():
    weights = state()
    inception.load_state_dict_from_url = lambda *args, **kwargs: weights
    strict = torch.nn.Module.load_state_dict
    torch.nn.Module.load_state_dict = lambda self, values, **kwargs: strict(self, values, strict=False)
    golden = {}
    for kind in ("pytorch", "tensorflow"):
        own = kind == "pytorch"
        network = inception.InceptionV3(resize_input=own, normalize_input=own).eval()
        network.fc_weight = weights["fc.weight"]
        for stream, count, size in ((1000, 2, 40), (1001, 1, 320)):
            x = images(stream, count, size)
            if own:
                x = x / 255
            else:
                table = axis_weights(size)
                x = ((table @ x.double() @ table.T - 128) / 128).float()
            for name, value in answers(network, x).items():
                golden[f"{kind}.{size}.{name}"] = value.contiguous().numpy()
    for name, value in golden.items():
        print(name, value.shape, value.dtype, value.min(), value.max(), value.std())
    shapes = {name: list(value.shape) for name, value in weights.items()}
    save_file(golden, "inception.safetensors", {"shapes": json.dumps(shapes, separators=(",", ":"))})


main()
