# SPDX-License-Identifier: GPL-2.0-or-later
# Two phones behind one router call each other through a proxy outside.
from harness.case import case
from harness.kamailio import kamailio
from harness.media import converse
from harness.router import PHONE, PHONE_2, PROXY, STRANGER, WAN
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


def registers(bench, provider, address):
    """A phone at its port 5060 that the provider knows by its Contact."""
    phone = bench.socket(bench.router.inside, address, 5060)
    phone.send(request("REGISTER", uri=f"sip:{PROXY}", via=f"{address}:5060;rport", call_id="registers@" + address,
                       more=[f"Contact: <sip:carol@{address}:5060>", "Expires: 600"]), (PROXY, 5060))
    asked, source = provider.receive()
    contact = bench.capture.message("wan0", False, "REGISTER", call_id="registers@" + address).contact()
    provider.send(response(asked, "200 OK", [f"Contact: <sip:carol@{contact[0]}:{contact[1]}>;expires=600"]), source)
    phone.receive()
    return phone, contact


def sent_to_its_neighbour(bench, send):
    """{how} to the outside Contact of another phone behind the router: its INVITE turns around there and reaches that phone, the
    answer comes back, each from the other's outside endpoint. A stranger's INVITE does not get in."""
    provider, stranger = (bench.socket(bench.router.outside, address, 5060) for address in (PROXY, STRANGER))
    (alice, own), (carol, contact) = (registers(bench, provider, address) for address in (PHONE, PHONE_2))
    target = f"sip:carol@{contact[0]}:{contact[1]}"
    send(alice, provider, own, target)
    stranger.send(request("INVITE", uri=target, via=STRANGER, call_id="stranger@example.com"), contact)
    alice.send(request("INVITE", 2, target, f"{PHONE}:5060;rport", "sent@example.com", [f"Contact: <sip:carol@{PHONE}:5060>"]), contact)
    arrived, source = carol.receive()
    check(arrived.startswith(f"INVITE {target.replace(WAN, PHONE_2).rpartition(':')[0]}:5060 ".encode()), f"the INVITE: {arrived[:60]}")
    check(b"sent@example.com" in arrived and PHONE.encode() + b":" not in arrived, f"what the neighbour sees: {arrived}")
    equal(source, own, "where the INVITE came from")
    carol.send(response(arrived, "200 OK", [f"Contact: <sip:carol@{PHONE_2}:5060>"]), source)
    arrived, source = alice.receive()
    check(f"Contact: <{target}>".encode() in arrived, f"the answer: {arrived}")
    equal(source, contact, "where the answer came from")


def by_redirection(alice, provider, _, target):
    alice.send(request("INVITE", via=f"{PHONE}:5060;rport", call_id="sent@example.com"), (PROXY, 5060))
    asked, source = provider.receive()
    provider.send(response(asked, "302 Moved Temporarily", [f"Contact: <{target}>"]), source)
    alice.receive()


def by_refer(alice, provider, own, target):
    provider.send(request("REFER", uri=f"sip:carol@{own[0]}:{own[1]}", via=PROXY, call_id="refers@example.com",
                          more=[f"Contact: <sip:bob@{PROXY}>", f"Refer-To: <{target}?Replaces=c%40x%3Bto-tag%3D1%3Bfrom-tag%3D2>"]), own)
    alice.receive()


for name, how, send in (("phone_is_redirected_to_its_neighbour", "A phone is redirected", by_redirection),
                        ("phone_is_transferred_to_its_neighbour", "A phone is told by REFER to turn", by_refer)):
    def run(bench, send=send):
        sent_to_its_neighbour(bench, send)
    run.__name__, run.__doc__ = name, sent_to_its_neighbour.__doc__.format(how=how)
    case("1, 5")(run)
