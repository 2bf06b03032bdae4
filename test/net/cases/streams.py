# SPDX-License-Identifier: GPL-2.0-or-later
# SIP over TCP: whatever the segmentation, what arrives is the expected message to the byte.
import time

from harness.case import case
from harness.router import PHONE, PHONE_V6, PROXY, PROXY_V6, WAN, WAN_V6
from harness.stream import OUT, Listener, Talk, connect, exchange, pair, registered, text
from harness.wait import check, equal, until


def in_pieces(sender, data, size, pause=0.0):
    for at in range(0, len(data), size):
        sender.send(data[at:at + size])
        if pause:
            time.sleep(pause)


def at_every_position(sender, receiver, make, what):
    """Each message in two segments, cut one byte later than the one before. Returns the longest time one took."""
    longest, cut, size = 0.0, 1, 2
    while cut < size:
        sent, expected = make(cut)
        size = len(sent)
        begin = time.monotonic()
        sender.send(sent[:cut])
        sender.send(sent[cut:])
        receiver.receives(expected, f"{what}, cut at {cut}")
        longest = max(longest, time.monotonic() - begin)
        cut += 1
    check(cut > 200, f"only {cut} positions")
    return cut, longest


@case("issue 4", accept=OUT)
def every_split_position_of_an_invite(bench):
    """An INVITE cut into two segments at every byte, and the 200 to it: the rewritten message arrives, not a byte else, on one
    connection whose edits add up."""
    phone, provider = pair(bench, port=40000)
    talk = Talk(40000)
    count, longest = at_every_position(phone, provider, lambda cut: talk.invite(f"cut-{cut:04d}"), "an INVITE")
    print(f"     {count} positions out, the slowest took {longest * 1000:.0f} ms")
    answer = lambda cut: talk.answer(f"cut-{cut:04d}", method="INVITE", status="180 Ringing")
    count, longest = at_every_position(provider, phone, answer, "a response")
    print(f"     {count} positions in, the slowest took {longest * 1000:.0f} ms")
    equal(bench.daemon.counter("events", "streams-followed"), 1, "connections followed")


@case("issue 4", accept=OUT)
def every_split_position_of_a_request_of_the_provider(bench):
    """The same for an INVITE to a registered phone over the phone's own connection."""
    phone, provider = pair(bench, port=40000)
    talk = registered(phone, provider)
    count, longest = at_every_position(provider, phone, lambda cut: talk.called(f"cut-{cut:04d}"), "an INVITE in")
    print(f"     {count} positions, the slowest took {longest * 1000:.0f} ms")


@case("issue 4; kernel-facts 4", accept=OUT)
def message_in_tiny_segments(bench):
    """Messages in segments of 1, 7 and 100 bytes, sent in a burst, with pauses, and by a sender with Nagle, arrive whole, in
    both directions."""
    phone, provider = pair(bench, port=40000)
    talk = registered(phone, provider)
    for number, (size, pause) in enumerate(((1, 0), (7, 0), (100, 0), (7, 0.001), (100, 0.005), (250, 0.05))):
        for sender, receiver, make in ((phone, provider, talk.invite), (provider, phone, talk.called)):
            sent, expected = make(f"tiny-{number}")
            begin = time.monotonic()
            in_pieces(sender, sent, size, pause)
            receiver.receives(expected, f"a message in pieces of {size}, pause {pause}")
            print(f"     pieces of {size}, pause {pause * 1000:.0f} ms: {(time.monotonic() - begin) * 1000:.0f} ms")
    for end in (phone, provider):
        end.nagle()
    for number, cut in enumerate((1, 30, 400)):
        for sender, receiver, make in ((phone, provider, talk.invite), (provider, phone, talk.called)):
            sent, expected = make(f"nagle-{number}")
            begin = time.monotonic()
            sender.send(sent[:cut])
            time.sleep(0.002)
            sender.send(sent[cut:])
            receiver.receives(expected, f"a message of a sender with Nagle, cut at {cut}")
            took = time.monotonic() - begin
            print(f"     Nagle, cut at {cut}: {took * 1000:.0f} ms")


