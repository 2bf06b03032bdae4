# SPDX-License-Identifier: GPL-2.0-or-later
# TCP on the SIP port that is no SIP, or whose beginning nobody saw: no byte changes and nothing opens.
import os

from harness.case import case
from harness.router import PHONE, PROXY, STRANGER, WAN
from harness.stream import OUT, Listener, Talk, connect, exchange, pair
from harness.wait import check, equal

# A TLS 1.2 ClientHello, its length and its SNI; random bytes follow
HELLO = bytes.fromhex("160301007a01000076 0303".replace(" ", "")) + bytes(range(32)) + bytes.fromhex(
    "00 0004 1301 1302 0100 0049 0000 0018 0016 000013".replace(" ", "")) + b"registrar.example.net" + bytes(58)

GET = b"GET / HTTP/1.1\r\nHost: example.net\r\nX-Real-IP: 10.0.0.2\r\n\r\n"
PAGE = (f"HTTP/1.1 200 OK\r\nContent-Length: 52\r\n\r\nContact: <sip:alice@{PHONE}:5060> and Via: {WAN}:5060\r\n").encode()


def opens_nothing(bench):
    """No door in the daemon's list and none in the kernel."""
    equal(bench.daemon.doors(), [], "doors")
    equal(bench.daemon.registrations(), [], "registrations")
    expectations = bench.router.router.conntrack("-L", "expect").splitlines()
    equal([line for line in expectations if PHONE in line], [], "expectations in the kernel")


def passes(sender, receiver, data, what):
    sending = sender.send_meanwhile(data)
    receiver.receives(data, what)
    sending.join()


@case("issue 4", accept=OUT)
def not_sip_on_the_port_passes_untouched(bench):
    """HTTP, TLS and a server that speaks first pass ports 5060 and 5061 to the byte in both directions, for good: SIP behind
    such a beginning is no SIP."""
    talks = (("HTTP", GET, PAGE), ("TLS", HELLO + os.urandom(5000), HELLO[:5] + os.urandom(20_000)),
             ("binary", bytes(range(256)) * 9, bytes(range(255, -1, -1)) * 90))
    for port in (5060, 5061):
        listener = Listener(bench, bench.router.outside, PROXY, port)
        for number, (name, question, answer) in enumerate(talks):
            phone, server = pair(bench, listener, 40000 + number, (PROXY, port))
            for _ in range(3):
                passes(phone, server, question, f"{name} to port {port}")
                passes(server, phone, answer, f"{name} from port {port}")
            register = Talk(40000 + number).register()[0]
            passes(phone, server, register, "a REGISTER behind it")
            phone.close()
            server.sees_end()
        phone, server = pair(bench, listener, 40010, (PROXY, port))
        passes(server, phone, b"220 mail.example.net ESMTP " + PHONE.encode() + b"\r\n", "a greeting")
        passes(phone, server, b"EHLO 10.0.0.2\r\n", "what follows it")
        passes(phone, server, Talk(40010).register()[0], "a REGISTER behind it")
    opens_nothing(bench)


@case("issue 4", accept=OUT)
def other_end_that_is_no_sip_ends_it(bench):
    """A phone that speaks SIP to a server that does not: from the server's first bytes on nothing is edited or opened."""
    phone, server = pair(bench, port=40000)
    talk = Talk(40000)
    exchange(phone, server, talk.options("first"))
    passes(server, phone, PAGE, "a server's page")
    for _ in range(2):  # whatever lengths were changed before stay mapped
        passes(phone, server, talk.register()[0], "a REGISTER behind it")
        passes(server, phone, PAGE, "another page")
    equal(bench.daemon.registrations(), [], "registrations")
    phone.close()
    server.sees_end()


