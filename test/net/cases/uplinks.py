# SPDX-License-Identifier: GPL-2.0-or-later
# A router with two ways out: what becomes of phones and calls when the first one fails.
import time

from cases.firewall_only import call
from cases.registration import incoming_call
from harness.case import case
from harness.media import converse
from harness.router import CARRIER, GATEWAY_2, PHONE, PHONE_2, PROXY, WAN, WAN_2
from harness.scripted import request as message, response
from harness.texts import register, registrar, sdp
from harness.wait import check, equal, until

TWO = {"second_uplink": True}


def registers(bench, wan, number=0):
    """Registers at the carrier and returns the Contact that it sees."""
    server = bench.provider(registrar(), CARRIER)
    phone = bench.phone(register(registrar=CARRIER), remote=(CARRIER, 5060))
    for program in (phone, server):
        program.done()
        bench.end(program)
    return bench.capture.message(wan, False, "REGISTER", number=number).contact()


@case("kernel-facts 3; 5", **TWO)
def phone_follows_to_the_other_uplink(bench):
    """The first of two uplinks fails: the phone's next REGISTER leaves by the second with that one's address, though the door of
    the first still stands, and it is called there. The same on the way back."""
    equal(registers(bench, "wan0"), (WAN, 5060), "the Contact at the carrier")
    bench.forget_flow("--orig-src", PHONE)
    equal(registers(bench, "wan0", 1), (WAN, 5060), "the Contact at the carrier")
    bench.router.fail_over()
    contact = registers(bench, "wan1")
    equal(contact, (WAN_2, 5060), "the Contact at the carrier after the first uplink failed")
    incoming_call(bench, contact, source=CARRIER, wan="wan1")
    bench.router.fail_back()
    contact = registers(bench, "wan0", 2)
    equal(contact, (WAN, 5060), "the Contact at the carrier when the first uplink is back")
    incoming_call(bench, contact, source=CARRIER, media=4200, far=6200)
    check(bench.daemon.counter("events", "flows-rerouted") >= 1, "nothing is counted")


@case("kernel-facts 3; 5", config="workers = 3", **TWO)
def phone_of_a_worker_follows_to_the_other_uplink(bench):
    """The same with several workers."""
    phone_follows_to_the_other_uplink(bench)


@case("kernel-facts 3; 5", **TWO)
def phone_that_was_called_follows_to_the_other_uplink(bench):
    """The same when the flow that lives is one that the carrier began, through the phone's door: the phone's requests would stay in
    it, and with them the address of the uplink that failed."""
    contact = registers(bench, "wan0")
    bench.forget_flow("--orig-src", PHONE)
    incoming_call(bench, contact, source=CARRIER)
    bench.router.fail_over()
    contact = registers(bench, "wan1")
    equal(contact, (WAN_2, 5060), "the Contact at the carrier after the first uplink failed")
    incoming_call(bench, contact, source=CARRIER, wan="wan1", media=4200, far=6200)


def raw_invite(number, media=4000, call="raw", host=PHONE):
    return message("INVITE", number, uri=f"sip:bob@{CARRIER}", via=f"{host}:5060", call_id=f"{call}@{host}",
                   more=[f"Contact: <sip:alice@{host}:5060>"], body=sdp(host, media).replace("\n", "\r\n"))


