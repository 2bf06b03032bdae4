# SPDX-License-Identifier: GPL-2.0-or-later
# Calls over TCP, as SIP programs make them.
import re

from harness import scripted
from harness.case import case
from harness.router import MEDIA, PHONE, PHONE_2, PROXY, WAN
from harness.sipp import expect, pause, send
from harness.stream import OUT, Listener, connect, text
from harness.stream import sdp as stream_sdp
from harness.texts import Callee, Caller, response, sdp
from harness.wait import check, equal, until


def calling(caller, seconds):
    """INVITE, ACK, a while, BYE, all on the connection that the INVITE took."""
    return [send(caller.invite()), expect(100, optional=True), expect(180, optional=True), expect(200),
            send(caller.in_dialog("ACK", 1), retrans=False), pause(seconds), send(caller.in_dialog("BYE", 99)), expect(200)]


def ended(*programs, seconds=40):
    for program in programs:
        program.done(seconds)


def no_inside_address(server):
    """In what the provider's SIPp was sent."""
    texts = server.received()
    check(texts, "the provider received nothing")
    # its SIPp's Call-IDs have one, and they are nobody's to touch
    bad = [text for text in texts if any(PHONE in line for line in text.splitlines() if not line.startswith("Call-ID:"))]
    equal(bad[:1], [], f"messages with an inside address at the provider, {len(bad)} of {len(texts)}")


@case("issue 4", accept=OUT)
def call_over_tcp_with_sipp(bench):
    """SIPp calls over one connection, audio flows both ways, and it hangs up; the media doors close with the call."""
    server = bench.provider(Callee().call(), tcp="t1")
    phone = bench.phone(calling(Caller(), 2), tcp="t1")
    near, far = bench.inside_party(4000), bench.outside_party(6000)
    until(lambda: [c["state"] for c in bench.daemon.calls()] == ["confirmed"], "the call to be up")
    near.talk((PROXY, 6000))
    far.hears(near)
    equal(far.rtp.sources("phone"), {(WAN, 4000)}, "the port the phone's RTP leaves from")
    far.talk((WAN, 4000))
    near.hears(far)
    ended(phone, server)
    no_inside_address(server)
    until(lambda: not bench.daemon.media_doors(), "media doors to close", 3)


@case("issue 4", accept=OUT)
def calls_on_many_connections(bench):
    """Fifty SIPp calls, each on a connection of its own; the provider hangs up over the phone's connection."""
    bye = ("BYE [next_url] SIP/2.0\nVia: SIP/2.0/TCP [local_ip]:[local_port];branch=[branch]\n[last_From:]\n[last_To:]\n"
           "[last_Call-ID:]\nCSeq: 5 BYE\nMax-Forwards: 70\nContent-Length: 0\n\n")
    # the one who was called writes itself into From
    bye = bye.replace("[last_From:]", "From: <sip:bob@203.0.113.2>;tag=b1").replace("[last_To:]", "To: [$caller]")
    take = '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="caller"/>'
    steps = [expect("INVITE", action=take), *Callee().answer()[1:], expect("ACK"), pause(0.5), send(bye), expect(200)]
    server = bench.provider(steps, tcp="t1", calls=50)
    caller = Caller()
    phone = bench.phone([send(caller.invite()), expect(100, optional=True), expect(180, optional=True), expect(200),
                         send(caller.in_dialog("ACK", 1), retrans=False), expect("BYE"),
                         send(response("200 OK", tag=""), retrans=False)],
                        tcp="tn", calls=50, rate=50)
    ended(phone, server)
    no_inside_address(server)
    equal(bench.daemon.counter("events", "streams-followed"), 50, "connections")


def many_calls(bench, calls, rate, seconds, mode="t1"):
    """`calls` calls with a media port each, up at the same time; the phone's and the provider's SIPp."""
    caller = Caller()
    caller.body = sdp(PHONE, "[auto_media_port]", "alice")
    server = bench.provider(Callee().call(), tcp="t1", calls=calls, limit=seconds + 60)
    phone = bench.phone(calling(caller, seconds), tcp=mode, calls=calls, rate=rate, ports=20000, limit=seconds + 60)
    return phone, server


