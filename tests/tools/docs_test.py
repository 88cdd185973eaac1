"""Every l2c command in the documentation, and in the program's own examples, is one that the program takes.

Nothing is run: the commands name models and folders of the reader's. What is checked is what goes stale when an option
is renamed: subcommands, options, and files of this checkout.
"""
import re
import shlex
import unittest

from program import ROOT, Case, l2c

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")),
             *sorted((ROOT / "assets").glob("*/README.md")), *sorted((ROOT / "benchmarks").rglob("*.md"))]
RECORDS = re.compile(r"benchmarks/results/|docs/decisions.md")  # what was run then, and why: not to be kept up to date


def commands_in(text):
    """Lines of code (fenced or indented) that start with l2c, and what is `l2c ...` in a line of text."""
    joined = re.sub(r"\\\n\s*", " ", text)
    fenced = False
    for line in joined.splitlines():
        fenced ^= line.startswith("```")
        code = re.match(r"(\s*)(?:\$ )?(l2c [a-z].*)", line)
        if code and (fenced or len(code.group(1)) > 1):
            yield code.group(2)
        yield from (inline for inline in re.findall(r"`(l2c [^`]+)`", line))


def words_of(command):
    """Up to a comment, a pipe or another command."""
    words = []
    for word in shlex.split(command, comments=True):
        if word in ("|", "&&", ";", ">", "2>", "&"):
            break
        words.append(word)
    return words[1:]


class Docs(Case):
    def setUp(self):
        super().setUp()
        self.help = {}
        listed = l2c("--help").stdout.split("Subcommands:")[1]
        for name in re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE):
            self.help[name] = l2c(name, "--help").stdout

    def check(self, command, where):
        words = words_of(command)
        if not words or words[0].startswith("-"):
            return 0
        self.assertIn(words[0], self.help, f"{where}: {command}")
        known = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", self.help[words[0]]))
        for word in words[1:]:
            if re.fullmatch(r"--[a-z][a-z0-9-]*(=.*)?", word):
                self.assertIn(word.split("=")[0], known, f"{where}: {command}")
            if word.startswith("assets/"):
                self.assertTrue((ROOT / word.split("@")[0].split("+")[0]).exists(), f"{where}: {command}")
        return 1

    def test_documents(self):
        checked = 0
        for document in DOCUMENTS:
            name = str(document.relative_to(ROOT))
            if not RECORDS.search(name):
                checked += sum(self.check(command, name) for command in commands_in(document.read_text()))
        self.assertGreater(checked, 20)

    def test_examples_of_the_program(self):
        checked = sum(self.check(command, f"l2c {name} --help") for name, text in self.help.items()
                      for command in commands_in(text))
        self.assertGreater(checked, 10)

    def test_what_is_stale_is_found(self):
        for stale in ("l2c draw --model M", "l2c sample --modle M", "l2c sample --model assets/fashion-mnist/absent"):
            with self.assertRaises(AssertionError, msg=stale):
                self.check(stale, "here")


if __name__ == "__main__":
    unittest.main()
