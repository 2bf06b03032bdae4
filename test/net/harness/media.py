# SPDX-License-Identifier: GPL-2.0-or-later
# RTP and RTCP endpoints: UDP sockets in any namespace, fed by one thread, counting what comes by where it comes from.
import collections
import select
import socket
import struct
import threading
import time

from .wait import check, until

PACE = 0.02      # one RTP packet every 20 ms, as G.711 has it
RTCP_TURNS = 5   # RTCP with every fifth


class Endpoint:
    """One socket. It sends from when `remote` is set; `received[(address, port), name]` counts by source and sender."""

    def __init__(self, media, namespace, address, port, name):
        self.name, self.remote, self.received = name, None, collections.Counter()
        self.sent = 0
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with namespace.inside():
            self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.socket.setblocking(False)
        self._rtcp = port % 2 == 1
        media.add(self)

    def send(self, turn):
        if self.remote is None or (self._rtcp and turn % RTCP_TURNS):
            return
        head = struct.pack("!BBH", 0x80, 201, 1) if self._rtcp else struct.pack("!BBH", 0x80, 0, self.sent & 0xFFFF)
        payload = head + struct.pack("!II", self.sent * 160, 0) + self.name.encode()
        try:
            self.socket.sendto(payload, self.remote)
            self.sent += 1
        except OSError:
            pass  # an ICMP error of an earlier packet, or no route for a moment

    def receive(self):
        while True:
            try:
                payload, source = self.socket.recvfrom(2048)
            except BlockingIOError:
                return
            except OSError:
                continue
            self.received[source[:2], payload[12:].decode("latin-1")] += 1

    def heard(self, sender):
        """How many packets of this sender arrived."""
        return sum(n for (_, name), n in self.received.items() if name == sender)

    def sources(self, sender):
        """From which (address, port) the packets of this sender came."""
        return {source for source, name in self.received if name == sender}


class Media:
    """All media endpoints of one test."""

    def __init__(self):
        self._endpoints, self._lock, self._stop = [], threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def add(self, endpoint):
        with self._lock:
            self._endpoints.append(endpoint)

    def party(self, namespace, address, port, name, rtcp=None):
        return Party(self, namespace, address, port, name, rtcp)

    def _loop(self):
        turn, number = time.monotonic(), 0
        while not self._stop.is_set():
            with self._lock:
                endpoints = list(self._endpoints)
            ready, _, _ = select.select([e.socket for e in endpoints], [], [], max(0, turn - time.monotonic()))
            for endpoint in endpoints:
                if endpoint.socket in ready:
                    endpoint.receive()
            if time.monotonic() >= turn:
                turn = max(turn + PACE, time.monotonic())
                number += 1
                for endpoint in endpoints:
                    endpoint.send(number)

    def close(self):
        self._stop.set()
        self._thread.join()
        for endpoint in self._endpoints:
            endpoint.socket.close()


class Party:
    """The RTP endpoint of one SDP and its RTCP endpoint on the next port."""

    def __init__(self, media, namespace, address, port, name, rtcp):
        self.name = name
        self.rtp = Endpoint(media, namespace, address, port, name)
        self.rtcp = Endpoint(media, namespace, address, rtcp or port + 1, name + " rtcp")

    def talk(self, target, rtcp=None):
        """Sends from now on to the (address, port) of the other side's SDP."""
        self.rtp.remote = target
        self.rtcp.remote = rtcp or (target[0], target[1] + 1)

    def hush(self):
        self.rtp.remote = self.rtcp.remote = None

    def hears(self, other, count=5):
        """Waits until `count` RTP packets and one RTCP packet more than now have come from the other party."""
        rtp, rtcp = self.rtp.heard(other.rtp.name) + count, self.rtcp.heard(other.rtcp.name) + 1
        until(lambda: self.rtp.heard(other.rtp.name) >= rtp,
              f"RTP of {other.name} at {self.name}; arrived: {dict(self.rtp.received)}")
        until(lambda: self.rtcp.heard(other.rtcp.name) >= rtcp,
              f"RTCP of {other.name} at {self.name}; arrived: {dict(self.rtcp.received)}")

    def hears_nothing(self, other, seconds=0.5):
        before = self.rtp.heard(other.rtp.name)
        time.sleep(seconds)
        check(self.rtp.heard(other.rtp.name) == before, f"{self.name} still hears {other.name}")


def converse(first, first_target, second, second_target):
    """Two-way audio: `first` sends alone until it is heard, then `second` answers; returns when both hear both."""
    first.talk(first_target)
    second.hears(first)
    second.talk(second_target)
    first.hears(second)
