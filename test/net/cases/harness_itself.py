# SPDX-License-Identifier: GPL-2.0-or-later
# Without the daemon: that scenarios and harness work, and that the tests can fail.
import os
import subprocess

from harness.case import case
from harness.daemon import ROOT
from harness.media import converse
from harness.router import MEDIA, PHONE, WAN
from harness.texts import Caller, provider_on_two_ports
from harness.wait import check, equal


@case("harness", daemon=False, nat=False, open_firewall=True)
def harness_call_without_nat(bench):
    """Through a plain router with an open firewall a SIPp call has audio both ways and passes unchanged, without sipalgd."""
    first, second = provider_on_two_ports(bench, media_address=MEDIA)
    phone, far = bench.inside_party(4000), bench.outside_party(6000, address=MEDIA)
    caller = bench.phone(Caller().call(), call_id="plain@" + PHONE)
    before, after = bench.capture.both("INVITE", "out")
    equal(after.bytes, before.bytes, "the INVITE")
    answer = bench.capture.message("lan0", False, 200, "INVITE")
    equal(answer.media(), (MEDIA, 6000), "the answer's media")
    bench.capture.message("wan0", False, "ACK", dport=5080)
    converse(phone, answer.media(), far, after.media())
    caller.go()
    for program in (caller, second, first):
        program.done()


@case("harness", daemon=False)
def harness_call_needs_the_daemon(bench):
    """Behind masquerade and the default-drop firewall the same call has no ACK, no audio and leaks the inside address."""
    provider_on_two_ports(bench)
    phone, far = bench.inside_party(4000), bench.outside_party(6000)
    bench.phone(Caller().call(), call_id="lost@" + PHONE)
    invite = bench.capture.message("wan0", False, "INVITE")
    equal(invite.packet.source, WAN, "masquerade")
    equal(invite.media(), (PHONE, 4000), "the SDP nobody mapped")
    answer = bench.capture.message("lan0", False, 200, "INVITE")
    bench.capture.message("lan0", True, "ACK", dport=5080)
    phone.talk(answer.media())
    far.talk((WAN, 4000))
    far.hears_nothing(phone)
    phone.hears_nothing(far, 0)
    check(not bench.capture.messages("wan0", False, "ACK"), "the firewall let the ACK to port 5080 out by itself")
    equal(bench.capture.select("lan0", False, destination=PHONE, dport=4000), [], "RTP that came in by itself")


@case("harness", daemon=False, nat=False, ipv6=True, open_firewall=True)
def harness_ipv6(bench):
    """The harness routes and captures IPv6."""
    from harness.router import PHONE_V6, PROXY_V6
    far, phone = bench.outside_party(6000, address=PROXY_V6), bench.inside_party(4000, address=PHONE_V6)
    converse(phone, (PROXY_V6, 6000), far, (PHONE_V6, 4000))
    equal(len(bench.capture.select("wan0", False, destination=PROXY_V6)) > 0, True, "IPv6 in the capture")


@case("harness", daemon=False)
def unknown_test_or_workload_is_an_error(bench):
    """A name that no test or workload has ends test/net/run and test/bench with 2 and tells where the names are, also
    beside one that is known; so does a choice of which the other options leave nothing."""
    del bench
    net, speed = (os.path.join(ROOT, "test", *words) for words in (("net", "run"), ("bench",)))
    commands = ((net, "-k", "no_such_test"), (net, "-k", "harness_ipv6", "-k", "no_such_test"), (net, "--list", "-k", "no_such_test"),
                (speed, "--only", "nobody/trunk"), (speed, "--only", "*/trunk", "--only", "no-such"))
    left_out = ((net, "-k", "silent_call_ends_by", "--fast", "--list"), (speed, "--quick", "--only", "*/refresh"))
    for command in commands + left_out:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        equal((result.returncode, result.stdout), (2, ""), f"{command}: {result.stderr}")
        check("--list" in result.stderr or command in left_out, f"{command}: {result.stderr}")
