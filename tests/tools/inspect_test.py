"""What l2c says without sampling: plan, inspect, doctor.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 inspect_test.py [TestClass]
"""
import json
import struct
import unittest
import zipfile

import tensor_file
from program import DATA, ASSETS, SHARED, FAST, OFFICIAL_LAYOUT, Case, l2c


class Plan(Case):
    def plan(self, *arguments):
        return json.loads(self.ok("plan", "--json", *arguments))

    def published(self, name):
        path = SHARED / "routers" / name
        if not path.exists():
            self.skipTest(f"the published router {name} has no licence and is not in this checkout")
        return path

    def test_published_ddim20_router(self):
        numbers = self.plan("--arch", "DiT-XL/2", "--router", self.published("DDIM20_router.pt"),
                            "--threshold", 0.1, "--steps", 20)
        self.assertEqual((numbers["reused"], numbers["cache_step_branches"]), (248, 560))
        self.assertEqual(f"{numbers['paper_tmacs_full']:.3f}", "2.288")
        self.assertEqual(f"{numbers['paper_tmacs_plan']:.3f}", "1.781")
        self.assertEqual(numbers["cache_bytes"], 56 * 256 * 1152 * 2 * 4)

    def test_published_ddim50_router(self):
        numbers = self.plan("--arch", "DiT-XL/2", "--router", self.published("DDIM50_router.pt"),
                            "--threshold", 0.1, "--steps", 50)
        self.assertEqual((numbers["reused"], numbers["cache_step_branches"]), (664, 1400))
        self.assertEqual(f"{numbers['paper_tmacs_full']:.3f}", "5.720")
        self.assertEqual(f"{numbers['paper_tmacs_plan']:.3f}", "4.362")

    def test_heat_map_of_the_demo_router(self):
        text = self.ok("plan", "--arch", ASSETS / "config.json", "--router",
                       FAST, "--threshold", 0.1)
        self.assertIn("113 of 160", text)
        rows = [line for line in text.splitlines() if line.endswith("full")]
        self.assertEqual(len(rows), 10)
        cells = sum(line[12:28].count(".") for line in text.splitlines()[1:21])
        self.assertEqual(cells, 113)

    def test_target_speedup_chooses_the_threshold(self):
        options = ["--arch", ASSETS / "config.json", "--router", FAST]
        chosen = self.plan(*options, "--target-speedup", 1.25)
        self.assertGreaterEqual(chosen["ideal_speedup"], 1.25)
        again = self.plan(*options, "--threshold", repr(chosen["threshold"]))
        self.assertEqual(again["reused"], chosen["reused"])
        below = self.plan(*options, "--threshold", repr(chosen["threshold"] * 0.999))
        self.assertLess(below["ideal_speedup"], 1.25)
        self.assertIn("threshold", self.ok("plan", *options, "--target-speedup", 1.25))
        self.fails(2, "plan", *options, "--target-speedup", 50, says="50")

    def test_every_n(self):
        numbers = self.plan("--arch", "DiT-S/8", "--cache-every", 2, "--steps", 10)
        self.assertEqual((numbers["reused"], numbers["cache_step_branches"]), (120, 120))


