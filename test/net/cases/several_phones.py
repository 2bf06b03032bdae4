# SPDX-License-Identifier: GPL-2.0-or-later
# Two phones that look alike from outside.
import time

from cases.registration import incoming_call, registered
from harness.case import case
from harness.media import converse
from harness.router import PHONE, PHONE_2, PROXY, REGISTRAR_2, WAN
from harness.texts import Callee, Caller
from harness.wait import check, equal


def callee_with_a_port_per_call():
    callee = Callee()
    callee.body = callee.body.replace("m=audio 6000", "m=audio 6[call_number]00")
    return callee


@case("5, 8")
def two_phones_with_the_same_ports(bench):
    """Two phones with source port 5060 and RTP port 4000 call the same provider at once: both have two-way audio, each
    only its own, and each RTP leaves from the port announced for it."""
    provider = bench.provider(callee_with_a_port_per_call().call(), calls=2)
    callers, pairs = [], []
    for number, address in enumerate((PHONE, PHONE_2), 1):
        near = bench.inside_party(4000, f"phone {number}", address)
        far = bench.outside_party(6000 + 100 * number, f"provider {number}")
        callers.append(bench.phone(Caller(address).call(), address, call_id=f"twin-{number}@{address}"))
        offer = bench.capture.message("wan0", False, "INVITE", number=number - 1)
        answer = bench.capture.message("lan0", False, 200, "INVITE", destination=address)
        equal(offer.contact()[1], offer.packet.sport, f"phone {number}: Contact and source port")
        equal(offer.media()[0], WAN, f"phone {number}: media address")
        equal(answer.media(), (PROXY, 6000 + 100 * number), f"phone {number}: the answer's media")
        pairs.append((near, far, offer, answer))
    check(pairs[0][2].media() != pairs[1][2].media(), "both phones were announced with one media port")
    for near, far, offer, answer in pairs:
        converse(near, answer.media(), far, offer.media())
    for near, far, offer, _ in pairs:
        near.hears(far)
        equal(far.rtp.sources(near.name), {offer.media()}, f"where RTP of {near.name} leaves from")
        equal({name for _, name in near.rtp.received}, {far.name}, f"whom {near.name} hears")
    for caller in callers:
        caller.go()
    for program in (*callers, provider):
        program.done()


@case("5")
def two_phones_registered_from_the_same_port(bench):
    """Two phones registered from port 5060 at one registrar are each reachable after their flows are forgotten."""
    contacts = [registered(bench, address, user=user) for address, user in ((PHONE, "alice"), (PHONE_2, "carol"))]
    check(contacts[0] != contacts[1], f"both are at {contacts[0]}")
    bench.forget_flow("--orig-dst", PROXY)
    for address, contact, far in ((PHONE, contacts[0], 6000), (PHONE_2, contacts[1], 6010)):
        incoming_call(bench, contact, address, far=far)


@case("5")
def two_phones_at_two_registrars(bench):
    """Two phones share port 5060 outside toward two registrars; each registrar reaches its own phone only."""
    first = registered(bench, PHONE)
    second = registered(bench, PHONE_2, registrar_address=REGISTRAR_2, user="carol")
    bench.forget_flow("--orig-dst", PROXY)
    bench.forget_flow("--orig-dst", REGISTRAR_2)
    incoming_call(bench, first, PHONE)
    incoming_call(bench, second, PHONE_2, source=REGISTRAR_2, user="carol")


@case("5, 6")
def newcomer_leaves_a_living_door_alone(bench):
    """A registered phone's flow has ended; another phone registers from the same port, and the kernel gives it the first one's
    outside port. Its flow gives way: both are called at the Contact they registered, and send from it."""
    first = registered(bench, user="alice")
    equal(first, (WAN, 5060), "the first phone's Contact")
    bench.forget_flow("--orig-src", PHONE)
    time.sleep(0.3)  # births_pause of ruleset.h: until then flows with the same header are taken for one
    second = registered(bench, PHONE_2, user="carol")
    check(second != first, f"both phones are known at {first}")
    request = bench.capture.message("wan0", False, "REGISTER", number=1)
    equal((WAN, request.packet.sport), second, "where the second phone's REGISTER leaves from")
    equal(bench.daemon.counter("events", "flows-rerouted"), 1, "flows that gave way")
    incoming_call(bench, first)
    incoming_call(bench, second, PHONE_2, media=4100, user="carol", far=6100)


@case("5, 6")
def keepalives_do_not_take_a_living_door(bench):
    """The same when the second phone's flow is there before its REGISTER: it began with a keepalive."""
    first = registered(bench, user="alice")
    bench.forget_flow("--orig-src", PHONE)
    time.sleep(0.3)
    listener = bench.listener(bench.router.outside, PROXY, 5060)
    for _ in range(2):
        bench.datagram(bench.router.inside, (PHONE_2, 5060), (PROXY, 5060), b"\r\n\r\n")
    bench.end(listener)
    second = registered(bench, PHONE_2, user="carol")
    check(second != first, f"both phones are known at {first}")
    incoming_call(bench, first)
    incoming_call(bench, second, PHONE_2, media=4100, user="carol", far=6100)
