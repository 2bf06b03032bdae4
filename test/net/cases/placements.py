# SPDX-License-Identifier: GPL-2.0-or-later
# Where the router stands in the signalling path: record-routing Kamailios inside, outside, on both sides and nowhere.
# Every placement sees ACK, re-INVITE and BYE from both sides, calls in both directions, audio both ways, and every message that
# passed is compared line by line with what stood on the other side of the router (harness/wire.py).
from harness.case import case
from harness.kamailio import kamailio
from harness.media import converse
from harness.router import PBX, PHONE, PHONE_2, PROXY, REGISTRAR_2, WAN, WORKER
from harness.sipp import expect, expect_with_contact, go, send
from harness.texts import REMEMBER, REMEMBER_ALL, Callee, Caller, callee_asks, register, request, response, to_invite
from harness.wait import check, equal, until
from harness.wire import check_wire

INSIDE_PROXY = {"dnat": f'iifname "wan0" udp dport 5060 dnat ip to {PBX}:5060;', "accept": "ct status dnat accept"}
INSIDE_PHONE = {"dnat": f'iifname "wan0" udp dport 5060 dnat ip to {PHONE}:5060;', "accept": "ct status dnat accept"}


def caller_steps(caller, uri, proxied, ends):
    """A call with a re-INVITE from each side, this one's first."""
    answered = expect(200) if proxied else expect_with_contact(200)
    moved = [send(response("200 OK", [caller.contact], caller.body, tag="")), expect("ACK")]
    end = [go(), send(caller.in_dialog("BYE", 3)), expect(200)] if ends else Callee().hung_up()
    return [send(caller.invite(uri)), expect(100, True), expect(180, True), answered,
            send(caller.in_dialog("ACK", 1), retrans=False), go(),
            send(caller.in_dialog("INVITE", 2, caller.body)), expect(100, True), expect(200),
            send(caller.in_dialog("ACK", 2), retrans=False), expect("INVITE"), *moved, *end]


def callee_steps(callee, via, ends):
    again = send(callee_asks("INVITE", 7, via, [callee.contact], callee.body))
    end = [go(), send(callee_asks("BYE", 8, via)), expect(200)] if ends else callee.hung_up()
    return [expect("INVITE", action=REMEMBER), callee.ringing(), callee.ok(), expect("ACK"),
            expect("INVITE"), send(response("200 OK", [callee.contact], callee.body, tag="")), expect("ACK"),
            go(), again, expect(100, True), expect(200), send(callee_asks("ACK", 7, via), retrans=False), *end]


