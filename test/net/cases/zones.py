# SPDX-License-Identifier: GPL-2.0-or-later
# The inspection policy between zones: what `sipalgctl firewall` makes of it, with real traffic.
import json
import os
import signal
import subprocess

from cases.firewall_only import call, nothing_changed
from cases.lifetime import Call
from cases.registration import incoming_call, registered
from cases.service import call_on
from harness.case import case
from harness.daemon import DAEMON
from harness.firewall import ZoneFirewall, bound, ping, policy
from harness.router import LAN, PHONE, PHONE_V6, PROXY, PROXY_V6, SERVER, WAN, WAN_V6
from harness.wait import PATIENCE, check, equal, until

TWO = {"lan": "lan0", "wan": "wan0"}
THREE = {**TWO, "dmz": "dmz0"}
CALLS = policy(TWO, ("lan", "wan", "sip"))
# root's files, and none of its powers: the build may stand where only root can read it
POWERLESS = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all")
OPEN = {"open_firewall": True}  # the zone firewall judges alone


@case("issue 7", config=CALLS, **OPEN)
def zone_pair_with_inspect_carries_a_call(bench):
    """With inspect = ["sip"] from lan to wan and nothing else, a masqueraded call has audio both ways and its requests reach
    a Contact on port 5080, through `conntrack -F` too; a registered phone is called from wan after its flow is forgotten; no
    other port passes."""
    zones = ZoneFirewall(bench)
    contact = registered(bench)
    bench.forget_flow("--orig-src", PHONE)
    incoming_call(bench, contact, media=4100, far=6100)
    talk = Call(bench)
    bench.router.router.conntrack("-F")
    talk.still_talks()
    talk.hang_up()
    inside, outside = bench.router.inside, bench.router.outside
    zones.drops((inside, PHONE, 7000), (outside, PROXY, 7000))
    outside.run(["ip", "route", "add", "10.0.0.0/24", "via", WAN])  # a neighbour who tries
    zones.drops((outside, PROXY, 7001), (inside, PHONE, 5060))


@case("issue 7", nat=False, ipv6=True, config='inside = ["fd00::/64"]\n' + policy({"lan": "lan*", "wan": "wan*"}, ("lan", "wan", "sip")),
      **OPEN)
def zone_pair_carries_a_call_over_ipv6(bench):
    """The same over IPv6 without NAT, with the interfaces named by patterns: not one byte changes."""
    zones = ZoneFirewall(bench)
    call(bench, PHONE_V6, PROXY_V6)
    nothing_changed(bench)
    zones.drops((bench.router.inside, PHONE_V6, 7000), (bench.router.outside, PROXY_V6, 7000))
    zones.drops((bench.router.outside, PROXY_V6, 7000), (bench.router.inside, PHONE_V6, 7000))


@case("issue 7", nat=False, dmz=True, daemon=False, **OPEN)
def zones_without_a_pair_drop(bench):
    """Between zones that no pair joins nothing passes, in either direction, SIP ports included; what a pair inspects passes
    with its answers, in the pair's direction."""
    zones = ZoneFirewall(bench, policy(THREE, ("lan", "wan", "sip dns")))
    lan, wan, dmz = (bench.router.inside, PHONE), (bench.router.outside, PROXY), (bench.router.dmz, SERVER)
    for port in (5060, 7000):
        for source, target in ((lan, dmz), (dmz, lan), (wan, dmz), (dmz, wan), (wan, lan)):
            zones.drops((*source, 7000), (*target, port))
    zones.passes((*lan, 7002), (*wan, 53))
    zones.passes((*wan, 53), (*lan, 7002))  # the answer
    zones.passes((*lan, 7002), (*wan, 5060))
    zones.drops((*lan, 7002), (*wan, 5070))


@case("issue 7", nat=False, dmz=True, daemon=False, **OPEN)
def inside_one_zone_passes(bench):
    """Within one zone everything passes, between two interfaces too; an interface in no zone reaches none, and is reached by
    none, until it is alone with others of its kind."""
    lan, wan, dmz = (bench.router.inside, PHONE), (bench.router.outside, PROXY), (bench.router.dmz, SERVER)
    zones = ZoneFirewall(bench, policy({"office": "lan0 dmz0"}))
    for source, target in ((lan, dmz), (dmz, lan)):
        zones.passes((*source, 7000), (*target, 7001))
    for source, target in ((lan, wan), (wan, dmz)):
        zones.drops((*source, 7002), (*target, 7002))
    zones.write(policy({"wan": "wan0"}))
    zones.apply()
    zones.passes((*lan, 7003), (*dmz, 7003))
    zones.drops((*lan, 7003), (*wan, 7003))