def sample_talks(bench, calls):
    """RTP both ways on some of the calls: the phone's from the port its SDP announced, the provider's to it."""
    far = bench.outside_party(6000)
    for number in sorted({0, calls // 3, calls // 2, calls - 1}):
        port = 20000 + 4 * number
        near, other = bench.inside_party(port, f"phone {number}"), bench.outside_party(30000 + 2 * number, f"media {number}", MEDIA)
        near.talk((PROXY, 6000))
        far.hears(near)
        equal(far.rtp.sources(near.name), {(WAN, port)}, f"the port that RTP of call {number} leaves from")
        other.talk((WAN, port))
        near.hears(other)


def all_up(bench, calls, seconds=15):
    count = lambda: sum(call["state"] == "confirmed" for call in bench.daemon.calls())
    until(lambda: count() == calls, lambda: f"{calls} calls to be up, there are {count()}", seconds, 0.2)


def complete(bench, calls, rate, seconds, mode="t1", within=15):
    phone, server = many_calls(bench, calls, rate, seconds, mode)
    all_up(bench, calls, within)
    sample_talks(bench, calls)
    ended(phone, server, seconds=seconds + 60)
    no_inside_address(server)
    until(lambda: not bench.daemon.media_doors(), "media doors to close", 5)


@case("issue 4", accept=OUT)
def trunk_with_many_calls_on_one_connection(bench):
    """A PBX with a trunk: 60 calls at the same time on one connection, all with doors of their own."""
    complete(bench, 60, 60, 3)
    equal(bench.daemon.counter("events", "streams-followed"), 1, "connections")


@case("issue 4", accept=OUT)
def two_hundred_calls_over_tcp_with_rtp(bench):
    """200 calls up at the same time over TCP, RTP both ways on a sample, all end well and close their doors."""
    complete(bench, 200, 100, 5)


def udp_registration(host, name):
    return text(f"REGISTER sip:{PROXY} SIP/2.0", f"{host}:5060;branch=z9hG4bK-{name};rport", f"<sip:{name}@{PROXY}>;tag=r",
                f"<sip:{name}@{PROXY}>", f"{name}@phone", "1 REGISTER", [f"Contact: <sip:{name}@{host}:5060>", "Expires: 600"]
                ).replace(b"SIP/2.0/TCP", b"SIP/2.0/UDP")


def contact_of(message):
    return re.search(r"Contact: <sip:[^@]*@([^>]*)>", message.decode()).group(1)


@case("issue 4; RFC 3261 18.1.1, RFC 3263 4.1", accept=OUT)
def udp_phone_takes_tcp_for_a_large_request(bench):
    """Two phones are registered over UDP from the same port; one sends an INVITE that is too large for UDP over TCP, with its usual
    Contact. A request in that dialog, over UDP to that Contact, reaches it and not the other."""
    registrar = bench.socket(bench.router.outside, PROXY, 5060)
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    phones = {host: bench.socket(bench.router.inside, host, 5060) for host in (PHONE, PHONE_2)}
    given = {}
    for host, phone in phones.items():
        phone.send(udp_registration(host, f"phone-{host}"), (PROXY, 5060))
        request, source = registrar.receive()
        given[host] = contact_of(request)
        registrar.send(scripted.response(request, "200 OK", [f"Contact: <sip:phone-{host}@{given[host]}>;expires=600"]), source)
        check(f"@{host}:5060>".encode() in phone.receive()[0], "the Contact did not come back as it was written")
    connection = connect(bench, bench.router.inside, (PROXY, 5060), (PHONE_2, 0))
    far = listener.accept()
    connection.send(text(f"INVITE sip:bob@{PROXY} SIP/2.0", f"{PHONE_2}:5060;branch=z9hG4bK-big;rport", f"<sip:carol@{PROXY}>;tag=big",
                         f"<sip:bob@{PROXY}>", "big@phone", "1 INVITE", [f"Contact: <sip:carol@{PHONE_2}:5060>"],
                         stream_sdp(PHONE_2, more="a=x-note:long\r\n" * 90)))
    target = contact_of(far.socket.recv(65536))
    equal(target, given[PHONE_2], "the Contact of its INVITE over TCP, and of its registration")
    host, _, port = target.partition(":")
    registrar.send(text(f"OPTIONS sip:carol@{target} SIP/2.0", f"{PROXY}:5060;branch=z9hG4bK-o", f"<sip:bob@{PROXY}>;tag=b",
                        f"<sip:carol@{PROXY}>;tag=big", "big@phone", "2 OPTIONS").replace(b"SIP/2.0/TCP", b"SIP/2.0/UDP"), (host, int(port or 5060)))
    check(phones[PHONE_2].receive()[0].startswith(f"OPTIONS sip:carol@{PHONE_2}:5060 SIP/2.0".encode()), "not the phone's own Contact")
    phones[PHONE].receives_nothing(0.3)
