# SPDX-License-Identifier: GPL-2.0-or-later
# The topology of every test:  inside (phones, PBX) -- lan0 router wan0 -- outside (provider, media server, strangers)
# With `dmz` a third network:                                      dmz0 -- servers
# With `second_uplink` another way to the outside:                 wan1; CARRIER is reached by whichever is the default
import itertools
import os

from .capture import Capture
from .netns import Namespace, batch
from .bad_line import Wire

PHONE, PHONE_2, PBX = "10.0.0.2", "10.0.0.3", "10.0.0.10"
LAN, WAN = "10.0.0.1", "203.0.113.1"
PROXY, MEDIA, STRANGER, WORKER, REGISTRAR_2 = ("203.0.113.%d" % n for n in (2, 3, 4, 50, 6))
DMZ, SERVER = "192.0.2.1", "192.0.2.2"
WAN_2, GATEWAY_2, CARRIER = "198.51.100.1", "198.51.100.2", "198.18.0.2"
PHONE_V6, WAN_V6, PROXY_V6 = "fd00::2", "2001:db8:1::1", "2001:db8:1::2"

MASQUERADE = """
table ip admin_nat {
  chain dstnat { type nat hook prerouting priority dstnat; %(dnat)s }
  chain srcnat { type nat hook postrouting priority srcnat; %(snat)s oifname "wan0" masquerade; }
}
"""

# What the issue asks for: nothing enters unasked, and only SIP leaves unasked.
FIREWALL = """
table inet admin_filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan0" oifname "wan0" udp dport { 5060%(ports)s } accept
    %(more)s
  }
  chain input { type filter hook input priority filter; policy accept; }
}
"""

_numbers = itertools.count()


