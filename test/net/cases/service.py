# SPDX-License-Identifier: GPL-2.0-or-later
# The service switched while calls are up: sipalgctl service add, remove, on, off.
import json
import subprocess

from cases.lifetime import Call
from cases.registration import incoming_call, registered
from harness.case import case
from harness.daemon import CTL
from harness.media import converse
from harness.router import PHONE, PHONE_2, PROXY, REGISTRAR_2, WAN
from harness.sipp import expect, go, send
from harness.texts import Callee, Caller, request
from harness.wait import check, equal, until


def service(bench, *words):
    """The answer's line for UDP."""
    answer = json.loads(bench.daemon.ctl("service", *(words or ("list",)), "--json").stdout)
    return next(line for line in answer["service"] if line["protocol"] == "udp")


class Probe:
    """OPTIONS from the second phone to a provider of its own, each a transaction of its own."""

    def __init__(self, bench, port=5060):
        self.bench, self.port, self.number = bench, port, 0
        bench.listener(bench.router.outside, REGISTRAR_2, port)

    def leaves_as_it_came(self):
        self.number += 1
        name = f"probe-{self.port}-{self.number}@{PHONE_2}"
        text = (f"OPTIONS sip:{REGISTRAR_2}:{self.port} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {PHONE_2}:{self.port};branch=z9hG4bK-{self.port}-{self.number}\r\n"
                f"From: <sip:a@{PHONE_2}>;tag=1\r\nTo: <sip:{REGISTRAR_2}>\r\nCall-ID: {name}\r\nCSeq: 1 OPTIONS\r\n"
                f"Contact: <sip:a@{PHONE_2}:{self.port}>\r\nContent-Length: 0\r\n\r\n").encode()
        self.bench.datagram(self.bench.router.inside, (PHONE_2, self.port), (REGISTRAR_2, self.port), text)
        after = self.bench.capture.message("wan0", False, "OPTIONS", call_id=name)
        mapped = f"Via: SIP/2.0/UDP {WAN}:{self.port};".encode()
        check(after.bytes == text or mapped in after.bytes, f"neither mapped nor as sent:\n{after.bytes}")
        return after.bytes == text


def call_on(bench, port):
    """A call whose signalling has this port at both ends; two-way audio, the phone hangs up."""
    server = bench.provider(Callee(media=6200, contact=f"{PROXY}:{port}").call(), port=port)
    near, far = bench.inside_party(4200, f"phone {port}"), bench.outside_party(6200, f"provider {port}")
    phone = bench.phone(Caller(port=port, media=4200).call(), port=port, remote=(PROXY, port), call_id=f"on-{port}@{PHONE}")
    offer = bench.capture.both("INVITE", "out", call_id=f"on-{port}@{PHONE}")[1]
    equal(offer.media(), (WAN, 4200), "the media endpoint that is offered")
    bench.capture.message("wan0", False, "ACK", call_id=f"on-{port}@{PHONE}")
    converse(near, (PROXY, 6200), far, offer.media())
    phone.go()
    for program in (phone, server):
        program.done()
        bench.end(program)


@case("issue 3, 6", ports=", 5070")
def service_port_is_added_at_once(bench):
    """SIP on port 5070 passes untouched until `service add udp 5070`, and from then on calls there have audio; `service
    list` says what differs from the file."""
    probe = Probe(bench, 5070)
    check(probe.leaves_as_it_came(), "an OPTIONS on port 5070 is mapped before the port is in service")
    line = service(bench, "add", "udp", "5070")
    equal((line["ports"], line["differs"], line["file"]["ports"]), ([5060, 5070], True, [5060]), "the answer to add")
    check(not probe.leaves_as_it_came(), "an OPTIONS on port 5070 leaves untouched after `service add`")
    text = bench.daemon.ctl("service", "list").stdout
    check("5060, 5070" in text and "switched by hand" in text, "service list:\n" + text)
    ruleset = bench.daemon.ctl("ruleset").stdout
    check("{ 5060, 5070 }" in ruleset, "the ruleset does not show the new port:\n" + ruleset)
    call_on(bench, 5070)


