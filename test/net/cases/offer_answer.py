# SPDX-License-Identifier: GPL-2.0-or-later
# Where offers and answers may stand (RFC 3261, 3262, 3264, 3311; the table of RFC 6337 section 2), each in a call out and in a
# call in. Early media without 100rel is `early_media`, the late offer of a call out `late_offer`, forks are also
# `forked_call_with_two_media_endpoints`.
from harness.case import case
from harness.router import WAN
from harness.sipp import expect, go, send
from harness.two import PHONE_IS_CALLED, RELIABLE, Two, ports_are_taken
from harness.wait import equal
from harness.wire import check_wire

RACK = ("RAck: 1 1 INVITE",)


def both_ways(bench, scenario, at_least):
    """A call out, a call in, their ports no identity; then every message of them is looked at."""
    ports_are_taken(bench, 4000, 4040, 4100, 4140)
    for outgoing in (True, False):
        scenario(Two(bench, outgoing))
    check_wire(bench, at_least)


@case("6, 9, issue 3.4", **PHONE_IS_CALLED)
def offer_in_invite_answer_in_reliable_183(bench):
    """RFC 3262: the offer in INVITE, the answer in a reliable 183 that PRACK confirms, no SDP in the 200: audio both ways before
    and after the call is answered."""
    def scenario(two):
        two.start([two.invite(), expect(183), two.caller_asks("PRACK", 2, more=RACK), expect(200), expect(200),
                   two.caller_asks("ACK", 1), *two.caller_hangs_up()],
                  [two.invited(), two.to_invite("183 Session Progress", two.callee.body, RELIABLE), expect("PRACK"),
                   two.callee_answers(), go(), two.to_invite("200 OK"), expect("ACK"), *two.callee_is_left()])
        offer, answer = two.from_caller("INVITE"), two.from_callee(183)
        two.talk(offer, answer)
        two.callee_program.go()
        two.from_caller("ACK")
        two.still_talk(offer, answer)
        two.end()
    both_ways(bench, scenario, at_least=16)


@case("6, 9, issue 3.4", **PHONE_IS_CALLED)
def offer_in_reliable_183_answer_in_prack(bench):
    """RFC 3262: an INVITE without SDP, the offer in a reliable 183, the answer in PRACK: audio both ways before and after the
    call is answered."""
    def scenario(two):
        two.start([two.invite(body=""), expect(183), two.caller_asks("PRACK", 2, two.caller.body, RACK), expect(200), expect(200),
                   two.caller_asks("ACK", 1), *two.caller_hangs_up()],
                  [two.invited(), two.to_invite("183 Session Progress", two.callee.body, RELIABLE), expect("PRACK"),
                   two.callee_answers(), go(), two.to_invite("200 OK"), expect("ACK"), *two.callee_is_left()])
        offer, answer = two.from_callee(183), two.from_caller("PRACK")
        two.talk(answer, offer)
        two.callee_program.go()
        two.from_caller("ACK")
        two.still_talk(answer, offer)
        two.end()
    both_ways(bench, scenario, at_least=16)


@case("6, 9, issue 3.4", **PHONE_IS_CALLED)
def second_offer_in_prack(bench):
    """RFC 3262: after the answer in a reliable 183 PRACK carries a second offer with another port and its 200 the answer, also
    with another port: audio both ways at the new endpoints, before and after the call is answered."""
    def scenario(two):
        new = two.ports[0] + 40, two.ports[1] + 40
        two.start([two.invite(), expect(183), two.caller_asks("PRACK", 2, two.caller_sdp(new[0]), RACK), expect(200), expect(200),
                   two.caller_asks("ACK", 1), *two.caller_hangs_up()],
                  [two.invited(), two.to_invite("183 Session Progress", two.callee.body, RELIABLE), expect("PRACK"),
                   two.callee_answers(body=two.callee_sdp(new[1])), go(), two.to_invite("200 OK"), expect("ACK"),
                   *two.callee_is_left()])
        offer, answer = two.from_caller("PRACK"), two.from_callee(200, "PRACK")
        parties = two.party(new[0], True), two.party(new[1], False)
        two.talk(offer, answer, *parties)
        two.callee_program.go()
        two.from_caller("ACK")
        two.still_talk(offer, answer, *parties)
        two.end()
    both_ways(bench, scenario, at_least=16)


