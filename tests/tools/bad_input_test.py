"""Bad input of every kind: exit codes and messages, and nothing lost.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 bad_input_test.py [TestClass]
"""
import json
import os
import resource
import struct
import subprocess
import unittest
from pathlib import Path

import tensor_file
from program import PROGRAM, DATA, ASSETS, FASHION, FAST, OFFICIAL_LAYOUT, Case


class BadInput(Case):
    def bad(self, *arguments, says):
        self.fails(2, *arguments, says=says)
        self.assertEqual(self.left_behind(), self.before)

    def setUp(self):
        super().setUp()
        self.before = []
        self.out = ["--out", self.folder / "x.png"]

    def fashion(self, *options, says):
        self.bad("sample", *FASHION, *self.out, *options, says=says)

    def test_command_line(self):
        self.bad("sample", says="--model")
        self.bad("sample", *FASHION, "--sampler", "euler", says="euler")
        self.bad("nonsense", says="nonsense")
        self.bad(says="say what to do")

    def test_routers(self):
        router = ["--router", DATA / "l2c/router_random.pt"]
        self.fashion(*router, "--steps", 20, says=["router_random.pt", "4", "8"])
        own = ["--router", FAST]
        self.fashion(*own, "--steps", 10, says=["20", "10"])
        self.fashion(*own, "--spacing", "ddim20", says=["\"20\"", "\"ddim20\""])
        self.fashion(*own, "--threshold", 1.5, says=["1.5", "1"])
        self.fashion(*own, "--threshold", "nan", says="nan")
        self.fashion(*own, "--cache-every", 2, says="--cache-every")
        self.fashion("--cache-every", 0, says="0")
        self.fashion("--threshold", 0.1, says="--router")
        self.fashion("--router", ASSETS / "dit.safetensors", says="dit.safetensors")
        self.fashion("--router", self.folder, says="directory")
        self.fashion("--compare", says="--router")
        self.bad("plan", "--arch", "DiT-XL/2", *own, says=["28", "8"])
        self.bad("plan", "--arch", ASSETS / "config.json", *own, "--threshold", 0.1,
                 "--target-speedup", 1.2, says="--threshold")

    def test_router_with_nan(self):
        path = self.folder.parent / f"{self.folder.name}.nan.safetensors"
        self.addCleanup(path.unlink)
        values = [0.0] * (20 * 16)
        values[35] = float("nan")
        raw = bytearray()
        header = {"__metadata__": {"format": "l2c-router", "version": "1", "steps": "20"},
                  "logits": {"dtype": "F32", "shape": [20, 16], "data_offsets": [0, 1280]}}
        text = json.dumps(header).encode()
        raw += struct.pack("<Q", len(text)) + text + struct.pack("<320f", *values)
        path.write_bytes(raw)
        self.fashion("--router", path, says=["row 2", "unit 3", "nan"])
        self.fails(2, "inspect", path, says="nan")

    def test_numbers(self):
        self.fashion("--steps", 0, says="0 steps")
        self.fashion("--steps", 1001, says="1001 steps")
        self.fashion("--spacing", "ddim300", says="ddim300")
        self.fashion("--labels", "-1", says="label -1")
        self.fashion("--labels", "3,10", says="label 10")
        self.fashion("--per-class", 0, says="0 images")
        self.fashion("--batch-size", 0, says="batch size 0")
        self.fashion("--per-class", 2000000000, says=["images at once", "1000000"])
        self.fashion("--per-class", 50000, says=["500000 images", "PNG"])
        self.fashion("--threads", 0, says="0")
        self.fashion("--device", "cuda:99", says="cuda")
        self.fashion("--device", "tpu", says="tpu")

    def test_numbers_that_wrapped_or_saturated(self):
        largest = 2 ** 64 - 1
        for command in (["sample", *FASHION, *self.out], ["eval"], ["sweep"], ["train-dit"], ["train-classifier"],
                        ["train-router"], ["place-steps"], ["validate"]):
            option = "--seeds" if command[0] in ("eval", "sweep") else "--seed"
            self.bad(*command, option, "-1", says=[option, '"-1"', f"0 to {largest}"])
            self.bad(*command, option, largest + 1, says=[option, f'"{largest + 1}"', f"0 to {largest}"])
        self.fashion("--seeds=-1,-2", says=["--seeds", '"-1"', f"0 to {largest}"])
        self.fashion("--seeds", f"1,{10 ** 22}", says=["--seeds", str(10 ** 22), f"0 to {largest}"])
        self.bad("sweep", "--report-seeds", "-1", says=["--report-seeds", '"-1"'])
        self.bad("train-dit", "--steps", 2 ** 63, says=["--steps", str(2 ** 63), "fewer digits"])
        self.fashion("--steps", 2 ** 31, says=["--steps", str(2 ** 31), f"to {2 ** 31 - 1}"])

    def test_numbers_in_other_notations(self):
        # A blank or plus sign before it is none of its digits.
        self.fashion("--router", FAST, "--steps", " +10", says=["20", "10"])
        # 010 is ten, not eight, and 08 is eight.
        self.fashion("--router", FAST, "--steps", "010", says=["20", "10"])
        self.fashion("--preview", self.folder / "p.png", "--preview-every", "08", "--steps", "0", says="0 steps")
        self.fashion("--steps", "0x10", says=["--steps", '"0x10"', "whole number"])
        self.fashion("--steps", "1.5", says=["--steps", '"1.5"', "whole number"])
        self.fashion("--eta", "none", says=["--eta", '"none"', "number"])
        self.fashion("--compare=perhaps", says=["--compare", '"perhaps"', "true"])

    def test_memory_limit(self):
        for limit in ("9223372036854775808", "10EB", "-5", "many", "GB", "5 XB", "nan", "inf", ""):
            self.fashion("--memory-limit", limit, says=["--memory-limit", f'"{limit}"', "9 EB", "1.5GB"])
        # Taken: what is wrong is another number.
        for limit in ("0", "1.5GB", "500 mb", "2GiB", "1k", "9EB"):
            self.fashion("--memory-limit", limit, "--steps", 0, says="0 steps")

    def test_empty_values(self):
        for option in ("--from", "--model", "--init", "--arch", "--vae", "--router", "--policy", "--recall",
                       "--spacing", "--steps", "--threshold", "--labels", "--initial-noise", "--out", "--images",
                       "--preview", "--save-latents", "--stats", "--device"):
            self.bad("sample", option, "", says=[f"{option}: the value is empty", "leave it out"])
            self.bad("sample", *FASHION, f"{option}=", "--compare", says=f"{option}: the value is empty")
        self.bad("--log-level", "", "doctor", says="--log-level")
        for command, option in (("plan", "--router"), ("inspect", "--heat-map"), ("convert", "--arch"),
                                ("train-dit", "--data"), ("train-classifier", "--out"), ("train-router", "--out"),
                                ("eval", "--policy"), ("sweep", "--policies"), ("sweep", "--from"),
                                ("calibrate", "--out"), ("bench", "--json"), ("validate", "--split"),
                                ("place-steps", "--out")):
            self.bad(command, option, "", says=": the value is empty")
        self.bad("inspect", "", says="file: the value is empty")

    def test_noise(self):
        noise = self.folder.parent / f"{self.folder.name}.noise.safetensors"
        self.addCleanup(noise.unlink)
        tensor_file.write(noise, {"z": ([1, 1, 28, 28], [0.0] * 784)})
        self.fashion("--labels", "1,2", "--initial-noise", noise, says=["[1, 1, 28, 28]", "[2, 1, 28, 28]"])
        self.fashion("--labels", "1", "--initial-noise", f"{noise}:y", says="y")
        tensor_file.write(noise, {"z": ([1, 1, 28, 28], [0.0] * 783 + [float("nan")])})
        self.fashion("--labels", "1", "--initial-noise", f"{noise}:z", says="NaN")

    def test_models(self):
        self.bad("sample", "--model", ASSETS / "dit.safetensors", "--arch", "DiT-S/2", *self.out,
                 says="dit.safetensors")
        self.bad("sample", "--model", DATA / "dit_tiny/state_dict.pt", *self.out, says="DiT-XL/2")
        self.bad("sample", "--model", DATA / "dit_tiny/weights.safetensors", "--arch", "DiT-XXL/3",
                 *self.out, says="DiT-XXL/3")
        self.bad("sample", "--model", self.folder, *self.out, says="is a folder without model_index.json")
        self.bad("sample", "--model", self.folder / "none.pt", *self.out, says="none.pt")

    def test_weights_from_a_seed(self):
        config = ["--arch", DATA / "dit_tiny/config.json"]
        self.bad("sample", *config, *self.out, says=["--model", "--init seeded:S"])
        self.bad("sample", "--init", "seeded:1", *self.out, says="--arch")
        self.bad("sample", "--init", "seeded:1", *FASHION, *self.out, says=["--init", "--model"])
        self.bad("sample", "--init", "seeded:1", *config, "--weights", "model", *self.out, says=["--init", "--weights"])
        self.bad("sample", "--init", "seeded:1", "--arch", "DiT-XXL/3", *self.out, says="DiT-XXL/3")
        for init in ("random", "seeded:", "seeded:-1", "seeded:134217728"):
            self.bad("sample", "--init", init, *config, *self.out, says=[f'"{init}"', "0 to 134217727"])

    def test_outputs(self):
        fashion = ["sample", *FASHION, "--labels", 1, "--steps", 2]
        self.bad(*fashion, "--out", self.folder, says="directory")
        self.bad(*fashion, *self.out, "--stats", self.folder / "x.png", says="same path")
        self.bad(*fashion, "--out", self.folder / "missing/x.png", says="missing")
        self.bad(*fashion, "--save-latents", "/proc/x.safetensors", says="/proc")

    @unittest.skipIf(b"__asan_init" in Path(PROGRAM).read_bytes(), "AddressSanitizer reserves terabytes of addresses")
    def test_memory_that_no_subcommand_looks_after(self):
        # A gigabyte of zeros without a block on the disk; looking for NaN takes four.
        size, large = 1 << 30, self.folder / "large.safetensors"
        header = json.dumps({"a": {"dtype": "F8_E4M3", "shape": [size], "data_offsets": [0, size]}}).encode()
        with open(large, "wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            file.truncate(8 + len(header) + size)
        limit = 2 * size + (3 << 29)
        done = subprocess.run([PROGRAM, "inspect", str(large)], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "OMP_NUM_THREADS": "1"},
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("out of memory: close other programs", done.stderr)
        self.assertNotIn("frame #", done.stderr)

    def test_disk_full(self):
        fashion = ["sample", *FASHION, "--labels", 1, "--steps", 2]
        self.fails(1, *fashion, "--out", "/dev/full", says="/dev/full")
        self.fails(1, *fashion, "--save-latents", "/dev/full", says="/dev/full")
        self.fails(1, *fashion, "--stats", "/dev/full", says="/dev/full")
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, "doctor"], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.stderr)

    def test_a_failing_picture_does_not_lose_the_numbers(self):
        latents, stats = self.folder / "l.safetensors", self.folder / "s.json"
        self.fails(1, "sample", *FASHION, "--labels", 1, "--steps", 2, "--out", "/dev/full",
                   "--save-latents", latents, "--stats", stats, says="/dev/full")
        self.assertEqual(self.left_behind(), ["l.safetensors", "s.json"])

    def test_names_that_are_not_utf8(self):
        router = os.fsencode(self.folder.parent / f"{self.folder.name}.") + b"\xff.pt"
        with open(router, "wb") as file:
            file.write(OFFICIAL_LAYOUT.read_bytes())
        self.addCleanup(os.unlink, router)
        done = subprocess.run([PROGRAM, "plan", "--json", "--arch", str(ASSETS / "config.json"),
                               "--router", router], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["reused"], 93)


if __name__ == "__main__":
    unittest.main(verbosity=2)
