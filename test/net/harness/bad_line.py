# SPDX-License-Identifier: GPL-2.0-or-later
# A bad line: loses and reorders packets between the router and its neighbours. For kernels without netem.
#
# How it works: one more namespace stands between a neighbour and the router, with the two ends in it joined by a thread that
# carries frames from one packet socket to the other. PACKET_VNET_HDR carries GSO packets and unfinished checksums along as
# they are. Losses and delays come from a seeded generator; a delayed frame is overtaken by those that follow it.
import heapq
import random
import select
import socket
import threading
import time

SOL_PACKET, PACKET_VNET_HDR, ETH_P_ALL, SO_RCVBUFFORCE = 263, 15, 3, 33


class Wire:
    """Carries between `first` and `second`, interfaces of `namespace`."""

    def __init__(self, namespace, first, second, loss=0.01, reorder=0.03, seed=1):
        self.carried = self.lost = self.delayed = 0
        self._loss, self._reorder, self._random = loss, reorder, random.Random(seed)
        self._late = []  # heap of (when, number, socket, frame)
        with namespace.inside():
            self._sockets = [self._open(name) for name in (first, second)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    @staticmethod
    def _open(name):
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        end.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        end.bind((name, ETH_P_ALL))
        end.setblocking(False)
        return end

    def _loop(self):
        while not self._stop.is_set():
            wait = max(0, self._late[0][0] - time.monotonic()) if self._late else 0.1
            ready, _, _ = select.select(self._sockets, [], [], min(wait, 0.1))
            for end in ready:
                self._carry(end, self._sockets[1 - self._sockets.index(end)])
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, target, frame = heapq.heappop(self._late)
                self._send(target, frame)

    def _carry(self, source, target):
        for _ in range(64):
            try:
                frame = source.recv(1 << 17)
            except OSError:
                return
            self.carried += 1
            chance = self._random.random()
            if chance < self._loss:
                self.lost += 1
            elif chance < self._loss + self._reorder:
                self.delayed += 1
                heapq.heappush(self._late, (time.monotonic() + self._random.uniform(0.001, 0.01), self.carried, target, frame))
            else:
                self._send(target, frame)

    @staticmethod
    def _send(target, frame):
        try:
            target.send(frame)
        except OSError:
            pass  # a full queue is a loss, too

    def close(self):
        self._stop.set()
        self._thread.join()
        for end in self._sockets:
            end.close()
