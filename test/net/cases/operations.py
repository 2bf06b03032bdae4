# SPDX-License-Identifier: GPL-2.0-or-later
# The daemon and sipalgctl in an administrator's hands.
import contextlib
import json
import os
import pwd
import re
import signal
import socket
import subprocess
import time

from cases.lifetime import CALL_ID, Call
from cases.registration import registered
from cases.service import Probe
from cases.streams_restart import busy, goes_on_behind_a_restart
from harness.case import case
from harness.daemon import CTL, DAEMON, Daemon, find
from harness.router import PHONE, PROXY, WAN
from harness.stream import OUT
from harness.wait import SLOW, check, equal, until

SHOWS = (("stats",), ("calls",), ("doors",), ("registrations",), ("config",))


@case("issue, 7")
def sipalgctl_shows_the_living_daemon(bench):
    """Every show command answers as text and as JSON, and shows the call, its doors, the registration and the counters."""
    registered(bench)
    Call(bench)
    for what in (*SHOWS, ("call", CALL_ID)):
        text = bench.daemon.ctl("show", *what).stdout
        check(text.strip(), f"show {' '.join(what)} prints nothing")
        json.loads(bench.daemon.ctl("show", *what, "--json").stdout)
    check(CALL_ID in bench.daemon.ctl("show", "calls").stdout, "show calls does not name the call")
    stats = bench.daemon.ctl("show", "stats").stdout
    check("Invite:             1 -> 200-OK:            1   Rexmit-invite:          0\n" in stats, "no INVITE counted in:\n" + stats)
    check("Register:           1 -> 200-OK:            1\n" in stats, "no REGISTER counted in:\n" + stats)
    check(f"{WAN}:4000" in bench.daemon.ctl("show", "doors").stdout, "show doors does not name the media door")
    check(f"{PHONE}:4000" in bench.daemon.ctl("show", "call", CALL_ID).stdout, "show call does not name the phone's media")
    check("alice" in bench.daemon.ctl("show", "registrations").stdout, "show registrations does not name the phone")
    equal([c["state"] for c in bench.daemon.calls()], ["confirmed"], "states of the calls")
    purposes = {purpose for door in bench.daemon.doors() for purpose in door["purpose"].split(",")}
    check({"rtp", "rtcp", "contact", "way-out"} <= purposes, f"purposes of the doors: {purposes}")
    equal(bench.daemon.counter("methods", "INVITE")["received"], 1, "INVITEs")
    check(find(bench.daemon.show("config"), "control-socket") == bench.daemon.socket, "show config: control-socket")


@case("issue, 7")
def clear_stats_clears(bench):
    """`clear stats` prints the counters, sets them to zero and touches no call."""
    Call(bench)
    check(bench.daemon.counter("packets", "edited") > 0, "nothing was counted as edited")
    cleared = bench.daemon.ctl("clear", "stats").stdout
    check("Invite:             1 -> 200-OK:            1" in cleared, "clear stats does not print what it clears:\n" + cleared)
    equal(bench.daemon.counter("packets", "edited"), 0, "edited after clear stats")
    equal(len(bench.daemon.calls()), 1, "calls after clear stats")


@case("issue")
def clear_call_closes_its_doors(bench):
    """`clear call`, `clear calls` and `clear registrations` do what they say and close the doors in the kernel."""
    registered(bench)
    Call(bench)
    equal(bench.daemon.ctl("clear", "call", "nobody@nowhere", check=False).returncode, 1, "exit for an unknown Call-ID")
    empty = bench.daemon.ctl("clear", "call", "", check=False)  # somebody's script, a variable that is not set
    check(empty.returncode == 2 and "Call-ID is missing" in empty.stderr, f"an empty Call-ID: {empty.returncode} {empty.stderr!r}")
    equal(len(bench.daemon.calls()), 1, "calls after clear call without a Call-ID")
    bench.daemon.ctl("clear", "call", CALL_ID)
    equal(bench.daemon.calls(), [], "calls after clear call")
    purposes = {purpose for door in bench.daemon.doors() for purpose in door["purpose"].split(",")}
    check(not {"rtp", "rtcp", "way-out"} & purposes, f"doors after clear call: {purposes}")
    equal(json.loads(bench.daemon.ctl("clear", "calls", "--json").stdout)["cleared"], 0, "calls left to clear")
    equal(json.loads(bench.daemon.ctl("clear", "registrations", "--json").stdout)["cleared"], 1, "registrations cleared")
    equal(bench.daemon.show("registrations")["registrations"], [], "registrations afterwards")