class Call:
    """One call from `caller_at` to `callee_at`, at their own addresses inside and outside; `first_hop`: where the caller sends."""

    number = 0

    def __init__(self, bench, outgoing, first_hop, caller_ends, proxied=True, route=None, **options):
        Call.number += 1
        shift = 20 * Call.number % 400
        self.bench, self.outgoing, self.caller_ends = bench, outgoing, caller_ends
        self.call_id = f"call-{Call.number}@example.com"
        self.near = bench.inside_party(4000 + shift, f"inside {Call.number}")
        self.far = bench.outside_party(6000 + shift, f"outside {Call.number}", WORKER)
        here, there, begin, wait = (PHONE, WORKER, bench.phone, bench.provider) if outgoing else \
            (WORKER, PHONE, bench.caller, bench.phone_waits)
        own, other = ((4000, 6000) if outgoing else (6000, 4000))
        caller = Caller(here, media=own + shift, to=PROXY if outgoing else WAN, more=[f"Route: {route}"] if route else [])
        uri = f"sip:{'bob' if outgoing else 'alice'}@{caller.to}"
        callee = Callee(there, other + shift)
        self.callee = wait(callee_steps(callee, there + ":5060", not caller_ends), there, call_id=self.call_id)
        steps = caller_steps(caller, uri, proxied, caller_ends)
        self.over_tcp = "tcp" in options
        if self.over_tcp:
            steps = [step.replace("SIP/2.0/UDP", "SIP/2.0/TCP").replace(":5060>", ":5060;transport=tcp>")
                     for step in steps if step != go()]
        self.caller = begin(steps, address=here, remote=first_hop, call_id=self.call_id, **options)

    def passed(self, kind, cseq=None, number=0):
        """The message has left the router to the side that gets it."""
        answer = isinstance(kind, int)
        out = self.outgoing != answer
        return self.bench.capture.message("wan0" if out else "lan0", False, kind, cseq, number, call_id=self.call_id)

    def run(self):
        """To the end; returns itself."""
        capture, way = self.bench.capture, self.outgoing
        invite, answer = self.passed("INVITE"), self.passed(200, "INVITE")
        self.passed("ACK")
        mine = (invite if way else answer).media()
        theirs = (answer if way else invite).media()
        equal((mine[0], theirs[0]), (WAN, WORKER), "the media addresses as announced")
        converse(self.near, theirs, self.far, mine)
        if not self.over_tcp:
            self.caller.go()
        self.passed("ACK", number=1)
        self.callee.go()
        capture.message("lan0" if way else "wan0", False, "ACK", call_id=self.call_id, seconds=5)
        self.near.hears(self.far)
        self.far.hears(self.near)
        equal(self.far.rtp.sources(self.near.name), {mine}, "the port the inside's RTP leaves from")
        (self.caller if self.caller_ends else self.callee).go()
        for program in (self.caller, self.callee):
            program.done()
            self.bench.end(program)
        return self


def four_calls(bench, out_hop, in_hop, proxied=True, before_in=lambda: None):
    """Both directions, each ended once from each side."""
    for caller_ends in (True, False):
        Call(bench, True, out_hop, caller_ends, proxied).run()
    before_in()
    for caller_ends in (True, False):
        Call(bench, False, in_hop, caller_ends, proxied).run()
    check_wire(bench, at_least=4 * 12)


@case("1, 7, issue 3.3", **INSIDE_PROXY)
def router_between_two_proxies(bench):
    """A record-routing Kamailio on each side of the router: calls out and in, ACK, re-INVITE and BYE from both sides find their
    way by loose routing, audio both ways, no inside address outside in fields that are ours, every other byte as it was."""
    kamailio(bench, PBX, bench.router.inside, hops={"bob": (PROXY, 5060), "alice": (PHONE, 5060)})
    kamailio(bench, PROXY, hops={"bob": (WORKER, 5060), "alice": (WAN, 5060)})
    four_calls(bench, (PBX, 5060), (PROXY, 5060))


@case("1, 7, issue 3.3", **INSIDE_PROXY)
def router_between_caller_and_proxy(bench):
    """The caller is on one side, the record-routing Kamailio and the callee on the other: an inside phone calls through a proxy
    outside, a caller outside through a proxy inside; in-dialog requests from both sides, audio both ways."""
    kamailio(bench, PROXY, hops={"bob": (WORKER, 5060)})
    kamailio(bench, PBX, bench.router.inside, hops={"alice": (PHONE, 5060)})
    four_calls(bench, (PROXY, 5060), (WAN, 5060))


@case("1, 5, 7, issue 3.3")
def router_between_proxy_and_callee(bench):
    """The caller and the record-routing Kamailio are on one side, the callee on the other: a registered inside phone is called
    through a proxy outside, a callee outside through a proxy inside; in-dialog requests from both sides, audio both ways."""
    kamailio(bench, PBX, bench.router.inside, hops={"bob": (WORKER, 5060)})
    kamailio(bench, PROXY)

    def phone_registers():
        phone = bench.phone(register(), call_id="register@example.com")
        phone.done()
        bench.end(phone)
    four_calls(bench, (PBX, 5060), (PROXY, 5060), before_in=phone_registers)


