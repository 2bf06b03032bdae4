#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""report.py TESTLOG.json: one line per test program of `meson test`, and the counts of the test cases inside."""
import json
import re
import sys

WHOLE = re.compile(r"All tests passed \([\d,]+ assertions? in (\d+) test cases?\)")
PARTS = re.compile(r"^test cases:(.*)$", re.M)


def counts_of(test):
    """(passed, failed, skipped) test cases; a program that does not tell counts as one."""
    result, output = test["result"], test.get("stdout", "")
    whole, parts = WHOLE.search(output), PARTS.search(output)
    if result == "SKIP":
        return 0, 0, 1
    if result in ("OK", "EXPECTEDFAIL"):
        return (int(whole.group(1)) if whole else 1), 0, 0
    numbers = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed)", parts.group(1))} if parts else {}
    return numbers.get("passed", 0), max(1, numbers.get("failed", 0)), 0


def main():
    total = [0, 0, 0]
    with open(sys.argv[1], encoding="utf-8") as file:
        tests = [json.loads(line) for line in file if line.strip()]
    for test in tests:
        counts = counts_of(test)
        total = [a + b for a, b in zip(total, counts)]
        word = "FAIL" if counts[1] else "skip" if counts[2] else "ok"
        print(f"{word} {test['name']}: {counts[0]} passed, {counts[1]} failed ({test['duration']:.1f} s)")
        if counts[1]:
            print(test.get("stdout", "")[-6000:] + test.get("stderr", "")[-6000:])
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")


if __name__ == "__main__":
    main()
