# SPDX-License-Identifier: GPL-2.0-or-later
# Figures of many rounds: minimum, median, maximum, and ratios within each round.
import statistics

REFERENCES = ("plain", "accept", "replace", "helper", "sipalgd")


def spread(values):
    return {"min": min(values), "median": statistics.median(values), "max": max(values), "values": values}


def metrics_of(report, workload):
    """{metric: value} of one run."""
    found = {}
    if workload.section == "size" and report["set_up"]["exchanges"]:
        before, after = report["set_up"]["resident_bytes"]
        found["bytes_per_call"] = (after - before) / report["set_up"]["exchanges"]
        found["setup_calls_per_second"] = report["set_up"]["exchanges_per_second"]
    measured = report.get("measured")
    if not measured:  # the calls were not up in time
        return found
    found["messages_per_second"] = measured["messages_per_second"]
    found["cpu_us_candidate"] = measured["cpu_us_per_message"]["watched"]
    found["cpu_us_machine"] = measured["cpu_us_per_message"]["machine"]
    found["cpu_us_generator"] = measured["cpu_us_per_message"]["generator"]
    if workload.section == "calls":
        found["calls_per_second"] = measured["exchanges_per_second"]
    for name in ("p50", "p99", "p99.9", "longest"):
        if name in report.get("latency_us", {}):
            found["latency_us_" + name] = report["latency_us"][name]
    return found


def is_faulty(report, may_lose):
    """More than a stray packet was lost, or one message was wrong: the figure stands for something else than its name."""
    faults = report["faults"]
    return faults["wrong"] > 0 or faults["given_up"] > 0 or faults["lost"] > may_lose * faults["sent"] or faults["first"] != ""


def note_added(rows):
    """Latencies beside those of plain forwarding in the same round: what the candidate adds."""
    plain = next((row for row in rows if row.candidate.name == "plain"), None)
    for row in rows if plain else ():
        for mine, its in zip(row.rounds, plain.rounds):
            for name in [name for name in mine if name.startswith("latency_us_")]:
                mine[name.replace("latency", "added")] = mine[name] - its[name]


class Row:
    """One candidate in one workload, over all rounds."""

    def __init__(self, workload, candidate):
        self.workload, self.candidate = workload, candidate
        self.rounds, self.reports = [], []

    def add(self, report):
        self.reports.append(report)
        self.rounds.append(metrics_of(report, self.workload))

    def values(self, metric):
        return [found[metric] for found in self.rounds if metric in found]

    def median(self, metric):
        """None where nothing was measured."""
        values = self.values(metric)
        return statistics.median(values) if values else None

    def is_in_time(self):
        """False: its calls could not be set up in the time given; another round would only take as long again."""
        return all("measured" in report for report in self.reports)

    def faulty(self):
        return sum(is_faulty(report, self.candidate.may_lose) for report in self.reports)

    def first_fault(self):
        """What went wrong in the first round that is faulty."""
        faults = next((report["faults"] for report in self.reports if is_faulty(report, self.candidate.may_lose)), None)
        if not faults:
            return ""
        counts = ", ".join(f"{faults[name]} {name.replace('_', ' ')}" for name in ("wrong", "lost", "given_up") if faults[name])
        return f"{counts} of {faults['sent']} messages {faults['first'].strip()}".strip()

    def ratio(self, metric, other):
        """Of each round; None where the other has nothing to divide by."""
        pairs = [(mine[metric], its[metric]) for mine, its in zip(self.rounds, other.rounds)
                 if metric in mine and its.get(metric, 0) > 0]
        return spread([mine / its for mine, its in pairs]) if pairs else None

    def told(self, others):
        """For the JSON."""
        metrics = {name: spread(self.values(name)) for name in self.rounds[0]} if self.rounds else {}
        ratios = {}
        for other in others:
            if other.candidate.name in REFERENCES and other is not self:
                ratios[other.candidate.name] = {name: self.ratio(name, other) for name in metrics}
        return {"section": self.workload.section, "workload": self.workload.name, "title": self.workload.title,
                "candidate": self.candidate.name, "rounds": len(self.rounds), "faulty_rounds": self.faulty(),
                "first_fault": self.first_fault(), "metrics": metrics, "ratios": ratios,
                "told": self.reports[-1]["candidate"] if self.reports else {},
                "generator": self.workload.words, "hosts": self.workload.hosts}
