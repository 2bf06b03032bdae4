# SPDX-License-Identifier: GPL-2.0-or-later
# Who is not let in, and what is left alone.
import time

from cases.registration import incoming_call, registered
from harness.case import case
from harness.router import PHONE, PROXY, STRANGER, WAN
from harness.wait import check, equal, until


def invite_of_a_stranger(contact):
    return (f"INVITE sip:alice@{contact[0]}:{contact[1]} SIP/2.0\r\nVia: SIP/2.0/UDP {STRANGER}:5060;branch=z9hG4bK-s\r\n"
            f"From: <sip:100@{STRANGER}>;tag=s\r\nTo: <sip:alice@{contact[0]}>\r\nCall-ID: scan@{STRANGER}\r\nCSeq: 1 INVITE\r\n"
            f"Contact: <sip:100@{STRANGER}>\r\nContent-Length: 0\r\n\r\n").encode()


@case("5")
def strangers_do_not_ring_the_phone(bench):
    """An INVITE from another address than the registrar to a registered phone's door is not delivered, neither while the
    phone's flow lives nor after it; the registrar's call still is."""
    contact = registered(bench)
    for number, port in enumerate((5060, 5061)):
        bench.datagram(bench.router.outside, (STRANGER, port), contact, invite_of_a_stranger(contact))
        if number == 0:
            bench.forget_flow("--orig-src", PHONE)
    bench.datagram(bench.router.outside, (STRANGER, 5062), contact, invite_of_a_stranger(contact))
    time.sleep(0.3)
    equal(len(bench.capture.messages("wan0", True, "INVITE", source=STRANGER)), 3, "INVITEs that the stranger sent")
    equal(bench.capture.messages("lan0", False, "INVITE"), [], "INVITEs at the phone")
    incoming_call(bench, contact)


@case("5", config='signalling-source = "any"')
def everybody_may_call_when_allowed(bench):
    """With signalling-source = "any" a registered phone's door serves everybody."""
    contact = registered(bench)
    bench.forget_flow("--orig-src", PHONE)
    incoming_call(bench, contact, source=STRANGER)


@case("5", config=f'signalling-peers = ["{STRANGER}/32"]')
def listed_peers_may_call(bench):
    """Networks in signalling-peers may use every signalling door."""
    contact = registered(bench)
    bench.forget_flow("--orig-src", PHONE)
    incoming_call(bench, contact, source=STRANGER)


GARBAGE = {
    "not-sip": [b"GET / HTTP/1.1\r\nHost: 10.0.0.2\r\n\r\n", b"\x80\x00\x00\x01" + b"\x55" * 160,
                b"\xff\xfe\x00sip:10.0.0.2:5060"],
    "keepalive": [b"\r\n\r\n", b"\r\n", b"\x00\x00\x00\x00"],
    "malformed": [b"INVITE sip:bob@203.0.113.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK-1\r\nContact",
                  b"INVITE sip:bob@203.0.113.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-2\r\n"
                  b"Contact: <sip:a@10.0.0.2>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nFrom: <sip:a@10.0.0.2>;tag=1\r\nTo: <sip:b@c>\r\n"
                  b"Content-Length: 999999999999999999999\r\n\r\n"],
}


@case("design 1")
def garbage_passes_and_is_counted(bench):
    """What is not SIP, or not with certainty, passes port 5060 unchanged in both directions and is counted by reason."""
    bench.listener(bench.router.outside, PROXY, 5060)
    for reason, texts in GARBAGE.items():
        before = bench.daemon.counter("packets", reason)
        for text in texts:
            bench.datagram(bench.router.inside, (PHONE, 5060), (PROXY, 5060), text)
        bench.daemon.counts("packets", reason, len(texts), before)
    sent = [p.payload for p in bench.capture.select("lan0", True)]
    equal(sent, [text for texts in GARBAGE.values() for text in texts], "datagrams the phone sent")
    equal([p.payload for p in bench.capture.select("wan0", False)], sent, "datagrams at the provider")


