"""The structure checks: each takes the checkout's folder and returns its complaints."""

import re

from source_tree import read_tree

# Which modules each module may include (docs/architecture.md). A new module gets a row here.
ARROWS = {
    "core": [],
    "io": ["core"],
    "ops": ["core"],
    "diffusion": ["core"],
    "metrics": ["core"],
    "models": ["core", "io", "ops"],
    "cache": ["core", "io", "ops", "models"],
    "sampling": ["core", "io", "ops", "models", "cache", "diffusion"],
    "datasets": ["core", "io"],
    "training": ["core", "io", "ops", "models", "cache", "diffusion", "sampling", "datasets"],
    "evaluation": ["core", "io", "ops", "models", "cache", "diffusion", "metrics", "sampling", "datasets",
                   "training"],
    "sweep": ["core", "io", "ops", "models", "cache", "diffusion", "metrics", "sampling", "datasets", "training",
              "evaluation"],
}
# All that the cache may know of models.
CACHE_OF_MODELS = ["l2c/models/branch_runner.h", "l2c/models/denoiser.h"]
UMBRELLAS = ["l2c/l2c.h", "l2c/torch/l2c.h"]
NOT_BEHIND_PLAIN_API = re.compile(r"^(ATen|c10|torch|caffe2|fmt|spdlog|nlohmann|Eigen)/|^png\.h$")

FORBIDDEN = [
    (re.compile(r"\bstd::(cout|cerr|clog)\b"), "the library never prints: use l2c::log"),
    (re.compile(r"\b(stdout|stderr)\b"), "the library never prints: use l2c::log"),
    (re.compile(r"\bfmt::print\b|(?<![\w.>])(std::)?(printf|fprintf|puts|putchar)\s*\("),
     "the library never prints: use l2c::log"),
    (re.compile(r"(?<![\w.>])(std::)?(abort|exit|_exit|_Exit|quick_exit|terminate)\s*\("),
     "the library never ends the program: throw"),
]  # fmt: skip
LIBRARY = ["include", "src"]
EVERYTHING = ["include", "src", "tools", "examples", "benchmarks", "fuzz", "tests"]
MAX_LINES = 500
MAX_HEADER_BODY = 8


def include_arrows(root):
    complaints = []
    for file in read_tree(root, ["include", "src", "tools", "examples"]):
        for line, _, name in file.includes():
            problem = arrow_problem(root, file, name)
            if problem:
                complaints.append(f"{file.path}:{line}: includes {name}: {problem}")
    return complaints


def arrow_problem(root, file, name):
    public = name.startswith("l2c/")
    if public and not (root / "include" / name).is_file():
        return "there is no such public header"
    if file.top in ("tools", "examples"):
        private = not public and (root / file.path).parent.joinpath(name).resolve()
        inside = private and private.is_relative_to((root / "src").resolve())
        return "a private header of the library" if inside or (root / "src" / name).is_file() else ""
    if file.module is None:  # an umbrella
        return ""
    if file.module not in ARROWS:
        return f"module {file.module} has no row in tests/structure/checks.py"
    if name in UMBRELLAS:
        return "the library's own files include what they use, not the umbrella"
    if not public:
        return private_problem(root, file, name)
    target = name.split("/")[1]
    if target != file.module and target not in ARROWS[file.module]:
        return f"{file.module} may not know {target}"
    if file.module == "cache" and target == "models" and name not in CACHE_OF_MODELS:
        return f"cache may know of models only {', '.join(CACHE_OF_MODELS)}"
    return ""


def private_problem(root, file, name):
    """A private header may be included in its own module only."""
    if file.top == "include" and (root / "src" / file.module / name).is_file():
        return "a public header may not include a private one"
    if (root / "src" / name).is_file() and name.split("/")[0] != file.module:
        return "a private header of another module"
    if ".." in name.split("/"):
        return "no way through the parent folder"
    return ""


