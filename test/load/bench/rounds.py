# SPDX-License-Identifier: GPL-2.0-or-later
# The order things are measured in: for each workload all candidates, round by round.
import fnmatch
import os

from harness.expectations import ExpectationLimit
from harness.wait import Skip

from . import table
from .figures import Row, note_added


def _matches(pattern, candidate, workload):
    """CANDIDATE/WORKLOAD; one word alone is either."""
    if "/" not in pattern:
        return fnmatch.fnmatch(candidate, pattern) or fnmatch.fnmatch(workload, pattern)
    first, _, second = pattern.partition("/")
    return fnmatch.fnmatch(candidate, first or "*") and fnmatch.fnmatch(workload, second or "*")


def choose(workloads, quick, only):
    """[(workload, names of its candidates)] of what is to be measured."""
    plan = []
    for workload in workloads:
        if quick and workload.name not in quick:
            continue
        names = [name for name in workload.candidates if not only or any(_matches(each, name, workload.name) for each in only)]
        if names:
            plan.append((workload, names))
    return plan


class Rounds:
    def __init__(self, ground, candidates, options):
        self._ground, self._options = ground, options
        self._candidates = {candidate.name: candidate for candidate in candidates}
        self._rows = {}    # (workload, candidate): Row
        self._halves = {}  # (workload, candidate): messages/s
        self._calls = 0

    def measure(self, plan):
        for workload, names in plan:
            chosen = [self._candidates[name] for name in names if name in self._candidates]
            if not chosen:
                continue
            try:
                with ExpectationLimit(workload.expectations):  # shared with the tests: the limit is one for the machine
                    self._measure(workload, chosen)
            except Skip as reason:
                print(f"\nnot measured: {workload.name}: {reason}")
        return self._rows

    def _measure(self, workload, chosen):
        more, note = [], ""
        if workload.half_of:
            rate = self._half(workload, chosen)
            more, note = ["--rate", f"{rate:.0f}"], f" ({rate:,.0f} messages/s)"
        rows = [Row(workload, candidate) for candidate in chosen]
        for number in range(self._options.rounds):
            turn = [row for row in rows[number % len(rows):] + rows[:number % len(rows)] if row.is_in_time()]
            for row in turn:
                row.add(self._run(workload, row.candidate, more, self._options.seconds))
        note_added(rows)
        for row in rows:
            self._rows[workload.name, row.candidate.name] = row
        table.show(workload, rows, note)

    def _half(self, workload, chosen):
        """The rate at which the dearest of them leaves half of the machine idle."""
        base = workload.half_of
        half = {candidate.name: self._halves.get((base.name, candidate.name)) or self._half_of(base, candidate) for candidate in chosen}
        self._halves.update({(base.name, name): rate for name, rate in half.items()})
        return min(half.values())

    def _half_of(self, base, candidate):
        """What a message costs by the clock, at a fourth of what the closed loop reaches: that has batches which no clock gives."""
        row = self._rows.get((base.name, candidate.name))
        full = row.median("messages_per_second") if row else None
        if full is None:
            full = self._run(base, candidate, [], self._options.seconds)["measured"]["messages_per_second"]
        slow = self._run(base, candidate, ["--rate", f"{max(100, full / 4):.0f}"], self._options.seconds)["measured"]
        cost = slow["cpu_us_per_message"]["machine"]
        return min(full / 2, os.cpu_count() * 1e6 / cost / 2) if cost else full / 2

    def _run(self, workload, candidate, more, seconds):
        warmup = min(workload.warmup, 2 * seconds) if self._options.quick else workload.warmup
        words = [*workload.words, *more, *candidate.generator, "--seconds", str(seconds),
                 "--warmup", str(warmup), "--first-call", str(self._calls)]
        self._calls = (self._calls + 10_000_000) % 900_000_000
        port = self._ground.next_port()
        self._ground.clear()
        try:
            watched = candidate.start(self._ground, words, workload.hosts, port)
            report = self._ground.run(words, workload.hosts, port, candidate.expect, watched)
        finally:
            candidate.stop(self._ground)
        report["candidate"] = candidate.details()
        return report
