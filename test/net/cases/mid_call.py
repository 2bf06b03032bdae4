# SPDX-License-Identifier: GPL-2.0-or-later
# What happens to a call that stands: its endpoint changes, a change is refused, it is held and resumed, messages are repeated.
# A re-INVITE with the same endpoint, from both sides: the four placements. A new host of the provider:
# `transfer_to_a_second_media_endpoint`.
from harness.case import case
from harness.sipp import expect, go
from harness.texts import VIDEO, sdp
from harness.two import PHONE_IS_CALLED, Two, ports_are_taken
from harness.wait import check, equal
from harness.wire import check_wire


def answered(two):
    return [two.invited(), two.to_invite("200 OK", two.callee.body), expect("ACK")]


def begun(two):
    return [two.invite(), expect(200), two.caller_asks("ACK", 1)]


def caller_changes(two, cseq, body, answer):
    """Both sides' steps of one re-INVITE of the caller."""
    return ([two.caller_asks("INVITE", cseq, body), expect(200), two.caller_asks("ACK", cseq)],
            [expect("INVITE"), two.callee_answers(body=answer), expect("ACK")])


def callee_changes(two, cseq, body, answer):
    return ([expect("INVITE"), two.caller_answers(body=answer), expect("ACK")],
            [two.callee_asks("INVITE", cseq, body), expect(200), two.callee_asks("ACK", cseq)])


@case("6, 8, issue 3.4", **PHONE_IS_CALLED)
def reinvite_with_a_changed_endpoint(bench):
    """The caller moves its audio to another port by re-INVITE, then the callee does: audio both ways at the new endpoints, the
    other side's ports stay; in a call out and a call in."""
    for outgoing in (True, False):
        two = Two(bench, outgoing)
        new = two.ports[0] + 40, two.ports[1] + 40
        first = caller_changes(two, 2, two.caller_sdp(new[0]), two.callee.body)
        second = callee_changes(two, 7, two.callee_sdp(new[1]), two.caller_sdp(new[0]))
        two.start([*begun(two), go(), *first[0], *second[0], *two.caller_hangs_up()],
                  [*answered(two), *first[1], go(), *second[1], *two.callee_is_left()])
        offer, answer = two.from_caller("INVITE"), two.from_callee(200, "INVITE")
        two.talk(offer, answer)
        two.caller_program.go()
        offer, reply = two.from_caller("INVITE", number=1), two.from_callee(200, "INVITE", number=1)
        equal(reply.media(), answer.media(), "the callee's endpoint, which did not change")
        caller = two.party(new[0], True)
        two.talk(offer, reply, caller)
        two.from_caller("ACK", number=1)
        two.callee_program.go()
        moved, reply = two.from_callee("INVITE"), two.from_caller(200, "INVITE")
        equal(reply.media(), offer.media(), "the caller's endpoint, which did not change")
        two.talk(reply, moved, caller, two.party(new[1], False))
        two.end()
    check_wire(bench, at_least=20)


@case("6, 8, issue 3.4", **PHONE_IS_CALLED)
def refused_reinvite_leaves_the_old_session(bench):
    """A re-INVITE with another port is refused, the caller's with 491, the callee's with 488: audio goes on both ways at the old
    endpoints, from the old ports, and the next re-INVITE with them keeps these; in a call out and a call in."""
    for outgoing in (True, False):
        two = Two(bench, outgoing)
        new = two.ports[0] + 40, two.ports[1] + 40
        same = caller_changes(two, 3, two.caller_sdp(two.ports[0], 3), two.callee_sdp(two.ports[1], 3))
        two.start([*begun(two), go(), two.caller_asks("INVITE", 2, two.caller_sdp(new[0])), expect(491), two.caller_asks("ACK", 2),
                   expect("INVITE"), two.caller_answers("488 Not Acceptable Here"), expect("ACK"), go(), *same[0],
                   *two.caller_hangs_up()],
                  [*answered(two), expect("INVITE"), two.callee_answers("491 Request Pending"), expect("ACK"), go(),
                   two.callee_asks("INVITE", 7, two.callee_sdp(new[1])), expect(488), two.callee_asks("ACK", 7), *same[1],
                   *two.callee_is_left()])
        offer, answer = two.from_caller("INVITE"), two.from_callee(200, "INVITE")
        two.talk(offer, answer)
        two.caller_program.go()
        two.from_callee(491)
        two.from_caller("ACK", number=1)
        two.still_talk(offer, answer)
        two.callee_program.go()
        two.from_caller(488)
        two.from_callee("ACK")
        two.still_talk(offer, answer)
        two.caller_program.go()
        equal(two.from_caller("INVITE", number=2).media(), offer.media(), "the caller's endpoint after the refusals")
        equal(two.from_callee(200, "INVITE", number=1).media(), answer.media(), "the callee's endpoint after the refusals")
        two.from_caller("ACK", number=2)
        two.still_talk(offer, answer)
        two.end()
    check_wire(bench, at_least=20)


