"""Code in docs/embedding.md is a part of a program or project that is built by the tests, word for word.

    doc_excerpts.py ROOT                 each block names its file in the comment before it
    doc_excerpts.py ROOT --self-test     blocks with a changed word, or without a file, are found
"""
import re
import sys
import textwrap
from pathlib import Path

DOCUMENT = "docs/embedding.md"
BLOCK = re.compile(r"(?:<!-- (\S+) -->\n)?```(\w+)\n(.*?)```", re.S)
BUILT = ("examples/", "tests/packaging/")


def contains(text, excerpt):
    """Whole lines in a row, wherever they are indented to."""
    wanted = textwrap.dedent(excerpt).rstrip("\n").split("\n")
    lines = text.split("\n")
    return any(textwrap.dedent("\n".join(lines[i : i + len(wanted)])).split("\n") == wanted
               for i in range(len(lines) - len(wanted) + 1))


def complaints(root, document):
    found = []
    blocks = BLOCK.findall(document)
    if len(blocks) < 10:
        found.append(f"{len(blocks)} blocks of code: more were expected")
    for name, _, excerpt in blocks:
        first = excerpt.strip().split("\n")[0]
        if not name.startswith(BUILT) or not (root / name).is_file():
            found.append(f'the block "{first}" names no file that is built: write <!-- examples/... --> before it')
        elif not contains((root / name).read_text(), excerpt):
            found.append(f'the block "{first}" is not in {name} as it stands')
    return found


def self_test(root, document):
    blocks = list(BLOCK.finditer(document))
    for block in blocks:
        name, body = block.group(1), block.start(3)
        changed = document[:body] + "x" + document[body:]
        if not any(f"not in {name}" in complaint for complaint in complaints(root, changed)):
            sys.exit(f"a changed block of {name} was not found")
    nameless = document.replace(f"<!-- {blocks[0].group(1)} -->\n", "", 1)
    if not any("names no file" in complaint for complaint in complaints(root, nameless)):
        sys.exit("a block without a file was not found")


root = Path(sys.argv[1])
text = (root / DOCUMENT).read_text()
if sys.argv[2:] == ["--self-test"]:
    self_test(root, text)
else:
    problems = complaints(root, text)
    if problems:
        sys.exit("\n".join(f"{DOCUMENT}: {problem}" for problem in problems))