@case("issue 7", nat=False, daemon=False, **OPEN)
def icmp_errors_return_through_a_pair(bench):
    """A phone learns that its provider's port is closed: ICMP errors about what a pair let through pass back, pings do not."""
    zones = ZoneFirewall(bench, CALLS)
    with bound(bench.router.inside, PHONE, 5060) as phone:
        phone.connect((PROXY, 5060))
        phone.settimeout(3 * PATIENCE)
        phone.send(b"anybody there?")
        try:
            phone.recv(100)
            check(False, "somebody answered")
        except ConnectionRefusedError:
            pass
    before = zones.dropped()
    check(not ping(bench.router.inside, PROXY, 0.3), "a ping passed")
    check(zones.dropped() > before, "the ping was not dropped here")
    zones.write(policy(TWO, ("lan", "wan", "icmp")))
    zones.apply()
    check(ping(bench.router.inside, PROXY, 3 * PATIENCE), "no ping passes a pair that inspects icmp")


@case("issue 7", dmz=True, **OPEN)
def related_of_another_pair_is_dropped(bench):
    """A door that a call from lan to wan opens for everybody's media does not let dmz in, neither without a pair nor by one
    that inspects no SIP, and the call goes on; by a pair that inspects SIP a media server in dmz is heard."""
    talk = Call(bench)
    bench.router.router.conntrack("-D", "--orig-src", SERVER)
    server = bench.media.party(bench.router.dmz, SERVER, 7000, "dmz")
    server.talk((WAN, 4000))
    talk.near.hears(server)  # without the zone firewall, and with the `related` of all, the door is anybody's
    zones = ZoneFirewall(bench, policy(THREE, ("lan", "wan", "sip")))
    for pairs in ([], [("dmz", "lan", "tcp icmp")], [("lan", "dmz", "tcp udp")]):
        zones.write(policy(THREE, ("lan", "wan", "sip"), *pairs))
        zones.apply()
        until(lambda: zones.dropped() > 3, "packets from dmz to be dropped")
        talk.near.hears_nothing(server)
        talk.still_talks()
    zones.write(policy(THREE, ("lan", "wan", "sip"), ("lan", "dmz", "sip")))
    zones.apply()
    talk.near.hears(server)
    talk.still_talks()


@case("issue 7", ipv6=True, daemon=False, **OPEN)
def self_is_the_router(bench):
    """The router itself is open until a pair names self; then only what that pair inspects reaches it from that zone, while
    answers, neighbour discovery and the other zones go on; pairs from self bind the router's own traffic."""
    lan, wan, router = bench.router.inside, bench.router.outside, bench.router.router
    at_wan, at_lan = (router, WAN, 7000), (router, LAN, 7000)
    zones = ZoneFirewall(bench, CALLS)
    zones.passes((wan, PROXY, 7000), at_wan)
    zones.passes(at_wan, (wan, PROXY, 7001))
    zones.write(CALLS + policy({}, ("wan", "self", "icmp"), ("self", "wan", "dns")))
    zones.apply()
    zones.drops((wan, PROXY, 7002), at_wan, "pair.wan.self")
    zones.drops((router, WAN, 7003), (wan, PROXY, 7003), "pair.self.wan")
    zones.passes((router, WAN, 7003), (wan, PROXY, 53))
    zones.passes((wan, PROXY, 53), (router, WAN, 7003))  # the answer
    zones.passes((lan, PHONE, 7004), at_lan)
    zones.passes(at_lan, (lan, PHONE, 7005))
    with bound(router, WAN, 7006) as listening:  # the router and its own address
        listening.sendto(b"to myself", (WAN, 7006))
        listening.settimeout(3 * PATIENCE)
        equal(listening.recv(100), b"to myself", "what the router sent itself")
    for namespace in (router, wan):
        namespace.run(["ip", "neigh", "flush", "all"])
        namespace.run(["ip", "-6", "neigh", "flush", "all"])
    for address in (WAN, WAN_V6):
        check(ping(wan, address, 3 * PATIENCE), f"{address} does not answer pings from wan")
    router.run(["ip", "-6", "neigh", "flush", "all"])
    zones.passes((router, WAN_V6, 7007), (wan, PROXY_V6, 53))


