# SPDX-License-Identifier: GPL-2.0-or-later
# As much SIP as the assertions need: header values and SDP lines as raw text. No grammar of the product is reused here.
import re

COMPACT = {"v": "via", "f": "from", "t": "to", "m": "contact", "i": "call-id", "l": "content-length", "c": "content-type"}


def looks_like(payload):
    return payload.startswith(b"SIP/2.0 ") or payload.split(b"\r\n", 1)[0].endswith(b" SIP/2.0")


class Message:
    def __init__(self, packet):
        self.packet = packet
        self.bytes = packet.payload
        head, _, body = self.bytes.decode("latin-1").partition("\r\n\r\n")
        self.first_line, *self.lines = head.split("\r\n")
        self.body = body
        self.is_response = self.first_line.startswith("SIP/2.0 ")
        self.kind = int(self.first_line.split()[1]) if self.is_response else self.first_line.split()[0]
        self.method = self.header("cseq").split()[-1] if self.headers("cseq") else ""

    @property
    def uri(self):
        return self.first_line.split()[1]

    @property
    def identity(self):
        top = self.headers("via")[0] if self.headers("via") else ""
        branch = re.search(r"branch=([^;,\s]+)", top)
        return self.kind, self.header("call-id"), self.header("cseq"), branch and branch.group(1)

    def headers(self, name):
        """All values of a header, whatever form its name has, in order."""
        found = []
        for line in self.lines:
            key, _, value = line.partition(":")
            key = key.strip().lower()
            if COMPACT.get(key, key) == name:
                found.append(value.strip())
        return found

    def header(self, name):
        found = self.headers(name)
        return found[0] if found else ""

    def sdp(self, prefix):
        """The SDP lines that begin so."""
        return [line for line in self.body.split("\r\n") if line.startswith(prefix)]

    def media(self, line=0):
        """(address, port) of a media line."""
        connection = self.sdp("c=")[0].split()[-1]
        return connection, int(self.sdp("m=")[line].split()[1])

    def contact(self):
        """(host, port) of the first Contact."""
        found = re.search(r"sips?:(?:[^@>;\s]*@)?(\[[^\]]*\]|[^:;>\s]+)(?::(\d+))?", self.header("contact"))
        return found.group(1).strip("[]"), int(found.group(2) or 5060)

    def __str__(self):
        p = self.packet
        return f"{self.first_line} [{self.method}] {p.source}:{p.sport} -> {p.destination}:{p.dport}"


def differing_lines(before, after):
    """The lines two messages do not share, as pairs; for assertions and for people."""
    first, second = before.bytes.decode("latin-1").split("\r\n"), after.bytes.decode("latin-1").split("\r\n")
    if len(first) != len(second):
        return [("%d lines" % len(first), "%d lines" % len(second))]
    return [(a, b) for a, b in zip(first, second) if a != b]
