#!/usr/bin/env python3
"""The laws of the house, each a check that fails the build: laws.py NAME [ROOT].

Exit code 0: obeyed; 1: broken, one line a place; 77: nothing to check yet, with the reason.
`laws.py selftest` breaks every law in a scratch tree and expects to be told.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# What each folder may include and link, besides itself. `proto` gives ds/v1/*.h too.
MAY_USE = {
    "kernels": set(),
    "engine": {"kernels"},
    "scheduler": set(),
    "proto": set(),
    "coordinator": {"scheduler", "proto"},
    "worker": {"engine", "kernels", "proto"},
    "client": {"proto", "scheduler"},
}
NO_RPC = {"kernels": r"grpc|google/protobuf|\.pb\.h", "engine": r"grpc|google/protobuf|\.pb\.h",
          "scheduler": r"grpc|google/protobuf|\.pb\.h", "proto/spec": r"grpc"}
# Where the preprocessor may choose: the backends themselves, and headers that hide a compiler or platform.
MAY_CHOOSE = ("kernels/cuda/", "kernels/compiler.h", "kernels/cpu/", "engine/comm/nccl/")
IMPURE = (r"#include <(thread|mutex|chrono|fstream|iostream|random|filesystem|future|condition_variable|ctime|unistd\.h"
          r"|sys/.*|netinet/.*|fcntl\.h|sqlite3\.h|grpc.*|spdlog/.*)>"
          r"|#include \"absl/(time/clock|random|synchronization)"
          r"|\b(std::rand|std::getenv|getenv|gettimeofday|clock_gettime|std::random_device|absl::Now)\b")
PURE = ("scheduler", "coordinator/core")
MOST_LINES = 600
MOST_OP_FILES = 4
SOURCES = {".h", ".cpp", ".cu", ".cuh", ".def", ".inc"}
TEXTS = SOURCES | {".py", ".sh", ".md", ".cmake", ".txt", ".yaml", ".yml", ".proto", ".json", ""}


def files(root, *folders, suffixes=SOURCES):
    for folder in folders:
        top = root / folder
        for path in sorted(top.rglob("*")) if top.is_dir() else []:
            if path.is_file() and path.suffix in suffixes and "__pycache__" not in path.parts:
                yield path.relative_to(root).as_posix(), path.read_text(errors="replace")


def places(name, text, pattern):
    for number, line in enumerate(text.splitlines(), 1):
        found = re.search(pattern, line)
        if found:
            yield f"{name}:{number}", line.strip(), found


def includes(root):
    """Towers stand on what is below them: by their includes."""
    for name, text in files(root, *MAY_USE):
        own = name.split("/")[0]
        for place, _, found in places(name, text, r'^\s*#\s*include\s*["<]([\w-]+)/'):
            used = "proto" if found[1] == "ds" else found[1]
            if used in MAY_USE and used != own and used not in MAY_USE[own]:
                yield f"{place}: {own} must not include {used}"
    for folder, pattern in NO_RPC.items():
        for name, text in files(root, folder):
            for place, line, _ in places(name, text, rf"#\s*include.*({pattern})"):
                yield f"{place}: {folder} must not know of RPC: {line}"


def links(root):
    """Towers stand on what is below them: by their CMake link lines."""
    calls, home = [], {}
    for name, text in files(root, *MAY_USE, suffixes={".txt", ".cmake"}):
        text = re.sub(r"#.*", "", text)
        for call, body in re.findall(r"\b(ds_library|ds_program|target_link_libraries)\s*\(([^)]*)\)", text):
            words = body.split()
            if call != "target_link_libraries":
                home[words[0]] = name.split("/")[0]
            elif words[0] not in home:
                home.setdefault(words[0], name.split("/")[0])
            calls.append((name, words[0], words[1:]))
        for target in re.findall(r"\badd_library\s*\(\s*(\w+)", text):
            home[target] = name.split("/")[0]
    for name, target, words in calls:
        own = name.split("/")[0]
        for word in words:
            used = home.get(word)
            if used and used != own and used not in MAY_USE[own]:
                yield f"{name}: {target} of {own} must not link {word} of {used}"


def ifdefs(root):
    """No #ifdef in callers: an absent backend is a file that answers NotSupported."""
    for name, text in files(root, *MAY_USE, suffixes=SOURCES - {".def"}):  # a table guards its own macro
        if not name.startswith(MAY_CHOOSE):
            for place, line, _ in places(name, text, r"^\s*#\s*(if|ifdef|ifndef|elif)\b"):
                yield f"{place}: {line}"


def purity(root):
    """The scheduler and the coordinator's state machine: no clock, file, socket, thread or randomness of their own."""
    for name, text in files(root, *PURE):
        for place, line, _ in places(name, re.sub(r"//.*", "", text), IMPURE):
            yield f"{place}: {line}"


