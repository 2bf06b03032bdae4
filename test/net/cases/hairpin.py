# SPDX-License-Identifier: GPL-2.0-or-later
# Two phones behind one router call each other through a proxy outside.
from harness.case import case
from harness.kamailio import kamailio
from harness.media import converse
from harness.router import PHONE, PHONE_2, PROXY, WAN
from harness.scripted import request, response
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


def goes_straight(sender, receiver, method, number, target, call_id, tags):
    """A request of the dialog to the other's Contact, as it arrives there, and where it came from."""
    own, other = tags
    text = request(method, number, f"sip:carol@{target[0]}:{target[1]}", sender.name + ";rport", call_id)
    text = text.replace(b"tag=a1", b"tag=" + own).replace(b"\r\nCall-ID", b";tag=" + other + b"\r\nCall-ID")
    sender.send(text, target)
    arrived, source = receiver.receive()
    check(arrived.startswith(f"{method} sip:carol@{receiver.name} ".encode()), f"{method} at {receiver.name}: {arrived[:60]}")
    return arrived, source


@case("1, 5")
def neighbours_send_each_other_what_a_proxy_leaves_to_them(bench):
    """Two phones behind the router call each other through a proxy outside that does not record-route: ACK and BYE go to the
    other's outside Contact, turn around in the router, and so does the answer to the BYE."""
    kamailio(bench, PROXY, record_route=False)
    for address, user in ((PHONE, "alice"), (PHONE_2, "carol")):
        phone = bench.phone(register(address, user=user), address)
        phone.done()
        bench.end(phone)
    alice, carol = (bench.socket(bench.router.inside, address, 5060) for address in (PHONE, PHONE_2))
    call_id = "neighbours@example.com"
    alice.send(request("INVITE", uri=f"sip:carol@{PROXY}", via=f"{PHONE}:5060;rport", call_id=call_id,
                       more=[f"Contact: <sip:carol@{PHONE}:5060>"]), (PROXY, 5060))
    asked, source = carol.receive()
    carol.send(response(asked, "200 OK", [f"Contact: <sip:carol@{PHONE_2}:5060>"]), source)
    answer = bench.capture.message("lan0", False, 200, "INVITE", destination=PHONE)
    offer = bench.capture.message("lan0", False, "INVITE", destination=PHONE_2)
    while not alice.receive()[0].startswith(b"SIP/2.0 200"):
        pass
    goes_straight(alice, carol, "ACK", 1, answer.contact(), call_id, (b"a1", b"b1"))
    asked, source = goes_straight(carol, alice, "BYE", 7, offer.contact(), call_id, (b"b1", b"a1"))
    equal(source, answer.contact(), "where the BYE came from")
    alice.send(response(asked, "200 OK"), source)
    arrived, source = carol.receive()
    check(arrived.startswith(b"SIP/2.0 200 OK"), f"the answer to the BYE: {arrived[:60]}")
    equal(source, offer.contact(), "where the answer came from")
