# SPDX-License-Identifier: GPL-2.0-or-later
# How attempts to call end that are not answered, and how they begin again.
import time

from harness.case import case
from harness.media import converse
from harness.router import PHONE, PHONE_2, PROXY, REGISTRAR_2, WAN
from harness.sipp import expect, go, send
from harness.texts import Callee, Caller, request, response, to_invite
from harness.two import PHONE_IS_CALLED, Two
from harness.wait import check, equal, until
from harness.wire import check_wire

CHALLENGE = 'Digest realm="example.com", nonce="5b2c1a", algorithm=MD5'


def doors_close(bench, near, far):
    """No media door stands, in the daemon or in the kernel, and no audio comes in any more."""
    ports = [str(door["outside"].rpartition(":")[2]) for door in bench.daemon.media_doors()]
    until(lambda: not bench.daemon.media_doors(), lambda: f"media doors to close: {bench.daemon.media_doors()}", 2)
    until(lambda: not [line for line in bench.router.router.conntrack("-L", "expect").splitlines()
                       if any(f"dport={port} " in line for port in ports)], "the pinholes to close", 2)
    near.hush()

    def is_quiet():
        before = near.rtp.heard(far.rtp.name)
        time.sleep(0.2)
        return near.rtp.heard(far.rtp.name) == before
    until(is_quiet, "the other side's RTP to stay outside", 2)


def ends_after_early_media(bench, outgoing, caller_end, callee_end, last):
    """Early media both ways, then the attempt ends as told; `last`: the status that ends it."""
    two = Two(bench, outgoing)
    two.start([two.invite(), expect(183), go(), *caller_end(two)],
              [two.invited(), two.to_invite("183 Session Progress", two.callee.body), go(), *callee_end(two)])
    two.talk(two.from_caller("INVITE"), two.from_callee(183))
    check(bench.daemon.media_doors(), "no media door during early media")
    for program in (two.caller_program, two.callee_program):
        program.go()
    two.from_callee(last, "INVITE")
    inside, outside = (two.caller_party, two.callee_party) if outgoing else (two.callee_party, two.caller_party)
    doors_close(bench, inside, outside)
    two.from_caller("ACK")
    two.done()


def like_the_invite(two, method, step):
    """CANCEL or the ACK of a refusal: URI and branch of the INVITE that is `step` steps before (RFC 3261 sections 9.1, 17.1.1.3)."""
    user, tag = "bob" if two.outgoing else "alice", ";tag=b1" if method == "ACK" else ""
    return request(method, f"sip:{user}@{two.caller.to}", two.caller.via, two.caller.sender, f"<sip:bob@{two.caller.to}>{tag}", 1,
                   branch=f"[branch-{step}]")


def refused(two, status):
    return [expect(status), send(like_the_invite(two, "ACK", 4), retrans=False)]


@case("3, 6, issue 3.4", **PHONE_IS_CALLED)
def cancel_after_early_media_closes_the_doors(bench):
    """CANCEL, its 200 and the 487 after two-way early media, in a call out and a call in: the media doors close, no RTP comes in
    any more, CANCEL and ACK carry the edits of their INVITE."""
    def cancel(two):
        return [send(like_the_invite(two, "CANCEL", 3)), expect(200), expect(487), send(like_the_invite(two, "ACK", 6), retrans=False)]

    def cancelled(two):
        return [expect("CANCEL"), send(response("200 OK"), retrans=False), two.to_invite("487 Request Terminated"), expect("ACK")]
    for outgoing in (True, False):
        ends_after_early_media(bench, outgoing, cancel, cancelled, 487)
    for way in ("out", "in"):
        invite = bench.capture.both("INVITE", way)[1]
        for kind in ("CANCEL", "ACK"):
            equal(bench.capture.both(kind, way)[1].headers("via"), invite.headers("via"), f"Via of {kind}, call {way}")
    check_wire(bench, at_least=12)


@case("3, 6, issue 3.4", **PHONE_IS_CALLED)
def busy_after_early_media_closes_the_doors(bench):
    """486 after two-way early media, in a call out and a call in: the media doors close, no RTP comes in any more."""
    def busy(two):
        return [two.to_invite("486 Busy Here"), expect("ACK")]
    for outgoing in (True, False):
        ends_after_early_media(bench, outgoing, lambda two: refused(two, 486), busy, 486)
    check_wire(bench, at_least=8)


