# SPDX-License-Identifier: GPL-2.0-or-later
# What makes a function a network test.
from dataclasses import dataclass, field

CASES = []


@dataclass
class Case:
    run: object
    rules: str
    slow: bool = False
    bench: dict = field(default_factory=dict)

    @property
    def name(self):
        return self.run.__name__

    @property
    def sentence(self):
        return " ".join(self.run.__doc__.split())


def case(rules, slow=False, **bench):
    """rules: the section of the SIP rules, or the design, that the docstring's sentence comes from.
    bench: how the test's bench is built (Bench and Router)."""
    def register(function):
        CASES.append(Case(function, rules, slow, bench))
        return function
    return register