@case("design 1, 4", ports=", 7000")
def rtp_is_left_to_the_kernel(bench):
    """What begins as RTP does and goes to no port of the service is not looked at, though it comes from one; anything else is."""
    rtp, text = b"\x80\x00\x00\x01" + b"\x55" * 160, b"GET / HTTP/1.1\r\n\r\n"
    sent = []

    def counted(payload, port, count):
        before = bench.daemon.counter("packets", "not-sip")
        bench.datagram(bench.router.inside, (PHONE, 5060), (PROXY, port), payload)
        bench.datagram(bench.router.inside, (PHONE, 5060), (PROXY, 5060), text)  # comes by the same queue behind it
        sent.extend((payload, text))
        bench.daemon.counts("packets", "not-sip", count + 1, before)
        equal(bench.daemon.counter("packets", "not-sip"), before + count + 1, f"packets read, {port}")

    for port in (5060, 7000):
        bench.listener(bench.router.outside, PROXY, port)
    counted(rtp, 7000, 0)
    counted(text, 7000, 1)
    counted(rtp, 5060, 1)
    bench.daemon.ctl("service", "add", "udp", "7000")
    counted(rtp, 7000, 1)
    bench.daemon.ctl("service", "remove", "udp", "7000")
    counted(rtp, 7000, 0)
    equal([p.payload for p in bench.capture.select("wan0", False)], sent, "datagrams at the provider")


@case("design 1")
def noise_never_stops_the_daemon(bench):
    """Two thousand mutilated messages through the queue: every one passes, and the daemon serves on."""
    bench.listener(bench.router.outside, PROXY, 5060)
    whole = (f"INVITE sip:bob@{PROXY} SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE}:5060;branch=z9hG4bK-1\r\nFrom: <sip:a@{PHONE}>;tag=1\r\n"
             f"To: <sip:bob@{PROXY}>\r\nCall-ID: n@{PHONE}\r\nCSeq: 1 INVITE\r\nContact: <sip:a@{PHONE}:5060>\r\n"
             "Content-Type: application/sdp\r\nContent-Length: 84\r\n\r\n"
             f"v=0\r\no=- 1 1 IN IP4 {PHONE}\r\ns=-\r\nc=IN IP4 {PHONE}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n").encode()
    # the same noise in every run: a failure can be repeated
    state, count, source = 12345, 2000, {"lan0": PHONE, "wan0": WAN}
    for _ in range(count):
        mutilated = bytearray(whole)
        for _ in range(3):
            state = (state * 1103515245 + 12345) % (1 << 31)
            mutilated[state % len(mutilated)] = (state >> 8) & 255
        bench.datagram(bench.router.inside, (PHONE, 5060), (PROXY, 5060), bytes(mutilated[: len(mutilated) - state % 7]))
    for side, arriving in (("lan0", True), ("wan0", False)):
        seen = lambda: len(bench.capture.select(side, arriving, source=source[side], dport=5060))
        until(lambda: seen() >= count, lambda: f"{count} datagrams at {side}, seen {seen()}", 10, 0.2)
    check(bench.daemon.show("stats"), "the daemon does not answer")


@case("design 4, 7")
def router_itself_is_no_target(bench):
    """A Contact or SDP that names the router's own address or a port below 1024 opens no door."""
    bench.listener(bench.router.outside, PROXY, 5060)
    for number, (host, port, media) in enumerate((("10.0.0.1", 5060, 4000), (PHONE, 22, 80))):
        body = f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {media} RTP/AVP 0\r\n"
        text = (f"INVITE sip:bob@{PROXY} SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE}:5060;branch=z9hG4bK-r{number}\r\n"
                f"From: <sip:a@{PHONE}>;tag=1\r\nTo: <sip:bob@{PROXY}>\r\nCall-ID: router-{number}@{PHONE}\r\nCSeq: 1 INVITE\r\n"
                f"Contact: <sip:a@{host}:{port}>\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        bench.datagram(bench.router.inside, (PHONE, 5060), (PROXY, 5060), text.encode())
        after = bench.capture.message("wan0", False, "INVITE", call_id=f"router-{number}@{PHONE}")
        equal(after.contact(), (host, port), "the Contact")
        equal(after.media()[1], media, "the media port")
    targets = [d["inside"] for d in bench.daemon.doors() if d["purpose"] != "way-out"]
    bad = [t for t in targets if t.startswith("10.0.0.1:") or int(t.rpartition(":")[2]) < 1024]
    equal(bad, [], "doors")
    equal(bench.capture.select("lan0", False), [], "packets towards the phone")
