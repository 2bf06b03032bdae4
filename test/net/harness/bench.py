# SPDX-License-Identifier: GPL-2.0-or-later
# One test's bench: router, daemon, SIP programs and media, all gone afterwards whatever happened.
import os
import shutil
import socket
import subprocess
import tempfile

from .daemon import Daemon
from .media import Media
from .router import PHONE, PROXY, Router
from .sipp import Sipp
from .wait import until
from .scripted import Socket


class Bench:
    def __init__(self, keep=None, daemon=True, config="", user=None, **topology):
        self.folder = tempfile.mkdtemp(prefix="sipalg-net-")
        self._kept, self._started = keep, []
        self.router = self.daemon = self.media = None
        try:
            self.router = Router(**topology)
            self.media = Media()
            if daemon:
                self.daemon = Daemon(self.router.router, self.folder, config, user)
        except BaseException:
            self.close()
            raise

    @property
    def capture(self):
        return self.router.capture

    def phone(self, steps, address=PHONE, port=5060, remote=(PROXY, 5060), **options):
        """A SIPp inside that begins; the call's Call-ID is `call_id`."""
        return self.keep(Sipp(self.folder, self.router.inside, address, port, steps, remote, **options))

    def phone_waits(self, steps, address=PHONE, port=5060, **options):
        """A SIPp inside that is called."""
        return self.keep(Sipp(self.folder, self.router.inside, address, port, steps, **options)).ready()

    def provider(self, steps, address=PROXY, port=5060, **options):
        """A SIPp outside that is called."""
        return self.keep(Sipp(self.folder, self.router.outside, address, port, steps, **options)).ready()

    def caller(self, steps, remote, address=PROXY, port=5060, **options):
        """A SIPp outside that begins."""
        return self.keep(Sipp(self.folder, self.router.outside, address, port, steps, remote, **options))

    def inside_party(self, port, name="phone", address=PHONE, **options):
        return self.media.party(self.router.inside, address, port, name, **options)

    def outside_party(self, port, name="provider", address=PROXY, **options):
        return self.media.party(self.router.outside, address, port, name, **options)

    def program(self, namespace, command, log, **options):
        """Any other program; ended by close()."""
        with open(os.path.join(self.folder, log), "wb") as output:
            process = namespace.popen(command, stdout=output, stderr=output, cwd=self.folder, **options)
        return self.keep(Program(process))

    def datagram(self, namespace, source, target, payload, receive=None):
        """Sends one datagram; with `receive` returns what the target's socket got, None after that many seconds."""
        family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
        with namespace.inside(), socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sender.bind(source)
            sender.sendto(payload, target)
            if receive is None:
                return None
            sender.settimeout(receive)
            try:
                return sender.recv(65535)
            except TimeoutError:
                return None

    def listener(self, namespace, address, port):
        """A silent UDP port, so that no ICMP error disturbs."""
        with namespace.inside():
            listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind((address, port))
        return self.keep(listener)

    def socket(self, namespace, address, port):
        """A UDP endpoint in the test's own hands."""
        return self.keep(Socket(namespace, address, port))

    def forget_flow(self, *match):
        """What time does to an idle flow: its conntrack is gone."""
        self.router.router.conntrack("-D", "-p", "udp", *match)

    def keep(self, thing):
        """Anything with close(); closed with the bench."""
        self._started.append(thing)
        return thing

    def end(self, thing):
        thing.close()
        self._started.remove(thing)

    def close(self):
        for thing in reversed(self._started):
            thing.close()
        if self.media:
            self.media.close()
        if self.daemon:
            self.daemon.close()
        if self.router:
            if self._kept and self.router.capture:
                self.router.capture.write(os.path.join(self.folder, "both-sides.pcap"))
            self.router.close()
        if self._kept:
            shutil.move(self.folder, self._kept)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


class Program:
    def __init__(self, process):
        self.process = process

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def wait_port(namespace, address, port, what, protocol="udp"):
    until(lambda: namespace.has_socket(address, port, protocol), what, 10)