@case("6, 9, issue 3.4", **PHONE_IS_CALLED)
def offer_in_update_before_and_after_the_answer(bench):
    """RFC 3311: the caller's UPDATE moves its audio while the call still rings, the callee's UPDATE moves its own after the 200:
    audio both ways at the new endpoints each time, the side that did not move keeps its ports."""
    def scenario(two):
        new = two.ports[0] + 40, two.ports[1] + 40
        two.start([two.invite(), expect(183), two.caller_asks("PRACK", 2, more=RACK), expect(200), go(),
                   two.caller_asks("UPDATE", 3, two.caller_sdp(new[0]), [two.caller.contact]), expect(200), expect(200),
                   two.caller_asks("ACK", 1), expect("UPDATE"), two.caller_answers(body=two.caller_sdp(new[0], 3)),
                   *two.caller_hangs_up()],
                  [two.invited(), two.to_invite("183 Session Progress", two.callee.body, RELIABLE), expect("PRACK"),
                   two.callee_answers(), expect("UPDATE"), two.callee_answers(body=two.callee.body), go(), two.to_invite("200 OK"),
                   expect("ACK"), go(), two.callee_asks("UPDATE", 7, two.callee_sdp(new[1]), [two.callee.contact]), expect(200),
                   *two.callee_is_left()])
        two.talk(two.from_caller("INVITE"), two.from_callee(183))
        two.caller_program.go()
        offer, answer = two.from_caller("UPDATE"), two.from_callee(200, "UPDATE")
        equal(answer.media(), two.from_callee(183).media(), "the callee's endpoint in the answer to UPDATE")
        caller = two.party(new[0], True)
        two.talk(offer, answer, caller)
        two.callee_program.go()
        two.from_caller("ACK")
        two.still_talk(offer, answer, caller)
        two.callee_program.go()
        second, reply = two.from_callee("UPDATE"), two.from_caller(200, "UPDATE")
        equal(reply.media(), offer.media(), "the caller's endpoint in its answer to UPDATE")
        two.talk(reply, second, caller, two.party(new[1], False))
        two.end()
    both_ways(bench, scenario, at_least=24)


@case("8, 9, issue 3.4", **PHONE_IS_CALLED)
def late_offer_from_outside(bench):
    """A call in without SDP in its INVITE: the phone's offer in the 200 is mapped, the provider answers in the ACK, audio both
    ways."""
    two = Two(bench, outgoing=False)
    two.start([two.invite(body=""), expect(200), two.caller_asks("ACK", 1, two.caller.body), *two.caller_hangs_up()],
              [two.invited(), two.to_invite("200 OK", two.callee.body), expect("ACK"), *two.callee_is_left()])
    offer, answer = two.from_callee(200, "INVITE"), two.from_caller("ACK")
    equal(offer.media()[0], WAN, "the phone's media address in its offer")
    two.talk(answer, offer)
    two.end()
    check_wire(bench, at_least=5)


@case("4, 9, issue 3.4")
def forked_call_with_reliable_answers(bench):
    """One INVITE, two branches with To tags, SDP and PRACK of their own: the phone talks with each before the answer, and with
    the branch that answers afterwards, from one and the same port."""
    two = Two(bench, outgoing=True)
    other = two.callee_sdp(6040)
    prack = [send(two.caller.in_dialog("PRACK", 2 + n, "", RACK, tag), retrans=True) for n, tag in enumerate(("b1", "b2"))]
    two.start([two.invite(), expect(183), prack[0], expect(200), expect(183), prack[1], expect(200), expect(200),
               send(two.caller.in_dialog("ACK", 1, tag="b2"), retrans=False), go(),
               send(two.caller.in_dialog("BYE", 90, tag="b2")), expect(200)],
              [two.invited(), two.to_invite("183 Session Progress", two.callee.body, RELIABLE), expect("PRACK"),
               two.callee_answers(), go(), two.to_invite("183 Session Progress", other, RELIABLE, "b2"), expect("PRACK"),
               two.callee_answers(), go(), two.to_invite("200 OK", tag="b2"), expect("ACK"), *two.callee_is_left()])
    offer, second = two.from_caller("INVITE"), two.party(6040, False)
    two.talk(offer, two.from_callee(183))
    two.callee_program.go()
    answer = two.from_callee(183, number=1)
    two.talk(offer, answer, callee=second)
    two.caller_party.hears(two.callee_party)
    two.callee_program.go()
    two.from_caller("ACK")
    two.still_talk(offer, answer, callee=second)
    two.end()
    check_wire(bench, at_least=11)