@case("issue 3, 6", open_firewall=True)
def service_port_is_removed_without_touching_calls(bench):
    """After `service remove udp 5060` the call that is up keeps its audio through a conntrack flush, its BYE is mapped and
    closes its doors; a new request passes untouched. The last record gone, the kernel brings the port no more."""
    bench.daemon.ctl("service", "add", "udp", "5070")
    call = Call(bench)
    line = service(bench, "remove", "udp", "5060")
    equal((line["ports"], line["draining"]), ([5070], [5060]), "ports in service, and draining")
    check("go on until they end" in bench.daemon.ctl("service", "list").stdout, "service list does not speak of draining")
    before = bench.daemon.counter("packets", "service-off")
    check(Probe(bench).leaves_as_it_came(), "a new OPTIONS on port 5060 is mapped after `service remove`")
    bench.daemon.counts("packets", "service-off", 1, before)
    bench.router.router.conntrack("-F")
    call.still_talks()
    call.hang_up()
    bye = bench.capture.message("wan0", False, "BYE")
    check(bye.header("via").startswith(f"SIP/2.0/UDP {WAN}:5060"), f"the BYE leaves with {bye.header('via')}")
    until(lambda: not bench.daemon.media_doors(), "media doors to close", 2)
    bench.daemon.ctl("clear", "calls")  # else its last transactions hold the port for 32 s
    until(lambda: service(bench)["draining"] == [], lambda: f"port 5060 to be let go: {service(bench)}", 45)
    bench.daemon.ctl("service", "off", "tcp")  # its port is the same
    check("5060 }" not in bench.daemon.ctl("ruleset").stdout, "the kernel still brings port 5060")


@case("issue 3, 6; sip-rules 11")
def service_off_lets_calls_finish(bench):
    """`service off` in the middle of a call: audio goes on, also through a conntrack flush, BYE is mapped and closes the
    doors; a new call leaves untouched, is counted and opens nothing."""
    call = Call(bench)
    equal(service(bench, "off")["on"], False, "on after off")
    call.still_talks()
    doors = len(bench.daemon.doors())
    bench.listener(bench.router.outside, REGISTRAR_2, 5060)
    bench.phone(Caller(PHONE_2, media=4300).call(), PHONE_2, remote=(REGISTRAR_2, 5060), call_id="new@" + PHONE_2)
    before, after = bench.capture.both("INVITE", "out", call_id="new@" + PHONE_2)
    equal(after.bytes, before.bytes, "the new INVITE behind the router")
    bench.daemon.counts("packets", "service-off", 1)
    equal((len(bench.daemon.calls()), len(bench.daemon.doors())), (1, doors), "calls and doors after a new INVITE")
    bench.router.router.conntrack("-F")
    call.still_talks()
    call.hang_up()
    bye = bench.capture.message("wan0", False, "BYE")
    check(bye.header("via").startswith(f"SIP/2.0/UDP {WAN}:5060"), f"the BYE leaves with {bye.header('via')}")
    until(lambda: not bench.daemon.media_doors(), "media doors to close", 2)


@case("issue 3, 6")
def service_off_lets_the_provider_hang_up(bench):
    """The provider's BYE, sent to the Contact it was given, reaches the phone as the phone wrote it, although the service
    is off and the flow forgotten."""
    remember = ('<ereg regexp=".*" search_in="hdr" header="From:" check_it="true" assign_to="caller"/>'
                '<ereg regexp=".*" search_in="hdr" header="To:" check_it="true" assign_to="callee"/>')
    bye = request("BYE", "[next_url]", PROXY + ":5060", "[$callee];tag=b1", "[$caller]", 7, ["[routes]"])
    provider = bench.provider([expect("INVITE", action=remember), Callee().ok(), expect("ACK"), go(), send(bye), expect(200)],
                              call_id="peer@" + PHONE)
    phone = bench.phone(Caller().call_ended_by_peer(), call_id="peer@" + PHONE)
    sent = bench.capture.both("INVITE", "out")[0]
    bench.capture.message("wan0", False, "ACK")
    service(bench, "off")
    bench.forget_flow("--orig-src", PHONE)
    provider.go()
    bye_before, bye_after = bench.capture.both("BYE", "in")
    equal((bye_after.uri, bye_after.header("to")), (f"sip:alice@{PHONE}:5060", sent.header("from")), "the BYE at the phone")
    ok = bench.capture.both(200, "out", "BYE")[1]
    equal(ok.header("to"), bye_before.header("to"), "To of the 200 to BYE at the provider")
    for program in (provider, phone):
        program.done()
    until(lambda: not bench.daemon.media_doors(), "media doors to close", 2)