@case("issue 7", config=CALLS, **OPEN)
def firewall_apply_is_atomic(bench):
    """Twenty times --apply during a call: not one RTP packet is lost, and the table is what nft makes of the printed text.
    An --apply that fails, by a bad file or for want of rights, leaves the loaded firewall as it is; --remove takes it away."""
    zones = ZoneFirewall(bench)
    talk = Call(bench)
    for _ in range(20):
        zones.apply()
    talk.still_talks()
    for party in (talk.near, talk.far):
        party.hush()
    for party, other in ((talk.near, talk.far), (talk.far, talk.near)):
        until(lambda p=party, o=other: o.rtp.heard(p.rtp.name) == p.rtp.sent,
              lambda p=party, o=other: f"all {p.rtp.sent} packets of {p.name}, heard {o.rtp.heard(p.rtp.name)}")
    loaded = zones.listed()
    check("pair.lan.wan" in loaded, "the table:\n" + loaded)
    bench.router.router.nft(zones.ctl("--config", zones.file).stdout)
    equal(zones.listed(), loaded, "the table that nft makes of the printed text")
    refused = zones.ctl("--config", zones.file, "--apply", fails=True, wrapper=POWERLESS)
    check("use sudo" in refused.stderr, refused.stderr)
    zones.write(CALLS.replace('"wan0"', '"wan0", "lan0"'))
    zones.ctl("--config", zones.file, "--apply", fails=True)
    zones.write("")
    check("has no zones" in zones.ctl("--config", zones.file, "--apply", fails=True).stderr, "a policy without zones")
    equal(zones.listed(), loaded, "the table after --apply was refused")
    for _ in range(2):
        zones.ctl("--remove")
        equal(zones.listed(), "", "the table after --remove")


@case("issue 3, 6", config=CALLS, ports=", 5070", **OPEN)
def service_port_is_let_through_the_zones(bench):
    """`service add udp 5070` tells, as text, as JSON and in the log, that the loaded zone firewall lets no SIP begin there, until
    `firewall --apply` has put it in; printed and loaded rules have the ports in service, those of the file among them; with the
    daemon gone those of the file alone."""
    told = "lets no SIP begin on port 5070"

    def service(*words):
        answer = bench.daemon.ctl("service", *words).stdout
        return told in answer, json.loads(bench.daemon.ctl("service", "list", "--json").stdout)["zone_firewall"]

    equal(service("add", "udp", "5070"), (False, {"loaded": False, "lacks": []}), "told without a zone firewall")
    bench.daemon.ctl("service", "remove", "udp", "5070")
    zones = ZoneFirewall(bench)
    equal(service("list"), (False, {"loaded": True, "lacks": []}), "told with the file's ports alone")
    equal(service("add", "udp", "5070"), (True, {"loaded": True, "lacks": [5070]}), "the answer to add")
    check(told in bench.daemon.tail(5), "no warning in the log:\n" + bench.daemon.tail())
    phone, provider = (bench.router.inside, PHONE, 7000), (bench.router.outside, PROXY)
    zones.drops(phone, (*provider, 5070))
    printed = zones.ctl("--config", zones.file)
    check("5060, 5070" in printed.stdout and "note: with port 5070" in printed.stderr, printed.stdout + printed.stderr)
    zones.apply()
    zones.passes(phone, (*provider, 5070))
    equal(service("list"), (False, {"loaded": True, "lacks": []}), "told after --apply")
    call_on(bench, 5070)
    bench.daemon.ctl("service", "remove", "udp", "5060")  # no service, but no bar either
    zones.apply()
    zones.passes(phone, (*provider, 5060))
    bench.daemon.stop()
    zones.apply()
    zones.drops(phone, (*provider, 5070))


