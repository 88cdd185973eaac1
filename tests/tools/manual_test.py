"""The manual in all its forms says what the subcommands take."""
import re
import shutil
import subprocess
import unittest

from program import ROOT, Case, l2c


class Manual(Case):
    def manual(self, form):
        return self.ok("manual", "--format", form)

    def subcommands(self):
        return re.findall(r"^  ([a-z-]+) ", l2c("--help").stdout.split("Subcommands:")[1], re.MULTILINE)

    def test_cli_md_is_up_to_date(self):
        self.assertTrue((ROOT / "docs/cli.md").read_text() == self.manual("markdown"), "make manual writes it again")

    def test_every_option_is_in_every_form(self):
        forms = {form: self.manual(form) for form in ("markdown", "man", "bash", "zsh", "fish")}
        self.assertEqual(forms["man"], self.ok("manual"), "man is the default")
        for name in self.subcommands():
            options = re.findall(r"^  (?:-\w,)?(--[a-z-]+)", l2c(name, "--help").stdout, re.MULTILINE)
            self.assertIn("--help", options)
            for option in options:
                dashed = [text.replace("-", r"\-") for text in (name, option)]
                for form, found in (
                        ("markdown", f"`{option}" in forms["markdown"].split(f"## l2c {name}\n")[1].split("\n## ")[0]
                                     or f", {option}" in forms["markdown"]),
                        ("man", dashed[1] in forms["man"].split(f'.SH "l2c {dashed[0]}"\n')[1].split("\n.SH")[0]),
                        ("bash", re.search(f"\n    {name}\\) words=\"[^\"]*{option}[ \"]", forms["bash"])),
                        ("zsh", f"'{option}[" in forms["zsh"].split(f"    {name})\n")[1].split(";;")[0]),
                        ("fish", re.search(f"from {name}'.* -l {option[2:]} ", forms["fish"]))):
                    self.assertTrue(found, f"{name} {option} in {form}")

    def test_options_of_the_program(self):
        names = re.findall(r"^  (?:-\w,)?(--[a-z-]+)", l2c("--help").stdout, re.MULTILINE)
        self.assertEqual(set(names), {"--help", "--log-level", "--version"})
        before_commands = self.manual("markdown").split("\n## ")[0]
        for name in names:
            self.assertIn(name, before_commands)
            self.assertIn(name.replace("-", r"\-"), self.manual("man").split('.SH "l2c ')[0])
            self.assertIn(f"'{name}[", self.manual("zsh").split("'1:subcommand")[0])
            self.assertRegex(self.manual("fish"), f"complete -c l2c -n '(true|not .*)'.* -l {name[2:]} ")
        self.assertIn("`--log-level debug\\|info\\|warning\\|none` | `warning`", before_commands)

    def test_log_level_before_and_after_the_command(self):
        for words in ("--log-level none doctor", "doctor --log-level none", "doctor --log-level=none"):
            self.ok(*words.split())
        self.fails(2, "doctor", "--log-level", "loud", says=["--log-level", "loud"])
        self.fails(2, "doctor", "more", says="more")

    def test_man_reads_it(self):
        if not shutil.which("groff"):
            self.skipTest("no groff")
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=self.manual("man"), capture_output=True,
                              text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        page = subprocess.run(["groff", "-man", "-Tascii", "-P-c"], input=self.manual("man"), capture_output=True,
                              text=True, timeout=60).stdout
        page = re.sub(".\x08", "", page)  # bold and underlined
        for text in ("l2c sample --model", "EXIT STATUS"):
            self.assertTrue(text in page, text)

    def complete(self, *words):
        script = self.folder / "l2c.bash"
        script.write_text(self.manual("bash"))
        line = " ".join(f"'{word}'" for word in words)
        done = subprocess.run(["bash", "-c", f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _l2c; "
                               "printf '%s\\n' \"${COMPREPLY[@]}\""], capture_output=True, text=True, timeout=60,
                              cwd=self.folder)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def test_bash_completes(self):
        self.assertEqual(self.complete("l2c", "sa"), ["sample"])
        self.assertEqual(set(self.complete("l2c", "")), {*self.subcommands(), "--help", "--log-level", "--version"})
        self.assertEqual(self.complete("l2c", "sample", "--sampl"), ["--sampler"])
        self.assertEqual(self.complete("l2c", "sample", "--sampler", ""), ["ddim", "ddpm", "folder"])
        self.assertEqual(self.complete("l2c", "sample", "--sampler", "ddp"), ["ddpm"])
        (self.folder / "model.safetensors").touch()
        self.assertEqual(self.complete("l2c", "sample", "--model", "mod"), ["model.safetensors"])
        self.assertEqual(self.complete("l2c", "inspect", "mod"), ["model.safetensors"])

    def test_bash_completes_names_with_spaces(self):
        (self.folder / "ct").mkdir()
        (self.folder / "ct/my model.pt").touch()
        self.assertEqual(self.complete("l2c", "sample", "--model", "ct/m"), ["ct/my model.pt"])

    def test_bash_completes_behind_the_options_of_the_program(self):
        levels = ["debug", "info", "warning", "none"]
        self.assertEqual(self.complete("l2c", "--lo"), ["--log-level"])
        self.assertEqual(self.complete("l2c", "--log-level", ""), levels)
        self.assertEqual(self.complete("l2c", "--log-level", "debug", "sa"), ["sample"])
        self.assertEqual(self.complete("l2c", "--log-level", "=", "debug", "sa"), ["sample"])
        self.assertEqual(self.complete("l2c", "--log-level", "debug", "sample", "--sampl"), ["--sampler"])
        self.assertEqual(self.complete("l2c", "--log-level", "debug", "sample", "--sampler", "ddp"), ["ddpm"])
        self.assertEqual(self.complete("l2c", "sample", "--lo"), ["--log-level"])
        self.assertEqual(self.complete("l2c", "sample", "--log-level", "d"), ["debug"])

    def test_zsh_gets_each_file_of_a_command_once(self):
        inspect = self.manual("zsh").split("    inspect)\n")[1].split(";;")[0]
        self.assertIn("'1:file:_files'", inspect)
        self.assertIn("'2:other:_files'", inspect)
        self.assertNotIn("'*:", inspect)

    def test_other_shells_can_read_theirs(self):
        for shell, form in (("zsh", "zsh"), ("fish", "fish")):
            if not shutil.which(shell):
                continue
            script = self.folder / form
            script.write_text(self.manual(form))
            done = subprocess.run([shell, "-n", script], capture_output=True, text=True, timeout=60)
            self.assertEqual((done.returncode, done.stderr), (0, ""), shell)

    def test_refuses_other_formats(self):
        self.fails(2, "manual", "--format", "pdf", says="pdf")


if __name__ == "__main__":
    unittest.main()
