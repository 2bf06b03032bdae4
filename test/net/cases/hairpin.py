# SPDX-License-Identifier: GPL-2.0-or-later
# Two phones behind one router call each other through a proxy outside.
from harness.case import case
from harness.kamailio import kamailio
from harness.media import converse
from harness.router import PHONE, PHONE_2, PROXY, WAN
from harness.texts import Callee, Caller, register
from harness.wait import check, equal


@case("1, 8, kernel-facts 3")
def two_phones_call_each_other_through_kamailio(bench):
    """Two phones register at a real Kamailio outside that relays no media and call each other with the same ports: the
    audio turns around in the router, each phone hears the other from the outside endpoint it was told."""
    kamailio(bench, PROXY)
    for address, user in ((PHONE, "alice"), (PHONE_2, "carol")):
        phone = bench.phone(register(address, user=user), address)
        phone.done()
        bench.end(phone)
    carol = bench.phone_waits(Callee(PHONE_2, 4000, user="carol").call(), PHONE_2)
    caller = Caller()
    original = caller.invite
    caller.invite = lambda: original(uri=f"sip:carol@{PROXY}", to=f"<sip:carol@{PROXY}>")
    alice = bench.phone(caller.call(proxied=True), call_id="hairpin@" + PHONE)
    first, second = bench.inside_party(4000, "alice"), bench.inside_party(4000, "carol", PHONE_2)
    offer = bench.capture.message("lan0", False, "INVITE", destination=PHONE_2)
    equal(offer.uri, f"sip:carol@{PHONE_2}:5060", "the Request-URI at carol")
    answer = bench.capture.message("lan0", False, 200, "INVITE", destination=PHONE)
    bench.capture.message("lan0", False, "ACK", destination=PHONE_2)
    for message, who in ((offer, "alice"), (answer, "carol")):
        equal(message.media()[0], WAN, f"{who}'s media address at the other phone")
    check(offer.media() != answer.media(), f"both phones announced at {offer.media()}")
    for message, own in ((offer, PHONE), (answer, PHONE_2)):
        check(own not in message.header("contact") + message.body, f"an inside address of the peer in {message}")
    converse(first, answer.media(), second, offer.media())
    equal(second.rtp.sources("alice"), {offer.media()}, "where carol hears alice from")
    equal(first.rtp.sources("carol"), {answer.media()}, "where alice hears carol from")
    alice.go()
    for program in (alice, carol):
        program.done()
