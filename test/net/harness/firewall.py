# SPDX-License-Identifier: GPL-2.0-or-later
# The zone firewall in the router's namespace, and datagrams that it lets pass or drops.
import json
import os
import socket
import struct
import time

from .daemon import CTL
from .wait import PATIENCE, Failure, check, until

TABLE = ("inet", "sipalg_zones")


def policy(zones, *pairs):
    """zones: {name: interfaces}; pairs: (source, destination, what is inspected)."""
    text = "".join(f"[zone.{name}]\ninterfaces = {json.dumps(names.split())}\n" for name, names in zones.items())
    return text + "".join(f'[[zone-pair]]\nsource = "{source}"\ndestination = "{destination}"\ninspect = {json.dumps(inspect.split())}\n'
                          for source, destination, inspect in pairs)


class ZoneFirewall:
    """text: the policy; without it the daemon's own configuration file is applied."""

    def __init__(self, bench, text=None):
        self._bench, self._namespace = bench, bench.router.router
        self.file = bench.daemon.config if bench.daemon else os.path.join(bench.folder, "zones.toml")
        if text is not None:
            self.write(text)
        self.apply()

    def write(self, text):
        self.file = os.path.join(self._bench.folder, "zones.toml")
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text)

    def apply(self):
        self.ctl("--config", self.file, "--apply")

    def ctl(self, *arguments, fails=False, namespace=None, wrapper=()):
        result = (namespace or self._namespace).run([*wrapper, CTL, "firewall", *arguments], check=False)
        if (result.returncode != 0) != fails:
            raise Failure(f"sipalgctl firewall {' '.join(arguments)} ended with {result.returncode}: {result.stderr}")
        return result

    def listed(self):
        """What the kernel has, without counters; empty when there is no such table."""
        return self._namespace.run(["nft", "--stateless", "list", "table", *TABLE], check=False).stdout

    def dropped(self, chain="forward"):
        """How many packets its last rule dropped."""
        rules = json.loads(self._namespace.run(["nft", "-j", "list", "chain", *TABLE, chain]).stdout)["nftables"]
        last = [rule["rule"]["expr"] for rule in rules if "rule" in rule][-1]
        check({"drop": None} in last, f"the last rule of {chain}: {last}")
        return next(expression["counter"]["packets"] for expression in last if "counter" in expression)

    def passes(self, source, target):
        """source, target: (namespace, address, port). A datagram goes from one to the other."""
        with bound(*target) as listening:
            send(source, target)
            listening.settimeout(3 * PATIENCE)
            try:
                listening.recv(100)
            except TimeoutError:
                raise Failure(f"{source[1:]} -> {target[1:]} did not arrive") from None

    def drops(self, source, target, chain="forward"):
        """It does not, and the chain counts it."""
        before = self.dropped(chain)
        with bound(*target) as listening:
            send(source, target)
            until(lambda: self.dropped(chain) > before, f"{chain} to count {source[1:]} -> {target[1:]} as dropped")
            listening.setblocking(False)
            try:
                listening.recv(100)
            except BlockingIOError:
                return
        raise Failure(f"{source[1:]} -> {target[1:]} arrived")


def bound(namespace, address, port):
    with namespace.inside():
        result = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    result.bind((address, port))
    return result



def send(source, target):
    with bound(*source) as sender:
        try:
            sender.sendto(b"a datagram", target[1:])
        except PermissionError:
            pass  # the output hook's way to say that it dropped


def ping(namespace, target, seconds):
    """One echo request; was it answered in time?"""
    v6 = ":" in target
    with namespace.inside():
        raw = socket.socket(*(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) if v6 else
                            (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    with raw:
        kind, answer, identity = (128, 129, 77) if v6 else (8, 0, 77)
        checksum = 0xFFFF - (kind * 256 + identity + 1)  # the kernel computes that of ICMPv6 itself
        raw.sendto(struct.pack("!BBHHH", kind, 0, checksum, identity, 1), (target, 0))
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            raw.settimeout(left)
            try:
                packet = raw.recv(1500)
            except TimeoutError:
                break
            if packet[0 if v6 else 20] == answer:
                return True
    return False