def posts(talk, mss):
    """HTTP requests whose bodies are a REGISTER, placed in every way that was ever used against an ALG."""
    register = talk.register("slip")[0]
    invite = talk.invite("slip-invite")[0]

    def post(filler, body):
        head = f"POST / HTTP/1.1\r\nHost: example.net:5060\r\nContent-Length: {len(filler) + len(body)}\r\n"
        return (head + "X-Fill: {fill}\r\n\r\n").encode(), filler + body

    for segments in (1, 2, 10):  # a filler so long that the REGISTER is the first byte of a segment
        head, body = post(b"x" * (mss * segments), register)
        head = head.replace(b"{fill}", b"y" * (mss - len(head) + len(b"{fill}")))
        yield f"behind {segments} full segments", [head + body]
    head, body = post(b"", register)
    head = head.replace(b"{fill}", b"")
    yield "in a write of its own", [head, register, register, invite]
    yield "behind CRLFs", [head + b"\r\n\r\n", b"\r\n\r\n" + register]
    yield "behind a first byte that is a CRLF", [b"\r\n" + head, register]
    yield "behind two keepalives", [b"\r\n\r\n", b"\r\n\r\n", head, register, invite]
    yield "behind a method that is SIP's", [b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n", register, invite]
    yield "behind a method with SIP's name and version in the path", [b"REGISTER /sip:x SIP/2.0 HTTP/1.1\r\nHost: x\r\n\r\n", register]
    yield "behind a chunked body", [b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(register), register]
    yield "behind a byte no token has", [b"\0", register, invite]


@case("issue 4: NAT slipstreaming", accept=OUT)
def slipstreaming_opens_nothing(bench):
    """A browser is made to POST a body in which a REGISTER or an INVITE begins a segment, to a server that answers as a
    registrar would: no byte changes, no door opens, in the daemon's list and in the kernel, and the stranger stays out."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    with_mss = connect(bench, bench.router.inside, (PROXY, 5060), (PHONE, 0))
    mss = with_mss.socket.getsockopt(6, 2)  # TCP_MAXSEG
    listener.accept().close()
    for number, (name, writes) in enumerate(posts(Talk(41000), mss)):
        talk = Talk(41000 + number)
        phone, server = pair(bench, listener, talk.port)
        for data in [write for what, writes in posts(talk, mss) if what == name for write in writes]:
            passes(phone, server, data, f"a POST with a REGISTER {name}")
        passes(server, phone, talk.registered("slip")[0], "the answer of a registrar")
        passes(server, phone, PAGE, "a page")
        opens_nothing(bench)
        phone.close()
        server.sees_end()
        server.close()
    equal(bench.daemon.counter("packets", "edited"), 0, "edited")
    try:
        connect(bench, bench.router.outside, (WAN, 41000), (STRANGER, 0), 0.5)
        check(False, "a stranger was let in")
    except (ConnectionRefusedError, TimeoutError):
        pass


@case("issue 4", accept=OUT)
def connection_that_was_there_before_the_daemon_passes_untouched(bench):
    """A connection that began without the daemon passes untouched until it closes, whatever is said on it; a new one from the
    same port is served."""
    bench.daemon.stop()
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    phone, provider = pair(bench, listener, 40000)
    talk = Talk(40000)
    passes(phone, provider, talk.register()[0], "a REGISTER without a daemon")
    half = talk.invite("half")[0]
    phone.send(half[:200])
    provider.receives(half[:200], "half an INVITE")
    bench.daemon.start()
    passes(phone, provider, half[200:], "its rest, with the daemon")
    for number in range(5):
        passes(phone, provider, talk.invite(f"late-{number}")[0], "an INVITE of a connection whose beginning was not seen")
        passes(provider, phone, talk.called(f"late-{number}")[0], "an INVITE in")
    opens_nothing(bench)
    phone.close()
    provider.sees_end()
    provider.close()
    bench.router.router.conntrack("-D", "-p", "tcp")  # else its TIME_WAIT may take another port for the new one
    phone = connect(bench, bench.router.inside, (PROXY, 5060), (PHONE, 40001))
    provider = listener.accept()
    exchange(phone, provider, Talk(40001).invite("new"), "an INVITE of a new connection")


@case("issue 4", accept=OUT)
def first_bytes_without_a_line_end_pass(bench):
    """A client whose protocol begins with a few letters, no line end, and then waits for its server: the letters pass within
    seconds, and so does everything behind them."""
    phone, server = pair(bench, port=40000)
    phone.send(b"HELLO")
    took = server.receives(b"HELLO", "letters without a line end", 12)
    print(f"     they stayed {took * 1000:.0f} ms")
    passes(server, phone, b"what?\r\n", "the server's answer")
    passes(phone, server, b" 10.0.0.2\r\n" + Talk(40000).register()[0], "what follows")
    opens_nothing(bench)


@case("issue 4", accept=OUT)
def router_that_drops_the_first_syn(bench):
    """The first SYN is lost and sent again: the connection is followed."""
    bench.router.outside.nft("table ip lose {\n chain in {\n type filter hook input priority 0;\n"
                             " tcp flags syn numgen inc mod 2 == 0 drop\n }\n}\n")
    phone, provider = pair(bench, port=40000)
    bench.router.outside.nft("delete table ip lose\n")
    exchange(phone, provider, Talk(40000).invite("again"))
    equal(bench.daemon.counter("events", "streams-followed"), 1, "connections followed")
