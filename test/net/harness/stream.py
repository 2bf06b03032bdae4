# SPDX-License-Identifier: GPL-2.0-or-later
# Raw ends of TCP connections through the router, and SIP for them whose text on the other side is known to the byte.
#
# How it works: whoever writes a message here writes it twice, once with the phone's inside endpoint and once with the one
# the world sees; the first is sent and the second must arrive, nothing else, not a byte more. Content-Length is computed in
# each, so an edit that changes the SDP's length is in it.
import select
import socket
import struct
import threading
import time

from .router import PHONE, PROXY, WAN
from .wait import PATIENCE, Failure

# The administrator's firewall lets SIP over TCP out, as it does SIP over UDP. What conntrack calls INVALID it drops.
OUT = "ct state new tcp dport { 5060, 5061 } accept"


def first_difference(seen, expected):
    place = next((i for i, (a, b) in enumerate(zip(seen, expected)) if a != b), min(len(seen), len(expected)))
    start = max(0, place - 60)
    return (f"{len(seen)} bytes, expected {len(expected)}; they differ at {place}:\n  expected ...{expected[start:place + 80]!r}\n"
            f"  seen     ...{seen[start:place + 80]!r}")


class End:
    """One end of one connection."""

    def __init__(self, sock):
        self.socket = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(10 * PATIENCE)
        self.address = sock.getsockname()[:2]

    def nagle(self):
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)

    def send(self, data):
        self.socket.sendall(data)

    def send_meanwhile(self, data):
        """Sends while the test does something else; returns the thread to join."""
        thread = threading.Thread(target=self.socket.sendall, args=(data,), daemon=True)
        thread.start()
        return thread

    def receives(self, expected, what="what arrives", seconds=10):
        """Exactly these bytes come next. Returns how long that took."""
        begin, seen = time.monotonic(), bytearray()
        end = begin + seconds * PATIENCE
        while len(seen) < len(expected):
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                piece = self.socket.recv(min(1 << 16, len(expected) - len(seen)))
            except TimeoutError:
                raise Failure(f"{what}: nothing more after {seconds * PATIENCE} s; {first_difference(seen, expected)}") from None
            except ConnectionResetError:
                raise Failure(f"{what}: reset; {first_difference(seen, expected)}") from None
            if not piece:
                raise Failure(f"{what}: the connection ended; {first_difference(seen, expected)}")
            seen += piece
        if seen != expected:
            raise Failure(f"{what}: {first_difference(bytes(seen), expected)}")
        return time.monotonic() - begin

    def peek(self):
        """What has come and was not read yet."""
        self.socket.settimeout(0.02)
        try:
            return self.socket.recv(65536, socket.MSG_PEEK)
        except TimeoutError:
            return b""

    def receives_nothing(self, seconds=0.3, what="bytes that should not have come"):
        self.socket.settimeout(seconds)
        try:
            seen = self.socket.recv(65536)
        except TimeoutError:
            return
        raise Failure(f"{what}: {seen[:200]!r}" if seen else f"{what}: the connection ended")

    def sees_end(self, seconds=10):
        """The other end closed, and nothing came before that."""
        self.socket.settimeout(seconds * PATIENCE)
        try:
            seen = self.socket.recv(65536)
        except TimeoutError:
            raise Failure(f"no FIN in {seconds * PATIENCE} s") from None
        if seen:
            raise Failure(f"bytes before the end: {seen[:200]!r}")

    def sees_reset(self, seconds=10):
        """The other end, or the router, reset the connection."""
        end = time.monotonic() + seconds * PATIENCE
        while True:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                if not self.socket.recv(65536):
                    raise Failure("a FIN and no reset")
            except TimeoutError:
                raise Failure(f"no reset in {seconds * PATIENCE} s") from None
            except (ConnectionResetError, BrokenPipeError):
                return

    def is_reset_by_sending(self, data):
        """The connection is reset when this is sent, or was before: a segment of its own may have been answered so."""
        try:
            self.send(data)
        except ConnectionResetError:
            return
        self.sees_reset()

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()


class Reader:
    """Reads an end in the background. The end's timeout is left alone: somebody may be writing to it meanwhile."""

    def __init__(self, end):
        self._end, self._seen, self._enough = end, bytearray(), None
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def _loop(self):
        while self._enough is None or len(self._seen) < self._enough:
            try:
                if not select.select([self._end.socket], [], [], 0.1)[0]:
                    continue
                piece = self._end.socket.recv(1 << 16)
            except (OSError, ValueError):  # reset, or closed here
                return
            if not piece:
                return
            self._seen += piece

    def got(self, expected, what, seconds=15):
        """Exactly this, all in all."""
        self._enough = len(expected)
        self._thread.join(seconds * PATIENCE)
        if bytes(self._seen) != expected:
            raise Failure(f"{what}: {first_difference(bytes(self._seen), expected)}")


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Listener:
    def __init__(self, bench, namespace, address, port, buffer=None):
        with namespace.inside():
            self.socket = socket.socket(family_of(address))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.bind((address, port))
        self.socket.listen(64)
        self.socket.settimeout(10 * PATIENCE)
        self._bench = bench
        bench.keep(self)

    def accept(self, seconds=10):
        self.socket.settimeout(seconds * PATIENCE)
        try:
            return self._bench.keep(End(self.socket.accept()[0]))
        except TimeoutError:
            raise Failure(f"no connection to {self.socket.getsockname()} in {seconds * PATIENCE} s") from None

    def close(self):
        self.socket.close()


