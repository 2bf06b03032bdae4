# SPDX-License-Identifier: GPL-2.0-or-later
# More than one remote media endpoint in a call.
from harness.case import case
from harness.media import converse
from harness.router import MEDIA, PHONE
from harness.sipp import expect, expect_with_contact, go, send
from harness.texts import REMEMBER, Callee, Caller, callee_asks, response, sdp
from harness.wait import equal

CALL_ID = "moves@" + PHONE


@case("6, 8")
def transfer_to_a_second_media_endpoint(bench):
    """A re-INVITE of the provider moves the audio to another host: the phone keeps its outside port, hears the new
    endpoint and is heard by it, and the first door stays open meanwhile."""
    callee, caller = Callee(), Caller()
    new = sdp(MEDIA, 7000, "bob", version=2)
    provider = bench.provider([expect("INVITE", action=REMEMBER), callee.ok(), expect("ACK"), go(),
                               send(callee_asks("INVITE", 7, more=[callee.contact], body=new)), expect(200),
                               send(callee_asks("ACK", 7), retrans=False),
                               *callee.hung_up()], call_id=CALL_ID)
    moved = [expect("INVITE"), send(response("200 OK", [caller.contact], caller.body, tag="")), expect("ACK")]
    phone = bench.phone(caller.call(between=moved), call_id=CALL_ID)
    near = bench.inside_party(4000)
    first, second = bench.outside_party(6000, "first"), bench.outside_party(7000, "second", MEDIA)
    offer = bench.capture.both("INVITE", "out")[1]
    converse(near, bench.capture.message("lan0", False, 200, "INVITE").media(), first, offer.media())
    provider.go()
    second_offer = bench.capture.both("INVITE", "in")[1]
    equal(second_offer.media(), (MEDIA, 7000), "the second endpoint at the phone")
    answer = bench.capture.both(200, "out", "INVITE")[1]
    equal(answer.media(), offer.media(), "the phone's outside endpoint after the re-INVITE")
    bench.capture.both("ACK", "in")
    second.talk(answer.media())
    near.hears(second)
    near.hears(first)
    first.hears(near)
    near.talk((MEDIA, 7000))
    second.hears(near)
    equal(second.rtp.sources("phone"), {offer.media()}, "the port the phone's RTP leaves from")
    near.hears(first)
    phone.go()
    for program in (phone, provider):
        program.done()


@case("4, 6, 8")
def forked_call_with_two_media_endpoints(bench):
    """One branch gives early media, another answers from another host: the phone hears and reaches both."""
    caller, early, late = Caller(), Callee(), Callee(media=7000, media_address=MEDIA)
    progress = send(response("183 Session Progress", [early.contact], early.body, "fork-1"), retrans=False)
    provider = bench.provider([expect("INVITE"), progress, go(),
                               send(response("200 OK", [late.contact], late.body, "fork-2")), expect("ACK"),
                               *late.hung_up()], call_id=CALL_ID)
    near = bench.inside_party(4000)
    first, second = bench.outside_party(6000, "first"), bench.outside_party(7000, "second", MEDIA)
    phone = bench.phone([send(caller.invite()), expect(183), expect_with_contact(200),
                         send(caller.in_dialog("ACK", 1, tag="fork-2"), False), go(),
                         send(caller.in_dialog("BYE", 2, tag="fork-2")), expect(200)], call_id=CALL_ID)
    offer = bench.capture.both("INVITE", "out")[1]
    converse(first, offer.media(), near, bench.capture.message("lan0", False, 183).media())
    provider.go(like=offer)
    answer = bench.capture.message("lan0", False, 200, "INVITE")
    equal(answer.media(), (MEDIA, 7000), "the second branch at the phone")
    second.talk(offer.media())
    near.hears(second)
    near.hears(first)
    near.talk(answer.media())
    second.hears(near)
    equal(second.rtp.sources("phone") | first.rtp.sources("phone"), {offer.media()}, "the port the phone's RTP leaves from")
    bench.capture.message("wan0", False, "ACK")
    phone.go()
    for program in (phone, provider):
        program.done()