def held_forms(address, port, owner):
    """One SDP with audio and video in the forms of hold: 0.0.0.0, sendonly, inactive, port 0 of one line; each resumed."""
    def body(version, *more, video=port + 2):
        return sdp(address, port, owner, version, [VIDEO.format(video), *more])
    return [body(2).replace(f"c=IN IP4 {address}", "c=IN IP4 0.0.0.0"), body(3), body(4, "a=sendonly"), body(5),
            body(6, "a=inactive"), body(7), body(8, video=0), body(9)]


def hold(bench, outgoing, by_caller):
    two = Two(bench, outgoing, number=int(not by_caller))
    bodies = [held_forms(address, port, owner) for address, port, owner in zip(two.addresses, two.ports, ("alice", "bob"))]
    two.caller.body, two.callee.body = bodies[0][1], bodies[1][1]
    change = caller_changes if by_caller else callee_changes
    steps = [change(two, 2 + n, body, bodies[by_caller][1]) for n, body in enumerate(bodies[not by_caller])]
    caller_steps, callee_steps = ([step for pair in steps for step in pair[side]] for side in (0, 1))
    (caller_steps if by_caller else callee_steps).insert(0, go())
    two.start([*begun(two), *caller_steps, *two.caller_hangs_up()], [*answered(two), *callee_steps, *two.callee_is_left()])
    offer, answer = two.from_caller("INVITE"), two.from_callee(200, "INVITE")
    two.talk(offer, answer)
    before = [(m.media(0), m.media(1)) for m in (offer, answer)]
    (two.caller_program if by_caller else two.callee_program).go()
    asked = [(two.from_caller if by_caller else two.from_callee)("INVITE", number=n + by_caller) for n in range(8)]
    replies = [(two.from_callee if by_caller else two.from_caller)(200, "INVITE", number=n + by_caller) for n in range(8)]
    mine, theirs = before if by_caller else before[::-1]
    for number, message in enumerate(asked):
        ports = [message.media(line)[1] for line in (0, 1)]
        equal(ports, [mine[0][1], 0 if number == 6 else mine[1][1]], f"ports of re-INVITE {number}: {message.body}")
        equal(message.media()[0], "0.0.0.0" if number == 0 else mine[0][0], f"address of re-INVITE {number}")
    for number, message in enumerate(replies):
        equal((message.media(0), message.media(1)), theirs, f"endpoints of the answer to re-INVITE {number}")
    two.still_talk(offer, answer)
    two.end()


@case("6, 8, 9, issue 3.4", **PHONE_IS_CALLED)
def hold_and_resume_keeps_the_ports(bench):
    """Hold by c=0.0.0.0, sendonly, inactive and port 0 of the video line, each followed by resume, from the caller and from the
    callee, in a call out and a call in: every SDP shows the ports of the first, also where they are no identity, and audio
    flows both ways from them afterwards."""
    ports_are_taken(bench, 4000, 4002, 4100, 4102)
    for outgoing in (True, False):
        for by_caller in (True, False):
            hold(bench, outgoing, by_caller)
    check_wire(bench, at_least=100)


@case("3, issue 3.4", **PHONE_IS_CALLED)
def retransmissions_change_nothing(bench):
    """Every message of a call with a reliable 183, PRACK, re-INVITE and BYE arrives at the router a second time, byte for byte:
    each leaves it a second time with the same bytes, no door comes or goes, audio goes on, in a call in and a call out."""
    for outgoing in (False, True):  # the call in first: nothing is known of the phone yet
        two = Two(bench, outgoing)
        change = caller_changes(two, 3, two.caller_sdp(two.ports[0], 3), two.callee_sdp(two.ports[1], 3))
        two.start([two.invite(), expect(183), two.caller_asks("PRACK", 2, more=("RAck: 1 1 INVITE",)), expect(200), expect(200),
                   two.caller_asks("ACK", 1), *change[0], *two.caller_hangs_up()],
                  [two.invited(), two.to_invite("183 Session Progress", two.callee.body, ("Require: 100rel", "RSeq: 1")),
                   expect("PRACK"), two.callee_answers(), two.to_invite("200 OK"), expect("ACK"), *change[1],
                   *two.callee_is_left()])
        offer, answer = two.from_caller("INVITE"), two.from_callee(183)
        two.from_caller("ACK", number=1)
        two.talk(offer, answer)
        repeated(bench, two)
        two.still_talk(offer, answer)
        two.end()
        repeated(bench, two)
    check_wire(bench, at_least=40)


def repeated(bench, two):
    """Sends every message of the call to the router again, as the other machine would."""
    def doors():
        return sorted((d["purpose"], d["inside"], d["outside"]) for d in bench.daemon.doors())
    capture, before = bench.capture, doors()
    programs = [p for p in (two.caller_program, two.callee_program) if p.process.poll() is None]
    for program in programs:
        program.freeze()
    for side, namespace, link, away in (("lan0", bench.router.inside, "i0", "wan0"), ("wan0", bench.router.outside, "o0", "lan0")):
        for message in capture.messages(side, True, call_id=two.call_id):
            first = capture.twin(message, away)
            check(first, f"{message} has not passed")
            known = len(capture.select(away, False, payload=first.bytes))
            capture.repeat(namespace, link, message.packet)
            capture.again(away, first.bytes, known, str(message))
    equal(doors(), before, "doors after the repetitions")
    for program in programs:
        program.go_on()
