"""A small sound tree, and for each check the files that break it and the complaint they must get."""


def header(*includes, body=""):
    return "#pragma once\n" + "".join(f"#include {name}\n" for name in includes) + body


SOUND = {
    "include/l2c/l2c.h": header('"l2c/core/error.h"', '"l2c/io/png.h"'),
    "include/l2c/torch/l2c.h": header(
        '"l2c/core/torch.h"', '"l2c/l2c.h"', '"l2c/models/denoiser.h"', '"l2c/models/dit.h"'
    ),
    "include/l2c/core/error.h": header("<string>", body="// std::cout << \"never\";\n"),
    "include/l2c/core/torch.h": header("<ATen/ATen.h>"),
    "include/l2c/io/png.h": header("<vector>", '"l2c/core/error.h"', body="int f(int a) { return a; }\n"),
    "include/l2c/models/denoiser.h": header('"l2c/core/torch.h"'),
    "include/l2c/models/dit.h": header('"l2c/models/denoiser.h"'),
    "src/io/inflate.h": header(),
    "src/io/png.cpp": '#include "l2c/io/png.h"\n\n#include <map>\n\n#include "inflate.h"\n'
    '#include "l2c/core/error.h"\nconst char* text = "exit(1)"; int n = 1\'000;\n',
    "src/cache/runner.cpp": '#include "l2c/models/denoiser.h"\n',
    "tools/l2c/main.cpp": '#include <cstdio>\n\n#include "l2c/l2c.h"\nint main() { std::puts("x"); }\n',
}


def violation(name, text, complaint):
    return {name: text}, complaint


VIOLATIONS = {
    "include_arrows": [
        violation("src/io/zip.cpp", '#include "l2c/models/dit.h"\n', "io may not know models"),
        violation("include/l2c/core/cost.h", header('"l2c/io/png.h"'), "core may not know io"),
        violation("src/cache/plan.cpp", '#include "l2c/models/dit.h"\n', "cache may know of models only"),
        violation("src/models/dit.cpp", '#include "io/inflate.h"\n', "private header of another module"),
        violation("src/models/dit.cpp", '#include "../io/inflate.h"\n', "parent folder"),
        violation("src/models/dit.cpp", '#include "l2c/models/gone.h"\n', "no such public header"),
        violation("src/models/dit.cpp", "#include <l2c/l2c.h>\n", "not the umbrella"),
        violation("src/novel/dit.cpp", '#include "l2c/core/error.h"\n', "has no row"),
        violation("include/l2c/io/zip.h", header('"inflate.h"'), "may not include a private one"),
        violation("tools/l2c/zip.cpp", '#include "io/inflate.h"\n', "private header of the library"),
        violation("tools/l2c/zip.cpp", '#include "../../src/io/inflate.h"\n', "private header of the library"),
    ],
    "include_order": [
        violation("src/io/png.cpp", '#include <map>\n\n#include "l2c/io/png.h"\n', "its own header"),
        violation("src/io/zip.cpp", '#include "l2c/io/png.h"\n#include <map>\n', "before the quoted"),
        violation("src/io/zip.cpp", '#include "l2c/io/png.h"\n#include "l2c/core/error.h"\n', "before"),
        violation("src/io/zip.cpp", "#include <l2c/io/png.h>\n", "with quotes"),
    ],
    "forbidden": [
        violation("src/io/zip.cpp", "void f() { std::cerr << 1; }\n", "never prints"),
        violation("src/io/zip.cpp", "void f() { fprintf(file, text); }\n", "never prints"),
        violation("src/io/zip.cpp", "void f() { std::fputs(text, stderr); }\n", "never prints"),
        violation("src/io/zip.cpp", "void f() { std::abort(); }\n", "never ends"),
        violation("include/l2c/io/zip.h", "#pragma once\ninline void f() { exit(2); }\n", "never ends"),
    ],
    "headers": [
        violation("src/io/zip.h", "// #pragma once\n", "#pragma once"),
        violation("tools/l2c/zip.h", header(body="using namespace std;\n"), "using namespace"),
        violation(
            "include/l2c/io/zip.h",
            header(body="int f(int a) const noexcept {\n" + "  a = a + 1;\n" * 9 + "}\n"),
            "a body of more than 8 lines",
        ),
    ],
    "file_size": [violation("src/io/zip.cpp", "int a;\n" * 500, "500 lines")],
    "umbrella": [
        violation("include/l2c/io/png.h", header('"l2c/core/torch.h"'), "reaches <ATen/ATen.h>"),
        violation("include/l2c/core/error.h", header("<fmt/format.h>"), "reaches <fmt/format.h>"),
        violation("include/l2c/io/zip.h", header(), "does not reach l2c/io/zip.h"),
    ],
}
