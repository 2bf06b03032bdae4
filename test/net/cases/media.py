# SPDX-License-Identifier: GPL-2.0-or-later
# More than one remote media endpoint in a call, a daemon that ends in one, and RTP outside of its call.
import signal

from harness.case import case
from harness.media import converse
from harness.router import MEDIA, PHONE, PROXY
from harness.sipp import expect, expect_with_contact, go, send
from harness.texts import REMEMBER, Callee, Caller, callee_asks, response, sdp
from harness.two import ports_are_taken
from harness.wait import equal, until

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


@case("8; design 3")
def killed_daemon_keeps_the_ports_of_calls(bench):
    """The daemon is killed in mid call and started again: the next re-INVITE's answer has the phone's outside port as before, and
    audio goes on both ways, from the same ports."""
    callee, caller = Callee(), Caller()
    provider = bench.provider([expect("INVITE", action=REMEMBER), callee.ok(), expect("ACK"), go(),
                               send(callee_asks("INVITE", 7, more=[callee.contact], body=sdp(PROXY, 6000, "bob", version=2))), expect(200),
                               send(callee_asks("ACK", 7), retrans=False),
                               *callee.hung_up()], call_id=CALL_ID)
    again = [expect("INVITE"), send(response("200 OK", [caller.contact], caller.body, tag="")), expect("ACK")]
    phone = bench.phone(caller.call(between=again), call_id=CALL_ID)
    near, far = bench.inside_party(4000), bench.outside_party(6000)
    offer = bench.capture.both("INVITE", "out")[1]
    converse(near, bench.capture.message("lan0", False, 200, "INVITE").media(), far, offer.media())
    bench.daemon.stop(signal.SIGKILL)
    bench.daemon.start()
    provider.go()
    answer = bench.capture.both(200, "out", "INVITE")[1]
    equal(answer.media(), offer.media(), "the phone's outside endpoint after the re-INVITE")
    bench.capture.both("ACK", "in")
    near.hears(far)
    far.hears(near)
    equal(far.rtp.sources("phone"), {offer.media()}, "the port the phone's RTP leaves from")
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


class RepeatedCall:
    """The phone calls the provider again and again, each time with the same endpoints in both SDPs."""

    def __init__(self, bench):
        self.bench, self.outside, self._calls = bench, None, 0
        self.near, self.far = bench.inside_party(4000), bench.outside_party(6000)

    def call(self, talk):
        """`talk` gets the phone's outside endpoint. Audio must come from the announced endpoints, a second later at the latest."""
        self._calls += 1
        caller, callee, call_id = Caller(), Callee(), f"again-{self._calls}@example.com"
        provider = self.bench.provider(callee.call())
        phone = self.bench.phone(caller.call(proxied=True), call_id=call_id)
        offer = self.bench.capture.message("wan0", False, "INVITE", call_id=call_id).media()
        self.outside = self.outside or offer
        equal(offer, self.outside, "the phone's outside endpoint in the next call")
        self.bench.capture.message("wan0", False, "ACK", call_id=call_id)
        talk(self.outside)
        until(self._comes_from_the_announced, self._sources, 2)
        phone.go()
        for program in (phone, provider):
            program.done()
            self.bench.end(program)

    def _comes_from_the_announced(self):
        for party in (self.near, self.far):
            party.rtp.received.clear()
        self.near.hears(self.far)
        self.far.hears(self.near)
        return self._sources() == ({(PROXY, 6000)}, {self.outside})

    def _sources(self):
        return self.near.rtp.sources("provider"), self.far.rtp.sources("phone")

    def converse(self, outside):
        converse(self.near, (PROXY, 6000), self.far, outside)

    def until_flow(self, words, *match):
        """The doors are shut, their flows gone, and RTP that goes on has made this one."""
        until(lambda: words in self.bench.router.router.conntrack("-L", "-p", "udp", *match), f"a flow {match} with {words}")


@case("6, 8")
def next_call_has_audio_while_the_provider_sends_on(bench):
    """The provider's RTP goes on after BYE, and ends at the router when the door is shut; the next call of the same phone has the
    same outside port, and audio both ways, whoever sends first."""
    again = RepeatedCall(bench)
    again.call(again.converse)
    for phone_first in (True, False):
        again.near.hush()
        again.until_flow("[UNREPLIED]", "--orig-src", PROXY, "--orig-port-src", "6000")

        def talk(_outside, phone_first=phone_first):
            if not phone_first:
                again.near.hears(again.far)
            again.near.talk((PROXY, 6000))
        again.call(talk)


@case("6, 8", open_firewall=True)
def next_call_has_audio_while_the_phone_sends_on(bench):
    """The phone's RTP goes on after BYE, and leaves from a port of the kernel's choice when the door is shut; in the next call it
    leaves from the announced one, and the phone hears the provider from the port of its SDP."""
    ports_are_taken(bench, 4000)
    again = RepeatedCall(bench)
    again.call(again.converse)
    again.far.hush()
    again.until_flow("dport=4000 ", "--orig-src", PHONE, "--orig-port-src", "4000")
    again.call(again.far.talk)
