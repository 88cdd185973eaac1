"""What l2c says without sampling: plan, inspect (of one file and of two), doctor.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 inspect_test.py [TestClass]
"""
import json
import struct
import unittest
import zipfile

import tensor_file
from program import DATA, ASSETS, SHARED, FASHION, FAST, OFFICIAL_LAYOUT, Case, l2c, png_size


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
        seen = self.inspect(DATA / "dit_tiny/train_checkpoint.pt", "--arch", DATA / "dit_tiny/config.json")
        self.assertNotEqual(seen["fingerprint"], seen["model_fingerprint"])
        self.assertEqual((seen["section"], seen["config"]["hidden_size"]), ("ema", 64))

    def test_a_model_whose_heads_are_not_known(self):
        file = DATA / "dit_tiny/state_dict.pt"
        guessed = self.inspect(file)
        self.assertIn("num_heads is a guess", guessed["note"])
        self.assertNotIn("fingerprint", guessed)
        known = self.inspect(file, "--arch", DATA / "dit_tiny/config.json")
        self.assertEqual((known["config_from"], known["config"]["num_heads"]), ("--arch", 4))
        self.assertEqual(len(known["fingerprint"]), 32)
        self.assertNotIn("note", known)
        self.fails(2, "inspect", file, "--arch", "DiT-S/8", says="state_dict.pt")
        for other in (DATA / "diffusers", DATA / "schedules/20.safetensors", FAST):
            self.fails(2, "inspect", other, "--arch", "DiT-S/8", says="--arch is for")

    def test_files_are_known_by_what_they_hold(self):
        picture = self.folder / "picture"
        self.ok("sample", *FASHION, "--labels", 1, "--steps", 2, "--out", self.folder / "a.png")
        picture.write_bytes((self.folder / "a.png").read_bytes())
        self.assertEqual(self.inspect(picture)["kind"], "picture")
        self.fails(2, "inspect", picture, picture, says="is a picture")
        config = DATA / "dit_tiny/config.json"
        self.fails(2, "inspect", config, says="JSON without \"policies\"")

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
        self.fails(2, "inspect", legacy, says=["legacy.pt", "ends at byte 21"])

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


class InspectTwo(Case):
    def differences(self, *arguments, code=1):
        done = l2c("inspect", "--json", *arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout)

    def test_the_same_tensors_in_other_files(self):
        files = DATA / "dit_tiny/weights.safetensors", DATA / "dit_tiny/state_dict.pt"
        seen = self.differences(*files, code=0)
        self.assertEqual((seen["same"], seen["tensors"]["same"], seen["differences"]), (True, 52, []))
        self.assertIn("52 of 52 tensors are the same", self.ok("inspect", *files))

    def test_what_differs_and_by_how_much(self):
        a, b = self.folder / "a.safetensors", self.folder / "b.safetensors"
        tensor_file.write(a, {"equal": ([1], [1.0]), "little": ([2], [1.0, 4.0]), "much": ([2], [1.0, 2.0]),
                              "shape": ([2], [1.0, 1.0]), "type": ([2], [1.0, 2.5]), "only": ([1], [1.0])})
        tensor_file.write(b, {"equal": ([1], [1.0]), "little": ([2], [1.0, 4.5]), "much": ([2], [-1.0, 2.0]),
                              "shape": ([1, 2], [1.0, 1.0]), "type": ([2], [1, 2]), "other": ([1], [1.0])})
        seen = self.differences(a, b)
        self.assertEqual(seen["tensors"], {"same": 1, "values": 2, "type": 1, "shape": 1, "only in the first": 1,
                                           "only in the second": 1})
        rows = {row["name"]: row for row in seen["differences"]}
        self.assertEqual(list(rows), ["only", "other", "shape", "type", "much", "little"])
        self.assertEqual((rows["much"]["largest"], rows["much"]["relative"]), (2, 1))
        self.assertEqual((rows["little"]["largest"], rows["little"]["differing"], rows["little"]["of"]), (0.5, 1, 2))
        self.assertEqual((rows["type"]["types"], rows["type"]["largest"]), (["Float", "Long"], 0.5))
        self.assertEqual(rows["shape"]["shapes"], [[2], [1, 2]])
        self.assertEqual(rows["only"]["shapes"], [[1], None])
        self.assertNotIn("note", seen)
        text = l2c("inspect", a, b)
        self.assertEqual(text.returncode, 1)
        self.assertIn("1 of 7 tensors are the same; 2 differ in values, 1 differ in type, 1 differ in shape, 1 only in "
                      "the first, 1 only in the second; the largest difference is 2 (much)", text.stdout)
        self.assertRegex(text.stdout, r"\n  much +values +Float +\[2\] +2 +1 +1 of 2\n")

    def test_metadata_are_shown_but_do_not_count(self):
        out = self.folder / "out.safetensors"
        self.ok("convert", ASSETS / "dit.safetensors", out)
        seen = self.differences(ASSETS / "dit.safetensors", out, code=0)
        self.assertEqual(seen["metadata"]["l2c.source"], [None, "dit.safetensors"])
        self.assertNotIn("config", seen["metadata"])
        self.assertIn("metadata l2c.source: nothing | dit.safetensors", self.ok("inspect", ASSETS / "dit.safetensors", out))

    def test_weights_of_training_checkpoints(self):
        file = DATA / "dit_tiny/train_checkpoint.pt"
        out = self.folder / "out.safetensors"
        self.ok("convert", file, out, "--weights", "model")
        self.assertGreater(self.differences(file, out)["tensors"]["values"], 10)
        self.assertTrue(self.differences(file, out, "--weights", "model", code=0)["same"])

    def test_one_model_under_two_sets_of_names(self):
        official, diffusers = DATA / "dit_tiny/weights.safetensors", DATA / "diffusers"
        seen = self.differences(official, diffusers)
        self.assertEqual(seen["tensors"]["same"], 0)
        for text in ("no name is in both files", "both are a DiT with 4 blocks", "with the same weights"):
            self.assertIn(text, seen["note"])
        other = self.differences(ASSETS / "dit.safetensors", diffusers)
        self.assertEqual(other["note"], "no name is in both files")
        self.differences(diffusers, diffusers / "transformer/diffusion_pytorch_model.safetensors", code=0)

    def test_routers(self):
        seen = self.differences(FAST, FAST, code=0)
        self.assertEqual((seen["same"], seen["logits"]["differing"]), (True, 0))
        self.assertEqual([row["threshold"] for row in seen["decisions"]], [0.1, 0.5, 0.9])
        seen = self.differences(FAST, OFFICIAL_LAYOUT)
        self.assertEqual(seen["logits"]["of"], 320)
        self.assertGreater(seen["logits"]["largest"], 0.1)
        self.assertGreaterEqual(seen["decisions"][0]["differing"], 113 - 93)
        self.assertIn("model_fingerprint", seen["facts"])
        at = self.differences(FAST, OFFICIAL_LAYOUT, "--threshold", 0.1)["decisions"]
        self.assertEqual(at, seen["decisions"][:1])
        text = l2c("inspect", FAST, OFFICIAL_LAYOUT).stdout
        self.assertRegex(text, r"\d+ of 320 logits differ, by at most")
        self.assertRegex(text, r"at threshold 0.1 +\d+ of 320 decisions differ")
        other = self.differences(FAST, ASSETS / "router50_fast.safetensors")
        self.assertEqual(other["steps"], [20, 50])

    def test_refuses(self):
        model = ASSETS / "dit.safetensors"
        self.fails(2, "inspect", model, FAST, says="name two of a kind")
        self.fails(2, "inspect", FAST, model, says="name two of a kind")
        self.fails(2, "inspect", model, self.folder / "nothing", says="nothing")
        self.fails(2, "inspect", model, model, "--threshold", 0.5, says="--threshold is for routers")
        self.fails(2, "inspect", FAST, FAST, "--threshold", 2, says="outside [0, 1]")
        self.fails(2, "inspect", FAST, FAST, "--heat-map", self.folder / "x.png", says="give one file")
        cut = self.folder / "cut.pt"
        cut.write_bytes((DATA / "dit_tiny/state_dict.pt").read_bytes()[:100000])
        self.fails(2, "inspect", model, cut, says="cut.pt")
        self.fails(2, "inspect", cut, cut, says="cut.pt")
        report = self.folder / "report.json"
        report.write_text("{}")
        self.fails(2, "inspect", report, report, says="files of tensors are compared")
        self.assertIn("1 different", " ".join(self.ok("inspect", "--help").split()))