@case("kernel-facts 3; 8", open_firewall=True, **TWO)
def audio_follows_to_the_other_uplink(bench):
    """The first of two uplinks fails in mid call. With the phone's next SIP packets, whatever they are, its RTP leaves by the second
    uplink with that one's address, and a provider that answers to where it comes from is heard; a re-INVITE offers it."""
    phone = bench.socket(bench.router.inside, PHONE, 5060)
    carrier = bench.socket(bench.router.outside, CARRIER, 5060)
    near, far = bench.inside_party(4000), bench.outside_party(6000, address=CARRIER)
    phone.send(raw_invite(1), (CARRIER, 5060))
    asked, source = carrier.receive()
    offer = bench.capture.message("wan0", False, "INVITE")
    equal(offer.media(), (WAN, 4000), "the offered endpoint")
    carrier.send(response(asked, "200 OK", [f"Contact: <sip:bob@{CARRIER}:5060>"],
                          sdp(CARRIER, 6000).replace("\n", "\r\n")), source)
    phone.receive()
    converse(near, (CARRIER, 6000), far, offer.media())
    bench.router.fail_over()
    for _ in range(3):  # lost: to the kernel, whose flow it was; to the door; the third goes
        phone.send(b"\r\n\r\n", (CARRIER, 5060))
        time.sleep(0.1)
    by_second = until(lambda: [s for s in far.rtp.sources("phone") if s[0] == WAN_2], lambda: f"RTP from {WAN_2}: {far.rtp.received}")
    heard = near.rtp.heard("provider")
    far.talk(by_second[0])
    until(lambda: near.rtp.heard("provider") > heard + 5, "the provider's RTP by the second uplink")
    phone.send(raw_invite(2), (CARRIER, 5060))
    equal(bench.capture.message("wan1", False, "INVITE").media(), (WAN_2, 4000), "the endpoint that a re-INVITE offers")


@case("kernel-facts 3; 8", open_firewall=True, **TWO)
def call_with_the_ports_of_the_last_follows_to_the_other_uplink(bench):
    """A call is tried again after the failover, from the same SIP and RTP ports: the offer has the second uplink's address."""
    phone = bench.socket(bench.router.inside, PHONE, 5060)
    bench.listener(bench.router.outside, CARRIER, 5060)
    phone.send(raw_invite(1, call="first"), (CARRIER, 5060))
    bench.capture.message("wan0", False, "INVITE")
    bench.router.fail_over()
    for _ in range(3):
        phone.send(raw_invite(2, call="second"), (CARRIER, 5060))
        time.sleep(0.2)
    offers = {m.media() for m in bench.capture.messages("wan1", False, "INVITE")}
    equal(offers, {(WAN_2, 4000)}, "what is offered after the failover")


@case("kernel-facts 3; 8", open_firewall=True, **TWO)
def uplinks_in_use_at_once_keep_their_calls(bench):
    """Two uplinks share the load: a call whose RTP takes another one than its SIP is left alone."""
    router = bench.router.router
    router.run(["ip", "route", "replace", "default", "nexthop", "via", PROXY, "dev", "wan0", "nexthop", "via", GATEWAY_2, "dev", "wan1"])
    router.run(["ip", "route", "del", "default", "via", GATEWAY_2, "dev", "wan1", "metric", "100"])
    bench.router.outside.run(["ip", "addr", "add", "198.18.0.10/32", "dev", "lo"])
    router.run(["ip", "route", "add", CARRIER + "/32", "via", PROXY, "dev", "wan0"])
    router.run(["ip", "route", "add", "198.18.0.10/32", "via", GATEWAY_2, "dev", "wan1"])
    phone = bench.socket(bench.router.inside, PHONE, 5060)
    bench.listener(bench.router.outside, CARRIER, 5060)
    near, far = bench.inside_party(4000), bench.outside_party(6000, address="198.18.0.10")
    phone.send(raw_invite(1), (CARRIER, 5060))
    offer = bench.capture.message("wan0", False, "INVITE")
    near.talk(("198.18.0.10", 6000))
    for _ in range(3):
        phone.send(b"\r\n\r\n", (CARRIER, 5060))
        time.sleep(0.1)
    far.talk(offer.media())
    near.hears(far)
    equal(bench.daemon.counter("events", "flows-rerouted"), 0, "flows rerouted")


