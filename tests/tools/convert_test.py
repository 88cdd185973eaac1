"""l2c convert as a user runs it: what comes out is the same model, the same router.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 convert_test.py [TestClass]
"""
import json
import os
import shutil
import signal
import subprocess
import time
import unittest
import zipfile
from pathlib import Path

import tensor_file
from memory_test import LARGE, MEGABYTE, elements, shapes, write_zeros
from program import ASSETS, DATA, FAST, FASHION, OFFICIAL_LAYOUT, PROGRAM, TINY, Case, l2c

CONFIG = DATA / "dit_tiny/config.json"


class Convert(Case):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "out.safetensors"

    def latents(self, *model, steps=4):
        path = self.folder / "x.safetensors"
        self.ok("sample", "--steps", steps, "--labels", "4,1", "--save-latents", path, "--threads", 1, *model)
        return tensor_file.read(path)["latents"]

    def inspect(self, *arguments):
        return json.loads(self.ok("inspect", "--json", *arguments))

    def test_the_same_images_bit_for_bit(self):
        official = self.latents(*TINY)
        for source in (DATA / "dit_tiny/weights.safetensors", DATA / "dit_tiny/state_dict.pt"):
            for dtype in ("keep", "fp32"):
                text = self.ok("convert", source, self.out, "--dtype", dtype, "--arch", CONFIG)
                self.assertIn(f"wrote {self.out}: 52 tensors", text)
                self.assertEqual(self.latents("--model", self.out), official, (source, dtype))

    def test_a_diffusers_folder_becomes_one_file(self):
        official = self.latents(*TINY)
        for source in (DATA / "diffusers", DATA / "diffusers/transformer/diffusion_pytorch_model.safetensors"):
            text = self.ok("convert", source, self.out)
            self.assertIn("Diffusers' names made official", text)
            self.assertEqual(self.latents("--model", self.out), official, source)
        seen = self.inspect(self.out)
        self.assertEqual(seen["metadata"]["l2c.source"], "diffusion_pytorch_model.safetensors")
        self.assertEqual(seen["metadata"]["l2c.source_fingerprint"], seen["fingerprint"])
        self.ok("convert", DATA / "diffusers", self.out, "--names", "keep")
        names = self.inspect(self.out)["shapes"]
        self.assertIn("transformer_blocks.0.attn1.to_q.weight", names)

    def test_a_training_checkpoint(self):
        source = DATA / "dit_tiny/train_checkpoint.pt"
        expected = self.inspect(source, "--arch", CONFIG)
        for weights, fingerprint in (("ema", expected["fingerprint"]), ("model", expected["model_fingerprint"])):
            self.ok("convert", source, self.out, "--weights", weights, "--arch", CONFIG)
            seen = self.inspect(self.out)
            self.assertEqual(seen["metadata"]["l2c.source_weights"], weights)
            config = json.loads(CONFIG.read_text())
            self.assertEqual(seen["config"], {name: config[name] for name in seen["config"]})
            self.assertEqual(seen["fingerprint"], fingerprint)
            original = self.latents("--model", source, "--arch", CONFIG, "--weights", weights)
            self.assertEqual(self.latents("--model", self.out), original)

    def test_bf16_is_half_the_size_and_another_model(self):
        self.ok("convert", DATA / "diffusers", self.out)
        size, latents = self.out.stat().st_size, self.latents("--model", self.out)
        fingerprint = self.inspect(self.out)["fingerprint"]
        self.ok("convert", DATA / "diffusers", self.out, "--dtype", "bf16")
        self.assertLess(self.out.stat().st_size, 0.55 * size)
        seen = self.inspect(self.out)
        self.assertEqual(seen["types"], {"BFloat16": 52})
        self.assertNotEqual(seen["fingerprint"], fingerprint)
        self.assertEqual(seen["metadata"]["l2c.source_fingerprint"], fingerprint)
        rounded = self.latents("--model", self.out)
        self.assertNotEqual(rounded, latents)
        largest = max(map(abs, latents[1]))
        self.assertLess(max(abs(a - b) for a, b in zip(rounded[1], latents[1])), 0.1 * largest)

    def test_routers_plan_the_same(self):
        for source in (OFFICIAL_LAYOUT, FAST):
            self.ok("convert", source, self.out)
            plans = [json.loads(self.ok("plan", "--json", "--arch", ASSETS / "config.json", "--router", router,
                                        "--threshold", threshold))
                     for router in (source, self.out) for threshold in (0.1, 0.5)]
            for plan in plans:
                del plan["policy"]  # the file's name
            self.assertEqual(plans[:2], plans[2:])
            self.assertTrue(self.inspect(source, self.out)["same"])
            described = [self.inspect(router) for router in (source, self.out)]
            self.assertEqual(*({**router, "file": ""} for router in described))

    def test_a_converted_router_gives_the_same_images(self):
        self.ok("convert", FAST, self.out)
        images = [self.latents(*FASHION, "--router", router, steps=20) for router in (FAST, self.out)]
        self.assertEqual(*images)

    def test_refusals_leave_nothing(self):
        tiny = DATA / "dit_tiny/weights.safetensors"
        copy, cut, text = (self.folder / name for name in ("copy.safetensors", "cut.pt", "notes.txt"))
        shutil.copy(tiny, copy)
        cut.write_bytes((DATA / "dit_tiny/state_dict.pt").read_bytes()[:100000])
        text.write_text("no weights at all")
        before = self.left_behind()
        for source, target, says in ((copy, copy, "would be replaced"),
                                     (copy, self.folder, "*.safetensors"),
                                     (copy, self.folder / "x.pt", "*.safetensors"),
                                     (copy, self.folder / "no/x.safetensors", "does not exist"),
                                     (cut, self.out, "cut.pt"),
                                     (text, self.out, "notes.txt"),
                                     (self.folder / "nothing", self.out, "nothing"),
                                     (self.folder, self.out, "is a folder without"),
                                     (OFFICIAL_LAYOUT, self.folder / "x.pt", "*.safetensors")):
            self.fails(2, "convert", source, target, says=says)
        self.fails(2, "convert", FAST, self.out, "--dtype", "bf16", says="its scores stay fp32")
        self.fails(2, "convert", FAST, self.out, "--arch", "DiT-S/2", says="leave out --arch")
        self.fails(2, "convert", DATA / "dit_tiny/state_dict.pt", self.out, "--arch", "DiT-S/2", says="do not fit DiT-S/2")
        self.fails(2, "convert", tiny, self.out, "--dtype", "fp16", says="--dtype")
        self.assertEqual(self.left_behind(), before)
        self.assertEqual(copy.read_bytes(), tiny.read_bytes())

    def test_an_old_file_stays_until_the_new_one_is_there(self):
        self.out.write_bytes(b"old")
        bad = self.folder / "bad.safetensors"
        bad.write_bytes((DATA / "dit_tiny/weights.safetensors").read_bytes()[:-1])
        self.fails(2, "convert", bad, self.out, says="truncated")
        self.assertEqual(self.out.read_bytes(), b"old")
        self.ok("convert", DATA / "diffusers", self.out)
        self.assertTrue(self.inspect(self.out)["sound"])

    @unittest.skipIf(os.geteuid() == 0, "root may write anywhere")
    def test_a_folder_that_cannot_be_written(self):
        locked = self.folder / "locked"
        locked.mkdir(mode=0o500)
        self.fails(2, "convert", DATA / "diffusers", locked / "x.safetensors", says="cannot write")

    def test_a_damaged_router(self):
        damaged = self.folder / "damaged.pt"
        raw = bytearray(OFFICIAL_LAYOUT.read_bytes())
        with zipfile.ZipFile(OFFICIAL_LAYOUT) as archive:
            row = archive.read(next(entry for entry in archive.namelist() if entry.endswith("/data/3")))
        raw[raw.index(row)] ^= 1  # the lowest bit of a logit
        damaged.write_bytes(raw)
        self.fails(2, "convert", damaged, self.out, says=["damaged.pt", "checksum"])
        self.assertEqual(self.left_behind(), ["damaged.pt"])