@case("issue 3, 6")
def service_off_keeps_registrations_until_cleared(bench):
    """A registration that stands when the service goes off is refreshed with its outside Contact, also from a port that no
    door has brought to the queue; after `clear registrations` REGISTER passes untouched, and with no record left no packet
    comes to the queue any more."""
    phone = {"port": 5090, "contact": f"Contact: <sip:alice@{PHONE}:6000>"}
    equal(registered(bench, **phone), (WAN, 6000), "the Contact the registrar sees")
    until(lambda: not [d for d in bench.daemon.doors() if "via" in d["purpose"]], "the doors of the transaction to close", 10)
    equal(service(bench, "off")["draining"], [5060], "draining")
    equal(registered(bench, **phone), (WAN, 6000), "the Contact of the refresh")
    equal(len(bench.daemon.registrations()), 1, "registrations")
    bench.daemon.ctl("clear", "registrations")
    until(lambda: service(bench)["draining"] == [], lambda: f"port 5060 to be let go: {service(bench)}", 40, 0.2)
    queued = bench.daemon.counter("kernel", "queue-packets")
    equal(registered(bench, **phone), (PHONE, 6000), "the Contact after clear registrations")
    equal(bench.daemon.counter("kernel", "queue-packets"), queued, "packets that came to the queue")


@case("issue 3, 6")
def service_on_again(bench):
    """Off with nothing alive the kernel brings nothing; `service on` takes SIP again at once: a phone registers, is called
    and has audio."""
    probe = Probe(bench)
    check(not probe.leaves_as_it_came(), "an OPTIONS leaves untouched while the service is on")
    equal(service(bench, "off", "udp")["on"], False, "on after off")
    check(probe.leaves_as_it_came(), "an OPTIONS is mapped while the service is off")
    check("off" in bench.daemon.ctl("service", "list").stdout, "service list does not say off")
    line = service(bench, "on")
    equal((line["on"], line["ports"], line["draining"], line["differs"]), (True, [5060], [], False), "the answer to on")
    check(not probe.leaves_as_it_came(), "an OPTIONS leaves untouched after `service on`")
    incoming_call(bench, registered(bench))


@case("issue 3, 6")
def service_of_the_file_holds_at_start(bench):
    """A reload leaves what was switched by hand where the file says the same as before, applies what it says differently,
    and touches no call; a restart knows the file alone."""
    call = Call(bench)
    service(bench, "add", "udp", "5070")
    service(bench, "off")
    bench.daemon.configure('signalling-source = "any"')
    bench.daemon.reload()
    until(lambda: bench.daemon.show("config")["config"]["signalling-source"] == "any", "the reload")
    line = service(bench)
    equal((line["on"], line["ports"]), (False, [5060, 5070]), "after a reload that says nothing of the service")
    bench.daemon.configure("[service]\nports = [5062]")
    bench.daemon.reload()
    until(lambda: service(bench)["ports"] == [5062], lambda: f"the file's ports: {service(bench)}")
    line = service(bench)
    equal((line["on"], line["file"], line["draining"]), (False, {"on": True, "ports": [5062]}, [5060]), "after a changed line")
    call.still_talks()
    call.hang_up()
    until(lambda: not bench.daemon.media_doors(), "media doors to close", 2)
    bench.daemon.stop()
    bench.daemon.start()
    line = service(bench)
    equal((line["on"], line["ports"], line["differs"]), (True, [5062], False), "after a restart")


@case("issue 3, 6")
def service_tells_what_is_wrong(bench):
    """Bad words end with 2 and without asking the daemon, what does not fit the service ends with 1; each says what to do,
    and nothing changes."""
    before = service(bench)
    wrong_words = (("add", "udp", "0"), ("add", "udp", "70000"), ("add", "udp", "sip"), ("add", "sctp", "5060"), ("add", "udp"),
                   ("remove", "udp", "5060x"), ("off", "dccp"), ("on", "udp", "5060"), ("restart",), ())
    for words in wrong_words:
        result = subprocess.run([CTL, "--socket", "/nonexistent/sipalg.sock", "service", *words], capture_output=True, text=True,
                                timeout=20)
        equal((result.returncode, bool(result.stderr or result.stdout)), (2, True), f"service {words}: {result.stderr!r}")
    refused = ((("add", "udp", "5060"), "in service already"), (("remove", "udp", "5090"), "not in service"),
               (("add", "tcp", "5060"), "in service already"), (("remove", "tcp", "5090"), "not in service"))
    for words, text in refused:
        result = bench.daemon.ctl("service", *words, check=False)
        equal(result.returncode, 1, f"exit of service {words}: {result.stderr!r}")
        check(text in result.stderr and not result.stdout, f"service {words}: {result.stderr!r}")
    equal(service(bench), before, "the service afterwards")
    for port in range(20001, 20016):
        service(bench, "add", "udp", str(port))
    result = bench.daemon.ctl("service", "add", "udp", "20016", check=False)
    check(result.returncode == 1 and "16 udp ports" in result.stderr, f"a seventeenth port: {result.stderr!r}")