class InspectHeatMap(Case):
    def test_a_picture_of_a_router(self):
        out = self.folder / "map.png"
        seen = json.loads(self.ok("inspect", FAST, "--heat-map", out, "--json"))
        self.assertEqual((seen["kind"], seen["heat_map"]), ("router", str(out)))
        width, height = png_size(out)
        self.assertGreater(width, 2 * 8 * 18)  # two fields of 8 blocks
        self.assertGreater(height, 20 * 18)  # steps
        own = out.read_bytes()
        self.ok("inspect", FAST, "--heat-map", out, "--threshold", 0.9)
        self.assertNotEqual(out.read_bytes(), own)
        recommended = seen["threshold"]
        self.ok("inspect", FAST, "--heat-map", out, "--threshold", repr(recommended))
        self.assertEqual(out.read_bytes(), own)

    def test_the_threshold_is_that_of_the_table_too(self):
        seen = json.loads(self.ok("inspect", FAST, "--threshold", 0.25, "--json"))
        self.assertEqual([row["threshold"] for row in seen["reuse"]], [0.25])

    def test_refuses(self):
        out = self.folder / "map.png"
        self.fails(2, "inspect", ASSETS / "dit.safetensors", "--heat-map", out, says="--heat-map is for routers")
        self.fails(2, "inspect", ASSETS / "dit.safetensors", "--threshold", 0.1, says="--threshold is for routers")
        self.fails(2, "inspect", FAST, "--heat-map", out, "--threshold", 1.5, says="between 0 and 1")
        self.fails(2, "inspect", FAST, "--heat-map", self.folder / "no/map.png", says="does not exist")
        self.fails(2, "inspect", FAST, "--heat-map", self.folder, says="is a directory")
        router = self.folder / "r.safetensors"
        router.write_bytes(FAST.read_bytes())
        self.fails(2, "inspect", router, "--heat-map", router, says="would be written over")
        self.assertEqual(router.read_bytes(), FAST.read_bytes())
        router.unlink()
        self.assertEqual(self.left_behind(), [])


class Doctor(Case):
    def test_says_what_there_is(self):
        text = self.ok("doctor")
        for word in ("LibTorch", "threads", "CUDA", "CPU features"):
            self.assertIn(word, text)
        seen = json.loads(self.ok("doctor", "--json"))
        self.assertGreater(seen["threads"], 0)
        self.assertIn(f"CPU            {seen['cpu_model'] or 'unknown'}\n", text)

    def test_help_has_examples(self):
        for command in ("sample", "plan", "inspect", "convert", "doctor", "bench"):
            text = self.ok(command, "--help")
            self.assertIn("Example", text)
            self.assertIn(f"l2c {command}", text)
        self.ok("--version")


if __name__ == "__main__":
    unittest.main(verbosity=2)
