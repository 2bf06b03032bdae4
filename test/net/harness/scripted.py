# SPDX-License-Identifier: GPL-2.0-or-later
# Messages written by the test itself and sent through the router one by one: for what no SIP program does on demand.
import socket
import zlib

from .router import PHONE, PROXY
from .wait import PATIENCE, Failure

COPIED = ("via:", "from:", "to:", "call-id:", "cseq:")


def request(method, number=1, uri=f"sip:bob@{PROXY}", via=f"{PHONE}:5060", call_id="wire", more=(), body=""):
    """One request as bytes; Call-ID, method and `number`, its CSeq, make its branch."""
    branch = f"z9hG4bK-{zlib.crc32(call_id.encode())}-{method}-{number}"
    lines = [f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {via};branch={branch}", "Max-Forwards: 70",
             f"From: <sip:alice@{PROXY}>;tag=a1", f"To: <sip:bob@{PROXY}>", f"Call-ID: {call_id}", f"CSeq: {number} {method}", *more]
    lines += [*(["Content-Type: application/sdp"] if body else []), f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def response(asked, status, more=(), body=""):
    """The response to a request as it arrived (RFC 3261 section 8.2.6)."""
    lines = [line for line in asked.decode().split("\r\n\r\n")[0].split("\r\n")[1:] if line.lower().startswith(COPIED)]
    lines = [line + ";tag=b1" if line.lower().startswith("to:") and "tag=" not in line else line for line in lines]
    lines += [*more, *(["Content-Type: application/sdp"] if body else []), f"Content-Length: {len(body)}"]
    return "\r\n".join([f"SIP/2.0 {status}", *lines, "", body]).encode()


class Socket:
    """A UDP endpoint that never answers by itself."""

    def __init__(self, namespace, address, port):
        with namespace.inside():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind((address, port))
        self.name = f"{address}:{port}"

    def send(self, payload, target):
        self._socket.sendto(payload, target)

    def receive(self, seconds=3):
        """(payload, source) of the next datagram."""
        self._socket.settimeout(seconds * PATIENCE)
        try:
            payload, source = self._socket.recvfrom(65535)
        except TimeoutError:
            raise Failure(f"nothing arrived at {self.name}") from None
        return payload, source

    def receives_nothing(self, seconds=0.3):
        self._socket.settimeout(seconds)
        try:
            payload, source = self._socket.recvfrom(65535)
        except TimeoutError:
            return
        raise Failure(f"{self.name} got from {source}: {payload[:200]!r}")

    def close(self):
        self._socket.close()


class Wire:
    """A phone and its provider on their SIP ports: what one sends, the other must get."""

    def __init__(self, bench, phone=(PHONE, 5060), provider=(PROXY, 5060)):
        self.phone = bench.socket(bench.router.inside, *phone)
        self.provider = bench.socket(bench.router.outside, *provider)
        self._target, self._back = provider, None

    def out(self, payload):
        """Sends from the phone; the bytes at the provider."""
        self.phone.send(payload, self._target)
        arrived, self._back = self.provider.receive()
        return arrived

    def back(self, payload):
        """Sends from the provider to where the phone's last message came from; the bytes at the phone."""
        self.provider.send(payload, self._back)
        return self.phone.receive()[0]