@case("3, 5, 6, issue 3.4")
def redirected_after_early_media_calls_the_new_target(bench):
    """302 after two-way early media: the media doors close, the phone calls the Contact it was given (another host and port)
    under the same Call-ID and has audio with it from the same outside ports."""
    two = Two(bench, outgoing=True)
    target = f"<sip:carol@{REGISTRAR_2}:5080>"
    again = Caller(to=REGISTRAR_2)
    two.start([two.invite(), expect(183), go(), *refused(two, 302)],
              [two.invited(), two.to_invite("183 Session Progress", two.callee.body), go(),
               send(to_invite("302 Moved Temporarily", [f"Contact: {target}"])), expect("ACK")])
    offer = two.from_caller("INVITE")
    two.talk(offer, two.from_callee(183))
    for program in (two.caller_program, two.callee_program):
        program.go()
    two.from_callee(302)
    doors_close(bench, two.caller_party, two.callee_party)
    two.done()
    carol = bench.provider(Callee(REGISTRAR_2, 6200, contact=REGISTRAR_2 + ":5080", user="carol").call(), REGISTRAR_2, 5080)
    steps = again.call(proxied=True)
    steps[0] = send(again.invite(f"sip:carol@{REGISTRAR_2}:5080", cseq=2))
    phone = bench.phone(steps, remote=(REGISTRAR_2, 5080), call_id=two.call_id)
    second = bench.capture.message("wan0", False, "INVITE", destination=REGISTRAR_2)
    equal(second.media(), offer.media(), "the phone's outside media port in the second INVITE")
    bench.capture.message("wan0", False, "ACK", destination=REGISTRAR_2)
    converse(two.caller_party, (REGISTRAR_2, 6200), bench.outside_party(6200, "carol", REGISTRAR_2), second.media())
    phone.go()
    for program in (phone, carol):
        program.done()


class Challenged:
    """A call whose first INVITE is answered by `status`, with audio to its end."""

    def __init__(self, bench, near, far, status, reason, ask, answer):
        caller, callee, self.call_id = Caller(), Callee(), f"challenge-{status}@example.com"
        provider = bench.provider([expect("INVITE"), send(response(f"{status} {reason}", [f"{ask}: {CHALLENGE}"]), retrans=False),
                                   expect("ACK"), *callee.call()])
        ack = request("ACK", f"sip:bob@{PROXY}", caller.via, caller.sender, f"<sip:bob@{PROXY}>;tag=b1", 1, branch="[branch-2]")
        first = [send(caller.invite()), expect(status), send(ack, retrans=False)]
        caller.more = [f'{answer}: Digest username="alice", realm="example.com", nonce="5b2c1a", uri="sip:bob@{PHONE}", response="0"']
        second = caller.call(proxied=True)
        second[0] = send(caller.invite(cseq=2))
        phone = bench.phone([*first, *second], call_id=self.call_id)
        self.invites = [bench.capture.message("wan0", False, "INVITE", number=n, call_id=self.call_id) for n in (0, 1)]
        bench.capture.message("wan0", False, "ACK", number=1, call_id=self.call_id)
        converse(near, (PROXY, 6000), far, self.invites[1].media())
        equal(far.rtp.sources("phone"), {self.invites[0].media()}, "the port the phone's RTP leaves from")
        near.hush()
        phone.go()
        for thing in (phone, provider):
            thing.done()
            bench.end(thing)


@case("3, 6, issue 3.4")
def second_invite_after_a_challenge_keeps_the_ports(bench):
    """401 and 407: the second INVITE, with credentials, has the outside endpoints of the first in Contact and SDP, also where
    another phone holds the same inside ports already; then audio both ways."""
    bench.provider([expect("INVITE"), Callee(REGISTRAR_2).ringing(), expect("CANCEL")], REGISTRAR_2)
    bench.phone([send(Caller(PHONE_2, to=REGISTRAR_2).invite()), expect(180), expect(200)], PHONE_2,
                remote=(REGISTRAR_2, 5060), call_id="other@example.com")
    held = bench.capture.message("wan0", False, "INVITE", destination=REGISTRAR_2).media()
    near, far = bench.inside_party(4000), bench.outside_party(6000)
    for challenge in ((401, "Unauthorized", "WWW-Authenticate", "Authorization"),
                      (407, "Proxy Authentication Required", "Proxy-Authenticate", "Proxy-Authorization")):
        first, second = Challenged(bench, near, far, *challenge).invites
        check(first.media()[0] == WAN and first.media() != held, f"both phones are at {held}")
        equal(second.media(), first.media(), "the media endpoint of the second INVITE")
        equal(second.header("contact"), first.header("contact"), "the Contact of the second INVITE")
    check_wire(bench, at_least=20)