def connect(bench, namespace, target, source=(PHONE, 0), seconds=10, sock=None):
    """A connection as its opener has it. An OSError is the caller's: some tests want one."""
    if sock is None:
        with namespace.inside():
            sock = socket.socket(family_of(source[0]))
    bench.keep(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(source)
    sock.settimeout(seconds * PATIENCE)
    sock.connect(target)
    return End(sock)


def pair(bench, listener=None, port=0, target=(PROXY, 5060)):
    """A phone's connection to the provider, both ends."""
    listener = listener or Listener(bench, bench.router.outside, *target)
    phone = connect(bench, bench.router.inside, target, (PHONE, port))
    return phone, listener.accept()


# --- messages: one text for each side ---

def sdp(host, media=4000, more=""):
    return (f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {media} RTP/AVP 0\r\n"
            f"a=rtpmap:0 PCMU/8000\r\n{more}")


def text(first_line, via, sender, to, call_id, cseq, more=(), body="", kind="application/sdp", length="Content-Length"):
    lines = [first_line, f"Via: SIP/2.0/TCP {via}", "Max-Forwards: 70", f"From: {sender}", f"To: {to}", f"Call-ID: {call_id}",
             f"CSeq: {cseq}", *more, *([f"Content-Type: {kind}"] if body else []), f"{length}: {len(body)}", "", body]
    return "\r\n".join(lines).encode("latin-1")


class Talk:
    """What a phone at this port and its provider say to each other on one connection. Each method returns the bytes that
    are sent and the bytes that must arrive."""

    def __init__(self, port, contact_port=None):
        self.port, self.contact = port, contact_port or port

    def _both(self, make):
        return make(PHONE), make(WAN)

    def invite(self, name, media=4000, more=(), sdp_more="", body=None, kind="application/sdp", length="Content-Length"):
        """An INVITE of the phone."""
        return self._both(lambda host: text(
            f"INVITE sip:bob@{PROXY} SIP/2.0", f"{host}:{self.port};branch=z9hG4bK-{name};rport", f"<sip:alice@{host}>;tag={name}",
            f"<sip:bob@{PROXY}>", f"{name}@phone", "1 INVITE", [f"Contact: <sip:alice@{host}:{self.contact};transport=tcp>", *more],
            sdp(host, media, sdp_more) if body is None else body, kind, length))

    def options(self, name, more=(), body="", kind="text/plain"):
        """A request of the phone without an SDP."""
        return self._both(lambda host: text(
            f"OPTIONS sip:{PROXY} SIP/2.0", f"{host}:{self.port};branch=z9hG4bK-{name};rport", f"<sip:alice@{host}>;tag={name}",
            f"<sip:{PROXY}>", f"{name}@phone", "1 OPTIONS", [f"Contact: <sip:alice@{host}:{self.contact};transport=tcp>", *more],
            body, kind))

    def register(self, name="register", expires=600):
        return self._both(lambda host: text(
            f"REGISTER sip:{PROXY} SIP/2.0", f"{host}:{self.port};branch=z9hG4bK-{name};rport", f"<sip:alice@{PROXY}>;tag=r",
            f"<sip:alice@{PROXY}>", f"{name}@phone", "1 REGISTER",
            [f"Contact: <sip:alice@{host}:{self.contact};transport=tcp>", f"Expires: {expires}"]))

    def answer(self, name, status="200 OK", method="OPTIONS", to=None, sender=None, more=()):
        """The provider's response to a request of the phone: sent and arriving are the other way round."""
        sent, arriving = WAN, PHONE
        make = lambda host: text(
            f"SIP/2.0 {status}", f"{host}:{self.port};branch=z9hG4bK-{name};rport={self.port};received={host}",
            sender or f"<sip:alice@{host}>;tag={name}", to or f"<sip:{PROXY}>;tag=b", f"{name}@phone", f"1 {method}",
            [line.replace("HOST", host) for line in more]).replace(b"Max-Forwards: 70\r\n", b"")
        return make(sent), make(arriving)

    def registered(self, name="register", expires=600):
        sender, to = f"<sip:alice@{PROXY}>;tag=r", f"<sip:alice@{PROXY}>;tag=s"
        return self.answer(name, method="REGISTER", sender=sender, to=to,
                           more=[f"Contact: <sip:alice@HOST:{self.contact};transport=tcp>;expires={expires}"])

    def called(self, name, media=6000, body=None, sdp_more=""):
        """An INVITE of the provider to the phone's registered Contact."""
        make = lambda host: text(
            f"INVITE sip:alice@{host}:{self.contact};transport=tcp SIP/2.0", f"{PROXY}:5060;branch=z9hG4bK-{name}",
            f"<sip:bob@{PROXY}>;tag=b", f"<sip:alice@{PROXY}>", f"{name}@provider", "1 INVITE",
            [f"Contact: <sip:bob@{PROXY}:5060;transport=tcp>"], sdp(PROXY, media, sdp_more) if body is None else body)
        return make(WAN), make(PHONE)


def registered(phone, provider, contact_port=None):
    """REGISTER and its answer on this connection; what is said on it from then on."""
    talk = Talk(phone.address[1], contact_port)
    name = f"register-{talk.port}"
    exchange(phone, provider, talk.register(name))
    exchange(provider, phone, talk.registered(name))
    return talk


def exchange(sender, receiver, message, what="what arrives", **options):
    """`message` as Talk makes it: sent by one end, and exactly what must arrive arrives at the other."""
    sender.send(message[0])
    return receiver.receives(message[1], what, **options)
