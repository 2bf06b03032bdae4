# SPDX-License-Identifier: GPL-2.0-or-later
# What sipalgd has to reach, as ratios of this run.

THROUGHPUT = "messages_per_second"
# workload, metric, reference, the least ratio (or with < the most)
GOALS = (
    ("invite-known", THROUGHPUT, "helper", ">", 1.5),
    ("trunk", THROUGHPUT, "helper", ">", 1.3),
    ("in-dialog", THROUGHPUT, "helper", ">", 1.0),
    ("invite-known", THROUGHPUT, "replace", ">", 0.9),
    ("trunk", THROUGHPUT, "replace", ">", 0.9),
    ("in-dialog", THROUGHPUT, "replace", ">", 0.9),
    ("calls-hold-0s", "calls_per_second", "helper", ">", 0.5),
    ("latency-invite-known", "added_us_p99", "accept", "<", 1.5),
    ("latency-in-dialog", "added_us_p99", "accept", "<", 1.5),
    ("latency-trunk", "added_us_p99", "accept", "<", 1.5),
    ("rtp", THROUGHPUT, "plain", ">", 0.97),
)


def _line(what, value, sign, bound, rows):
    """`rows`: that the value comes from. Messages that are wrong or lost are no speed: with one faulty round nothing is reached."""
    holds = value >= bound if sign == ">" else value <= bound
    word = "at least" if sign == ">" else "at most"
    faulty = sum(row.faulty() for row in rows)
    return {"what": what, "value": value, "bound": bound, "sense": word, "reached": holds and not faulty, "faulty_rounds": faulty}


def _ratios(rows):
    for workload, metric, reference, sign, bound in GOALS:
        mine, its = rows.get((workload, "sipalgd")), rows.get((workload, reference))
        ratio = mine.ratio(metric, its) if mine and its else None
        if ratio:
            yield _line(f"{workload}: {metric} against {reference}", ratio["median"], sign, bound, (mine, its))


def _workers(rows):
    """Two workers against one, with cores for no more than that and the generator."""
    for workload, metric in (("hosts-invite-known", THROUGHPUT), ("hosts-in-dialog", THROUGHPUT), ("calls-hold-0s", "calls_per_second")):
        two, one = rows.get((workload, "workers")), rows.get((workload, "sipalgd"))
        ratio = two.ratio(metric, one) if two and one else None
        if ratio:
            yield _line(f"{workload}: {metric} of two workers against one", ratio["median"], ">", 1.0, (two, one))


def _costs(rows):
    """Of one message's CPU time against that of another workload."""
    new, known, small = (rows.get((name, "sipalgd")) for name in ("calls-hold-0s", "invite-known", "in-dialog"))
    if new and known and small and all(row.median("cpu_us_candidate") for row in (new, known, small)):
        # INVITE 200 ACK BYE 200 without what BYE 200 cost of themselves, against INVITE 200 ACK
        made_and_removed = 5 * new.median("cpu_us_candidate") - 2 * small.median("cpu_us_candidate")
        yield _line("CPU time: INVITE 200 ACK of a new call, its doors made and removed, against those of a known one",
                    made_and_removed / (3 * known.median("cpu_us_candidate")), "<", 3.0, (new, known, small))
    pairs = (("size-100k-in-dialog", "size-1k-in-dialog", 1.2, "in-dialog with 100k calls against 1k"),
             ("size-100k-invite-known", "size-1k-invite-known", 1.2, "invite-known with 100k calls against 1k"))
    for dear, cheap, bound, what in pairs:
        first, second = rows.get((dear, "sipalgd")), rows.get((cheap, "sipalgd"))
        if first and second and first.median("cpu_us_candidate") and second.median("cpu_us_candidate"):
            ratio = first.median("cpu_us_candidate") / second.median("cpu_us_candidate")
            yield _line("CPU time: " + what, ratio, "<", bound, (first, second))
    many, few = rows.get(("latency-100k", "sipalgd")), rows.get(("latency-1k", "sipalgd"))
    if many and few and many.median("added_us_p99.9") and few.median("added_us_p99.9"):
        ratio = many.median("added_us_p99.9") / few.median("added_us_p99.9")
        yield _line("added_us_p99.9, in-dialog: 100k calls against 1k", ratio, "<", 1.5, (many, few))
    size = rows.get(("size-100k-in-dialog", "sipalgd"))
    if size and size.median("messages_per_second"):
        yield _line("bytes per call with 100k calls", size.median("bytes_per_call"), "<", 1024, (size,))


def judge(rows):
    """rows: {(workload, candidate): Row}."""
    return [*_ratios(rows), *_workers(rows), *_costs(rows)]


def show(lines):
    if not lines:
        return
    print("\ngoals of sipalgd (medians of ratios within each round)")
    for line in lines:
        word = "FAULTY" if line["faulty_rounds"] else "reached" if line["reached"] else "MISSED"
        print(f"  {word:8} {line['value']:10.2f}  {line['sense']} {line['bound']:<7} {line['what']}")