def include_order(root):
    """Own header first, then <...>, then "..." in alphabetical order."""
    complaints = []
    for file in read_tree(root, EVERYTHING):
        includes = list(file.includes())
        if includes and includes[0][1] == '"' and is_own_header(file, includes[0][2]):
            includes = includes[1:]
        elif has_own_header(root, file):
            complaints.append(f"{file.path}: its own header must be its first include")
        previous = None
        for line, kind, name in includes:
            if kind == "<":
                if previous is not None:
                    complaints.append(f"{file.path}:{line}: <{name}> must stand before the quoted includes")
                if name.startswith("l2c/") and file.top in LIBRARY:
                    complaints.append(f'{file.path}:{line}: write "{name}" with quotes inside the library')
                continue
            if previous is not None and name < previous:
                complaints.append(f'{file.path}:{line}: "{name}" must stand before "{previous}"')
            previous = name
    return complaints


def is_own_header(file, name):
    """foo.cpp, foo_load.cpp and foo_test.cpp may all start with foo.h."""
    header = name.rsplit("/", 1)[-1].removesuffix(".h")
    stem = file.path.stem
    return not file.is_header and (stem == header or stem.startswith(header + "_"))


def has_own_header(root, file):
    if file.is_header or file.top != "src":
        return False
    public = root / "include" / "l2c" / str(file.module) / (file.path.stem + ".h")
    return public.is_file() or (root / file.path).with_suffix(".h").is_file()


def forbidden(root):
    complaints = []
    for file in read_tree(root, LIBRARY):
        for number, line in enumerate(file.code.split("\n"), 1):
            for pattern, why in FORBIDDEN:
                if pattern.search(line):
                    complaints.append(f"{file.path}:{number}: {line.strip()}: {why}")
    return complaints


def headers(root):
    complaints = []
    for file in read_tree(root, EVERYTHING):
        if not file.is_header:
            continue
        if not re.search(r"^#pragma once$", file.code, re.MULTILINE):
            complaints.append(f"{file.path}: #pragma once is missing")
        if re.search(r"\busing\s+namespace\b", file.code):
            complaints.append(f"{file.path}: using namespace in a header")
        if file.top == "include":
            complaints += long_bodies(file)
    return complaints


def long_bodies(file):
    """Function bodies of more than MAX_HEADER_BODY lines belong into a .cpp file."""
    start = re.compile(r"\)\s*(const|noexcept|override|final|->\s*[\w:<>&*\s]+|\s)*\{")
    complaints = []
    for match in start.finditer(file.code):
        depth, end = 1, match.end()
        while depth and end < len(file.code):
            depth += {"{": 1, "}": -1}.get(file.code[end], 0)
            end += 1
        body = file.code[match.end() : end - 1].strip()
        if body.count("\n") + 1 > MAX_HEADER_BODY:
            line = file.code.count("\n", 0, match.start()) + 1
            complaints.append(f"{file.path}:{line}: a body of more than {MAX_HEADER_BODY} lines in a header")
    return complaints


def file_size(root):
    complaints = []
    for file in read_tree(root, EVERYTHING):
        lines = file.text.count("\n")
        if lines >= MAX_LINES:
            complaints.append(f"{file.path}: {lines} lines; split it before {MAX_LINES}")
    return complaints


def umbrella(root):
    """l2c/l2c.h reaches no third-party header; l2c/torch/l2c.h reaches every public header."""
    files = {str(f.path.relative_to("include")): f for f in read_tree(root, ["include"])}
    complaints = []
    for name, way in reach(files, "l2c/l2c.h").items():
        if NOT_BEHIND_PLAIN_API.search(name):
            complaints.append(f"l2c/l2c.h reaches <{name}>: {' -> '.join(way)}")
    everything = reach(files, "l2c/torch/l2c.h")
    for name in sorted(files):
        if name not in everything:
            complaints.append(f"l2c/torch/l2c.h does not reach {name}")
    return complaints


def reach(files, start):
    """{included name: the way to it}, over all public headers."""
    ways = {start: [start]}
    queue = [start]
    while queue:
        current = queue.pop()
        if current not in files:
            continue
        for _, _, name in files[current].includes():
            if name not in ways:
                ways[name] = ways[current] + [name]
                queue.append(name)
    return ways


CHECKS = {
    "include_arrows": include_arrows,
    "include_order": include_order,
    "forbidden": forbidden,
    "headers": headers,
    "file_size": file_size,
    "umbrella": umbrella,
}
