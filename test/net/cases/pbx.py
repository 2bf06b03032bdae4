# SPDX-License-Identifier: GPL-2.0-or-later
# PBXs inside and home workers outside.
from cases.registration import incoming_call, registered
from harness.case import case
from harness.media import converse
from harness.router import PBX, PHONE, PHONE_2, PROXY, REGISTRAR_2, WAN, WORKER
from harness.texts import Callee, Caller, provider_on_two_ports, register, registrar
from harness.wait import check, equal

# What the administrator of a PBX sets up: SIP comes in, and the firewall lets in what a DNAT rule leads inside.
SIP_IN = f'iifname "wan0" udp dport 5060 dnat ip to {PBX}:5060;'
DNAT_ACCEPT = "ct status dnat accept"
# ... and for a PBX that knows its outside address and expects no help: its media ports too, in both directions
MEDIA_IN = f'iifname "wan0" udp dport 10000-10100 dnat ip to {PBX};'
PBX_OUT = f'iifname "lan0" ip saddr {PBX} accept'


def unchanged(bench, way, *kinds):
    for kind, cseq in kinds:
        before, after = bench.capture.both(kind, way, cseq)
        equal(after.bytes, before.bytes, f"{before}")


@case("1", dnat=SIP_IN + MEDIA_IN, accept=f"{DNAT_ACCEPT}\n    {PBX_OUT}")
def pbx_that_writes_the_outside_address_calls(bench):
    """A PBX inside that writes the router's address itself calls out: no byte changes in either direction, audio flows."""
    caller = Caller(WAN, media=10000, user="100")
    far = provider_on_two_ports(bench)
    pbx = bench.phone(caller.call(), PBX, call_id="pbx-out@example.com")
    near, out = bench.inside_party(10000, "pbx", PBX), bench.outside_party(6000)
    answer = bench.capture.message("lan0", False, 200, "INVITE")
    converse(near, answer.media(), out, (WAN, 10000))
    pbx.go()
    for program in (pbx, *far):
        program.done()
    unchanged(bench, "out", ("INVITE", None), ("ACK", None), ("BYE", None))
    unchanged(bench, "in", (180, None), (200, "INVITE"), (200, "BYE"))


@case("1", dnat=SIP_IN + MEDIA_IN, accept=f"{DNAT_ACCEPT}\n    {PBX_OUT}")
def pbx_that_writes_the_outside_address_is_called(bench):
    """A PBX inside that writes the router's address itself is called: no byte changes in either direction, audio flows."""
    callee = Callee(WAN, 10000, user="100")
    pbx = bench.phone_waits(callee.call(), PBX)
    provider = bench.caller(Caller(PROXY, media=6000, to=WAN).call(), (WAN, 5060), call_id="pbx-in@example.com")
    near, out = bench.inside_party(10000, "pbx", PBX), bench.outside_party(6000)
    bench.capture.message("lan0", False, "ACK")
    converse(out, (WAN, 10000), near, (PROXY, 6000))
    provider.go()
    for program in (provider, pbx):
        program.done()
    unchanged(bench, "in", ("INVITE", None), ("ACK", None), ("BYE", None))
    unchanged(bench, "out", (180, None), (200, "INVITE"), (200, "BYE"))


@case("1, 5, 8", dnat=SIP_IN, accept=DNAT_ACCEPT)
def pbx_behind_dnat_is_called(bench):
    """A PBX that knows only its inside address is called through a DNAT rule: its Contact and SDP are mapped, RTP and RTCP
    flow both ways, the provider's BYE comes back to its Contact's bytes."""
    pbx = bench.phone_waits(Callee(PBX, 4000, user="100").call(), PBX)
    provider = bench.caller(Caller(PROXY, media=6000, to=WAN).call(proxied=True), (WAN, 5060), call_id="dnat@example.com")
    near, out = bench.inside_party(4000, "pbx", PBX), bench.outside_party(6000)
    before, after = bench.capture.both("INVITE", "in")
    equal(after.bytes, before.bytes, "the INVITE at the PBX")
    answer = bench.capture.both(200, "out", "INVITE")[1]
    equal(answer.header("contact"), f"<sip:100@{WAN}:5060>", "the PBX's Contact at the provider")
    equal(answer.media()[0], WAN, "the PBX's media address at the provider")
    check(PBX not in answer.body, "an inside address in the SDP: " + answer.body)
    bench.capture.message("lan0", False, "ACK")
    converse(out, answer.media(), near, (PROXY, 6000))
    equal(out.rtp.sources("pbx"), {answer.media()}, "the port the PBX's RTP leaves from")
    provider.go()
    bye = bench.capture.both("BYE", "in")[1]
    equal(bye.uri, f"sip:100@{PBX}:5060", "the BYE's Request-URI at the PBX")
    for program in (provider, pbx):
        program.done()