@case("1, issue 3.3", **INSIDE_PHONE)
def no_proxy_at_all(bench):
    """Phone and callee talk without any proxy, the phone is called through a DNAT rule: calls out and in, in-dialog requests
    from both sides, audio both ways."""
    four_calls(bench, (WORKER, 5060), (WAN, 5060), proxied=False)


def one_call_each_way(bench, out_hop, in_hop):
    calls = Call(bench, True, out_hop, caller_ends=False).run(), Call(bench, False, in_hop, caller_ends=True).run()
    check_wire(bench, at_least=2 * 12)
    return calls


def record_routes(message):
    return [value.strip() for line in message.headers("record-route") for value in line.split(",")]


@case("1, issue 3.3", **INSIDE_PROXY)
def double_record_route(bench):
    """Kamailios with two addresses on either side write two Record-Route values each (two listen sockets): both of the inside
    one are mapped and come back as they were, both of the outside one are left, and in-dialog requests of both sides arrive."""
    inside_sockets, outside_sockets = (f"udp:{PBX}:5060", f"udp:{PHONE_2}:5070"), (f"udp:{PROXY}:5060", f"udp:{REGISTRAR_2}:5070")
    kamailio(bench, PBX, bench.router.inside, inside_sockets,
             hops={"bob": (PROXY, 5060, inside_sockets[0]), "alice": (PHONE, 5060, inside_sockets[1])})
    kamailio(bench, PROXY, None, outside_sockets,
             hops={"bob": (WORKER, 5060, outside_sockets[1]), "alice": (WAN, 5060, outside_sockets[0])})
    outgoing, incoming = one_call_each_way(bench, (PHONE_2, 5070), (REGISTRAR_2, 5070))
    before = bench.capture.message("lan0", True, "INVITE", call_id=outgoing.call_id)
    equal([PHONE_2 in value or PBX in value for value in record_routes(before)], [True, True], "Record-Routes of the inside proxy")
    values = record_routes(bench.capture.message("wan0", False, "INVITE", call_id=outgoing.call_id))
    equal([WAN in value for value in values], [True, True], f"Record-Routes outside: {values}")
    answer = record_routes(bench.capture.message("lan0", False, 200, "INVITE", call_id=outgoing.call_id))
    equal(answer[2:], record_routes(before), "the inside proxy's Record-Routes in the answer")
    check(all(PROXY in value or REGISTRAR_2 in value for value in answer[:2]), f"the outside proxy's Record-Routes: {answer}")
    equal(len(record_routes(bench.capture.message("wan0", False, 200, "INVITE", call_id=incoming.call_id))), 4,
          "Record-Routes of the call in")


@case("1, issue 3.3", **INSIDE_PROXY)
def double_record_route_with_two_transports(bench):
    """A phone that speaks TCP with its inside Kamailio, which goes on over UDP: both Record-Route values, one of them with
    transport=tcp, come back as Kamailio wrote them, and the provider's BYE finds its way through both to the phone."""
    kamailio(bench, PBX, bench.router.inside, (f"udp:{PBX}:5060", f"tcp:{PBX}:5060"), hops={"bob": (WORKER, 5060, f"udp:{PBX}:5060")})
    call = Call(bench, True, (PBX, 5060), caller_ends=False, tcp="t1", as_written=True).run()
    sent = record_routes(bench.capture.message("lan0", True, "INVITE", call_id=call.call_id))
    equal(["transport=tcp" in value for value in sent], [False, True], f"Record-Routes of the inside proxy: {sent}")
    answer = bench.capture.message("lan0", False, 200, "INVITE", call_id=call.call_id)
    equal(record_routes(answer), sent, "the inside proxy's Record-Routes in the answer")
    bye = bench.capture.message("lan0", False, "BYE", call_id=call.call_id)
    equal([value.strip() for line in bye.headers("route") for value in line.split(",")], sent, "Route of the BYE at the inside proxy")
    check_wire(bench, at_least=10)


