"""The l2c program as a user runs it: outputs, exit codes, messages. Standard library only.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 program_test.py [TestClass]
"""
import json
import os
import resource
import signal
import struct
import subprocess
import tempfile
import time
import unittest
import zipfile
from pathlib import Path

import tensor_file

PROGRAM = os.environ["L2C_PROGRAM"]
ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
ASSETS = ROOT / "assets/fashion-mnist"
SHARED = Path(os.environ.get("L2C_SHARED", ROOT.parent / "shared")) / "reference"
TINY = ["--model", DATA / "dit_tiny/weights.safetensors", "--arch", DATA / "dit_tiny/config.json"]
FASHION = ["--model", ASSETS / "dit.safetensors"]
FAST = ASSETS / "router20_fast.safetensors"
QUALITY = ASSETS / "router20_quality.safetensors"
OFFICIAL_LAYOUT = DATA / "fashion_mnist/router20_fast.pt"  # of another model of the same shape: 93 of 160 at 0.1


def l2c(*arguments, timeout=120):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def ok(self, *arguments):
        done = l2c(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def fails(self, code, *arguments, says):
        done = l2c(*arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for text in [says] if isinstance(says, str) else says:
            self.assertIn(text, done.stderr)
        self.assertNotIn("terminate", done.stderr)

    def left_behind(self):
        return sorted(path.name for path in self.folder.iterdir())


def png_size(path):
    raw = Path(path).read_bytes()
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", raw[16:24])


class Sample(Case):
    def test_matches_the_official_sampler(self):
        golden = tensor_file.read(DATA / "sampling/ddim20_cfg4.safetensors")
        count = 4 * 4 * 8 * 8
        noise = self.folder / "z.safetensors"
        tensor_file.write(noise, {"z": ([4, 4, 8, 8], golden["z"][1][:count])})
        y = self.labels_of(DATA / "sampling/ddim20_cfg4.safetensors")
        labels = ",".join(map(str, y[:4]))
        out = self.folder / "x.safetensors"
        stats = self.folder / "stats.json"
        self.ok("sample", *TINY, "--sampler", "ddim", "--steps", 20, "--cfg-scale", 4,
                "--cfg-channels", 3, "--labels", labels, "--per-class", 1, "--dtype", "fp32",
                "--device", "cpu", "--threads", 1, "--initial-noise", f"{noise}:z",
                "--save-latents", out, "--stats", stats)
        shape, latents = tensor_file.read(out)["latents"]
        self.assertEqual(shape, [4, 4, 8, 8])
        expected = golden["x"][1][20 * 2 * count:20 * 2 * count + count]
        largest = max(map(abs, expected))
        error = max(abs(a - b) for a, b in zip(latents, expected)) / largest
        self.assertLess(error, 1e-4)
        numbers = json.loads(stats.read_text())
        self.assertEqual((numbers["computed"], numbers["reused"]), (160, 0))
        self.assertEqual((numbers["ideal_speedup"], numbers["cache_bytes"]), (1.0, 0))

    @staticmethod
    def labels_of(path):
        raw = path.read_bytes()
        size = struct.unpack("<Q", raw[:8])[0]
        entry = json.loads(raw[8:8 + size])["y"]
        begin, end = entry["data_offsets"]
        return struct.unpack(f"<{(end - begin) // 8}q", raw[8 + size + begin:8 + size + end])

    def test_cache_options_change_which_branches_run(self):
        def computed(*options):
            stats = self.folder / "s.json"
            self.ok("sample", *FASHION, "--labels", 3, "--steps", 20, "--stats", stats, *options)
            numbers = json.loads(stats.read_text())
            self.assertEqual(numbers["computed"] + numbers["reused"], 320)
            return numbers["computed"]

        self.assertEqual(computed(), 320)
        self.assertEqual(computed("--router", FAST, "--threshold", 0.1), 320 - 113)
        self.assertEqual(computed("--router", FAST, "--threshold", 0.5), 320 - 118)
        self.assertEqual(computed("--router", QUALITY, "--threshold", 0.1), 320 - 64)
        self.assertEqual(computed("--router", OFFICIAL_LAYOUT, "--threshold", 0.1), 320 - 93)
        self.assertEqual(computed("--cache-every", 2), 160)

    def test_bf16_keeps_half_as_much_and_gives_nearly_the_same_latents(self):
        def sampled(dtype):
            stats, out = self.folder / f"{dtype}.json", self.folder / f"{dtype}.safetensors"
            self.ok("sample", *FASHION, "--router", FAST, "--labels", "3,5", "--steps", 20, "--dtype", dtype,
                    "--stats", stats, "--save-latents", out)
            return json.loads(stats.read_text()), tensor_file.read(out)["latents"][1]

        (fp32, exact), (bf16, rounded) = sampled("fp32"), sampled("bf16")
        self.assertEqual((fp32["settings"]["dtype"], bf16["settings"]["dtype"]), ("fp32", "bf16"))
        self.assertEqual(fp32["reused"], bf16["reused"])
        self.assertEqual(fp32["cache_bytes"], 2 * bf16["cache_bytes"])
        error = sum((a - b) ** 2 for a, b in zip(exact, rounded)) / sum(a * a for a in exact)
        self.assertGreater(error, 0)
        self.assertLess(error, 1e-3)

    def test_cuda_graphs_can_be_switched_off_and_change_nothing_on_the_cpu(self):
        def sampled(*options):
            stats, out = self.folder / "g.json", self.folder / "g.safetensors"
            self.ok("sample", *TINY, "--cache-every", 2, "--labels", "1,2", "--steps", 4, "--stats", stats,
                    "--save-latents", out, *options)
            return json.loads(stats.read_text())["settings"]["cuda_graphs"], out.read_bytes()

        (on, recorded), (off, direct) = sampled(), sampled("--no-cuda-graphs")
        self.assertEqual((on, off), (True, False))
        self.assertEqual(recorded, direct)

    def test_compare_shows_both_runs(self):
        out, stats = self.folder / "c.png", self.folder / "c.json"
        text = self.ok("sample", *FASHION, "--router", FAST, "--threshold", 0.1, "--labels", "0,9",
                       "--per-class", 3, "--cfg-scale", 3, "--compare", "--out", out, "--stats", stats)
        for word in ("113 of 160", "PSNR", "ideal", "measured"):
            self.assertIn(word, text)
        numbers = json.loads(stats.read_text())
        self.assertEqual(numbers["compare"]["full"]["computed"], 320)
        self.assertGreater(numbers["compare"]["psnr_db"], 20)
        self.assertGreater(numbers["compare"]["max_difference"], 0)
        self.assertGreater(numbers["denoise_seconds"], 0)
        sheet = 3 * 30 + 2
        self.assertEqual(png_size(out), (2 * 30 + 2, 2 * sheet + 8))

    def test_other_options_change_the_latents(self):
        def latents(*options):
            out = self.folder / "l.safetensors"
            self.ok("sample", *TINY, "--labels", "1,2", "--steps", 4, "--save-latents", out, *options)
            return tensor_file.read(out)["latents"]

        base = latents()
        for options in (["--seed", 9], ["--sampler", "ddpm"], ["--eta", 1], ["--cfg-scale", 1],
                        ["--cfg-channels", "all"]):
            self.assertNotEqual(latents(*options), base, options)
        self.assertEqual(latents("--spacing", "4"), base)
        self.assertEqual(latents("--per-class", 2)[0], [4, 4, 8, 8])
        model = DATA / "dit_tiny/train_checkpoint.pt"
        tiny = ["sample", "--model", model, "--arch", DATA / "dit_tiny/config.json", "--labels", "1,2",
                "--steps", 4, "--save-latents"]
        self.ok(*tiny, self.folder / "ema.safetensors")
        self.ok(*tiny, self.folder / "model.safetensors", "--weights", "model")
        self.assertEqual(tensor_file.read(self.folder / "ema.safetensors")["latents"], base)
        self.assertNotEqual(tensor_file.read(self.folder / "model.safetensors")["latents"], base)

    def test_latents_without_a_decoder_get_a_preview_and_a_note(self):
        out = self.folder / "p.png"
        done = l2c("sample", *TINY, "--labels", "1", "--steps", 2, "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("false-colour preview", done.stderr)
        self.assertEqual(png_size(out), (12, 12))

    def test_weights_made_from_a_seed(self):
        def latents(*model):
            out, stats = self.folder / "x.safetensors", self.folder / "s.json"
            self.ok("sample", *model, "--arch", DATA / "dit_tiny/config.json", "--labels", "1,2", "--steps", 3,
                    "--save-latents", out, "--stats", stats)
            settings = json.loads(stats.read_text())["settings"]
            return tensor_file.read(out)["latents"][1], settings["model"], settings["fingerprint"]

        stored = latents("--model", DATA / "dit_tiny/weights.safetensors")  # the rule's, with seed 1
        seeded = latents("--init", "seeded:1")
        self.assertEqual((seeded[0], seeded[2]), (stored[0], stored[2]))
        self.assertEqual(seeded[1], "seeded:1")
        self.assertNotEqual(latents("--init", "seeded:2")[0], stored[0])

    def test_weights_without_a_choice_are_noted(self):
        stats = ["--labels", 1, "--steps", 1, "--stats", self.folder / "s.json"]
        done = l2c("sample", *TINY, *stats, "--weights", "model")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("no choice of weights", done.stderr)
        self.assertNotIn("no choice of weights", l2c("sample", *TINY, *stats).stderr)

    def test_progress_is_plain_lines_without_a_terminal(self):
        done = l2c("sample", *TINY, "--labels", "1", "--steps", 10, "--stats", self.folder / "s.json")
        self.assertIn("step 5 of 10", done.stderr)
        self.assertNotIn("\r", done.stderr)

    def test_an_existing_file_is_replaced_and_nothing_else_is_left(self):
        out = self.folder / "x.png"
        out.write_text("old")
        self.ok("sample", *FASHION, "--labels", 3, "--steps", 2, "--out", out)
        self.assertEqual(png_size(out), (32, 32))
        self.assertEqual(self.left_behind(), ["x.png"])


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
        self.fails(2, "inspect", self.folder, says="directory")
        self.fails(2, "inspect", self.folder / "nothing", says="nothing")
        text = self.folder / "notes.txt"
        text.write_text("no checkpoint at all")
        self.fails(2, "inspect", text, says="is no checkpoint")
        legacy = self.folder / "legacy.pt"
        legacy.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.")
        self.fails(2, "inspect", legacy, says="before PyTorch 1.6")

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
        self.bad("sample", "--model", self.folder, *self.out, says="directory")
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


class Interrupt(Case):
    def test_ctrl_c_ends_with_130_and_writes_nothing(self):
        out = self.folder / "x.png"
        run = subprocess.Popen([PROGRAM, "sample", *map(str, FASHION), "--steps", "1000",
                                "--per-class", "64", "--out", str(out)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(3)
        self.assertIsNone(run.poll(), "the run ended before the interrupt")
        run.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, errors = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 130, errors)
        self.assertIn("cancelled before step", errors)
        self.assertLess(time.monotonic() - started, 30)
        self.assertEqual(self.left_behind(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
