# SPDX-License-Identifier: GPL-2.0-or-later
# The command lines of sipalgctl and sipalgd: what is printed, where, and with which exit status.
import os
import re
import socket
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor

from cases.zones import CALLS, POWERLESS
from harness.case import case
from harness.daemon import CTL, DAEMON, ROOT
from harness.wait import check, equal

ENDS = ("--inside", "10.0.0.2", "--outside", "203.0.113.1", "--peer", "203.0.113.2")
NAT = ("--inside", "10.0.0.0/24", "--outside", "203.0.113.1")
MESSAGE = b"OPTIONS sip:203.0.113.2 SIP/2.0\r\n"  # what is wrong with it is told, which is enough here
RAW_IP = 101


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output="stdout" not in options,
                          stderr=subprocess.PIPE if "stdout" in options else None, timeout=20, check=False, **options)


def empty_capture(folder):
    path = os.path.join(folder, "empty.pcap")
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65575, RAW_IP))
    return path


def printing(bench, capture):
    """What prints, whether it asks the daemon or not."""
    asking = (CTL, "--socket", bench.daemon.socket)
    return ((*asking, "show", "stats"), (*asking, "show", "stats", "--json"), (*asking, "ruleset"), (CTL, "--help"), (CTL, "--version"),
            (CTL, "firewall", "--config", bench.daemon.config), (CTL, "explain", *ENDS), (CTL, "explain", *ENDS, "--json"),
            (CTL, "explain", *ENDS, "--output", "-"), (CTL, "replay", capture, *NAT), (CTL, "replay", capture, *NAT, "--output", "-"),
            (DAEMON, "--check", "--config", bench.daemon.config), (DAEMON, "--help"))


@case("command line", config=CALLS)
def output_that_is_lost_is_told(bench):
    """What can not be written to standard output, because the disk is full or it is closed, is told and ends with 1."""
    capture = empty_capture(bench.folder)
    for command in printing(bench, capture):
        with open("/dev/full", "wb") as full:
            result = run(*command, stdout=full, input=MESSAGE)
        equal((result.returncode, b"could not be written" in result.stderr), (1, True), f"{command} on a full disk: {result.stderr}")
        closed = run("sh", "-c", 'exec "$@" >&-', "sh", *command, input=MESSAGE)
        equal((closed.returncode, b"written" in closed.stderr), (1, True), f"{command} without standard output: {closed.stderr}")
    written = os.path.join(bench.folder, "written.pcap")
    run("sh", "-c", 'exec "$@" >&-', "sh", CTL, "replay", capture, *NAT, "--output", written)
    equal(os.path.getsize(written), os.path.getsize(capture), "bytes of a capture that could have got the text, too")


@case("command line", config=CALLS)
def firewall_tells_that_the_daemon_can_not_be_asked(bench):
    """`sipalgctl firewall` tells when a daemon is there and does not answer, why, and what to do; without a daemon it is silent."""
    command = (CTL, "firewall", "--config", bench.daemon.config)
    asked = run(*command)
    check(b"could not be asked" not in asked.stderr, f"told although it answers: {asked.stderr}")
    os.chown(bench.daemon.socket, 65534, 65534)
    refused = run(*POWERLESS, *command)
    equal((refused.returncode, refused.stdout), (0, asked.stdout), "the rules of the file")
    for words in (b"could not be asked", b"Permission denied", b"join the group sipalg"):
        check(words in refused.stderr, f"no {words} in {refused.stderr}")
    with open(os.path.join(ROOT, "systemd", "sipalg-firewall.service"), encoding="utf-8") as unit:
        kept = re.search(r"^CapabilityBoundingSet=(.*)$", unit.read(), re.M).group(1).lower().replace("cap_", "+").split()
    as_unit = run("setpriv", "--bounding-set", ",".join(["-all", *kept]), "--inh-caps", "-all", *command)
    equal((as_unit.returncode, as_unit.stderr), (0, asked.stderr), "asked with the unit's capabilities")
    bench.daemon.stop()
    gone = run(*command)
    equal((gone.returncode, b"could not be asked" in gone.stderr), (0, False), f"without a daemon: {gone.stderr}")
    with socket.socket(socket.AF_UNIX) as listening:  # one that takes the question and ends
        listening.bind(bench.daemon.socket)
        listening.listen()
        listening.settimeout(20)
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(run, *command)
            listening.accept()[0].close()
        check(b"could not be asked" in asking.result().stderr, f"a daemon that ends: {asking.result().stderr}")


