"""l2c sample as a user runs it: outputs, options, interruption.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 sample_test.py [TestClass]
"""
import json
import signal
import subprocess
import time
import unittest

import tensor_file
from program import PROGRAM, DATA, TINY, FASHION, FAST, QUALITY, OFFICIAL_LAYOUT, Case, l2c, png_size


class Sample(Case):
    def test_matches_the_official_sampler(self):
        golden = tensor_file.read(DATA / "sampling/ddim20_cfg4.safetensors")
        count = 4 * 4 * 8 * 8
        noise = self.folder / "z.safetensors"
        tensor_file.write(noise, {"z": ([4, 4, 8, 8], golden["z"][1][:count])})
        y = tensor_file.read_int64(DATA / "sampling/ddim20_cfg4.safetensors", "y")
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
