"""What a run of ctest came to: summary.py RESULTS ["passed|failed NAME" ...]

RESULTS holds ctest.xml (JUnit, of all ctests), ctest.json (what they run), NAME.json of each GoogleTest program and
NAME.xml (JUnit) of each pytest file. Prints every failure, every
skip with its reason, and last "N passed, N failed, N skipped". Exit code 1 if anything failed or nothing ran.
"""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree

SKIP = re.compile(r"\[ RUN      \] (?P<name>\S+)\n(?:(?!\[ RUN).*\n)*?[^\n]*: Skipped\n(?P<why>(?:(?!\[  SKIPPED).*\n)*)")


class Tally:
    def __init__(self):
        self.passed, self.failures, self.skips = 0, [], []

    def program(self, name, results, status, output):
        """One GoogleTest program: its own results, and whether it came to its end."""
        reasons = {m["name"]: " ".join(m["why"].split()) for m in SKIP.finditer(output)}
        failed = 0
        for suite in results["testsuites"]:
            for case in suite["testsuite"]:
                full = f"{suite['name']}.{case['name']}"
                if case.get("failures"):
                    failed += 1
                    self.failures.append(f"{name}: {full}")
                elif case["status"] == "NOTRUN":
                    self.skips.append((f"{name}: {full}", "disabled in the source"))
                elif case["result"] == "SKIPPED":
                    self.skips.append((f"{name}: {full}", reasons.get(full) or "no reason given"))
                else:
                    self.passed += 1
        if status != "run" and not failed:
            self.failures.append(f"{name}: failed outside its tests (exit code, sanitizer or time-out)")

    def pytest(self, name, cases, status):
        """One file of pytest: its own results, and whether it came to its end."""
        failed = 0
        for case in cases:
            full = f"{name}: {case.get('classname')}.{case.get('name')}"
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                self.failures.append(full)
            elif skipped is not None:
                self.skips.append((full, skipped.get("message") or "no reason given"))
            else:
                self.passed += 1
        if status != "run" and not failed:
            self.failures.append(f"{name}: failed outside its tests (exit code or time-out)")

    def ctest(self, name, status, skipped, output):
        lines = output.strip().splitlines()
        if status == "run":
            self.passed += 1
        elif status == "disabled" or "SKIP" in skipped:
            self.skips.append((name, lines[-1] if lines else status))
        else:
            self.failures.append(name)


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def read_junit(path):
    try:
        return list(xml.etree.ElementTree.parse(path).iter("testcase"))
    except (OSError, xml.etree.ElementTree.ParseError):
        return None


def main():
    folder = pathlib.Path(sys.argv[1])
    tally = Tally()
    for check in sys.argv[2:]:
        outcome, name = check.split(" ", 1)
        if outcome == "passed":
            tally.passed += 1
        else:
            tally.failures.append(name)
    try:
        cases = list(xml.etree.ElementTree.parse(folder / "ctest.xml").iter("testcase"))
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        cases = []
        tally.failures.append(f"ctest left no results: {error}")
    commands = (read_json(folder / "ctest.json") or {}).get("tests", [])
    reporting = ("--gtest_output", "--junitxml")
    programs = {c["name"] for c in commands if any(w.startswith(reporting) for w in c.get("command", []))}
    for case in cases:
        name, status, output = case.get("name"), case.get("status"), case.findtext("system-out") or ""
        results = read_json(folder / f"{name}.json")
        if results is not None:
            tally.program(name, results, status, output)
        elif (junit := read_junit(folder / f"{name}.xml")) is not None:
            tally.pytest(name, junit, status)
        elif name in programs and status != "disabled":
            tally.failures.append(f"{name}: crashed, timed out or was not built: it left no results")
        else:
            skipped = case.find("skipped")
            tally.ctest(name, status, "" if skipped is None else skipped.get("message", ""), output)
    for name, why in tally.skips:
        print(f"skipped  {name}: {why}")
    for name in tally.failures:
        print(f"FAILED   {name}")
    print(f"{tally.passed} passed, {len(tally.failures)} failed, {len(tally.skips)} skipped")
    return 1 if tally.failures or tally.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