class Inspect(Case):
    def inspect(self, *arguments):
        return json.loads(self.ok("inspect", "--json", *arguments))

    def test_a_model(self):
        seen = self.inspect(ASSETS / "dit.safetensors")
        self.assertEqual((seen["kind"], seen["config"]["depth"]), ("model", 8))
        self.assertIn("sound", self.ok("inspect", ASSETS / "dit.safetensors"))

    def test_a_training_checkpoint(self):
        seen = self.inspect(DATA / "dit_tiny/train_checkpoint.pt")
        self.assertNotEqual(seen["fingerprint"], seen["model_fingerprint"])
        self.assertEqual((seen["section"], seen["config"]["hidden_size"]), ("ema", 64))

    def test_routers_of_both_formats(self):
        official, own = self.inspect(OFFICIAL_LAYOUT), self.inspect(FAST)
        for router, reused in ((official, 93), (own, 113)):
            self.assertEqual((router["kind"], router["steps"], router["blocks"]), ("router", 20, 8))
            self.assertEqual(router["reuse"][0]["reused"], reused)
        self.assertEqual(own["model_fingerprint"],
                         self.inspect(ASSETS / "dit.safetensors")["fingerprint"])

    def test_tensors(self):
        seen = self.inspect(DATA / "schedules/20.safetensors")
        self.assertEqual(seen["kind"], "tensors")

    def test_bad_files(self):
        cut = self.folder / "cut.safetensors"
        cut.write_bytes((ASSETS / "dit.safetensors").read_bytes()[:100000])
        self.fails(2, "inspect", cut, says="cut.safetensors")
        cut = self.folder / "cut.pt"
        cut.write_bytes((DATA / "dit_tiny/state_dict.pt").read_bytes()[:100000])
        self.fails(2, "inspect", cut, says="cut.pt")
        self.fails(2, "inspect", self.folder, says="is a folder without model_index.json")
        self.fails(2, "inspect", self.folder / "nothing", says="nothing")
        text = self.folder / "notes.txt"
        text.write_text("no checkpoint at all")
        self.fails(2, "inspect", text, says="is no checkpoint")
        legacy = self.folder / "legacy.pt"
        legacy.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.")
        self.fails(2, "inspect", legacy, says=["legacy.pt", "ends at byte 20"])

    def test_damaged_weights_of_a_zip_file(self):
        raw = bytearray((DATA / "dit_tiny/train_checkpoint.pt").read_bytes())
        with zipfile.ZipFile(DATA / "dit_tiny/train_checkpoint.pt") as archive:
            entry = max((e for e in archive.infolist() if "/data/" in e.filename),
                        key=lambda e: e.header_offset)
        name, extra = struct.unpack("<HH", raw[entry.header_offset + 26:entry.header_offset + 30])
        raw[entry.header_offset + 30 + name + extra] ^= 1
        damaged = self.folder / "damaged.pt"
        damaged.write_bytes(raw)
        self.fails(2, "inspect", damaged, says=["damaged.pt", "checksum"])

    def test_nan_in_the_other_section_of_a_training_checkpoint(self):
        # The model weights come first in the file: the first storage, set to NaN with its checksum.
        source = DATA / "dit_tiny/train_checkpoint.pt"
        bad = self.folder / "nan.pt"
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(bad, "w") as new:
            for entry in old.infolist():
                data = old.read(entry)
                if entry.filename.endswith("/data/0"):
                    data = struct.pack("<f", float("nan")) + data[4:]
                new.writestr(entry.filename, data)
        self.fails(2, "inspect", bad, says="NaN")

    def test_nan_in_a_tensor_file(self):
        nan = self.folder / "nan.safetensors"
        tensor_file.write(nan, {"a": ([2], [1.0, float("nan")])})
        self.fails(2, "inspect", nan, says=["tensor a", "NaN"])

    def test_numbers_of_8_bits(self):
        eight = self.folder / "eight.safetensors"
        header = json.dumps({"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
        for data, code in ((b"\x01\x02", 0), (b"\x01\x7f", 2)):  # 0x7f: NaN
            eight.write_bytes(struct.pack("<Q", len(header)) + header + data)
            done = l2c("inspect", eight)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertNotIn("frame #", done.stderr)

    def test_what_a_training_goes_on_from(self):
        config, data, run = self.folder / "c.json", self.folder / "d.safetensors", self.folder / "run"
        config.write_text(json.dumps({"input_size": 8, "patch_size": 4, "in_channels": 1, "hidden_size": 16,
                                      "depth": 1, "num_heads": 2, "num_classes": 2}))
        tensor_file.write(data, {"images": ([4, 1, 8, 8], [0.5] * 256), "labels": ([4], [0, 1, 0, 1])})
        self.ok("train-dit", "--data", data, "--arch", config, "--out", run, "--steps", 3,
                "--batch-size", 2, "--threads", 1)
        state = run / "checkpoint-00000003.safetensors"
        seen = self.inspect(state)
        self.assertEqual((seen["kind"], seen["step"]), ("training checkpoint", 3))
        self.assertEqual(seen["settings"]["batch_size"], "2")
        self.assertGreater(seen["tensors"], 10)
        self.assertIn("training checkpoint", self.ok("inspect", state))
        for options in ([], ["--arch", config]):
            self.fails(2, "sample", "--model", state, *options, "--out", self.folder / "x.png",
                       says=["is a training checkpoint at step 3", str(run / "model.safetensors")])
        self.ok("sample", "--model", run / "model.safetensors", "--steps", 1, "--labels", 0,
                "--out", self.folder / "x.png")
        raw = bytearray(state.read_bytes())
        raw[-1] ^= 1
        state.write_bytes(raw)
        self.fails(2, "inspect", state, says="does not match its checksum")


class Doctor(Case):
    def test_says_what_there_is(self):
        text = self.ok("doctor")
        for word in ("LibTorch", "threads", "CUDA", "CPU features"):
            self.assertIn(word, text)
        seen = json.loads(self.ok("doctor", "--json"))
        self.assertGreater(seen["threads"], 0)
        self.assertIn(f"CPU            {seen['cpu_model'] or 'unknown'}\n", text)

    def test_help_has_examples(self):
        for command in ("sample", "plan", "inspect", "doctor", "bench"):
            text = self.ok(command, "--help")
            self.assertIn("Example", text)
            self.assertIn(f"l2c {command}", text)
        self.ok("--version")


if __name__ == "__main__":
    unittest.main(verbosity=2)
