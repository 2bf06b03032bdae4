# SPDX-License-Identifier: GPL-2.0-or-later
# test/bench and its load generator: that they work, not how fast anything is.
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from cases.operations import NET_ADMIN
from harness.case import case
from harness.daemon import BUILD, ROOT
from harness.expectations import ExpectationLimit
from harness.router import PHONE, PROXY, WAN
from harness.wait import SLOW, Skip, check, equal, until

GENERATOR = os.path.join(BUILD, "test", "load", "load_generator")
NET_ADMIN_AND_NICE = "0000000000801000"
EVERYBODY = {"plain", "accept", "replace", "helper", "sipalgd"}


def generate(bench, expect, *words, seconds=0.2):
    """What the load generator tells of a run through the bench's router."""
    command = [GENERATOR, "--inside", bench.router.inside.name, "--outside", bench.router.outside.name, "--inside-host", PHONE,
               "--mapped-host", WAN, "--outside-host", PROXY, "--expect", expect, "--seconds", str(seconds), "--warmup", "0", *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    equal(result.returncode, 0, "load_generator: " + result.stderr)
    return json.loads(result.stdout)


@case("issue 5, the bench", open_firewall=True)
def load_generator_checks_what_the_daemon_maps(bench):
    """Every message of whole calls and registrations through sipalgd arrives with exactly the bytes it has to."""
    for workload in ("trunk", "reinvite", "refresh"):
        for transport in ((), ("--tcp", "--first-port", "5200")):
            report = generate(bench, "mapped", "--workload", workload, "--flows", "4", "--calls", "8", "--window", "8", *transport)
            faults, where = report["faults"], f"{workload} {transport}: {report['faults']['first']}"
            equal((faults["wrong"], faults["lost"], faults["given_up"], faults["strays"]), (0, 0, 0, 0), where)
            check(report["measured"]["exchanges"] > 0, f"no exchange came to its end: {where}")


@case("issue 5, the bench", daemon=False, open_firewall=True)
def load_generator_sees_what_is_not_mapped(bench):
    """Without an ALG the messages leave as they were sent, which passes as such, and as mapped is wrong."""
    options = ("--workload", "info", "--flows", "2", "--calls", "4", "--window", "4")
    faults = generate(bench, "same", *options)["faults"]
    equal((faults["wrong"], faults["lost"]), (0, 0), "plain forwarding of what is to stay the same")
    faults = generate(bench, "mapped", "--setup-seconds", "0.5", "--first-port", "5200", *options)["faults"]
    check(faults["wrong"] >= 4, f"only {faults['wrong']} INVITEs seen that should have been mapped")
    check(f"Contact: <sip:alice@{PHONE}" in faults["first"], f"the message that was wrong is not shown: {faults['first']}")


@case("issue 5, the bench", daemon=False)
def bench_measures_every_candidate(bench):
    """test/bench --quick measures all candidates beside each other and writes each figure with its spread and ratios."""
    if SLOW:
        raise Skip("an emulated machine's speed says nothing")
    with ExpectationLimit(4096):  # skips where they can not be had; the bench asks for itself
        pass
    path = os.path.join(bench.folder, "figures.json")
    command = [os.path.join(ROOT, "test", "bench"), "--quick", "--no-build", "--rounds", "2", "--only", "*/trunk",
               "--only", "*/latency-trunk", "--only", "sipalgd/rtp", "--json", path]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    equal(result.returncode, 0, "test/bench: " + result.stderr[-2000:])
    with open(path, encoding="utf-8") as file:
        told = json.load(file)
    present = EVERYBODY - set(told["missing"])
    for workload in ("trunk", "latency-trunk"):
        rows = {row["candidate"]: row for row in told["rows"] if row["workload"] == workload}
        check(present <= set(rows), f"{workload} was measured for {sorted(rows)}, not for {sorted(present)}")
        for name, row in rows.items():
            figure = row["metrics"]["messages_per_second"]
            equal((row["rounds"], len(figure["values"])), (2, 2), f"rounds of {name}")
            check(0 < figure["min"] <= figure["median"] <= figure["max"], f"{name}: {figure}")
            check(name == "plain" or row["ratios"]["plain"]["messages_per_second"]["median"] > 0, f"no ratio of {name} to plain")
    check("trunk: trunk mix" in result.stdout and "faulty rounds" in result.stdout, "no table was printed")


@case("issue 5, the bench", daemon=False)
def faulty_round_reaches_no_goal(bench):
    """A goal counts as reached when its ratio is there and every message of its rounds was: what arrives wrong is no speed."""
    del bench
    sys.path.append(os.path.join(ROOT, "test", "load"))
    from bench import goals  # pylint: disable=import-outside-toplevel
    from bench.candidates import Helper, Sipalgd  # pylint: disable=import-outside-toplevel
    from bench.figures import Row  # pylint: disable=import-outside-toplevel
    from bench.workloads import everything  # pylint: disable=import-outside-toplevel
    workload = next(each for each in everything() if each.name == "invite-known")

    def told(candidate, rate, wrong):
        row = Row(workload, candidate)
        for number in range(5):
            row.add({"measured": {"messages_per_second": rate, "cpu_us_per_message": dict.fromkeys(("watched", "machine", "generator"), 1)},
                     "faults": {"wrong": wrong if number == 2 else 0, "given_up": 0, "lost": 0, "sent": 1000, "first": ""}, "candidate": {}})
        return {(workload.name, candidate.name): row}

    for wrong, reached in ((0, True), (1, False)):
        for mine, its in ((wrong, 0), (0, wrong)):
            [line] = goals.judge({**told(Sipalgd(), 200_000, mine), **told(Helper(), 100_000, its)})
            equal((line["value"], line["reached"], line["faulty_rounds"]), (2.0, reached, wrong), f"{mine} wrong here, {its} there")


def classes(bench):
    """The scheduling classes of the daemon's threads."""
    pid = bench.daemon.process.pid
    tasks = [int(task) for task in os.listdir(f"/proc/{pid}/task")]
    return [os.sched_getscheduler(task) & ~os.SCHED_RESET_ON_FORK for task in tasks]


def real_time_threads(bench):
    return classes(bench).count(os.SCHED_RR)


@case("issue 5, latency", open_firewall=True, config="workers = 2\nlog-level = \"info\"")
def packets_are_handled_in_real_time(bench):
    """Both workers are of the real-time class, ordinary while a flood of calls keeps them busy, and real-time after it."""
    if "real-time class is refused" in bench.daemon.tail(200):
        raise Skip("this system refuses the real-time class")
    until(lambda: real_time_threads(bench) == 2, "both workers are real-time")
    check(set(bench.daemon.status("CapEff")) <= {NET_ADMIN, NET_ADMIN_AND_NICE}, f"capabilities: {bench.daemon.status('CapEff')}")
    seen = []
    with ThreadPoolExecutor(1) as pool:
        flood = pool.submit(generate, bench, "mapped", "--workload", "trunk", "--flows", "1", "--calls", "256", "--window", "64", seconds=1.5)
        while not flood.done():
            seen.append(real_time_threads(bench))
            time.sleep(0.02)
        flood.result()
    check(min(seen) < 2, "both workers stayed real-time in the flood")  # it is one host's: the other may have nothing to do
    until(lambda: real_time_threads(bench) == 2, "both workers are real-time again")


@case("issue 5, latency", config="real-time = false")
def real_time_is_the_administrators_choice(bench):
    """With `real-time = false` no thread is of the real-time class, and root keeps no capability for it."""
    check(set(classes(bench)) == {os.SCHED_OTHER}, f"classes of the threads: {classes(bench)}")
    equal(set(bench.daemon.status("CapEff")), {NET_ADMIN}, "capabilities")


@case("issue 5, latency", user="nobody")
def real_time_refused_is_told(bench):
    """As another user the daemon is real-time where RLIMIT_RTPRIO could be raised; else the log says what allows it, and it runs on."""
    refused = "`LimitRTPRIO=1` in the unit allows it" in bench.daemon.tail(200)
    until(lambda: real_time_threads(bench) == (0 if refused else 1), "the class that the log tells of")
    check(bench.daemon.ctl("show", "stats").stdout, "it does not answer")