@case("kernel-facts 3", snat=f'oifname "wan1" snat to {WAN};', **TWO)
def address_of_one_uplink_may_leave_by_the_other(bench):
    """An administrator who translates to the first uplink's address on the second one too has his way: after one packet a phone that
    registered before keeps its door, and none of its flows is touched again."""
    equal(registers(bench, "wan0"), (WAN, 5060), "the Contact at the carrier")
    bench.forget_flow("--orig-src", PHONE)
    bench.router.fail_over()
    bench.router.outside.run(["ip", "route", "add", f"{WAN}/32", "via", WAN_2, "dev", "o1"])
    for number in range(3):
        equal(registers(bench, "wan1", number), (WAN, 5060), "the Contact at the carrier")
    check(bench.daemon.counter("events", "flows-rerouted") <= 1, "flows deleted again and again")
    bench.forget_flow("--orig-src", PHONE)
    incoming_call(bench, (WAN, 5060), source=CARRIER, wan="wan1")


@case("kernel-facts 3", snat=f'ip saddr {PHONE_2} snat to {WAN};', **TWO)
def one_host_with_a_rule_of_its_own_stops_nobody(bench):
    """One host is always translated to the first uplink's address; its packets after the failover stop no other from following."""
    registers(bench, "wan0")
    bench.forget_flow("--orig-src", PHONE)
    bench.router.fail_over()
    listener = bench.listener(bench.router.outside, CARRIER, 5060)
    bench.datagram(bench.router.inside, (PHONE_2, 5060), (CARRIER, 5060), b"\r\n\r\n")
    bench.end(listener)
    equal(registers(bench, "wan1"), (WAN_2, 5060), "the Contact at the carrier after the failover")


@case("kernel-facts 3; 1", nat=False)
def default_route_inside_for_a_moment_is_forgotten(bench):
    """A default route on the inside interface that comes and goes changes nothing for long: calls are followed again."""
    router = bench.router.router
    for what in ("add", "del"):
        router.run(["ip", "route", what, "default", "via", PHONE_2, "dev", "lan0", "metric", "900"])
    call(bench, PHONE, PROXY)


def line_leads_outside(bench, *networks):
    """The second uplink has these routes in place of a default route."""
    router = bench.router.router
    router.run(["ip", "route", "del", "default", "dev", "wan1"])
    for network in networks:
        router.run(["ip", "route", "add", network, "via", GATEWAY_2, "dev", "wan1"])
    inside = lambda: next(l for l in bench.daemon.ctl("show", "config").stdout.splitlines() if l.startswith("# inside: "))
    until(lambda: networks[0] in inside(), inside)
    bench.listener(bench.router.outside, CARRIER, 5060)
    far = bench.outside_party(6000, address=CARRIER)
    for number, address in enumerate((PHONE, PHONE_2)):
        phone = bench.socket(bench.router.inside, address, 5060)
        phone.send(raw_invite(1, call="line", host=address), (CARRIER, 5060))
        offer = bench.capture.message("wan1", False, "INVITE", number=number)
        if number == 0:
            until(lambda: inside() == "# inside: 10.0.0.0/24", inside)
        near = bench.inside_party(4000, f"phone {number}", address)
        near.talk((CARRIER, 6000))
        far.hears(near)
        equal(far.rtp.sources(near.name), {offer.media()}, "the port RTP leaves from")


@case("1; 8", open_firewall=True, **TWO)
def line_with_routes_of_its_own_leads_outside(bench):
    """The carrier is reached by a line that has a route of its own and no default route, masqueraded as the uplink is. It counts as
    inside until a call shows that the kernel translates what goes there; RTP of two phones with one port leaves from the ports
    that were announced."""
    line_leads_outside(bench, "198.18.0.0/24")


@case("1; 8", open_firewall=True, **TWO)
def tunnel_with_half_of_all_addresses_twice_leads_outside(bench):
    """The same for a tunnel that has two routes for half of all addresses each, as OpenVPN makes them (redirect-gateway def1)."""
    line_leads_outside(bench, "0.0.0.0/1", "128.0.0.0/1")