@case("issue 7", daemon=False)
def firewall_that_another_program_owns_stays(bench):
    """--apply and --remove onto a table of that name that another program owns fail with one line that says so."""
    zones, router = ZoneFirewall(bench, CALLS), bench.router.router
    zones.ctl("--remove")
    owner = router.popen(["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        owner.stdin.write("add table inet sipalg_zones { flags owner; }\n")
        owner.stdin.flush()
        until(zones.listed, "the other program's table")
        for words in (("--config", zones.file, "--apply"), ("--remove",)):
            told = zones.ctl(*words, fails=True).stderr.splitlines()[-1]
            errors = [line for line in zones.ctl(*words, fails=True).stderr.splitlines() if "interface" not in line]
            equal(len(errors), 1, f"lines of errors: {errors}")
            check("another program owns the table" in told and "sudo" not in told, told)
    finally:
        owner.stdin.close()
        owner.wait(10)


@case("issue 7", config=CALLS)
def bad_zone_is_refused_with_its_line(bench):
    """A bad interface or zone name is refused by sipalgctl firewall and sipalgd --check alike, with file, line and cure."""
    zones = ZoneFirewall(bench)
    for text, line, told in ((CALLS.replace("lan0", "lan0:1"), 2, "`lan0:1`: it is an address alias"),
                             (CALLS.replace("lan0", "a-name-with-more"), 2, "more than 15 characters"),
                             (CALLS.replace('["lan0"]', '["wan0"]'), 4, "is in a zone already: `wan0` of zone `lan` (line 2)"),
                             (CALLS.replace("zone.lan", "zone.'l n'", 1), 1, "bad zone name `l n`"),
                             (CALLS.replace('source = "lan"', 'source = "lna"'), 6, "there is no zone `lna`; did you mean `lan`?"),
                             (CALLS.replace('"sip"', '"spi"'), 8, "nothing is known of `spi`; known are sip,")):
        zones.write(text)
        printed = zones.ctl("--config", zones.file, fails=True)
        equal(printed.stdout, "", "printed for a bad file")
        checked = bench.router.router.run([DAEMON, "--check", "--config", zones.file], check=False)
        for result in (printed, checked):
            equal(result.returncode, 1, "the exit status")
            errors = [error for error in result.stderr.splitlines() if error.startswith(f"{zones.file}:{line}:") and told in error]
            check(errors, f"no error of line {line} with {told!r} in:\n{result.stderr}")
    zones.write(CALLS.replace("wan0", "wan7"))
    warned = zones.ctl("--config", zones.file)
    check(f"{zones.file}:4: warning: there is no interface wan7 now" in warned.stderr, warned.stderr)
    check('"wan7"' in warned.stdout, "rules for an interface that may come later")


@case("issue 7", config=CALLS, **OPEN)
def firewall_survives_the_daemon(bench):
    """When the daemon is killed the zone firewall stands: SIP passes unmodified, nothing else begins to."""
    zones = ZoneFirewall(bench)
    before = zones.listed()
    bench.daemon.stop(signal.SIGKILL)
    equal(zones.listed(), before, "the table after the daemon's death")
    zones.passes((bench.router.inside, PHONE, 7000), (bench.router.outside, PROXY, 5060))
    zones.drops((bench.router.inside, PHONE, 7000), (bench.router.outside, PROXY, 7000))


@case("issue 7", daemon=False)
def firewall_is_printed_without_root_or_daemon(bench):
    """`sipalgctl firewall` needs neither: without any capability it prints every policy of test/golden, the same each time, and nft takes it."""
    golden = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "golden", "zones")
    zones = ZoneFirewall(bench, CALLS)
    names = sorted(name for name in os.listdir(golden) if name.endswith(".toml"))
    check(len(names) >= 3, f"policies: {names}")
    for name in names:
        with open(os.path.join(golden, name), encoding="utf-8") as file:
            zones.write(file.read())
        printed = [zones.ctl("--config", zones.file, wrapper=POWERLESS).stdout for _ in range(2)]
        equal(printed[0], printed[1], "printed twice")
        bench.router.outside.run(["nft", "-c", "-f", "-"], feed=printed[0])
    equal(bench.router.outside.run(["nft", "list", "tables"]).stdout, "", "tables after printing and checking alone")