@case("issue 4", accept=OUT)
def several_messages_in_one_segment(bench):
    """Messages that share segments, with keepalives between them, are each edited, in both directions."""
    phone, provider = pair(bench, port=40000)
    talk = registered(phone, provider)
    for rounds in (2, 20):
        for sender, receiver, make in ((phone, provider, talk.invite), (provider, phone, talk.called),
                                       (phone, provider, talk.options)):
            messages = [make(f"many-{rounds}-{number}") for number in range(rounds)]
            crlf = b"\r\n\r\n"
            sender.send(crlf.join(m[0] for m in messages))
            receiver.receives(crlf.join(m[1] for m in messages), f"{rounds} messages in one write")
            messages = [make(f"shift-{rounds}-{number}") for number in range(rounds)]
            in_pieces(sender, b"".join(m[0] for m in messages), 517)
            receiver.receives(b"".join(m[1] for m in messages), f"{rounds} messages that share segments")


@case("issue 4; RFC 5626 4.4.1", accept=OUT)
def keepalives_pass_at_once(bench):
    """CRLFs before the first message, between messages, and pong of the other end pass as soon as they come and hold nothing."""
    phone, provider = pair(bench, port=40000)
    for end, other in ((phone, provider), (provider, phone)):
        end.send(b"\r\n\r\n")
        other.receives(b"\r\n\r\n", "a CRLF keepalive before the first message")
    talk = registered(phone, provider)
    for number in range(5):
        phone.send(b"\r\n\r\n")
        took = provider.receives(b"\r\n\r\n", "a CRLF keepalive")
        provider.send(b"\r\n")
        took += phone.receives(b"\r\n", "its pong")
        exchange(phone, provider, talk.invite(f"alive-{number}"))
        exchange(provider, phone, talk.called(f"alive-{number}"))
    print(f"     a keepalive and its pong took {took * 1000:.1f} ms")
    phone.send(b"\r")
    provider.receives(b"\r", "half a keepalive")
    sent, expected = talk.invite("half")
    phone.send(b"\n\r\n" + sent)
    provider.receives(b"\n\r\n" + expected, "its rest and a message")


