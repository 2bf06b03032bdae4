# SPDX-License-Identifier: GPL-2.0-or-later
# What is played, and what is asked of it.
from dataclasses import dataclass


@dataclass
class Workload:
    """One table. `section`: what is measured: throughput, latency, calls, rtp or size. `words`: the generator's."""
    name: str
    title: str
    words: list
    section: str = "throughput"
    hosts: int = 1
    candidates: tuple = ("plain", "accept", "replace", "helper", "sipalgd", "kamailio")
    expectations: int = 4096   # what its doors need; a small machine allows 128
    warmup: float = 0.5        # seconds that are not measured
    half_of: "Workload | None" = None  # latency: the workload whose half load is played


STANDING = ["--flows", "16", "--calls", "256", "--window", "128", "--setup-seconds", "10"]
TRUNK = ["--flows", "1", "--calls", "64", "--window", "64"]
STREAMS = ("plain", "accept", "helper", "sipalgd")


def _table(calls):
    return ["--flows", "32", "--calls", str(calls), "--window", "128", "--leave-calls", "--setup-seconds", "120"]


def _throughput():
    kinds = (("invite-known", "INVITE with SDP in known calls (INVITE 200 ACK)", ["--workload", "reinvite", *STANDING]),
             ("in-dialog", "small in-dialog messages (INFO 200)", ["--workload", "info", *STANDING]),
             ("refresh", "REGISTER refresh (REGISTER 200)", ["--workload", "refresh", *STANDING]),
             ("options", "OPTIONS outside of calls (OPTIONS 200)", ["--workload", "options", *STANDING]),
             ("trunk", "trunk mix on one 5-tuple (INVITE 100 180 200 ACK BYE 200)", ["--workload", "trunk", *TRUNK]))
    for name, title, words in kinds:
        yield Workload(name, title + ", UDP", words)
        yield Workload(name + "-1400", title + ", 1,400 bytes, UDP", [*words, "--large"])
    for name, title, words in kinds:
        if name not in ("refresh", "options"):
            yield Workload(name + "-tcp", title + ", TCP", [*words, "--tcp"], candidates=STREAMS)


def _several_hosts():
    """What workers share among them; one host's messages are one worker's."""
    for name, title, kind in (("invite-known", "INVITE with SDP in known calls", "reinvite"), ("in-dialog", "small in-dialog messages", "info")):
        yield Workload(f"hosts-{name}", f"{title} of 16 inside hosts, UDP", ["--workload", kind, *STANDING], hosts=16,
                       candidates=("plain", "accept", "replace", "helper", "sipalgd", "workers"))


def _latency():
    bases = {workload.name: workload for workload in _throughput()}
    for name, title in (("invite-known", "INVITE with SDP in known calls"), ("in-dialog", "small in-dialog messages"),
                        ("trunk", "trunk mix")):
        base = bases[name]
        yield Workload("latency-" + name, f"latency at half load, {title}, UDP", base.words, "latency", half_of=base,
                       candidates=("plain", "accept", "replace", "helper", "sipalgd"))
    for calls, label in ((1024, "1k"), (102400, "100k")):  # does what time ends in the table delay anybody?
        yield Workload(f"latency-{label}", f"latency of small in-dialog messages at half load with {calls} calls in the table, UDP",
                       ["--workload", "info", *_table(calls)], "latency", half_of=bases["in-dialog"], hosts=32, expectations=524288,
                       candidates=("plain", "sipalgd"), warmup=6)  # until what the set-up left to be done is done


def _calls():
    for hold, calls in ((0, 64), (1, 16384)):
        yield Workload(f"calls-hold-{hold}s", "calls set up and torn down with their doors (INVITE 200 ACK BYE 200), UDP, 16 inside hosts, "
                       f"16 outside addresses, hold time {hold} s, at most {calls} at once",
                       ["--workload", "calls", "--flows", "16", "--calls", str(calls), "--window", "64", "--hold", str(hold)],
                       "calls", hosts=16, candidates=("helper", "sipalgd", "workers", "kamailio"), expectations=262144,
                       warmup=0.5 + 3 * hold)  # all begin at once: until that wave is spread


def _sizes():
    for calls, label in ((1024, "1k"), (10240, "10k"), (102400, "100k")):
        for name, kind in (("in-dialog", "info"), ("invite-known", "reinvite")):
            yield Workload(f"size-{label}-{name}", f"{name} with {calls} calls in the table, UDP, 32 inside hosts, 32 outside addresses",
                           ["--workload", kind, *_table(calls)], "size", hosts=32, candidates=("sipalgd",), expectations=524288,
                           warmup=6)  # until what the set-up left to be done is done


def everything(builds=()):
    """All workloads; `builds`: names of more builds of sipalgd, measured wherever it is."""
    rtp = Workload("rtp", "RTP through doors, there and back, 16 calls",
                   ["--workload", "rtp", "--flows", "16", "--calls", "16", "--window", "128"], "rtp",
                   candidates=("plain", "helper", "sipalgd", "kamailio"))
    found = [*_throughput(), *_several_hosts(), *_latency(), *_calls(), rtp, *_sizes()]
    for workload in found:
        workload.candidates = (*workload.candidates, *builds)
    return found


QUICK = ("invite-known", "trunk", "in-dialog-tcp", "latency-trunk", "calls-hold-0s", "rtp", "size-1k-in-dialog")