@case("issue, 1")
def ruleset_is_plain_nft(bench):
    """`ruleset` prints rules that nft itself accepts."""
    text = bench.daemon.ctl("ruleset").stdout
    check("queue" in text and "5060" in text, "no queue rule in:\n" + text)
    json.loads(bench.daemon.ctl("ruleset", "--json").stdout)
    accepts = lambda rules: bench.router.outside.run(["nft", "-f", "-"], check=False, feed=rules)  # a namespace without the daemon
    loaded = accepts(text)
    if loaded.returncode and "queue" in loaded.stderr:  # this kernel has no queue expression
        loaded = accepts(re.sub(r"queue (flags bypass )?to \d+", "accept", text))
    equal((loaded.returncode, loaded.stderr), (0, ""), "nft -f of the printed rules")
    printed, in_force = rules_by_chain(bench.router.outside), rules_by_chain(bench.router.router)
    for chain, count in printed.items():
        # what nft's text can not say stands in comments: endpoint sets, the births' maps, connections with edits
        untold = {"take": 1, "match": 4 if "tcp" in chain else 3, "sipalg": 0}.get(chain.split("_")[0], 0)
        equal(in_force[chain], count + untold, f"rules of chain {chain} in the kernel")


def rules_by_chain(space):
    table = json.loads(space.run(["nft", "-j", "list", "table", "inet", "sipalg"]).stdout)["nftables"]
    chains = {entry["chain"]["name"]: 0 for entry in table if "chain" in entry}
    for entry in table:
        if "rule" in entry:
            chains[entry["rule"]["chain"]] += 1
    return chains


@case("issue, 7")
def unknown_call_is_an_error(bench):
    """`show call` of a call that is not there says so on stderr and fails."""
    result = bench.daemon.ctl("show", "call", "nobody@nowhere", check=False)
    check(result.returncode != 0 and result.stderr.strip(), f"exit {result.returncode}, stderr {result.stderr!r}")


@case("issue, 7", daemon=False)
def sipalgctl_without_daemon(bench):
    """Without a daemon every command ends with a message that names the socket, and with a failure."""
    if not os.path.exists(CTL):
        check(False, CTL + " is missing; build first")
    path = os.path.join(bench.folder, "nobody.sock")
    for command in (*(("show", *what) for what in SHOWS), ("clear", "stats"), ("ruleset",), ("show", "stats", "--json")):
        result = subprocess.run([CTL, "--socket", path, *command], capture_output=True, text=True, timeout=20)
        check(result.returncode != 0, f"{' '.join(command)} ends with 0")
        check(path in result.stderr and not result.stdout, f"{' '.join(command)}: {result.stderr!r} {result.stdout!r}")


GOOD = 'signalling-source = "any"'


@case("issue, 6")
def reload_keeps_calls(bench):
    """SIGHUP with a good file takes effect, with a bad file changes nothing and names the line; calls go on both times."""
    call = Call(bench)
    bench.daemon.configure(GOOD)
    bench.daemon.reload()
    until(lambda: find(bench.daemon.show("config"), "signalling-source") == "any", "the new configuration to hold")
    call.still_talks()
    bench.daemon.configure("no-such-key = 1")
    bench.daemon.reload()
    until(lambda: "sipalgd.toml:4" in bench.daemon.tail(60), lambda: "the log to name the line:\n" + bench.daemon.tail())
    equal(find(bench.daemon.show("config"), "signalling-source"), "any", "signalling-source after a bad file")
    equal(len(bench.daemon.calls()), 1, "calls")
    call.still_talks()
    call.hang_up()