@case("issue 4", accept=OUT)
def long_body_that_is_no_sdp_streams(bench):
    """Bodies of 64 KB and of 1 MB that are no SDP pass while they come; their heads are edited and so is the next message."""
    phone, provider = pair(bench, port=40000)
    talk = registered(phone, provider)
    line = f"the phone is {PHONE}:40000, INVITE sip:bob@{PHONE} SIP/2.0\r\nVia: SIP/2.0/TCP {PHONE}\r\n\r\n"
    for size in (65536, 1 << 20):
        body = (line * (size // len(line) + 1))[:size]
        sent, expected = talk.options(f"long-{size}", body=body)
        sending = phone.send_meanwhile(sent)
        took = provider.receives(expected, f"a body of {size} bytes", 20)
        sending.join()
        print(f"     {size} bytes in {took * 1000:.0f} ms")
        exchange(phone, provider, talk.invite(f"behind-{size}"), "the message behind it")
        back = talk.called(f"back-{size}", body=body)
        back = tuple(side.replace(b"application/sdp", b"text/plain") for side in back)
        sending = provider.send_meanwhile(back[0])
        phone.receives(back[1], f"a body of {size} bytes that comes in", 20)
        sending.join()
        exchange(provider, phone, talk.called(f"in-behind-{size}"), "the message behind it")
    head, body = talk.options("head", body="x" * 100_000)[0][:-100_000], b"x" * 100_000
    phone.send(head)
    provider.receives(talk.options("head", body="x" * 100_000)[1][:-100_000], "the head, before any byte of the body is sent")
    sending = phone.send_meanwhile(body)
    provider.receives(body, "the body")
    sending.join()


def candidates(count):
    return "".join(f"a=x-note:{number} this line only makes the description long, and no rule knows what it says\r\n"
                   for number in range(count))


@case("issue 4", accept=OUT)
def description_longer_than_segments_and_windows(bench):
    """SDP of 3 KB, of 20 KB (more than a sender may have under way at first) and of 60 KB is held whole and edited."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    for number, lines in enumerate((40, 250, 700)):
        phone, provider = pair(bench, listener, port=40000 + number)
        talk = Talk(40000 + number)
        sent, expected = talk.invite(f"sdp-{lines}", sdp_more=candidates(lines))
        sending = phone.send_meanwhile(sent)
        took = provider.receives(expected, f"an INVITE of {len(sent)} bytes")
        sending.join()
        print(f"     {len(sent)} bytes as the first of a connection: {took * 1000:.0f} ms")
        exchange(phone, provider, talk.options(f"next-{lines}"), "the message behind it")


@case("issue 4", accept=OUT)
def description_beyond_the_bound_passes_unchanged(bench):
    """A message whose head and SDP exceed what is held passes unchanged and counted; the next one is edited again."""
    phone, provider = pair(bench, port=40000)
    talk = Talk(40000)
    exchange(phone, provider, talk.invite("first"))
    sent, _ = talk.invite("huge", sdp_more=candidates(1000))
    sending = phone.send_meanwhile(sent)
    provider.receives(sent, f"an INVITE of {len(sent)} bytes")
    sending.join()
    exchange(phone, provider, talk.invite("last"), "the message behind it")


@case("issue 4; RFC 3261 7.3.3", accept=OUT)
def compact_names_frame_too(bench):
    """Content-Length as `l`, in any case and with blanks, frames; without any on a stream the rest passes as it is."""
    phone, provider = pair(bench, port=40000)
    talk = Talk(40000)
    for number, name in enumerate(("l", "L", "content-length", "Content-Length ")):
        pairs = [talk.invite(f"compact-{number}-{n}", length=name) for n in range(3)]
        phone.send(b"".join(p[0] for p in pairs))
        provider.receives(b"".join(p[1] for p in pairs), f"messages with {name!r}")
    sent, _ = talk.invite("none", length="X-Content")
    sent += talk.invite("after")[0]
    phone.send(sent)
    provider.receives(sent, "messages without Content-Length")
    exchange(provider, phone, talk.answer("compact-0-0", method="INVITE", status="180 Ringing"), "the other direction")


@case("issue 4", accept=OUT)
def many_edits_of_both_signs_add_up(bench):
    """Hundreds of messages that grow one way and shrink the other, both ends writing at once."""
    phone, provider = pair(bench, port=40000)
    talk = registered(phone, provider)
    out = [talk.invite(f"sum-{n}") for n in range(400)]
    back = [talk.called(f"sum-{n}") for n in range(400)]
    threads = [phone.send_meanwhile(b"".join(m[0] for m in out)), provider.send_meanwhile(b"".join(m[0] for m in back))]
    provider.receives(b"".join(m[1] for m in out), "400 INVITEs out", 30)
    phone.receives(b"".join(m[1] for m in back), "400 INVITEs in", 30)
    for thread in threads:
        thread.join()
    phone.half_close()
    provider.sees_end()
    exchange(provider, phone, talk.called("after-fin"), "a message behind the other end's FIN")
    provider.close()
    phone.sees_end()


@case("issue 4", accept=OUT, ipv6=True)
def ipv6_is_followed_too(bench):
    """The same on IPv6 with a translated address: INVITEs cut into two segments, and calls to the phone."""
    bench.router.router.nft("table ip6 admin_nat {\n chain out {\n type nat hook postrouting priority srcnat;\n"
                            ' oifname "wan0" masquerade\n }\n}\n')
    listener = Listener(bench, bench.router.outside, PROXY_V6, 5060)
    phone = connect(bench, bench.router.inside, (PROXY_V6, 5060), (PHONE_V6, 40000))
    provider = listener.accept()

    def message(host, first_line, via, name, contact):
        body = f"v=0\r\no=- 1 1 IN IP6 {host}\r\ns=-\r\nc=IN IP6 {host}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
        return text(first_line, f"{via};branch=z9hG4bK-{name}", f"<sip:carol@example.net>;tag={name}", "<sip:bob@example.net>",
                    f"{name}@six", "1 INVITE", [f"Contact: <sip:x@{contact};transport=tcp>"], body)

    for cut in range(1, 400, 13):
        make = lambda host: message(host, "INVITE sip:bob@example.net SIP/2.0", f"[{host}]:40000", f"out-{cut}", f"[{host}]:40000")
        sent, expected = make(PHONE_V6), make(WAN_V6)
        phone.send(sent[:cut])
        phone.send(sent[cut:])
        provider.receives(expected, f"an INVITE cut at {cut}")
    make = lambda host: text(f"INVITE sip:x@[{host}]:40000;transport=tcp SIP/2.0", f"[{PROXY_V6}]:5060;branch=z9hG4bK-in",
                             "<sip:bob@example.net>;tag=b", f"<sip:carol@example.net>;tag=out-{cut}", f"out-{cut}@six", "7 INVITE",
                             [f"Contact: <sip:bob@[{PROXY_V6}]:5060;transport=tcp>"])
    exchange(provider, phone, (make(WAN_V6), make(PHONE_V6)), "a request in the dialog")


@case("issue 4", accept=OUT)
def connections_are_shown(bench):
    """`show connections` and `show stats` tell which connections are followed, whose messages are read, whether lengths were
    changed and what is held; what is no SIP is not followed."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    phone, provider = pair(bench, listener, 40000)
    rows = lambda: bench.daemon.show("connections")["connections"]
    row = rows()[0]
    equal((row["opener"], row["answerer"]),
          ({"inside": f"{PHONE}:40000", "outside": f"{WAN}:40000"}, {"inside": f"{PROXY}:5060", "outside": f"{PROXY}:5060"}), "ends")
    equal([row[key] for key in ("state", "reads_opener", "reads_answerer", "resized", "held_bytes")], ["open", True, True, False, 0], "state")
    talk = registered(phone, provider)
    sent, edited = talk.invite("half")
    phone.send(sent[:400])
    until(lambda: rows()[0]["held_bytes"] >= 400, "a half message to be held")
    now = bench.daemon.show("stats")["now"]
    equal((now["connections"], now["held_bytes"]), (1, rows()[0]["held_bytes"]), "show stats")
    check(f"{PHONE}:40000 ({WAN}:40000)" in bench.daemon.ctl("show", "connections").stdout, "the text lacks the ends")
    phone.send(sent[400:])
    provider.receives(edited, "the message")
    until(lambda: rows()[0]["held_bytes"] == 0, "nothing to be held")
    equal([rows()[0][key] for key in ("reads_opener", "resized")], [True, True], "state behind the edit")
    other, far = pair(bench, listener, 40001)
    other.send(b"GET / HTTP/1.1\r\n\r\n")
    far.receives(b"GET / HTTP/1.1\r\n\r\n")
    equal(len(rows()), 1, "connections")
    phone.reset()
    until(lambda: rows()[0]["state"] == "closing", "the connection to be closing")


@case("issue 4", slow=True, accept=OUT)
def message_that_never_ends_leaves_unchanged(bench):
    """Half a message stays out for longer than it is held: it leaves unchanged, and so does its rest; the other direction and
    new connections are not touched by that."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    phone, provider = pair(bench, listener, 40000)
    talk = registered(phone, provider)
    sent, _ = talk.invite("never")
    phone.send(sent[:200])
    begin = time.monotonic()
    provider.receives(sent[:200], "half a message", 15)
    check(8 < time.monotonic() - begin < 13, f"held for {time.monotonic() - begin:.1f} s")
    phone.send(sent[200:])
    provider.receives(sent[200:], "its rest")
    exchange(provider, phone, talk.called("other"), "the other direction")
    second, far = pair(bench, listener, 40001)
    talk = Talk(40001)
    sent, _ = talk.invite("half-a-body")
    cut = sent.index(b"v=0") + 20
    second.send(sent[:cut])
    far.receives(sent[:cut], "a head and half an SDP", 15)
    second.send(sent[cut:])
    far.receives(sent[cut:], "its rest")
    exchange(second, far, talk.invite("next"), "the next message, whose start is known")
