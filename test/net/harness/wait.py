# SPDX-License-Identifier: GPL-2.0-or-later
# Polling with an end, for machines of every speed.
import os
import time

# An emulated machine is 5 to 20 times slower; waits that end by themselves may then take longer.
SLOW = bool(os.environ.get("VM_RUN"))
PATIENCE = 6 if SLOW else 1


class Failure(Exception):
    """A sentence of the product does not hold."""


class Skip(Exception):
    """This machine lacks what the test needs."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def equal(seen, expected, what):
    if seen != expected:
        raise Failure(f"{what}:\n  expected {expected!r}\n  seen     {seen!r}")


def until(predicate, what, seconds=5, pace=0.02):
    """The first true value of predicate; Failure after `seconds` (more on a slow machine)."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"waited {seconds * PATIENCE} s in vain for {what() if callable(what) else what}")
        time.sleep(pace)