@case("issue, 6", daemon=False)
def bad_configuration_is_refused(bench):
    """`--check` and a start with a bad file fail with one message that names file and line; a good file passes, unless the user who
    is named beside it does not exist."""
    if not os.path.exists(DAEMON):
        check(False, DAEMON + " is missing; build first")
    path = os.path.join(bench.folder, "bad.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write('# a comment\nmedia-ports = "nonsense"\n')
    for arguments in (["--check"], []):
        result = bench.router.router.run([DAEMON, "--config", path, *arguments], check=False)
        check(result.returncode != 0, f"sipalgd {arguments} ends with 0")
        check(f"{path}:2" in result.stderr, f"sipalgd {arguments}: {result.stderr!r}")
    with open(path, "w", encoding="utf-8") as file:
        file.write('media-ports = "20000-30000"\n')
    equal(bench.router.router.run([DAEMON, "--config", path, "--check", "--user", "nobody"], check=False).returncode, 0,
          "--check of a good file")
    result = bench.router.router.run([DAEMON, "--config", path, "--check", "--user", "nosuch"], check=False)
    equal((result.returncode, result.stdout), (1, ""), "--check of a user who does not exist")
    check("there is no user 'nosuch'" in result.stderr, f"sipalgd --check --user nosuch: {result.stderr!r}")


@case("issue, 1")
def way_of_steering_is_shown(bench):
    """Which way the packets are taken (nft queue or the compat target, NFQA_CT or the dynamic map) is logged and shown."""
    force = bench.daemon.show("config")["in_force"]
    way = (force["steering"], force["conntrack_tuples"])
    check(way in (("native", "with-packet"), ("compat", "births")), f"steering: {force}")
    check(f"steering: {way[0]}" in bench.daemon.tail(200), "the log does not say which way")
    if SLOW:
        equal(way[0], "native", "the way on a stock kernel")


def cpu_seconds(bench):
    with open(f"/proc/{bench.daemon.process.pid}/stat", encoding="ascii") as file:
        return sum(int(ticks) for ticks in file.read().rpartition(")")[2].split()[11:13]) / os.sysconf("SC_CLK_TCK")


@case("design 4")
def routes_of_a_routing_daemon_cost_little(bench):
    """With fifty thousand routes, of which one comes and goes all the time, the daemon is idle for the most of it, and knows a new
    inside network and a lost address soon after."""
    router = bench.router.router
    router.run(["ip", "-batch", "-"], feed="".join(f"route add {100 + (n >> 16)}.{(n >> 8) & 255}.{n & 255}.0/24 via {PROXY}\n" for n in range(50_000)))
    time.sleep(1)
    begin, used = time.monotonic(), cpu_seconds(bench)
    while time.monotonic() < begin + 3:
        for what in ("add", "del"):
            router.run(["ip", "route", what, "99.0.0.0/8", "via", PROXY])
    took, used = time.monotonic() - begin, cpu_seconds(bench) - used
    check(used < took / 4, f"{used:.2f} s of processor time in {took:.2f} s")
    router.run(["ip", "route", "add", "10.9.0.0/16", "via", PHONE])
    until(lambda: "10.9.0.0/16" in bench.daemon.show("config")["in_force"]["inside"], "the new inside network", 4)
    router.run(["ip", "addr", "del", WAN + "/24", "dev", "wan0"])
    until(lambda: WAN not in bench.daemon.show("config")["in_force"]["router"], "the lost address", 4)


HELPER = '''
table inet admin_helper {
  ct helper sip-udp { type "sip" protocol udp; }
  chain pre { type filter hook prerouting priority filter; udp dport 5060 ct helper set "sip-udp"; }
}
'''


@case("kernel-facts 3")
def helper_of_the_kernel_is_told(bench):
    """A rule that attaches the kernel's own SIP helper to SIP flows, whenever it was loaded, is told once, with what to do."""
    probe = Probe(bench)
    probe.leaves_as_it_came()
    bench.router.router.nft(HELPER)
    bench.forget_flow()
    for _ in range(2):  # by a kernel that gives no conntrack with a packet it is seen in the flow's second
        probe.leaves_as_it_came()
    until(lambda: "take that rule away" in bench.daemon.tail(60), lambda: "the log to tell:\n" + bench.daemon.tail())
    probe.leaves_as_it_came()
    time.sleep(1.2)
    equal(bench.daemon.tail(200).count("take that rule away"), 1, "how often it is told")


@case("kernel-facts 3", config="workers = 3")
def helper_of_the_kernel_is_told_by_workers(bench):
    """The same with several workers."""
    helper_of_the_kernel_is_told(bench)


NET_ADMIN = "0000000000001000"


@case("issue, 6; kernel-facts 6", user="nobody")
def net_admin_alone_is_enough(bench):
    """As another user than root and with CAP_NET_ADMIN alone the daemon serves a call and leaves nothing behind."""
    uid = str(pwd.getpwnam("nobody").pw_uid)
    equal(bench.daemon.status("Uid"), [uid] * 4, "who the daemon is")
    for key in ("CapEff", "CapPrm", "CapBnd"):
        equal(bench.daemon.status(key), [NET_ADMIN], key)
    registered(bench)
    Call(bench).still_talks()
    bench.router.router.conntrack("-F")
    equal(bench.daemon.stop(), 0, "exit status")
    bench.daemon.leaves_clean()


@case("issue, 6")
def second_daemon_is_refused(bench):
    """A second daemon in the namespace does not start and says why, also with all names and numbers of its own; the call that
    is up keeps its doors, and the first goes on."""
    call = Call(bench)
    own = 'table = "second"\nqueue = 6000\n'
    for keys, text in (("", "stop another sipalgd"), (own, "its table is inet sipalg; stop it first"),
                       (own + 'steering = "manual"\n', "its table is inet sipalg; stop it first")):
        result = second(bench, bench.router.router, f'state = "{bench.folder}/second"\n' + keys)
        equal(result.returncode, 1, f"exit status with {keys!r}")
        check(text in result.stderr, f"with {keys!r}: {result.stderr!r}")
    time.sleep(0.1)
    equal([bench.daemon.counter("kernel", key) for key in ("anchors-repaired", "pinholes-repaired")], [0, 0], "repairs")
    call.still_talks()
    call.hang_up()


def second(bench, namespace, config, control=None):
    """sipalgd, with a control socket of its own unless `control`, for as long as it takes to say that it does not start."""
    path = os.path.join(bench.folder, "second.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'control-socket = "{control or bench.folder + "/second.sock"}"\n{config}')
    return namespace.run([DAEMON, "--config", path], check=False, timeout=20)


@case("issue, 6", accept=OUT)
def second_daemon_needs_its_own_state(bench):
    """In another network namespace a second daemon does not start on the first one's state, and says so; the first one's
    records stay and go on with a restart. With a state of its own it starts beside it."""
    phone, provider, talk = busy(bench)
    result = second(bench, bench.router.outside, f'state = "{bench.folder}/state"\n')
    equal(result.returncode, 1, "exit status")
    check(f"state {bench.folder}/state: another sipalgd uses it" in result.stderr and "its own `state`" in result.stderr, result.stderr)
    result = second(bench, bench.router.outside, f'state = "{bench.folder}/second"\n', bench.daemon.socket)
    check("`control-socket` and `state`" in result.stderr, result.stderr)
    os.mkdir(os.path.join(bench.folder, "beside"))
    beside = bench.keep(Daemon(bench.router.outside, os.path.join(bench.folder, "beside")))
    equal(beside.stop(), 0, "exit status of the one beside it")
    bench.daemon.stop(signal.SIGKILL)
    bench.daemon.start()
    goes_on_behind_a_restart(phone, provider, talk, "restart")


@case("issue, 5")
def client_beyond_the_most_is_told_so(bench):
    """With sixteen silent clients sipalgctl says that there are too many and ends with 1, however often it asks; ten seconds
    later they are gone."""
    with contextlib.ExitStack() as silent:
        for _ in range(16):
            client = silent.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.connect(bench.daemon.socket)
        for _ in range(20):
            result = bench.daemon.ctl("show", "stats", check=False)
            equal((result.returncode, result.stdout), (1, ""), "exit status and output of sipalgctl")
            check("too many clients" in result.stderr and "try again" in result.stderr, f"sipalgctl: {result.stderr!r}")
        until(lambda: bench.daemon.ctl("show", "stats", check=False).returncode == 0, "sipalgctl to be served", 13)
