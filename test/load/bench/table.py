# SPDX-License-Identifier: GPL-2.0-or-later
# Figures for people: minimum, median and maximum of each, ratios by their median.

from .candidates import Sipalgd

# section: columns (metric, heading, digits, ratios against whom)
COLUMNS = {
    "throughput": (("messages_per_second", "messages/s", 0), ("cpu_us_candidate", "us candidate", 2), ("cpu_us_machine", "us machine", 2)),
    "latency": (("latency_us_p50", "p50 us", 1), ("added_us_p50", "added p50", 1), ("added_us_p99", "added p99", 1),
                ("added_us_p99.9", "added p99.9", 1)),
    "calls": (("calls_per_second", "calls/s", 0), ("cpu_us_candidate", "us candidate", 2), ("cpu_us_machine", "us machine", 2)),
    "rtp": (("messages_per_second", "packets/s", 0), ("cpu_us_machine", "us machine", 2)),
    "size": (("messages_per_second", "messages/s", 0), ("cpu_us_candidate", "us candidate", 2), ("bytes_per_call", "bytes/call", 0),
             ("setup_calls_per_second", "setup calls/s", 0)),
}
RATIOS = {"throughput": ("plain", "accept", "replace", "helper"), "latency": ("accept",), "calls": ("helper",), "rtp": ("plain",), "size": ()}


def number(value, digits):
    return f"{value:,.{digits}f}"


def three(values, digits):
    if not values:
        return "-"
    ordered = sorted(values)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return " ".join(number(value, digits) for value in (ordered[0], middle, ordered[-1]))


def _references(section, rows):
    """Against whom; builds of sipalgd against the one of this tree."""
    names = {row.candidate.name for row in rows}
    several = sum(isinstance(row.candidate, Sipalgd) for row in rows) > 1
    return [name for name in RATIOS[section] if name in names] + (["sipalgd"] if several and "sipalgd" in names else [])


def _cells(row, rows, section):
    cells = [row.candidate.title]
    cells += [three(row.values(metric), digits) for metric, _, digits in COLUMNS[section]]
    main = "added_us_p99" if section == "latency" else COLUMNS[section][0][0]
    by_name = {other.candidate.name: other for other in rows}
    for name in _references(section, rows):
        ratio = row.ratio(main, by_name[name]) if name in by_name and by_name[name] is not row else None
        cells.append(number(ratio["median"], 2) if ratio else "")
    cells.append(f"{row.faulty()} of {len(row.rounds)}" if row.faulty() else "")
    return cells


def show(workload, rows, note=""):
    """One workload: a line for each candidate."""
    section = workload.section
    ratio = "added p99 x " if section == "latency" else "x "
    headings = ["min median max:", *[heading for _, heading, _ in COLUMNS[section]],
                *[ratio + name for name in _references(section, rows)], "faulty rounds"]
    lines = [_cells(row, rows, section) for row in rows]
    widths = [max(len(line[column]) for line in [headings, *lines]) for column in range(len(headings))]
    print(f"\n{workload.name}: {workload.title}{note}")
    for line in [headings, *lines]:
        print("  " + "  ".join(cell.ljust(width) if not column else cell.rjust(width)
                               for column, (cell, width) in enumerate(zip(line, widths))).rstrip())
    for row in rows:
        if row.first_fault():
            print(f"  {row.candidate.title}: " + row.first_fault().replace("\n", "\n    "))
    print(end="", flush=True)