@unittest.skipIf(b"__asan_init" in Path(PROGRAM).read_bytes(), "AddressSanitizer needs memory of its own")
class ConvertLarge(Case):
    def setUp(self):
        super().setUp()
        self.source, self.out = self.folder / "in.safetensors", self.folder / "out.safetensors"
        self.arch = self.folder / "config.json"
        self.arch.write_text(json.dumps(LARGE))
        write_zeros(self.source, "F32", 4)

    def start(self, *options):
        command = [PROGRAM, "convert", self.source, self.out, *options]
        return subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def peak(self, *options):
        child = self.start(*options)
        with child.stderr:
            complaints = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(child.returncode, 0, complaints)
        self.assertIn("writing:", complaints)
        return usage.ru_maxrss * 1024

    def test_memory_is_that_of_a_tensor(self):
        weights = 4 * sum(map(elements, shapes().values()))
        peaks = {}
        for dtype in ("keep", "bf16"):
            peaks[dtype] = self.peak("--dtype", dtype, "--arch", self.arch)
        self.source.unlink()
        shutil.copy(DATA / "dit_tiny/weights.safetensors", self.source)
        empty = self.peak("--arch", CONFIG)
        for dtype, peak in peaks.items():
            print(f"{dtype}: {weights / MEGABYTE:.0f} MB of weights, peak {(peak - empty) / MEGABYTE:.0f} MB "
                  f"above the {empty / MEGABYTE:.0f} MB for a tiny file", flush=True)
            self.assertLess(peak - empty, 0.2 * weights)

    def test_ctrl_c_ends_with_130_and_leaves_nothing(self):
        before = self.left_behind()
        run = self.start("--arch", self.arch)
        first = run.stderr.readline()  # the first tensor is done
        self.assertIn("checking:", first)
        run.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, errors = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 130, errors)
        self.assertIn("was not written", errors)
        self.assertLess(time.monotonic() - started, 30)
        self.assertEqual(self.left_behind(), before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
