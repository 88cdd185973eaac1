"""How much memory the l2c program needs to load a model. Standard library only.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 memory_test.py [TestClass]
"""
import json
import struct
import tempfile
import unittest
from pathlib import Path

from program import DATA, PROGRAM, peak_memory

WIDTH, DEPTH, MLP = 768, 6, 4
LARGE = {"input_size": 8, "patch_size": 2, "in_channels": 4, "hidden_size": WIDTH, "depth": DEPTH, "num_heads": 12,
         "mlp_ratio": float(MLP), "class_dropout_prob": 0.1, "num_classes": 10, "learn_sigma": True}
MEGABYTE = 1 << 20
# Activations, and what the system rounds and the allocator keeps.
ALLOWANCE = 10 * MEGABYTE


def shapes():
    """Official names and shapes of LARGE."""
    layers = {"t_embedder.mlp.0": (WIDTH, 256), "t_embedder.mlp.2": (WIDTH, WIDTH),
              "final_layer.adaLN_modulation.1": (2 * WIDTH, WIDTH), "final_layer.linear": (2 * 2 * 8, WIDTH)}
    for i in range(DEPTH):
        layers |= {f"blocks.{i}.adaLN_modulation.1": (6 * WIDTH, WIDTH), f"blocks.{i}.attn.qkv": (3 * WIDTH, WIDTH),
                   f"blocks.{i}.attn.proj": (WIDTH, WIDTH), f"blocks.{i}.mlp.fc1": (MLP * WIDTH, WIDTH),
                   f"blocks.{i}.mlp.fc2": (WIDTH, MLP * WIDTH)}
    result = {"pos_embed": (1, 16, WIDTH), "x_embedder.proj.weight": (WIDTH, 4, 2, 2),
              "x_embedder.proj.bias": (WIDTH,), "y_embedder.embedding_table.weight": (11, WIDTH)}
    for name, shape in layers.items():
        result |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return result


def elements(shape):
    product = 1
    for size in shape:
        product *= size
    return product


def write_zeros(path, dtype, size):
    """A model of LARGE's shapes; its bytes are written, so that reading them is no trick of sparse files."""
    header, end = {}, 0
    for name, shape in shapes().items():
        begin, end = end, end + elements(shape) * size
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _ in range(end // MEGABYTE):
            file.write(bytes(MEGABYTE))
        file.write(bytes(end % MEGABYTE))


@unittest.skipIf(b"__asan_init" in Path(PROGRAM).read_bytes(), "AddressSanitizer needs memory of its own")
class LoadingMemory(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.arch = self.folder / "config.json"
        self.arch.write_text(json.dumps(LARGE))
        self.parameters = sum(map(elements, shapes().values()))

    def peak(self, *model, dtype):
        """Of one sampled image."""
        return peak_memory(self, "sample", *model, "--dtype", dtype, "--steps", 1, "--labels", 1, "--threads", 1,
                           "--save-latents", self.folder / "x.safetensors")

    def check(self, *model):
        for dtype, size in (("fp32", 4), ("bf16", 2)):
            with self.subTest(dtype=dtype):
                weights = self.parameters * size
                empty = self.peak("--model", DATA / "dit_tiny/weights.safetensors",
                                  "--arch", DATA / "dit_tiny/config.json", dtype=dtype)
                peak = self.peak(*model, "--arch", self.arch, dtype=dtype)
                print(f"{dtype}: {weights / MEGABYTE:.0f} MB of weights, peak {(peak - empty) / MEGABYTE:.0f} MB "
                      f"above the {empty / MEGABYTE:.0f} MB of a tiny model", flush=True)
                self.assertGreater(peak - empty, 0.8 * weights)  # or else nothing was measured
                self.assertLess(peak - empty, 1.15 * weights + ALLOWANCE)

    def test_weights_from_a_seed(self):
        self.check("--init", "seeded:1")

    def test_weights_of_a_file(self):
        path = self.folder / "model.safetensors"
        write_zeros(path, "F32", 4)
        self.check("--model", path)

    def test_weights_of_a_bf16_file(self):
        path = self.folder / "model.safetensors"
        write_zeros(path, "BF16", 2)
        self.check("--model", path)


if __name__ == "__main__":
    unittest.main()
