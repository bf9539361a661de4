"""ONNX's own backend suite (PyPI `onnx`) through deepseek.onnx.Backend: all CPU cases, without training and what draws NumPy's random numbers."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
import warnings
from collections import Counter
from typing import Any

# Cases that no implementation can meet but by drawing the same numbers as NumPy's generator.
RANDOM = ("test_bernoulli", "test_training_dropout")
RANDOM_BUT_FIXED = ("zero_ratio",)

EXPLAINED = {  # failures that are not ours to mend, by the case's beginning
    "test_attention_4d_causal_fp16": "2 of 192 elements are two float16 roundings off, and the tolerance is one",
    "test_dft_inverse": "what is expected has float32's rounding of 1.9e-7 where the transform is 0 and ours 5e-15",
    "test_loop16_seq_none": "the suite's runner cannot compare a sequence that has a 0-d tensor; ours equals what it expects",
}


def reason_to_skip(name: str) -> str | None:
    if name.startswith(RANDOM) and not any(part in name for part in RANDOM_BUT_FIXED):
        return "expects the numbers of NumPy's generator"
    if name.startswith("test_gradient_of"):
        return "training: an op that differentiates the graph around it"
    return None


def cases() -> dict[str, Any]:
    """Test methods by name, without those of other devices."""
    from onnx.backend.test.runner import Runner

    import deepseek.onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Runner(deepseek.onnx.Backend, __name__).test_cases
    return {n: case for case in found.values() for n in dir(case) if n.startswith("test_") and n.endswith("_cpu")}


def run_one(case: Any, name: str) -> tuple[str, str]:
    """(passed | failed | skipped, why)."""
    result = unittest.TestResult()
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case(name).run(result)
    if result.skipped:
        return "skipped", result.skipped[0][1]
    bad = result.errors + result.failures
    if not bad:
        return "passed", ""
    lines = [line for line in bad[0][1].splitlines() if line and not line.startswith(" ")]
    return "failed", " ".join(lines[1:])[:160]


def main(limit: int | None = None) -> dict[str, Any]:
    import os

    passed, failures, skips = 0, [], Counter()
    with tempfile.TemporaryDirectory() as home:  # where the suite writes the outputs it makes
        os.environ.setdefault("ONNX_HOME", home)
        for name, case in sorted(cases().items())[:limit]:
            why = reason_to_skip(name)
            outcome, why = ("skipped", why) if why else run_one(case, name)
            if outcome == "passed":
                passed += 1
            elif outcome == "skipped":
                skips[why] += 1
            else:
                explained = next((text for start, text in EXPLAINED.items() if name.startswith(start)), "")
                failures.append(f"{name}: {explained or why}")
    return {"passed": passed, "failed": len(failures), "skipped": sum(skips.values()), "failures": failures, "skips": dict(skips)}


if __name__ == "__main__":
    import sys

    out = main(int(sys.argv[1]) if len(sys.argv) > 1 else None)
    print("\n".join(out["failures"]))
    print(out["skips"])
    print({k: out[k] for k in ("passed", "failed", "skipped")})