@case("command line", config=CALLS)
def socket_that_is_named_is_asked(bench):
    """`--socket` before or behind `firewall` names the daemon that is asked for its ports, and it is told when nobody answers there;
    explain and replay, which ask nobody, refuse it."""
    bench.daemon.ctl("service", "add", "udp", "5070")
    path = os.path.join(bench.folder, "zones.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write('control-socket = "/nonexistent/control.sock"\n' + CALLS)
    check(b"5070" not in run(CTL, "firewall", "--config", path).stdout, "the port of a daemon that was not named")
    for words in (("--socket", bench.daemon.socket, "firewall"), ("firewall", "--socket", bench.daemon.socket)):
        result = run(CTL, *words, "--config", path)
        equal((result.returncode, b"5060, 5070" in result.stdout), (0, True), f"{words}: {result.stderr}")
    nobody = run(CTL, "--socket", "/nonexistent/sipalg.sock", "firewall", "--config", path)
    check(b"/nonexistent/sipalg.sock" in nobody.stderr, f"a socket that is not there: {nobody.stderr}")
    for words in (("explain", *ENDS), ("replay", empty_capture(bench.folder), *NAT)):
        result = run(CTL, "--socket", bench.daemon.socket, *words, input=MESSAGE)
        equal((result.returncode, result.stdout), (2, b""), f"exit and output of {words}")
        check(b"leave --socket out" in result.stderr, f"{words}: {result.stderr}")


@case("command line", daemon=False)
def standard_output_has_one_thing(bench):
    """With `--output -` explain and replay print the bytes or the capture alone; that and `--json` at once are refused."""
    capture = empty_capture(bench.folder)
    explained = run(CTL, "explain", *ENDS, "--output", "-", input=MESSAGE)
    equal((explained.returncode, explained.stdout), (0, MESSAGE), "explain as a filter")
    with open(capture, "rb") as file:
        whole = file.read()
    replayed = run(CTL, "replay", "-", *NAT, "--output", "-", input=whole)
    equal((replayed.returncode, replayed.stdout), (0, whole), "replay as a filter")
    for words in (("explain", *ENDS), ("replay", capture, *NAT)):
        result = run(CTL, *words, "--output", "-", "--json", input=MESSAGE)
        equal((result.returncode, result.stdout), (2, b""), f"exit and output of {words} with --json")
        check(b"--json and --output -" in result.stderr, f"{words}: {result.stderr}")
        file = os.path.join(bench.folder, "written")
        both = run(CTL, *words, "--output", file, "--json", input=MESSAGE)
        equal((both.returncode, both.stdout[:1] in (b"[", b"{"), os.path.getsize(file) > 0), (0, True, True), f"{words} to a file")


@case("command line", daemon=False)
def second_address_of_a_family_is_refused(bench):
    """`replay --outside` twice for one family ends with 2; once for each is taken."""
    replay = (CTL, "replay", empty_capture(bench.folder), *NAT, "--outside")
    for second in ("203.0.113.7", "203.0.113.1"):
        result = run(*replay, second)
        equal((result.returncode, b"second address of its family" in result.stderr), (2, True), f"{second}: {result.stderr}")
    equal(run(*replay, "2001:db8::1").returncode, 0, "one of each family")


@case("command line", daemon=False)
def word_that_is_no_command_is_told(bench):
    """A word that is no command is named, with where to look; and every `sipalgctl ...` that README and manual pages name is one."""
    for words, word, where in ((["statistics"], "statistics", "sipalgctl --help"), (["show", "ruleset"], "ruleset", "sipalgctl show --help"),
                               (["service", "stop", "udp"], "stop", "sipalgctl service --help")):
        result = run(CTL, *words, text=True)
        equal((result.returncode, f"'{word}'" in result.stderr and f"`{where}`" in result.stderr), (2, True), f"{words}: {result.stderr!r}")
    for name in ("README.md", "alg/daemon/sipalgd.8", "alg/daemon/sipalgd.toml.5", "cli/sipalgctl.1", "systemd/sipalgd.toml"):
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            for command in re.findall(r"(?:Ql |`|    |sudo )sipalgctl((?: [a-z]+)+)", file.read()):
                words = command.split()[:2 if command.split()[0] in ("show", "clear", "service") else 1]
                result = run(CTL, *words, text=True, stdin=subprocess.DEVNULL)
                check("no command" not in result.stderr, f"{name}: {result.stderr}")
