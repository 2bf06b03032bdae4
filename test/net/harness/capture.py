# SPDX-License-Identifier: GPL-2.0-or-later
# Every UDP datagram on the router's two sides, as its neighbours see it.
import collections
import select
import socket
import struct
import threading
import time

from . import sip
from .wait import until

# side: "lan0" or "wan0"; arriving: from that side's hosts to the router, else from the router to them
Packet = collections.namedtuple("Packet", "time side arriving source sport destination dport payload frame")

PACKET_OUTGOING = 4
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
ETH_P_ALL, IPV4, IPV6, UDP = 3, 0x0800, 0x86DD, 17


def _parse(side, arriving, frame, moment):
    """A Packet, or None for everything that is not a whole UDP datagram."""
    kind = struct.unpack_from("!H", frame, 12)[0]
    if kind == IPV4:
        header = (frame[14] & 15) * 4
        length, fragment, protocol = struct.unpack_from("!H", frame, 16)[0], struct.unpack_from("!H", frame, 20)[0], frame[23]
        if protocol != UDP or fragment & 0x1FFF:
            return None
        source, destination = socket.inet_ntop(socket.AF_INET, frame[26:30]), socket.inet_ntop(socket.AF_INET, frame[30:34])
        start, end = 14 + header, 14 + length
    elif kind == IPV6 and frame[20] == UDP:
        source, destination = socket.inet_ntop(socket.AF_INET6, frame[22:38]), socket.inet_ntop(socket.AF_INET6, frame[38:54])
        start, end = 54, 54 + struct.unpack_from("!H", frame, 18)[0]
    else:
        return None
    sport, dport = struct.unpack_from("!HH", frame, start)
    return Packet(moment, side, arriving, source, sport, destination, dport, frame[start + 8:end], frame)


class Capture:
    def __init__(self, namespace, sides):
        self.packets = []
        self._sockets, self._lock = {}, threading.Lock()
        with namespace.inside():
            for side in sides:
                sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
                sniffer.bind((side, ETH_P_ALL))
                sniffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
                sniffer.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                sniffer.setblocking(False)
                self._sockets[sniffer] = side
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def _loop(self):
        while not self._stop.is_set():
            ready, _, _ = select.select(list(self._sockets), [], [], 0.1)
            with self._lock:
                for sniffer in ready:
                    self._drain(sniffer)

    def catch_up(self):
        """What passed before this call is in `packets` after it: on a busy machine the thread comes later."""
        with self._lock:
            for sniffer in self._sockets:
                self._drain(sniffer)

    def _drain(self, sniffer):
        while True:
            try:
                frame, notes, _, address = sniffer.recvmsg(65600, 64)
            except OSError:
                return
            moment = struct.unpack("qq", notes[0][2]) if notes else (int(time.time()), 0)
            packet = _parse(self._sockets[sniffer], address[2] != PACKET_OUTGOING, frame, moment[0] + moment[1] / 1e9)
            if packet:
                self.packets.append(packet)

    def select(self, side=None, arriving=None, **fields):
        """The packets with these field values, oldest first."""
        self.catch_up()
        return [p for p in list(self.packets)
                if (side is None or p.side == side) and (arriving is None or p.arriving == arriving)
                and all(getattr(p, key) == value for key, value in fields.items())]

    def messages(self, side, arriving, kind=None, cseq=None, call_id=None, **fields):
        """SIP messages; kind: a method or a status, cseq: the method of CSeq."""
        return [m for m in (sip.Message(p) for p in self.select(side, arriving, **fields) if sip.looks_like(p.payload))
                if (kind is None or m.kind == kind) and (cseq is None or m.method == cseq)
                and (call_id is None or m.header("call-id") == call_id)]

    def message(self, side, arriving, kind, cseq=None, number=0, seconds=5, **fields):
        """The message with this number in the order of arrival; waits for it."""
        def find():
            found = self.messages(side, arriving, kind, cseq, **fields)
            return found[number] if len(found) > number else None

        def missing():
            seen = [f"    {m}" for m in self.messages(side, arriving)]
            return f"{kind} {'from' if arriving else 'towards'} {side} {fields or ''}; seen there:\n" + "\n".join(seen)

        return until(find, missing, seconds)

    def both(self, kind, way, cseq=None, number=0, **fields):
        """One message before and after the router; way: "out" or "in"."""
        first, second = ("lan0", "wan0") if way == "out" else ("wan0", "lan0")
        before = self.message(first, True, kind, cseq, number, **fields)
        return before, until(lambda: self.twin(before, second), f"{before} to leave by {second}")

    def twin(self, before, side):
        """The same message after the router: what no rule may touch identifies it."""
        for after in self.messages(side, False, before.kind, before.method):
            if after.identity == before.identity and after.packet.time >= before.packet.time:
                return after
        return None

    @staticmethod
    def repeat(namespace, link, packet):
        """The same datagram once more on the wire to the router, from that side's link."""
        frame = bytearray(packet.frame)
        start = 14 + (frame[14] & 15) * 4
        frame[start + 6:start + 8] = b"\0\0"  # what was captured of the UDP checksum is not finished; 0: none (RFC 768)
        with namespace.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
            wire.bind((link, 0))
            wire.send(frame)

    def again(self, side, payload, known, what):
        """Waits for one more datagram with these bytes than `known`."""
        until(lambda: len(self.select(side, False, payload=payload)) > known, f"{what} to leave a second time with the same bytes")

    def write(self, path):
        """A pcap file; the times of one datagram's two halves show its stay in the router."""
        with open(path, "wb") as file:
            file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for packet in list(self.packets):
                seconds = int(packet.time)
                micros = int((packet.time - seconds) * 1e6)
                file.write(struct.pack("=IIII", seconds, micros, len(packet.frame), len(packet.frame)) + packet.frame)

    def close(self):
        self._stop.set()
        self._thread.join()
        for sniffer in self._sockets:
            sniffer.close()
