# SPDX-License-Identifier: GPL-2.0-or-later
# Network namespaces of this run: made, entered and deleted by name; nothing else on the machine is touched.
#
# How it works: sockets belong to the namespace their thread was in when they were made, so the harness enters a namespace
# for the moment of socket(2) and needs no process of its own there. Programs are started with the namespace entered
# between fork and exec. Both cost far less than `ip netns exec`, which counts in an emulated machine.
import ctypes
import os
import socket
import struct
import subprocess

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _setns(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, "setns: " + os.strerror(code))


class Inside:
    """The calling thread is in the namespace while the block runs."""

    def __init__(self, namespace):
        self._namespace = namespace

    def __enter__(self):
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _setns(self._namespace.descriptor)

    def __exit__(self, *_):
        _setns(self._home)
        os.close(self._home)


class Namespace:
    def __init__(self, name):
        self.name = name
        self.descriptor = os.open("/run/netns/" + name, os.O_RDONLY)

    def inside(self):
        return Inside(self)

    def popen(self, command, **options):
        # the parent's death must not leave programs behind: PR_SET_PDEATHSIG, SIGKILL
        def enter():
            _setns(self.descriptor)
            _libc.prctl(1, 9, 0, 0, 0)

        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(command, preexec_fn=enter, **options)

    def run(self, command, check=True, feed=None, timeout=30):
        options = {"stdin": subprocess.PIPE} if feed is not None else {}
        process = self.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
        try:
            out, err = process.communicate(feed, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        if check and process.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {process.returncode}: {err.strip() or out.strip()}")
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def nft(self, rules):
        self.run(["nft", "-f", "-"], feed=rules)

    def conntrack(self, *arguments):
        """conntrack(8); its exit status 1 says only that nothing matched."""
        return self.run(["conntrack", *arguments], check=False).stdout

    def sysctl(self, **values):
        with self.inside():
            for key, value in values.items():
                with open("/proc/sys/net/" + key.replace("__", "/"), "w", encoding="ascii") as file:
                    file.write(str(value))

    def has_socket(self, address, port, protocol="udp"):
        """Is this endpoint taken (TCP: listened on, or a connection's)? Asked without taking it."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        raw = socket.inet_pton(family, address)
        # the table shows addresses as words in the machine's byte order
        words = "".join("%08X" % word for word in struct.unpack("=%dI" % (len(raw) // 4), raw))
        table = f"/proc/thread-self/net/{protocol}" + ("6" if ":" in address else "")
        with self.inside(), open(table, encoding="ascii") as file:
            return any(line.split()[1] == f"{words}:{port:04X}" for line in list(file)[1:])

    def close(self):
        os.close(self.descriptor)


def batch(lines):
    """Many ip(8) commands for one exec."""
    result = subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, capture_output=True)
    if result.returncode != 0:
        raise RuntimeError("ip -batch: " + result.stderr.strip())
