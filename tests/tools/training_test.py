"""The trainers as a user runs them: killed, interrupted, resumed, refused. Standard library only.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 training_test.py [TestClass]
"""
import json
import os
import random
import resource
import signal
import subprocess
import time
import unittest
from pathlib import Path

import tensor_file
from program import ASSETS, DATA, PROGRAM, TINY, Case, png_size

CONFIG = {"input_size": 8, "patch_size": 4, "in_channels": 1, "hidden_size": 16, "depth": 2,
          "num_heads": 2, "num_classes": 2}


def squares(path, value=1.0):
    """16 images of 8 x 8: dark ones of class 0, bright ones of class 1."""
    pixels = [value if i % 2 else -value for i in range(16) for _ in range(64)]
    tensor_file.write(path, {"images": ([16, 1, 8, 8], pixels), "labels": ([16], [i % 2 for i in range(16)])})


class Trainer(Case):
    """What holds for every trainer; `command` is its command line without --out."""

    result = ""  # what it leaves in its folder
    command = []
    env = {**os.environ, "OMP_NUM_THREADS": "1"}

    def change(self, option, value):
        self.command[self.command.index(option) + 1] = value

    def start(self, out, *more, **how):
        return subprocess.Popen([PROGRAM, *map(str, [*self.command, "--out", out, *more])], env=self.env,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, errors="replace", **how)

    def finish(self, out, *more):
        run = self.start(out, *more)
        output, errors = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, output + errors)
        return errors

    def bits(self, out):
        return (out / self.result).read_bytes(), (out / "curve.csv").read_bytes()

    def saved_steps(self, out):
        return sorted(int(path.name.split("-")[1].split(".")[0]) for path in out.glob("checkpoint-*.safetensors"))

    def check_killed_at_any_moment(self, *more):
        """SIGKILL at random times, a save after every step: nearly every one hits a save."""
        whole, parts = self.folder / "whole", self.folder / "parts"
        self.finish(whole, *more)
        draw = random.Random(5)
        killed = 0
        for _ in range(12):
            before = max(self.saved_steps(parts), default=0)
            run = self.start(parts, *more)
            time.sleep(0.35 + 0.4 * draw.random())
            run.kill()
            run.communicate()
            killed += run.returncode == -signal.SIGKILL
            self.assertGreaterEqual(max(self.saved_steps(parts), default=0), before)
            self.assertLessEqual(len(self.saved_steps(parts)), 3)  # two, and the one being replaced
        self.assertGreater(killed, 0)
        self.finish(parts, *more)
        self.assertEqual(self.bits(whole), self.bits(parts))
        self.assertEqual(list(parts.glob("*.partial")), [])

    def check_killed_inside_a_save(self, short, *more):
        """The kernel kills a process that writes beyond RLIMIT_FSIZE: in the middle of a file. `short` are the
        options of the same training that ends after its first save."""
        whole, parts = self.folder / "whole", self.folder / "parts"
        self.finish(whole, *more)
        self.finish(self.folder / "first", *short)
        first = max((self.folder / "first").glob("checkpoint-*"), key=lambda path: path.name)
        limit = first.stat().st_size + 8  # the loss curve in the next one is longer

        run = self.start(parts, *more, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (limit, limit)))
        run.communicate(timeout=120)
        self.assertEqual(run.returncode, -signal.SIGXFSZ)
        self.assertEqual(len(list(parts.glob("*.partial"))), 1, "not killed inside a save")
        kept = max(self.saved_steps(parts))
        self.assertIn(f"going on after step {kept}", self.finish(parts, *more))
        self.assertEqual(self.bits(whole), self.bits(parts))

    def check_interrupt(self, number, *more):
        """`more`: several seconds of work, so that a machine many times as fast does not end before the signal,
        which follows the first report at once."""
        whole, parts = self.folder / "whole", self.folder / "parts"
        self.change("--report-every", 1)
        self.finish(whole, *more)
        run = self.start(parts, *more)
        run.stderr.readline()
        run.stderr.readline()  # its first report
        run.send_signal(number)
        _, errors = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 130, errors)
        self.assertIn("the same command goes on", errors)
        self.finish(parts, *more)
        self.assertEqual(self.bits(whole), self.bits(parts))


