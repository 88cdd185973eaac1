"""benchmarks/compare with scripted contenders: no PyTorch, no l2c.

    python3 compare_test.py [TestClass]
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COMPARE = ROOT / "benchmarks/compare"
FAKE = HERE / "fake_contender.py"
sys.path.insert(0, str(COMPARE))
sys.path.insert(0, str(HERE.parent / "tools"))

import environment  # noqa: E402
import outputs  # noqa: E402
import report  # noqa: E402
import rounds  # noqa: E402
import tensor_file  # noqa: E402
from contenders import NAMES, key_map  # noqa: E402


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    FORWARDS = ["run.py", "--models", "demo", "--batches", "2", "--scaling", "0"]

    def compare(self, *arguments, script=None, environment=None, program=FORWARDS):
        command, given = self.call(*arguments, script=script, environment=environment, program=program)
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=given)
        self.log = self.read_log()
        return done

    def call(self, *arguments, script=None, environment=None, program=FORWARDS):
        (self.folder / "log").write_text("")
        given = {**os.environ, "FAKE_LOG": str(self.folder / "log"), "FAKE_SCRIPT": json.dumps(script or {}),
                 "TMPDIR": str(self.folder), **(environment or {})}
        return [sys.executable, COMPARE / program[0], *program[1:], "--l2c", FAKE, "--python", FAKE, "--dtypes", "fp32",
                "--seconds", "0", "--out", self.folder / "r.json", *map(str, arguments)], given

    def read_log(self):
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def ok(self, *arguments, **more):
        done = self.compare(*arguments, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.results = json.loads((self.folder / "r.json").read_text())
        return done.stdout

    def fails(self, *arguments, says, **more):
        done = self.compare(*arguments, **more)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        for text in says:
            self.assertIn(text, done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def timed(self):
        return [line["who"] for line in self.log if line["what"] == "time"]


class Alternation(Case):
    def test_every_round_measures_each_contender_once_in_another_order(self):
        self.ok("--rounds", 4, "--contenders", "eager,compile")
        everybody = ["l2c", "eager", "compile"]
        turns = self.timed()[1:]  # the first is l2c's start
        blocks = [turns[i:i + 3] for i in range(0, len(turns), 3)]
        self.assertEqual([sorted(block) for block in blocks], [sorted(everybody)] * 4)
        self.assertEqual([block[0] for block in blocks], ["l2c", "eager", "compile", "l2c"])
        before = [turns[i - 1] for i in range(3, len(turns)) if turns[i] == "eager"]
        self.assertGreater(len(set(before)), 1, "always behind the same one")

    def test_medians_and_ratios_are_taken_over_rounds(self):
        # The second round is three times as slow for everybody: no ratio may move.
        slow = {"l2c": {"times": [9, 0.010, 0.030, 0.012]}, "eager": {"times": [0.020, 0.060, 0.024]}}
        text = self.ok("--rounds", 3, "--contenders", "eager", script=slow)
        contenders = self.results["cases"][0]["contenders"]
        self.assertEqual(contenders["l2c"]["cpu"], [0.010, 0.030, 0.012])
        self.assertEqual(contenders[NAMES["eager"]]["cpu"], [0.020, 0.060, 0.024])
        self.assertIn("| demo | fp32 | 2 | 1 | l2c | 12.00 (11.00-21.00) | 24.00 | 1 |", text)
        self.assertIn("| PyTorch eager | 24.00 (22.00-42.00) | 48.00 | **2.00 (2.00-2.00)** |", text)

    def test_two_threads_are_set_against_one_by_the_wall_clock(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("one core")
        times = {"l2c": {"times": [0.02]}, "l2c2": {"times": [0.0125]}}
        text = self.ok("--rounds", 2, "--contenders", "eager", "--scaling", 2, script=times)
        self.assertIn("| demo | fp32 | 2 | 2 against 1 | 1.60 (1.60-1.60) | 0.62 (0.62-0.62) |", text)

    def test_a_shared_core_is_noted(self):
        self.assertIn("wall clock was 2.00 of its CPU time", self.ok("--rounds", 1))

    def test_the_report_can_be_made_again_from_the_numbers(self):
        text = self.ok("--rounds", 2, "--models", "demo,DiT-S/2", "--batches", "2,8")
        self.assertEqual(text.strip(), report.markdown(self.results).strip())
        self.assertEqual((self.folder / "r.md").read_text().strip(), text.strip())
        self.assertEqual([(c["model"], c["batch"]) for c in self.results["cases"]],
                         [("demo", 2), ("demo", 8), ("DiT-S/2", 2), ("DiT-S/2", 8)])


class Outputs(Case):
    def test_a_contender_that_differs_is_an_error_with_its_name(self):
        for who, name in [("l2c", "l2c"), *((key, NAMES[key]) for key in NAMES)]:
            with self.subTest(who):
                self.fails("--rounds", 1, says=[f"error: {name} (fp32) differs from eager fp32 by 0.00025"],
                           script={who: {"off": 1e-3}})
                self.assertNotIn("eager", self.timed())  # nothing was measured

    def test_bf16_may_differ_by_its_rounding_but_no_further(self):
        self.ok("--rounds", 1, "--dtypes", "bf16", script={"l2c": {"off": 0.1}})
        self.assertAlmostEqual(self.results["cases"][0]["contenders"]["l2c"]["difference"], 0.025, places=6)
        self.fails("--rounds", 1, "--dtypes", "bf16", says=["l2c (bf16) differs", "by 0.0625"],
                   script={"l2c": {"off": 0.25}})

    def test_not_a_number_never_passes(self):
        self.fails("--rounds", 1, says=["differs from eager fp32 by inf"], script={"l2c": {"off": float("nan")}})

    def test_other_shapes_never_pass(self):
        path = self.folder / "t"
        tensor_file.write(path, {"output": ([2, 2], [1.0, 2.0, 3.0, 4.0])})
        square = outputs.read_tensor(path, "output")
        tensor_file.write(path, {"output": ([4], [1.0, 2.0, 3.0, 4.0])})
        flat = outputs.read_tensor(path, "output")
        self.assertEqual(outputs.check("a", "fp32", square, square), 0)
        with self.assertRaisesRegex(outputs.Differs, r"a: shape \[4\], expected \[2, 2\]"):
            outputs.check("a", "fp32", flat, square)
        with self.assertRaisesRegex(outputs.Differs, 'no tensor "x"'):
            outputs.read_tensor(path, "x")


class Sampling(Case):
    TIMES = {"l2c": {"times": [0.8]}, "l2c-router": {"times": [0.5]}, "eager": {"times": [1.6]},
             "eager-router": {"times": [1.25]}, "diffusers": {"times": [2.0]}, "diffusers-fbcache": {"times": [1.0]}}
    KINDS = ["--contenders", "eager,eager-router,diffusers,diffusers-fbcache"]

    def compare(self, *arguments, **more):
        return super().compare(*self.KINDS, *arguments, program=["sampling.py"], **more)

    def row(self, text, name):
        (line,) = [line for line in text.splitlines() if line.startswith(f"| 8 | fp32 | {name} |")]
        return [cell.strip() for cell in line.split("|")[5:-1]]

    def test_each_contenders_reuse_is_set_against_its_own_full_run(self):
        text = self.ok("--rounds", 2, script=self.TIMES)
        self.assertEqual(self.row(text, "l2c")[:3], ["1", "-", "1"])
        self.assertEqual(self.row(text, "l2c, router")[:3], ["1.60 (1.60-1.60)", "1.60", "1"])
        self.assertEqual(self.row(text, "PyTorch eager")[:3], ["1", "-", "**2.00 (2.00-2.00)**"])
        self.assertEqual(self.row(text, "PyTorch eager, router")[:3],
                         ["1.28 (1.28-1.28)", "1.60", "**2.50 (2.50-2.50)**"])
        # A policy of its own: no plan in common, no latents that it must agree with.
        self.assertEqual(self.row(text, "Diffusers DiT, First Block Cache")[:4],
                         ["2.00 (2.00-2.00)", "-", "**2.00 (2.00-2.00)**", "-"])
        self.assertEqual(text.strip(), report.sampling_markdown(self.results).strip())

    def test_without_its_full_run_no_speed_up_is_told(self):
        text = self.ok("--rounds", 1, "--contenders", "eager-router", script=self.TIMES)
        self.assertEqual(self.row(text, "PyTorch eager, router")[:2], ["-", "1.60"])

    def test_distance_to_the_full_run_is_told(self):
        text = self.ok("--rounds", 1, script=self.TIMES)
        self.assertEqual(self.row(text, "l2c, router")[3:], ["0.0e+00", "2.5e-01"])

    def test_full_and_routed_latents_are_both_compared(self):
        for who, name in [("l2c", "l2c"), ("l2c-router", "l2c, router"), ("eager-router", "PyTorch eager, router")]:
            with self.subTest(who):
                self.fails("--rounds", 1, says=[f"error: {name} (fp32) differs from eager fp32 by 0.0025"],
                           script={who: {"off": 1e-2}})

    def test_who_ignores_the_router_is_found_in_bf16_too(self):
        # Within what bf16 may differ by, but nearer to the run that computes everything.
        self.fails("--rounds", 1, "--dtypes", "bf16", says=["PyTorch eager, router: its latents are nearer to"],
                   script={"eager-router": {"ignores": True}})
        self.ok("--rounds", 1, "--dtypes", "bf16", script={"eager-router": {"off": 0.1}})

    def test_a_policy_of_its_own_may_differ(self):
        self.ok("--rounds", 1, script={"diffusers-fbcache": {"off": 1.0}})


class Processes(Case):
    def test_a_worker_that_ends_shows_what_it_wrote(self):
        self.fails("--rounds", 3, says=["error: torch.compile, freezing ended with 3", "compile is out of memory"],
                   script={"compile": {"fails": 1}})

    def test_a_program_that_fails_shows_what_it_wrote(self):
        self.fails("--rounds", 3, says=["error: l2c ended with 3", "l2c is out of memory"], script={"l2c": {"fails": 2}})

    def test_a_run_that_is_ended_leaves_no_worker_and_no_file(self):
        command, given = self.call(script={"compile": {"warms_up_for": 8}})
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=given) as run:
            deadline = time.monotonic() + 60
            while "compile" not in [line["who"] for line in self.read_log()] and time.monotonic() < deadline:
                time.sleep(0.1)
            run.terminate()
            self.assertIn(b"ended by a signal", run.communicate(timeout=60)[1])
        self.assertEqual([(line["who"], line["what"]) for line in self.read_log()][-2:],
                         [("eager", "end"), ("compile", "end")])
        self.assertEqual([path.name for path in self.folder.iterdir()], ["log"])

    def test_workers_start_once_and_end(self):
        self.ok("--rounds", 3)
        for who in NAMES:
            self.assertEqual([line["what"] for line in self.log if line["who"] == who],
                             ["ready", "time", "time", "time", "end"])

    def test_cases_before_a_failure_are_kept(self):
        self.fails("--rounds", 1, "--batches", "2,8", says=["eager is out of memory"], script={"eager": {"fails": 1}})
        self.assertEqual(len(json.loads((self.folder / "r.json").read_text())["cases"]), 1)


class Limits(Case):
    def test_each_contender_has_its_threads_and_as_many_cores(self):
        most = min(2, len(os.sched_getaffinity(0)))
        self.ok("--rounds", 1, "--threads", most)
        for line in self.log:
            if line["what"] == "time":
                self.assertEqual((line["cores"], line["OMP_NUM_THREADS"]), (most, str(most)), line)

    def test_more_threads_than_cores_is_an_error(self):
        self.fails("--threads", 4096, says=["4096 threads asked for"])

    def test_the_instruction_set_is_limited_on_both_sides(self):
        text = self.ok("--rounds", 1, "--isa-limit", "avx512_bf16")
        for line in self.log:
            self.assertEqual((line["L2C_CPU_ISA"], line["ONEDNN_MAX_CPU_ISA"], line["DNNL_MAX_CPU_ISA"]),
                             ("avx512_bf16", "AVX512_CORE_BF16", "AVX512_CORE_BF16"), line)
        self.assertIn("Instruction set limited to avx512_bf16 on both sides", text)

    def test_without_a_limit_none_of_the_callers_stays(self):
        text = self.ok("--rounds", 1, environment={"L2C_CPU_ISA": "plain", "ONEDNN_MAX_CPU_ISA": "SSE41"})
        for line in self.log:
            self.assertEqual((line["L2C_CPU_ISA"], line["ONEDNN_MAX_CPU_ISA"]), (None, None), line)
        self.assertIn("Instruction set not limited", text)


class KeyMap(unittest.TestCase):
    DEPTH = 2
    # As Diffusers 0.42.1 saves them.
    OUTSIDE = ["pos_embed.proj", "proj_out_1", "proj_out_2"]
    BLOCK = ["attn1.to_k", "attn1.to_out.0", "attn1.to_q", "attn1.to_v", "ff.net.0.proj", "ff.net.2", "norm1.linear",
             "norm1.emb.timestep_embedder.linear_1", "norm1.emb.timestep_embedder.linear_2"]

    def diffusers(self):
        layers = self.OUTSIDE + [f"transformer_blocks.{i}.{layer}" for i in range(self.DEPTH) for layer in self.BLOCK]
        return {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")} | {
            f"transformer_blocks.{i}.norm1.emb.class_embedder.embedding_table.weight" for i in range(self.DEPTH)}

    def test_official_names_are_those_of_an_official_file(self):
        names = tensor_file.read(ROOT / "tests/data/dit_tiny/weights.safetensors")
        self.assertEqual(key_map.official_names(4), sorted(names))

    def test_each_name_of_diffusers_comes_from_exactly_one_official_name(self):
        targets = [name for official in key_map.official_names(self.DEPTH)
                   for name in key_map.diffusers_names(official, self.DEPTH)[0]]
        self.assertEqual(len(targets), len(set(targets)))
        self.assertEqual(set(targets), self.diffusers())

    def test_queries_keys_and_values_are_cut_in_this_order(self):
        self.assertEqual(key_map.diffusers_names("blocks.1.attn.qkv.bias", self.DEPTH),
                         ([f"transformer_blocks.1.attn1.to_{part}.bias" for part in "qkv"], "split"))

    def test_nothing_but_the_positions_is_left_out(self):
        without = [name for name in key_map.official_names(self.DEPTH)
                   if not key_map.diffusers_names(name, self.DEPTH)[0]]
        self.assertEqual(without, ["pos_embed"])


class Environment(Case):
    def test_pytorch_has_the_version_that_l2c_is_built_with(self):
        deps = (ROOT / "scripts/deps.sh").read_text()
        self.assertEqual(environment.pinned("torch"), re.search(r"TORCH_VERSION=(\S+)", deps).group(1))

    def test_every_package_is_pinned(self):
        lines = [line for line in environment.REQUIREMENTS.read_text().splitlines() if not line.startswith("#")]
        self.assertTrue(all(re.fullmatch(r"[a-z-]+==[0-9.]+", line) for line in lines), lines)

    def test_a_missing_pin_says_what_to_do(self):
        path = self.folder / "requirements.txt"
        path.write_text("torch\n")
        with self.assertRaisesRegex(SystemExit, "add a line torch==VERSION"):
            environment.pinned("torch", path)

    def test_libtorch_of_another_file_is_told(self):
        results = {"libtorch": {"l2c": "a" * 64, "PyTorch": "b" * 64}}
        self.assertIn("**NOT the same file**", report.libtorch_text(results))
        results["libtorch"]["PyTorch"] = "a" * 64
        self.assertIn("the same file on both sides", report.libtorch_text(results))

    def test_ratios_need_as_many_rounds(self):
        self.assertEqual(rounds.ratios([2, 9], [1, 3]), [2, 3])
        with self.assertRaises(ValueError):
            rounds.ratios([1], [1, 2])


class Options(Case):
    def test_bad_options_name_what_is_known(self):
        self.fails("--contenders", "eager,jax", says=["no contender is called jax", "eager, compile, diffusers"])
        self.fails("--dtypes", "fp8", says=["known are fp32, bf16"])
        self.fails("--rounds", 0, says=["--rounds 0"])
        self.fails("--l2c", self.folder / "none", says=["none is no program", "make compare"])
        self.fails("--isa-limit", "mmx", says=["mmx", "avx512_bf16"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