@case("1, issue 3.3", **INSIDE_PROXY)
def inside_proxy_addresses_come_back_unchanged(bench):
    """What an inside Kamailio writes about itself comes back to it byte for byte: Via and Record-Route in responses, Route and
    Request-URI in requests of the other side; outside none of it shows its address."""
    kamailio(bench, PBX, bench.router.inside, hops={"bob": (WORKER, 5060), "alice": (PHONE, 5060)})
    call = Call(bench, True, (PBX, 5060), caller_ends=False).run()
    capture = bench.capture
    invite = capture.message("lan0", True, "INVITE", call_id=call.call_id)
    check(invite.headers("via")[0].startswith(f"SIP/2.0/UDP {PBX};"), f"Kamailio's Via: {invite.headers('via')}")
    equal(len(record_routes(invite)), 1, "Record-Routes of Kamailio")
    for status in (180, 200):
        answer = capture.message("lan0", False, status, "INVITE", call_id=call.call_id)
        equal(", ".join(answer.headers("via")), ", ".join(invite.headers("via")), f"Via of the {status} at Kamailio")
        equal(answer.headers("record-route"), invite.headers("record-route"), f"Record-Route of the {status} at Kamailio")
    for kind in ("INVITE", "ACK", "BYE"):
        request = capture.message("lan0", False, kind, call_id=call.call_id)
        equal(request.headers("route"), invite.headers("record-route"), f"Route of the {kind} at Kamailio")
        equal(f"<{request.uri}>", invite.header("contact"), f"Request-URI of the {kind} at Kamailio")
    for message in capture.messages("wan0", False, call_id=call.call_id):
        shown = [line for name in ("contact", "record-route") for line in message.headers(name)]
        shown += [] if message.is_response else message.headers("via")[:1]
        check(not any(address in line for line in shown for address in (PBX, PHONE)), f"an inside address in {message}: {shown}")
    check_wire(bench, at_least=12)


@case("1, 6, issue 3.3")
def path_on_register(bench):
    """An inside edge Kamailio adds Path to a phone's REGISTER at a Kamailio outside: the registrar stores the mapped Path, the
    answer's Path comes back as written, and a call in travels by Route through the edge to the phone, the edge's flow forgotten."""
    kamailio(bench, PBX, bench.router.inside, hops={"alice": (PHONE, 5060)},
             register=f'add_path(); $du = "sip:{PROXY}:5060"; t_relay();')
    kamailio(bench, PROXY)
    phone = bench.phone(register(more=["Supported: path"]), remote=(PBX, 5060), call_id="path@example.com")
    phone.done()
    bench.end(phone)
    before, after = bench.capture.both("REGISTER", "out")
    equal(after.header("path"), before.header("path").replace(PBX, WAN), "Path at the registrar")
    check(PBX in before.header("path"), f"Path of the edge: {before.header('path')}")
    granted = bench.capture.message("lan0", False, 200, "REGISTER")
    equal(granted.header("path"), before.header("path"), "Path in the answer at the edge")
    bench.forget_flow("--orig-src", PBX)
    call = Call(bench, False, (PROXY, 5060), caller_ends=True).run()
    invite = bench.capture.message("lan0", False, "INVITE", call_id=call.call_id)
    equal(invite.packet.destination, PBX, "who gets the call")
    equal(invite.header("route"), before.header("path"), "Route of the call at the edge")
    check_wire(bench, at_least=12)


