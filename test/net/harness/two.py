# SPDX-License-Identifier: GPL-2.0-or-later
# A call between the phone inside and the provider outside, whoever of them calls: SIPp on both sides, audio of both, and what
# each side's messages look like at the other.
from .media import converse
from .router import PHONE, PHONE_2, PROXY, REGISTRAR_2, WAN
from .sipp import expect, go, send
from .texts import REMEMBER_ALL, VIDEO, Callee, Caller, callee_asks, response, sdp, to_invite
from .wait import equal

# For calls in: SIP that comes to the router goes to the phone
PHONE_IS_CALLED = {"dnat": f'iifname "wan0" udp dport 5060 dnat ip to {PHONE}:5060;', "accept": "ct status dnat accept"}
RELIABLE = ("Require: 100rel", "RSeq: 1")  # RFC 3262 section 3


def ports_are_taken(bench, *ports):
    """Another phone has these outside ports: who has them inside gets other ones."""
    bench.provider([expect("INVITE"), Callee(REGISTRAR_2).ringing(), expect("CANCEL")], REGISTRAR_2)
    caller = Caller(PHONE_2, media=ports[0], to=REGISTRAR_2, sdp_more=[VIDEO.format(port) for port in ports[1:]])
    bench.phone([send(caller.invite()), expect(180), expect(200)], PHONE_2, remote=(REGISTRAR_2, 5060), call_id="other@example.com")
    bench.capture.message("wan0", False, "INVITE", destination=REGISTRAR_2)


class Two:
    """Texts, programs and audio of one call; `outgoing`: the phone calls."""

    def __init__(self, bench, outgoing, number=0):
        self.bench, self.outgoing = bench, outgoing
        self.call_id = f"{'out' if outgoing else 'in'}-{number}@example.com"
        here, there = (PHONE, PROXY) if outgoing else (PROXY, PHONE)
        own, other = (port + 200 * number for port in ((4000, 6000) if outgoing else (6100, 4100)))
        self.caller = Caller(here, media=own, to=PROXY if outgoing else WAN)
        self.callee = Callee(there, other)
        self.ports, self.addresses = (own, other), (here, there)
        self._here, self._there = here, there
        self.caller_party, self.callee_party = self.party(own, True), self.party(other, False)
        self.caller_program = self.callee_program = None

    def party(self, port, of_caller):
        inside = of_caller == self.outgoing
        return (self.bench.inside_party if inside else self.bench.outside_party)(port, f"{'caller' if of_caller else 'callee'} {port}")

    def caller_sdp(self, port, version=2):
        return sdp(self._here, port, "alice", version)

    def callee_sdp(self, port, version=2):
        return sdp(self._there, port, "bob", version)

    # --- texts of the caller ---
    def invite(self, body=None, more=()):
        self.caller.more = list(more)
        user = "bob" if self.outgoing else "alice"
        return send(self.caller.invite(f"sip:{user}@{self.caller.to}", body=body))

    def caller_asks(self, method, cseq, body="", more=()):
        return send(self.caller.in_dialog(method, cseq, body, more), retrans=method != "ACK")

    def caller_answers(self, status="200 OK", body=""):
        return send(response(status, [self.caller.contact] if status < "3" else [], body, tag=""), retrans=False)

    # --- texts of the callee ---
    def invited(self):
        return expect("INVITE", action=REMEMBER_ALL)

    def callee_asks(self, method, cseq, body="", more=()):
        more = [self.callee.contact, *more] if method == "INVITE" else more
        return send(callee_asks(method, cseq, self._there + ":5060", more, body), retrans=method != "ACK")

    def callee_answers(self, status="200 OK", body=""):
        return send(response(status, [self.callee.contact] if status < "3" else [], body, tag=""), retrans=False)

    def to_invite(self, status, body="", more=(), tag="b1"):
        """Not repeated by itself while it is provisional."""
        contact = [self.callee.contact] if status < "3" else []
        return send(to_invite(status, [*contact, *more], body, tag), retrans=not status.startswith("1"))

    # --- the end, for both sides ---
    def caller_hangs_up(self, cseq=90):
        return [go(), send(self.caller.in_dialog("BYE", cseq)), expect(200)]

    def callee_is_left(self):
        return self.callee.hung_up()

    def start(self, caller_steps, callee_steps):
        begin, wait = (self.bench.phone, self.bench.provider) if self.outgoing else (self.bench.caller, self.bench.phone_waits)
        self.callee_program = wait(callee_steps, address=self._there, call_id=self.call_id)
        remote = (PROXY if self.outgoing else WAN, 5060)
        self.caller_program = begin(caller_steps, address=self._here, remote=remote, call_id=self.call_id)

    # --- what arrives ---
    def from_caller(self, kind, cseq=None, number=0):
        return self._arriving(self.outgoing, kind, cseq, number)

    def from_callee(self, kind, cseq=None, number=0):
        return self._arriving(not self.outgoing, kind, cseq, number)

    def _arriving(self, outward, kind, cseq, number):
        return self.bench.capture.message("wan0" if outward else "lan0", False, kind, cseq, number, call_id=self.call_id)

    def talk(self, caller_sdp, callee_sdp, caller=None, callee=None):
        """Two-way audio between the endpoints of two messages as the other side has them, the callee's first."""
        caller, callee = caller or self.caller_party, callee or self.callee_party
        converse(callee, caller_sdp.media(), caller, callee_sdp.media())
        self.still_talk(caller_sdp, callee_sdp, caller, callee)

    def still_talk(self, caller_sdp, callee_sdp, caller=None, callee=None):
        caller, callee = caller or self.caller_party, callee or self.callee_party
        caller.hears(callee)
        callee.hears(caller)
        inside, outside, announced = (caller, callee, caller_sdp) if self.outgoing else (callee, caller, callee_sdp)
        equal(outside.rtp.sources(inside.name), {announced.media()}, "the port the inside's RTP leaves from")

    def end(self):
        """The caller hangs up; both programs end well."""
        self.caller_program.go()
        self.done()

    def done(self):
        for program in (self.caller_program, self.callee_program):
            program.done()
            self.bench.end(program)
