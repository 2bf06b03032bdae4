# SPDX-License-Identifier: GPL-2.0-or-later
# Where everything is measured: one topology for all candidates, and the load generator in it.
import itertools
import json
import os
import subprocess

from harness.daemon import BUILD, ROOT
from harness.router import PHONE, PROXY, WAN, Router

GENERATOR = os.path.join(BUILD, "test", "load", "load_generator")
BARE_QUEUE = os.path.join(BUILD, "test", "load", "bare_queue")

# More phones, each with an outside address of its own: for doors by the ten thousand.
MOST_HOSTS = 32
HOSTS = [f"10.0.0.{20 + number}" for number in range(MOST_HOSTS)]
OUTSIDE = [f"203.0.113.{100 + number}" for number in range(MOST_HOSTS)]

ACCEPT_OUTWARD = 'iifname "lan0" oifname "wan0" accept'  # inward only what is established or related: doors have to be there


class Ground:
    """The namespaces, with masquerade and a firewall that drops by default, for all candidates in turn."""

    def __init__(self):
        pairs = ", ".join(f"{inside} : {outside}" for inside, outside in zip(HOSTS, OUTSIDE))
        self.router = Router(accept=ACCEPT_OUTWARD, snat=f'oifname "wan0" snat to ip saddr map {{ {pairs} }};', capture=False)
        for namespace, link, addresses in ((self.router.inside, "i0", HOSTS), (self.router.router, "wan0", OUTSIDE)):
            namespace.run(["ip", "-batch", "-"], feed="".join(f"addr add {address}/24 dev {link}\n" for address in addresses))
        self._runs = itertools.count()

    def clear(self):
        """Nothing of the candidate before is left."""
        self.router.router.conntrack("-F")
        self.router.router.conntrack("-F", "expect")

    def _place(self, hosts):
        """The generator's words for a number of phones; the first port changes, so that no run meets the flows of another."""
        insides, outsides = ([PHONE], [WAN]) if hosts == 1 else (HOSTS[:hosts], OUTSIDE[:hosts])
        words = ["--inside", self.router.inside.name, "--outside", self.router.outside.name, "--outside-host", PROXY]
        for inside, outside in zip(insides, outsides):
            words += ["--inside-host", inside, "--mapped-host", outside]
        return words

    def lengths(self, words, hosts, first_port):
        command = [GENERATOR, "--lengths", "--expect", "padded", *self._place(hosts), "--first-port", str(first_port), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def next_port(self):
        return 6000 + next(self._runs) % 60 * 64

    def run(self, words, hosts, first_port, expect, watched):
        """One run of the generator; its report."""
        command = [GENERATOR, "--expect", expect, *self._place(hosts), "--first-port", str(first_port), *words]
        for process in watched:
            command += ["--watch", str(process)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}\nended with {result.returncode}: {result.stderr.strip()}")
        return json.loads(result.stdout)

    def close(self):
        self.router.close()


def version_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def machine():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "unknown")
    return {"kernel": os.uname().release, "processor": model, "processors": os.cpu_count(),
            "compiler": version_of("c++", "--version"), "commit": version_of("git", "-C", ROOT, "rev-parse", "--short", "HEAD")}