class TrainDit(Trainer):
    result = "model.safetensors"

    def setUp(self):
        super().setUp()
        self.data, arch = self.folder / "data.safetensors", self.folder / "arch.json"
        squares(self.data)
        arch.write_text(json.dumps(CONFIG))
        self.command = ["train-dit", "--data", self.data, "--arch", arch, "--batch-size", 8,
                        "--lr-decay", "cosine", "--clip", 1, "--ema-ramp", "--threads", 1, "--report-every", 5]

    def test_killed_at_any_moment_it_ends_with_the_same_bits(self):
        self.check_killed_at_any_moment("--steps", 120, "--save-every", 1)

    def test_killed_inside_a_save_it_ends_with_the_same_bits(self):
        self.command[self.command.index("cosine")] = "constant"  # so that `short` is the same training
        self.check_killed_inside_a_save(["--steps", 10], "--save-every", 10, "--steps", 40)

    def test_ctrl_c_saves_and_ends_with_130(self):
        self.check_interrupt(signal.SIGINT, "--steps", 1500)

    def test_sigterm_saves_and_ends_with_130(self):
        self.check_interrupt(signal.SIGTERM, "--steps", 1500)

    def test_a_second_one_in_the_folder_is_refused(self):
        first = self.start(self.folder / "run", "--steps", 100000)
        self.addCleanup(first.wait)
        self.addCleanup(first.kill)
        first.stderr.readline()
        first.stderr.readline()  # its first report
        self.fails(2, *self.command, "--out", self.folder / "run", "--steps", 100000,
                   says="another training is running")
        first.kill()
        first.communicate()

    def test_other_data_model_or_options_are_refused(self):
        out = self.folder / "run"
        self.finish(out, "--steps", 6)
        before = self.bits(out)
        self.fails(2, *self.command, "--out", out, "--steps", 6, "--ema", 0.5, "--seed", 3,
                   says=["ema_decay: 0.9999 in the checkpoint, 0.5 now", "seed: 0 in the checkpoint, 3 now"])
        self.fails(2, *self.command, "--out", out, "--steps", 7, says="steps: 6 in the checkpoint, 7 now")
        (self.folder / "arch.json").write_text(json.dumps({**CONFIG, "depth": 3}))
        self.fails(2, *self.command, "--out", out, "--steps", 6, says="model.depth: 2 in the checkpoint, 3 now")
        (self.folder / "arch.json").write_text(json.dumps(CONFIG))
        squares(self.data, 0.5)
        self.fails(2, *self.command, "--out", out, "--steps", 6, says="data: ")
        self.assertEqual(self.bits(out), before)

    def test_bad_input(self):
        out = ["--out", self.folder / "run"]
        self.fails(2, *self.command, *out, "--lr", -1, says="learning_rate")
        for option, value, says in [("--data", self.folder / "none", "none"),
                                    ("--arch", "DiT-S/2", "32 x 32 were asked for")]:
            command = list(self.command)
            command[command.index(option) + 1] = value
            self.fails(2, *command, *out, says=says)
        self.fails(2, *self.command, *out, "--dtype", "fp8", says="fp8")
        self.fails(2, *self.command, "--out", self.data, says="data.safetensors")
        self.fails(2, *self.command, *out, "--split", "test or all", says="--split")
        constant = [option if option != "cosine" else "constant" for option in self.command]
        self.fails(2, *constant, *out, "--final-lr", 0.1, says="--lr-decay cosine")
        self.assertFalse((self.folder / "run").exists())

    def test_weights_that_are_not_finite_are_not_saved(self):
        out = self.folder / "run"
        self.fails(1, *self.command, "--out", out, "--steps", 1, "--lr", "1e39", says="is not finite after step 1")
        self.assertEqual([path.name for path in out.iterdir()], ["lock"])

    def test_the_path_of_the_data_and_reports_are_no_difference(self):
        out = self.folder / "run"
        self.finish(out, "--steps", 6)
        self.change("--data", os.path.join(self.folder, ".", "data.safetensors"))
        self.change("--report-every", 2)
        self.assertIn("going on after step 6", self.finish(out, "--steps", 6))

    def test_a_data_path_that_is_not_utf8(self):
        odd = self.folder / os.fsdecode(b"caf\xe9.safetensors")
        self.data.rename(odd)
        self.change("--data", odd)
        out = self.folder / "run"
        self.finish(out, "--steps", 4)
        self.assertIn("going on after step 4", self.finish(out, "--steps", 4))

    @unittest.skipIf(b"__asan_init" in Path(PROGRAM).read_bytes(), "AddressSanitizer brings an allocator of its own")
    def test_later_steps_get_no_memory_from_the_system(self):
        images = self.folder / "images.safetensors"
        tensor_file.write(images, {"images": ([32, 1, 28, 28], [0.5] * 32 * 28 * 28),
                                   "labels": ([32], [i % 10 for i in range(32)])})

        def page_faults(steps):
            command = [PROGRAM, "train-dit", "--data", images, "--arch", ASSETS / "config.json", "--batch-size", 32,
                       "--threads", 1, "--steps", steps, "--out", self.folder / f"{steps}"]
            run = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(run.pid, 0)
            run.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(run.returncode, 0)
            return used.ru_minflt

        # As glibc does it by itself, the 6 steps more cost 12,000 to 44,000 page faults.
        self.assertLess(page_faults(8), page_faults(2) + 5000)

    def test_a_full_disk_keeps_the_checkpoints(self):
        out = self.folder / "run"
        self.finish(out, "--steps", 20, "--save-every", 10)
        before = self.bits(out)
        (out / "curve.csv").unlink()
        (out / "curve.csv").symlink_to("/dev/full")
        self.fails(1, *self.command, "--out", out, "--steps", 20, "--save-every", 10, says="the disk is full")
        (out / "curve.csv").unlink()
        self.finish(out, "--steps", 20, "--save-every", 10)
        self.assertEqual(self.bits(out), before)

    def test_what_it_made_can_be_sampled(self):
        out = self.folder / "run"
        self.finish(out, "--steps", 6, "--save-dtype", "bf16")
        self.ok("sample", "--model", out / "model.safetensors", "--steps", 2, "--labels", 1, "--out",
                self.folder / "x.png")
        self.assertIn("training_steps", self.ok("inspect", out / "model.safetensors"))
        validate = ["validate", "--model", out / "model.safetensors", "--data", self.data]
        self.assertIn("16 images", self.ok(*validate))
        self.fails(2, *validate, "--images", -1, says="-1 images")