@case("1, 6, issue 3.3", **INSIDE_PROXY)
def service_route_on_register(bench):
    """An inside registrar gives a worker outside a Service-Route: it is mapped, and the Route of his next call comes back to
    the registrar as it wrote it, so that it routes the call to the phone."""
    route = f"<sip:{PBX}:5060;lr;worker=yes>"
    kamailio(bench, PBX, bench.router.inside, hops={"alice": (PHONE, 5060)},
             register=f'append_to_reply("Service-Route: {route}\\r\\n"); save("location");')
    worker = bench.caller(register(WORKER, user="worker", registrar=WAN), (WAN, 5060), WORKER, call_id="service-route@example.com")
    worker.done()
    bench.end(worker)
    before, after = bench.capture.both(200, "out", "REGISTER")
    equal(before.header("service-route"), route, "the Service-Route of the registrar")
    given = after.header("service-route")
    equal(given, route.replace(PBX, WAN), "the Service-Route at the worker")
    call = Call(bench, False, (WAN, 5060), caller_ends=True, route=given).run()
    sent, invite = bench.capture.both("INVITE", "in", call_id=call.call_id)
    equal((sent.header("route"), invite.header("route")), (given, route), "Route of the call, at the worker and at the registrar")
    check_wire(bench, at_least=12)


EACH_VIA = "".join(f'<ereg regexp=".*" search_in="hdr" header="Via:" occurrence="{n}" check_it="true" assign_to="via{n}"/>'
                   for n in (1, 2, 3))


@case("3, 6, issue 3.3", **INSIDE_PROXY)
def cancel_between_two_proxies(bench):
    """CANCEL and the 487's ACK are Kamailio's own, hop by hop, with the one Via of its INVITE: a ringing call out and a call in
    with early media through two proxies end on both sides, the CANCEL has the INVITE's top Via, the media doors close."""
    kamailio(bench, PBX, bench.router.inside, hops={"bob": (PROXY, 5060), "alice": (PHONE, 5060)})
    kamailio(bench, PROXY, hops={"bob": (WORKER, 5060), "alice": (WAN, 5060)})
    for outgoing in (True, False):
        here, there, begin, wait, hop, to = (PHONE, WORKER, bench.phone, bench.provider, PBX, PROXY) if outgoing else \
            (WORKER, PHONE, bench.caller, bench.phone_waits, PROXY, WAN)
        caller, callee, call_id = Caller(here, to=to), Callee(there, 6000), f"cancel-{outgoing}@example.com"
        uri = f"sip:{'bob' if outgoing else 'alice'}@{to}"
        cancel, ack = (request(method, uri, caller.via, caller.sender, f"<sip:bob@{to}>{tag}", 1, branch=f"[branch-{steps}]")
                       for method, tag, steps in (("CANCEL", "", 4), ("ACK", ";tag=b1", 7)))
        terminated = to_invite("487 Request Terminated").replace("Via:[$via]", "Via:[$via1]\nVia:[$via2]\nVia:[$via3]")
        progress = response("183 Session Progress", [callee.contact], callee.body)
        waits = wait([expect("INVITE", action=REMEMBER_ALL + EACH_VIA), send(progress, retrans=False), expect("CANCEL"),
                      send(response("200 OK"), retrans=False), send(terminated), expect("ACK")], there, call_id=call_id)
        begins = begin([send(caller.invite(uri)), expect(100), expect(183), go(), send(cancel), expect(200), expect(487),
                        send(ack, retrans=False)], address=here, remote=(hop, 5060), call_id=call_id)
        bench.capture.message("lan0" if outgoing else "wan0", False, 183, call_id=call_id)
        check(bench.daemon.media_doors(), "no media door while the call has early media")
        begins.go()
        for program in (begins, waits):
            program.done()
            bench.end(program)
        for side, arriving in (("lan0", outgoing), ("wan0", not outgoing)):
            vias = [bench.capture.message(side, arriving, kind, call_id=call_id).headers("via")[0]
                    for kind in ("INVITE", "CANCEL", "ACK")]
            equal(len(set(vias)), 1, f"top Vias of INVITE, CANCEL and ACK: {vias}")
        until(lambda: not bench.daemon.media_doors(), lambda: f"media doors to close: {bench.daemon.media_doors()}", 2)
    check_wire(bench, at_least=12)
