"""The peers' rows of docs/autotune-figures.md, from what the suites print: bench/run autotune --suite X --json -- --seeds N | table.py"""

from __future__ import annotations

import collections
import json
import re
import sys

from make_traces import MARKS

FEWEST = 6  # runs all for one side are no luck, at 5 %, from here on


def verdict(case):
    """Less regret is better."""
    low, high = case["difference_95"]
    return "few" if case["runs"] < FEWEST else "better" if high < 0 else "worse" if low > 0 else "="


def rows(lines):
    """(suite, peer) -> trials -> case."""
    out = collections.defaultdict(dict)
    for case in map(json.loads, lines):
        found = re.fullmatch(r"([\w-]+): (\d+) trials, same tasks and seeds", case["case"])
        if found:
            out[found[1], case["peer"]][int(found[2])] = case
    return out


def table(lines):
    yield "| suite | peer | runs | its regret | AutoTune's, same runs | AutoTune is | its s of CPU a trial |"
    yield "|---|---|---|---|---|---|---|"
    for (suite, peer), cases in rows(lines).items():
        whole = [cases[mark] for mark in MARKS if mark in cases]
        runs = " / ".join(dict.fromkeys(str(case["runs"]) for case in whole))
        theirs, ours = (" / ".join(f"{case[who]:.3f}" for case in whole) for who in ("peer_value", "ours"))
        verdicts = " / ".join(verdict(case) for case in whole)
        yield f"| {suite} | {peer} | {runs} | {theirs} | {ours} | {verdicts} | {whole[-1]['peer_seconds_a_trial']:.3g} |"


if __name__ == "__main__":
    print("\n".join(table(sys.stdin)))
