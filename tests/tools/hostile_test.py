"""Files that were made to harm who looks at them: l2c inspect stays readable, quick and small. Standard library only.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 hostile_test.py [TestClass]
"""
import json
import os
import re
import struct
import subprocess
import unittest
import zipfile
from pathlib import Path

import tensor_file
from program import ASSETS, FASHION, PROGRAM, Case, l2c, peak_memory

SANITIZED = b"__asan_init" in Path(PROGRAM).read_bytes()
MEGABYTE = 1 << 20
RED, RED_SHOWN = "a\x1b[31mRED\x1b]0;title\x07\x7f\x9b31m\u0085", "a?[31mRED?]0;title???31m?"
# On the quiet machine that the tests were written on each took 2 s at most, and what was mended more than 15 s.
SECONDS = 60 if SANITIZED else 10


def write_safetensors(path, header, data=b""):
    text = json.dumps(header, ensure_ascii=False).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def pickled_text(text):
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def pickled_tensor(storage, count):
    """A contiguous tensor of floats that takes the whole of a storage."""
    size = b"J" + struct.pack("<i", count)
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((" + pickled_text("storage") + b"ctorch\nFloatStorage\n"
            + pickled_text(storage) + pickled_text("cpu") + size + b"tQK\x00" + size
            + b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR")


def write_torch(path, tensors, filler=0):
    """A file of torch.save, compressed but for a filler. tensors: name -> number of zeros, or a dict of the same."""
    sizes = []

    def pickled(value):
        if isinstance(value, int):
            sizes.append(value)
            return pickled_tensor(str(len(sizes) - 1), value)
        return b"}(" + b"".join(pickled_text(name) + pickled(item) for name, item in value.items()) + b"u"

    program = b"\x80\x02" + pickled(tensors) + b"."
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", "3\n")
        for number, size in enumerate(sizes):
            archive.writestr(f"archive/data/{number}", bytes(4 * size))
        archive.writestr("archive/filler", bytes(filler), zipfile.ZIP_STORED)


class HostileText(Case):
    def safe(self, *arguments, code=0):
        """What a run prints, after a look for bytes that a terminal would act on."""
        done = subprocess.run([PROGRAM, *map(os.fsencode, map(str, arguments))], capture_output=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stderr)
        for text in (done.stdout.decode(), done.stderr.decode()):  # which has to be UTF-8, too
            bad = {letter for letter in text if letter < " " or "\x7f" <= letter < "\xa0"} - {"\n", "\t"}
            self.assertEqual(bad, set(), text)
        return done.stdout.decode(), done.stderr.decode()

    def test_names_and_metadata_of_tensor_files(self):
        file = self.folder / "red.safetensors"
        write_safetensors(file, {"__metadata__": {RED: f"text\n{RED} café"},
                                 RED: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4))
        shown, _ = self.safe("inspect", file)
        self.assertIn(f"  {RED_SHOWN} [1]\n", shown)
        # Neither a name nor a second line looks like a line of ours.
        self.assertRegex(shown, f"\n  metadata {re.escape(RED_SHOWN)} text\n    {re.escape(RED_SHOWN)} café\n")
        seen = json.loads(self.safe("inspect", "--json", file)[0])
        self.assertEqual((seen["shapes"], seen["metadata"]), ({RED: [1]}, {RED: f"text\n{RED} café"}))
        other = self.folder / "other.safetensors"
        tensor_file.write(other, {"a": ([1], [1.0])})
        self.assertIn(RED_SHOWN, self.safe("inspect", file, other, code=1)[0])
        seen = json.loads(self.safe("inspect", "--json", file, other, code=1)[0])
        self.assertIn(RED, [row["name"] for row in seen["differences"]])

    def test_a_name_is_a_part_of_its_line(self):
        file = self.folder / "lines.safetensors"
        name = "a\nother.safetensors: sound"
        write_safetensors(file, {"__metadata__": {name: "text"},
                                 name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4))
        for files, code in (([file], 0), ([file, ASSETS / "dit.safetensors"], 1)):
            self.assertNotIn("\nother", self.safe("inspect", *files, code=code)[0])

    def test_names_of_torch_files(self):
        file = self.folder / "red.pt"
        write_torch(file, {RED: 2})
        self.assertIn(f"  {RED_SHOWN} [2]\n", self.safe("inspect", file)[0])
        self.safe("convert", file, self.folder / "out.safetensors")

    def test_messages(self):
        file = self.folder / "nan.safetensors"
        write_safetensors(file, {RED: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}},
                          struct.pack("<f", float("nan")))
        self.assertIn(f"tensor {RED_SHOWN} holds NaN", self.safe("inspect", file, code=2)[1])
        config = self.folder / "config.json"
        config.write_text(json.dumps({RED: 1}))
        self.assertIn(f'"{RED_SHOWN}" is not a field', self.safe("plan", "--arch", config, "--cache-every", 2)[1])
        with zipfile.ZipFile(self.folder / "red.npz", "w") as archive:
            archive.writestr(f"{RED}.npy", b"")
        self.safe("eval", *FASHION, "--reference", self.folder / "red.npz", "--out", self.folder / "x.json", code=2)

    def test_names_of_files(self):
        self.assertIn(RED_SHOWN, self.safe("inspect", f"{self.folder}/{RED}.pt", code=2)[1])
        self.assertIn("?.pt", self.safe("inspect", f"{self.folder}/\udcff.pt", code=2)[1])
        self.assertIn(RED_SHOWN, self.safe("inspect", "a", "b", RED, code=2)[1])  # CLI11's message

    def test_colours_of_our_own_stay_out_of_files(self):
        self.safe("plan", "--arch", ASSETS / "config.json", "--cache-every", 2)

    def test_reports(self):
        report = json.loads((ASSETS / "eval.json").read_text())
        report["policies"][0]["name"] = report["model"]["path"] = RED + " café"
        file = self.folder / "report.json"
        file.write_bytes(json.dumps(report, indent=1, ensure_ascii=False).replace("\n", "\r\n").encode())
        shown, _ = self.safe("inspect", file)
        self.assertIn(f"\n{RED_SHOWN} café ", shown)
        self.assertEqual(json.loads(self.safe("inspect", "--json", file)[0]), report)
        file.write_text(json.dumps(report)[:-1] + f'"{RED}')
        self.safe("inspect", file, code=2)


class HostileSize(Case):
    def quick(self, *arguments, code=0):
        done = l2c(*arguments, timeout=SECONDS)
        self.assertEqual(done.returncode, code, done.stderr[:2000])
        return done.stdout

    def test_very_many_metadata(self):
        many = {f"name {number:06}": "x" for number in range(99_990)}
        a, b = self.folder / "a.safetensors", self.folder / "b.safetensors"
        one = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
        write_safetensors(a, {"__metadata__": many, **one}, bytes(4))
        write_safetensors(b, one, bytes(4))
        self.assertEqual(json.loads(self.quick("inspect", "--json", a))["metadata"], many)
        self.assertIn("name 099989", self.quick("inspect", a))
        seen = json.loads(self.quick("inspect", "--json", a, b))
        self.assertEqual(list(seen["metadata"]), list(many))
        self.assertEqual(seen["metadata"]["name 000007"], ["x", None])

    def test_very_many_tensors(self):
        many = {f"name {number:06}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for number in range(49_990)}
        a, b = self.folder / "a.safetensors", self.folder / "b.safetensors"
        write_safetensors(a, many)
        tensor_file.write(b, {"a": ([1], [1.0])})
        self.assertEqual(list(json.loads(self.quick("inspect", "--json", a))["shapes"]), list(many))
        self.assertEqual(len(json.loads(self.quick("inspect", "--json", a, b, code=1))["differences"]), 49_991)

    def test_very_many_policies_in_a_report(self):
        timing = {"speedup": 1, "speedup_quartiles": {"low": 1, "high": 1}, "seconds_per_image": 1}
        policy = {"name": "full", "spec": "full", "timing": timing, "ideal_speedup": 1, "computed_share": 1,
                  "cache_bytes": 1}
        file = self.folder / "report.json"
        file.write_text(json.dumps({"policies": [policy] * 5000}, separators=(",", ":")))
        self.assertLess(file.stat().st_size, MEGABYTE)
        self.assertEqual(self.quick("inspect", file).count("full "), 5000)
        # One long label makes all rows long.
        policies = [policy] * 2000 + [policy | {"name": "x" * 300_000}]
        file.write_text(json.dumps({"policies": policies}, separators=(",", ":")))
        self.assertLess(len(self.quick("inspect", file)), 10 * MEGABYTE)

    def test_reports_keep_to_the_limits_of_json(self):
        report = json.loads((ASSETS / "eval.json").read_text())
        file = self.folder / "report.json"
        for text, says in ((json.dumps(report) + " " * MEGABYTE, "report.json"),
                           (json.dumps(report | {"deep": json.loads("[" * 40 + "]" * 40)}), "nested more than 16 deep"),
                           (json.dumps(report | {"settings": {str(n): 0 for n in range(70_000)}}),
                            "more than 1000 names")):
            file.write_text(text)
            self.fails(2, "inspect", file, says=says)
            self.assertEqual(self.left_behind(), ["report.json"])


@unittest.skipIf(SANITIZED, "AddressSanitizer needs memory of its own")
class HostileMemory(Case):
    def peak(self, file):
        return peak_memory(self, "inspect", file, OMP_NUM_THREADS="1")

    def test_the_sections_of_a_compressed_checkpoint(self):
        count = 9 * MEGABYTE  # 36 MB each
        none, large = self.folder / "none.pt", self.folder / "large.pt"
        write_torch(none, {"ema": {"a": 1}, "model": {"a": 1}})
        write_torch(large, {"ema": {"a": count}, "model": {"a": count}}, filler=count)  # else it is refused
        empty, peak = self.peak(none), self.peak(large)
        print(f"{(peak - empty) / MEGABYTE:.0f} MB for 72 MB of zeros", flush=True)
        self.assertGreater(peak - empty, 36 * MEGABYTE)  # or else nothing was measured
        self.assertLess(peak - empty, 170 * MEGABYTE)


if __name__ == "__main__":
    unittest.main(verbosity=2)