class Router:
    """Three namespaces, gone with close(). `nat`: masquerade or a plain firewall; dnat, snat, accept: more admin rules.
    dmz: a fourth namespace on a third interface. second_uplink: a third interface, which leads outside too. bad_lines: both neighbours are reached through a Wire, which loses and
    reorders. capture: every packet is read along; what measures speed does without."""

    def __init__(self, nat=True, ipv6=False, dnat="", snat="", accept="", ports="", open_firewall=False, dmz=False,
                 second_uplink=False, bad_lines=False, capture=True):
        self.prefix = "sa%d-%d" % (os.getpid(), next(_numbers))
        self._names = [self.prefix + suffix for suffix in ("-in", "-rt", "-out")]
        self.inside = self.router = self.outside = self.dmz = self.capture = self.lines = None
        self.wires = []
        try:
            self._make(nat, ipv6, self._name_of_lines() if bad_lines else None)
            if dmz:
                self._add_dmz(nat)
            if second_uplink:
                self._add_uplink()
                accept += 'iifname "lan0" oifname "wan1" udp dport 5060 accept'
                snat += 'oifname "wan1" masquerade;'
            rules = FIREWALL % {"more": "accept" if open_firewall else accept, "ports": ports}
            if nat:
                rules += MASQUERADE % {"dnat": dnat, "snat": snat}
            self.rules = rules
            self.router.nft(rules)
            self.capture = Capture(self.router, ("lan0", "wan0", *(["wan1"] if second_uplink else []))) if capture else None
        except BaseException:
            self.close()
            raise

    def _name_of_lines(self):
        self._names.append(self.prefix + "-wires")
        return self._names[-1]

    def _link(self, neighbour, end, router, side, lines):
        """The commands that make a link; through two ends in `lines` where there is one."""
        if not lines:
            return [f"link add {end} netns {neighbour} type veth peer name {side} netns {router}"]
        return [f"link add {end} netns {neighbour} type veth peer name {end}-far netns {lines}",
                f"link add {side} netns {router} type veth peer name {side}-far netns {lines}"]

    def _start_lines(self):
        self.lines = Namespace(self._names[3])
        ends = (("i0-far", "lan0-far"), ("o0-far", "wan0-far"))
        self.lines.run(["ip", "-batch", "-"], feed="".join(f"link set {end} up\n" for pair in ends for end in pair))
        self.wires = [Wire(self.lines, *pair, seed=number) for number, pair in enumerate(ends)]

    def set_mtu(self, lan=1500, wan=1500):
        for namespace, link, mtu in ((self.inside, "i0", lan), (self.router, "lan0", lan), (self.router, "wan0", wan),
                                     (self.outside, "o0", wan)):
            namespace.run(["ip", "link", "set", link, "mtu", str(mtu)])

    def _make(self, nat, ipv6, lines):
        lan, rtr, out = self._names[:3]
        batch(["netns add " + name for name in self._names])
        lan_addresses = [PHONE, PHONE_2, PBX]
        out_addresses = [PROXY, MEDIA, STRANGER, WORKER, REGISTRAR_2]
        batch(self._link(lan, "i0", rtr, "lan0", lines) + self._link(out, "o0", rtr, "wan0", lines))
        self.inside, self.router, self.outside = (Namespace(name) for name in self._names[:3])
        commands = {lan: [f"addr add {a}/24 dev i0" for a in lan_addresses],
                    rtr: [f"addr add {LAN}/24 dev lan0", f"addr add {WAN}/24 dev wan0"],
                    out: [f"addr add {a}/24 dev o0" for a in out_addresses]}
        if ipv6:
            commands[lan].append(f"addr add {PHONE_V6}/64 dev i0 nodad")
            commands[rtr] += ["addr add fd00::1/64 dev lan0 nodad", f"addr add {WAN_V6}/64 dev wan0 nodad"]
            commands[out].append(f"addr add {PROXY_V6}/64 dev o0 nodad")
        for name, links in ((lan, ("i0",)), (rtr, ("lan0", "wan0")), (out, ("o0",))):
            commands[name] += [f"link set {link} up" for link in ("lo", *links)]
        commands[lan].append(f"route add default via {LAN}")
        if not nat:
            commands[out].append(f"route add 10.0.0.0/24 via {WAN}")
        commands[rtr].append("route add default via " + PROXY)
        if ipv6:
            commands[lan].append("route add default via fd00::1")
            commands[out].append("route add fd00::/64 via " + WAN_V6)
        if ipv6:  # no second of duplicate address detection
            for namespace, links in ((self.inside, ("i0",)), (self.router, ("lan0", "wan0")), (self.outside, ("o0",))):
                namespace.sysctl(**{f"ipv6__conf__{link}__accept_dad": 0 for link in links})
        for namespace in (self.inside, self.router, self.outside):
            namespace.run(["ip", "-batch", "-"], feed="\n".join(commands[namespace.name]) + "\n")
        self.router.sysctl(ipv4__ip_forward=1, ipv4__conf__all__send_redirects=0, ipv4__conf__lan0__send_redirects=0)
        if ipv6:
            self.router.sysctl(ipv6__conf__all__forwarding=1)
        if lines:
            self._start_lines()

    def _add_dmz(self, nat):
        name = self.prefix + "-dmz"
        self._names.append(name)
        batch(["netns add " + name, f"link add d0 netns {name} type veth peer name dmz0 netns {self.router.name}"])
        self.dmz = Namespace(name)
        commands = {self.dmz: [f"addr add {SERVER}/24 dev d0", "link set lo up", "link set d0 up", f"route add default via {DMZ}"],
                    self.router: [f"addr add {DMZ}/24 dev dmz0", "link set dmz0 up"],
                    self.outside: [] if nat else [f"route add 192.0.2.0/24 via {WAN}"]}
        for namespace, lines in commands.items():
            namespace.run(["ip", "-batch", "-"], feed="\n".join(lines) + "\n")

    def _add_uplink(self):
        batch([f"link add o1 netns {self.outside.name} type veth peer name wan1 netns {self.router.name}"])
        commands = {self.outside: [f"addr add {GATEWAY_2}/24 dev o1", f"addr add {CARRIER}/32 dev lo", "link set o1 up"],
                    self.router: [f"addr add {WAN_2}/24 dev wan1", "link set wan1 up",
                                  f"route add default via {GATEWAY_2} dev wan1 metric 100"]}
        for namespace, lines in commands.items():
            namespace.run(["ip", "-batch", "-"], feed="\n".join(lines) + "\n")

    def fail_over(self):
        """The first uplink is no way out any more; its link stays up and keeps its address."""
        self.router.run(["ip", "route", "del", "default", "dev", "wan0"])

    def fail_back(self):
        self.router.run(["ip", "route", "add", "default", "via", PROXY, "dev", "wan0"])

    def close(self):
        if self.capture:
            self.capture.close()
        for wire in self.wires:
            wire.close()
        for namespace in (self.inside, self.router, self.outside, self.dmz, self.lines):
            if namespace:
                namespace.close()
        for name in self._names:
            if os.path.exists("/run/netns/" + name):
                batch(["netns del " + name])