def op_files(root):
    """A new unary op touches at most 4 files and a test: those of the unary op that is named in the fewest."""
    table = root / "engine/ops/ops.def"
    rows = re.findall(r"^OP\((\w+), (\w+), unary\)", table.read_text(), re.M) if table.is_file() else []
    if not rows:
        return "no unary op yet"
    sources = list(files(root, *MAY_USE, suffixes=SOURCES | {".txt", ".cmake", ".proto"}))
    holders = {name: [n for n, text in sources if re.search(rf"\b({kind}|{name})\b", text)] for kind, name in rows}
    name = min(holders, key=lambda op: len(holders[op]))  # other files only use an op
    print(f"{name} stands in {len(holders[name])} files: {', '.join(holders[name])}")
    return [f"the most is {MOST_OP_FILES}"] if len(holders[name]) > MOST_OP_FILES else []


def lengths(root):
    """A file past 600 lines is two files."""
    for name, text in files(root, *MAY_USE, "tests", "bench", "examples", "python", suffixes=SOURCES | {".py"}):
        if text.count("\n") > MOST_LINES:
            yield f"{name}: {text.count(chr(10))} lines, the most is {MOST_LINES}"


def leftovers(root):
    """No path of somebody's machine, and nothing left for later."""
    marks = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"))
    pattern = rf"(^|[\s\"'=(:`])/(home|root|work|Users)/\w|\b({marks})\b"
    tops = [p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith(".") and p.name != "build"]
    for name, text in files(root, *tops, suffixes=TEXTS):
        for place, line, _ in places(name, text, pattern):
            yield f"{place}: {line[:100]}"


def paths(root):
    """The paths that the documents name exist."""
    documents = list(files(root, "docs", suffixes={".md"}))
    documents += [(n, (root / n).read_text()) for n in ("README.md", "CONTRIBUTING.md") if (root / n).is_file()]
    tops = {p.name for p in root.iterdir()} - {"build"}
    for name, text in documents:
        for number, line in enumerate(text.splitlines(), 1):
            for token in re.findall(r"`([\w./*-]+/[\w./*-]*)`", line):
                token = token.removeprefix("./")
                known = token.split("/")[0] in tops and not re.search(r"\b(NAME|NOUN|BACKEND|AREA)\b", token)
                if known and not list(root.glob(token.rstrip("/"))):
                    yield f"{name}:{number}: no {token}"
            for link in re.findall(r"\]\(([^)#:]+)[^)]*\)", line):
                if not (root / name).parent.joinpath(link).exists():
                    yield f"{name}:{number}: no {link}"


def formatting(root):
    """clang-format has nothing to change."""
    tool = shutil.which("clang-format-14")
    if not tool:
        return "clang-format-14 is not installed"
    names = [n for n, _ in files(root, *MAY_USE, "tests", "bench", suffixes={".h", ".cpp"})]
    if not names:
        return []
    done = subprocess.run([tool, "--dry-run", "-Werror", *names], cwd=root, capture_output=True, text=True)
    wrong = sorted({line.split(":")[0] for line in done.stderr.splitlines() if "error:" in line})
    return [f"{n}: run clang-format-14 -i" for n in wrong]


LAWS = {law.__name__: law for law in (includes, links, ifdefs, purity, op_files, lengths, leftovers, paths, formatting)}

# One break of each law: the file that breaks it.
BREAKS = {
    "includes": ("engine/a.cpp", '#include "coordinator/b.h"\n'),
    "links": ("client/CMakeLists.txt", "ds_library(ds_x SRCS a.cpp DEPS ds_engine)\n"),
    "ifdefs": ("engine/a.cpp", "#ifdef DS_CUDA\n#endif\n"),
    "purity": ("scheduler/a.cpp", "#include <chrono>\n"),
    "op_files": ("engine/", "erf"),  # five files of it
    "lengths": ("worker/a.cpp", "\n" * 700),
    "leftovers": ("docs/a.md", "see /ho" + "me/me/x\n"),
    "paths": ("docs/a.md", "see `engine/none.cpp`\n"),
    "formatting": ("engine/a.cpp", "int  x ;\n"),
}


def selftest():
    failed = 0
    for name, (path, text) in BREAKS.items():
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for top in MAY_USE:
                (root / top).mkdir()
            (root / "engine/CMakeLists.txt").write_text("ds_library(ds_engine SRCS a.cpp)\n")
            (root / "engine/ops").mkdir()
            (root / "engine/ops/ops.def").write_text("OP(Erf, erf, unary)\n")
            (root / "engine/ok.cpp").write_text('#include "kernels/a.h"\nint x;\n')
            before = LAWS[name](root)
            clean = isinstance(before, str) or not list(before)
            targets = [f"{path}{i}.cpp" for i in range(5)] if path.endswith("/") else [path]
            for target in targets:
                (root / target).parent.mkdir(exist_ok=True)
                (root / target).write_text(text)
            after = LAWS[name](root)
            told = isinstance(after, str) or bool(list(after))
            if not clean or not told:
                failed += 1
                print(f"{name}: " + ("complains of a clean tree" if not clean else "does not see a break"))
    return failed


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    root = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parents[2])
    if name == "selftest":
        return 1 if selftest() else 0
    if name not in LAWS:
        print(f"usage: laws.py {'|'.join(LAWS)}|selftest [ROOT]")
        return 2
    broken = LAWS[name](root)
    if isinstance(broken, str):
        print(f"skipped: {broken}")
        return 77
    broken = list(broken)
    print(LAWS[name].__doc__)
    print("\n".join(broken) if broken else "obeyed")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