def worker_sends(bench, steps, call_id):
    """The home worker: his own NAT gave him WORKER:40000, his texts carry an address of the same range as our phones."""
    return bench.caller(steps, (WAN, 5060), WORKER, 40000, call_id=call_id)


@case("1", dnat=SIP_IN, accept=DNAT_ACCEPT)
def home_worker_registers_and_calls(bench):
    """A home worker whose private range equals ours registers to the PBX behind DNAT and calls: his Via, Contact and SDP
    are never touched, although they equal the address of a phone inside that has doors, and he has audio."""
    registered(bench, PHONE_2, registrar_address=REGISTRAR_2)
    pbx = bench.phone_waits(registrar(), PBX)
    worker = worker_sends(bench, register(PHONE_2, 5060, "worker", WAN), "worker-reg@home")
    for program in (worker, pbx):
        program.done()
        bench.end(program)
    unchanged(bench, "in", ("REGISTER", None))
    sent = bench.capture.messages("wan0", True, "REGISTER", source=WORKER)[0]
    answer = bench.capture.both(200, "out", "REGISTER")[1]
    for header in ("via", "from", "call-id", "cseq"):
        equal(answer.headers(header), sent.headers(header), header + " at the worker")
    equal(answer.header("contact"), sent.header("contact") + ";expires=3600", "Contact at the worker")
    pbx = bench.phone_waits(Callee(PBX, 4000, user="100").call(), PBX)
    worker = worker_sends(bench, Caller(PHONE_2, media=4400, to=WAN, user="worker").call(proxied=True), "worker-call@home")
    near, out = bench.inside_party(4000, "pbx", PBX), bench.outside_party(40400, "worker", WORKER)
    bench.capture.message("lan0", False, "ACK", call_id="worker-call@home")
    unchanged(bench, "in", ("INVITE", None))
    equal(bench.capture.both("ACK", "in")[1].uri, f"sip:100@{PBX}:5060", "the ACK's Request-URI at the PBX")
    invite, answer = bench.capture.messages("wan0", True, "INVITE")[0], bench.capture.both(200, "out", "INVITE")[1]
    equal(answer.headers("via"), invite.headers("via"), "Via at the worker")
    equal(answer.header("contact"), f"<sip:100@{WAN}:5060>", "the PBX's Contact at the worker")
    converse(out, answer.media(), near, (WORKER, 40400))
    worker.go()
    for program in (worker, pbx):
        program.done()


@case("5", dnat=SIP_IN, accept=DNAT_ACCEPT)
def pbx_and_phone_share_the_port(bench):
    """A PBX on a DNAT rule for port 5060 and a phone registered elsewhere from port 5060 are both reachable."""
    trunk_call(bench, "trunk-1")
    contact = registered(bench, PHONE, registrar_address=REGISTRAR_2)
    incoming_call(bench, contact, PHONE, media=4200, source=REGISTRAR_2)
    bench.forget_flow("--orig-src", PHONE)
    bench.forget_flow("--orig-src", REGISTRAR_2)
    trunk_call(bench, "trunk-2")
    incoming_call(bench, contact, PHONE, media=4300, source=REGISTRAR_2, far=6300)
    trunk_call(bench, "trunk-3")


def trunk_call(bench, call_id):
    pbx = bench.phone_waits(Callee(PBX, 4000, user="100").call(), PBX)
    provider = bench.caller(Caller(PROXY, media=6000, to=WAN).call(proxied=True), (WAN, 5060), call_id=call_id)
    invite = bench.capture.message("lan0", False, "INVITE", call_id=call_id)
    equal(invite.packet.destination, PBX, f"who gets the trunk's call {call_id}")
    bench.capture.message("lan0", False, "ACK", call_id=call_id)
    provider.go()
    for program in (provider, pbx):
        program.done()
        bench.end(program)
