#!/usr/bin/env python3
"""What is compiled for AVX-512 must not run elsewhere: vectors_apart.py LIBRARY.

The linker keeps one copy of an inline function that several files hold. Were it the one of a file for AVX-512, every
CPU would run that. So all such a file defines has its set's name, or is the file's own; and the others hold no register
that only AVX-512 has.
"""

import re
import subprocess
import sys


def members(library: str) -> dict[str, str]:
    """The demangled symbols of each object of the library."""
    listing = subprocess.run(["nm", "-C", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    blocks = re.split(r"^(\S+\.o):$", listing, flags=re.M)
    return dict(zip(blocks[1::2], blocks[2::2], strict=True))


def shared(symbols: str) -> list[str]:
    """Global and weak definitions that do not name the set; what compilers add begins with underscores."""
    rows = [line.split(maxsplit=2) for line in symbols.splitlines() if line.strip()]
    return [name for _, kind, name in rows if kind in "TDBRVWu" and not re.search("avx512|Simd512|^__|^DW.ref.", name)]


def main() -> int:
    library = sys.argv[1]
    wide = {name: symbols for name, symbols in members(library).items() if name.endswith("_avx512.cpp.o")}
    if not wide:
        print(f"{library} has no object that is compiled for AVX-512")
        return 1
    faults = [f"{name} defines {symbol}" for name, symbols in wide.items() for symbol in shared(symbols)]
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", library], capture_output=True, text=True, check=True)
    member = ""
    for line in code.stdout.splitlines():
        if line.endswith("file format elf64-x86-64"):
            member = line.split(":")[0]
        elif re.search(r"%zmm|%k[1-7]\b|%[xy]mm(1[6-9]|2\d|3[01])\b", line) and member not in wide:
            faults.append(f"{member} is for every CPU: {line.strip()}")
    print("\n".join(faults[:20]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