def latents(path, value=1.0):
    """12 made-up latents of dit_tiny's shape."""
    values = [value * ((7 * i) % 97 / 48 - 1) for i in range(12 * 4 * 8 * 8)]
    tensor_file.write(path, {"latents": ([12, 4, 8, 8], values), "labels": ([12], [i % 10 for i in range(12)])})


class TrainRouter(Trainer):
    result = "router.safetensors"

    def setUp(self):
        super().setUp()
        self.data = self.folder / "data.safetensors"
        latents(self.data)
        self.model = ["train-router", *TINY]
        self.recipe = ["--batch-size", 2, "--lr", 0.1, "--threads", 1, "--report-every", 5]
        self.command = [*self.model, "--data", self.data, *self.recipe]

    def test_killed_at_any_moment_it_ends_with_the_same_bits(self):
        self.check_killed_at_any_moment("--iterations", 60, "--save-every", 1)

    def test_killed_inside_a_save_it_ends_with_the_same_bits(self):
        self.check_killed_inside_a_save(["--iterations", 10], "--save-every", 10, "--iterations", 40)

    def test_ctrl_c_saves_and_ends_with_130(self):
        self.check_interrupt(signal.SIGINT, "--iterations", 800)

    def test_sigterm_saves_and_ends_with_130(self):
        self.check_interrupt(signal.SIGTERM, "--iterations", 800)

    def test_interrupted_while_it_makes_its_own_samples(self):
        self.command = [*self.model, "--no-data", "--own-samples", 200, "--own-batch-size", 2, *self.recipe]
        self.check_interrupt(signal.SIGINT, "--iterations", 6)

    def test_a_second_one_in_the_folder_is_refused(self):
        first = self.start(self.folder / "run", "--iterations", 100000)
        self.addCleanup(first.wait)
        self.addCleanup(first.kill)
        first.stderr.readline()
        first.stderr.readline()  # its first report
        self.fails(2, *self.command, "--out", self.folder / "run", says="another training is running")
        first.kill()
        first.communicate()

    def test_prints_its_progress_and_names_its_files(self):
        out = self.folder / "run"
        run = self.start(out, "--iterations", 10, "--steps", 10, "--lambda", 0.001, "--threshold", 0.2)
        output, errors = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, errors)
        for text in ("training on", "step 5 of 10: loss", " mse ", " penalty ", "branches_on", "ideal_speedup"):
            self.assertIn(text, errors)
        for text in ("trained 10 iterations", "threshold 0.2", "of 40 at the cache steps", "lambda 0.001"):
            self.assertIn(text, output)
        for name in ("router.safetensors", "curve.csv", "heat_map.png"):
            self.assertIn(f"wrote {out / name}", output)
        self.assertEqual(png_size(out / "heat_map.png"), (8 * 13 + 3 * 3 + 11, 10 * 13 + 11))
        seen = json.loads(self.ok("inspect", "--json", out / "router.safetensors"))
        self.assertEqual((seen["kind"], seen["steps"], seen["blocks"]), ("router", 10, 4))
        # Made for this model and schedule: the program takes it without further options.
        stats = self.folder / "s.json"
        self.ok("sample", *TINY, "--router", out / "router.safetensors", "--labels", 1, "--stats", stats)
        self.assertEqual(json.loads(stats.read_text())["steps"], 10)
        self.fails(2, "sample", *TINY, "--router", out / "router.safetensors", "--labels", 1, "--stats", stats,
                   "--steps", 20, says="10")

    def test_own_samples_and_a_target(self):
        self.command = [*self.model, "--no-data", "--own-samples", 4, *self.recipe]
        out = self.folder / "run"
        run = self.start(out, "--iterations", 4, "--target-speedup", 1.5)
        output, errors = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, errors)
        self.assertIn("own_samples 4", errors)
        self.assertIn("was missed", errors)
        self.assertIn("target speed-up 1.5x: MISSED", output)
        self.assertEqual(tensor_file.read(out / "own-samples.safetensors")["latents"][0], [4, 4, 8, 8])

    def test_other_data_model_or_options_are_refused(self):
        out = self.folder / "run"
        self.finish(out, "--iterations", 6)
        before = self.bits(out)
        self.fails(2, *self.command, "--out", out, "--iterations", 6, "--lambda", 0.5, "--flip",
                   says=["lambda: 5e-06 in the checkpoint, 0.5 now", "flip: no in the checkpoint, yes now"])
        self.fails(2, *self.command, "--out", out, "--iterations", 5, says="iterations: 6 in the checkpoint")
        other = ["train-router", "--model", DATA / "dit_tiny/train_checkpoint.pt", "--weights", "model",
                 *TINY[2:], *self.command[5:], "--out", out, "--iterations", 6]
        self.fails(2, *other, says="model: ")
        latents(self.data, 0.5)
        self.fails(2, *self.command, "--out", out, "--iterations", 6, says="data: ")
        self.assertEqual(self.bits(out), before)

    def test_bad_input(self):
        out = ["--out", self.folder / "run"]
        self.fails(2, *self.model, *out, says="give --data, --no-data")
        self.fails(2, *self.command, *out, "--no-data", says="--no-data")
        self.fails(2, *self.command, *out, "--own-samples", 4, says="--no-data")
        self.fails(2, *self.command, *out, "--lambda", 1, "--target-speedup", 2, says="--lambda")
        self.fails(2, *self.command, *out, "--target-speedup", 9, says="the largest possible")
        self.fails(2, *self.command, *out, "--steps", 1, says="at least 2")
        self.fails(2, *self.command, *out, "--steps", 10, "--spacing", "10", says="--spacing")
        self.fails(2, *self.command, *out, "--dtype", "fp8", says="fp8")
        self.fails(2, *self.command, *out, "--split", "all", says="--split")
        squares(self.data)
        self.fails(2, *self.command, *out, says="with 1 channels")
        self.fails(2, *self.command, "--out", self.data, says="data.safetensors")
        self.assertEqual(self.left_behind(), ["data.safetensors"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
