# SPDX-License-Identifier: GPL-2.0-or-later
# Who is measured. A candidate is put on the ground for one run and taken away again.
import os
import shutil
import signal
import subprocess
import tempfile

from harness.daemon import DAEMON, Daemon
from harness.wait import Failure

from .ground import BARE_QUEUE

# nf_conntrack_sip and nf_nat_sip; their name for it is "sip", ours never is
HELPER = """
table ip bench_helper {
  ct helper sip-udp { type "sip" protocol udp; l3proto ip; }
  ct helper sip-tcp { type "sip" protocol tcp; l3proto ip; }
  chain prerouting {
    type filter hook prerouting priority filter;
    udp dport 5060 ct helper set "sip-udp"
    tcp dport 5060 ct helper set "sip-tcp"
  }
}
"""


class Candidate:
    """name: as in --only; title: as in the table; expect: what it has to deliver (load_generator --expect)."""
    name = title = ""
    expect = "same"
    may_lose = 0.001      # of all messages, before a round counts as faulty
    generator = []        # more words for the load generator

    def missing(self):
        """Why it can not be measured here, or nothing."""
        return ""

    def start(self, ground, words, hosts, first_port):
        """Puts it in place; the processes whose CPU time counts as its own."""
        return []

    def stop(self, ground):
        pass

    def details(self):
        """What it says of itself after a run, for the JSON."""
        return {}


class Plain(Candidate):
    name, title = "plain", "plain forward"


class BareQueue(Candidate):
    _process = _folder = None

    def start(self, ground, words, hosts, first_port):
        self._folder = tempfile.mkdtemp(prefix="sipalg-bench-")
        command = [BARE_QUEUE, self.name]
        if self.name == "replace":
            path = os.path.join(self._folder, "lengths")
            with open(path, "w", encoding="ascii") as file:
                file.write(ground.lengths(words, hosts, first_port))
            command.append(path)
        self._process = ground.router.router.popen(command, stdout=subprocess.PIPE)
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"bare_queue {self.name} does not start")
        return [self._process.pid]

    def stop(self, ground):
        if self._process:
            self._process.terminate()
            self._process.wait(10)
            self._process.stdout.close()
            self._process = None
        if self._folder:
            shutil.rmtree(self._folder)
            self._folder = None


class Accept(BareQueue):
    name, title = "accept", "NFQUEUE accept"


class Replace(BareQueue):
    name, title, expect = "replace", "NFQUEUE replace", "padded"


class Helper(Candidate):
    name, title, expect = "helper", "kernel SIP helper", "mapped"

    def missing(self):
        try:
            subprocess.run(["modprobe", "-a", "nf_conntrack_sip", "nf_nat_sip"], capture_output=True, check=False)
        except OSError:
            pass
        return "" if os.path.isdir("/sys/module/nf_conntrack_sip") else "this kernel has no nf_conntrack_sip"

    def start(self, ground, words, hosts, first_port):
        ground.router.router.nft(HELPER)
        return []

    def stop(self, ground):
        ground.clear()  # a conntrack holds its helper
        ground.router.router.run(["nft", "delete", "table", "ip", "bench_helper"], check=False)


class Sipalgd(Candidate):
    expect = "mapped"
    _daemon = _folder = None
    _details = {}

    def __init__(self, name="sipalgd", program=DAEMON, config=""):
        self.name = self.title = name
        self._program, self._config = program, config

    def missing(self):
        return "" if os.path.exists(self._program) else f"{self._program} is missing"

    def start(self, ground, words, hosts, first_port):
        self._folder = tempfile.mkdtemp(prefix="sipalg-bench-")
        self._daemon = Daemon(ground.router.router, self._folder, 'log-level = "info"\n' + self._config, program=self._program)
        return [self._daemon.process.pid]

    def stop(self, ground):
        if self._daemon:
            try:
                self._details = {"stats": self._daemon.show("stats")}
                self._daemon.stop(signal.SIGTERM)
            except (Failure, subprocess.TimeoutExpired) as reason:  # so busy that it does not answer: that is told, too
                self._details = {"end": str(reason)}
                self._daemon.close()
            self._daemon = None
        if self._folder:
            shutil.rmtree(self._folder)
            self._folder = None

    def details(self):
        return self._details
