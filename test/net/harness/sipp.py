# SPDX-License-Identifier: GPL-2.0-or-later
# SIPp as the phone, the provider, the PBX: scenarios are composed here step by step and written as its XML.
#
# How it works: a scenario is a list of steps. Between steps a call may wait for the test (`go`): SIPp then waits for a
# request the harness sends it from its own namespace with the call's Call-ID; no such request ever reaches a wire.
import itertools
import os
import re
import signal
import socket
import subprocess
import time

from .wait import PATIENCE, Failure, until

GO = "INFO"
COPIED = ("via:", "from:", "to:", "call-id:", "cseq:", "record-route:")


def send(text, retrans=True):
    """A message; text as SIPp wants it, Content-Length by [len]."""
    option = ' retrans="500"' if retrans else ""
    return f"<send{option}><![CDATA[\n{text.strip()}\n\n]]></send>" if "\n\n" not in text.strip() else \
        f"<send{option}><![CDATA[\n{text.strip()}\n]]></send>"


def expect(kind, optional=False, rrs=True, action=""):
    attributes = f'{"response" if isinstance(kind, int) else "request"}="{kind}"'
    attributes += ' optional="true"' if optional else ""
    attributes += ' rrs="true"' if rrs else ""
    return f"<recv {attributes}><action>{action}</action></recv>" if action else f"<recv {attributes}/>"


# The next requests of the dialog go to the peer's Contact, as RFC 3261 section 12.2.1.1 wants it without Route
def expect_with_contact(kind, ipv6=False):
    host = r"\[([0-9a-f:]+)\]" if ipv6 else "([0-9.]+)"
    return expect(kind, action=f'<ereg regexp="sip:[^@]*@{host}:?([0-9]*)" search_in="hdr" header="Contact:" check_it="true" '
                  'assign_to="all,host,port"/><assignstr assign_to="unused" value="[$all]"/>'
                  '<setdest host="[$host]" port="[$port]" protocol="udp"/>')


def pause(seconds):
    return f'<pause milliseconds="{int(seconds * 1000)}"/>'


def over_tcp(xml):
    """The same scenario on connections: nothing is sent twice, and SIPp itself knows where the next request goes."""
    xml = xml.replace("SIP/2.0/UDP", "SIP/2.0/TCP").replace(' retrans="500"', "")
    return re.sub(r"(\nContact: <sip:[^>;\n]*)>", r"\1;transport=tcp>", xml)


def go():
    """Waits for Sipp.go()."""
    return expect(GO, rrs=False)


def scenario(*steps):
    names = sorted(set(re.findall(r'assign_to="([^"]*)"', " ".join(steps))))
    reference = f'<Reference variables="{",".join(names)}"/>' if names else ""
    lines = ['<?xml version="1.0" encoding="ISO-8859-1" ?>', '<scenario name="test">', *steps, reference, "</scenario>"]
    return "\n".join(lines) + "\n"


def branch_to(label, variable):
    """The call goes on at the label when the variable has a value."""
    return f'<nop next="{label}" test="{variable}"/>'


def label(number):
    return f'<label id="{number}"/>'


def then(step, number):
    """After this step the call goes on at the label."""
    return re.sub(r"^<(\w+)", rf'<\1 next="{number}"', step, count=1)


class Sipp:
    """One SIPp process on address:port, with one call unless told otherwise; `fields`: one line per call, [field0] in texts.
    tcp: "t1" has all calls on one connection, "tn" each on its own; such scenarios have pauses where others wait for go().
    as_written: the steps speak TCP already. ports: the first of [auto_media_port]."""

    _numbers = itertools.count()

    def __init__(self, folder, namespace, address, port, steps, remote=None, call_id=None, calls=1, rate=10, limit=40,
                 tcp=None, as_written=False, trace=True, fields=None, ports=None):
        self.address, self.port, self.call_id, self._namespace = address, port, call_id, namespace
        self._steps = itertools.count(1)  # two go() that look alike are one and its repetition to SIPp
        self._protocol = "tcp" if tcp else "udp"
        number = next(self._numbers)
        self.base = os.path.join(folder, f"sipp-{number}-{address.replace(':', '_')}-{port}")
        with open(self.base + ".xml", "w", encoding="utf-8") as file:
            file.write(over_tcp(scenario(*steps)) if tcp and not as_written else scenario(*steps))
        # SIPp takes media sockets whether it needs them or not: out of the way of the tests' own
        media = ["-mi", "::1" if ":" in address else "127.0.0.1", "-mp", str(ports or 18000 + 4 * number)]
        command = ["sipp", "-sf", self.base + ".xml", "-i", address, "-p", str(port), "-m", str(calls), "-r", str(rate),
                   *media, "-nostdin", "-timeout", str(int(limit * PATIENCE)), "-timeout_error", "-skip_rlimit", "-nd",
                   "-l", str(max(calls, 1)), "-trace_err", "-error_file", self.base + ".err"]
        if tcp:
            command += ["-t", tcp, "-max_socket", "1000"]
        if trace:
            command += ["-trace_msg", "-message_file", self.base + ".msg"]
        if fields:
            with open(self.base + ".csv", "w", encoding="utf-8") as file:
                file.write("\n".join(["SEQUENTIAL", *fields]) + "\n")
            command += ["-inf", self.base + ".csv"]
        if call_id:
            command += ["-cid_str", call_id]
        if remote:
            command.append("[%s]:%d" % remote if ":" in remote[0] else "%s:%d" % remote)
        with open(self.base + ".out", "wb") as output:
            self.process = namespace.popen(command, stdout=output, stderr=output, cwd=folder,
                                           env=dict(os.environ, TERM="xterm", COLUMNS="80", LINES="24"))

    def ready(self):
        """A server is ready when its port is taken."""
        until(self._listens, f"SIPp on {self.address}:{self.port}\n{self._log()}", 10)
        return self

    def _listens(self):
        if self.process.poll() is not None:
            raise Failure(f"SIPp on {self.address}:{self.port} ended: {self._log()}")
        return self._namespace.has_socket(self.address, self.port, self._protocol)

    def go(self, like=None, call_id=None):
        """Lets the call take its next step. `like`: the message that step answers; SIPp copies from what came last."""
        if like:
            lines = [line for line in like.lines if line.lower().startswith(COPIED)]
        else:
            lines = [f"Via: SIP/2.0/UDP {self.address}:9;branch=z9hG4bK-go", f"From: <sip:go@{self.address}>;tag=go",
                     f"To: <sip:go@{self.address}>", f"Call-ID: {call_id or self.call_id}", f"CSeq: {next(self._steps)} {GO}"]
        text = "\r\n".join([f"{GO} sip:go@{self.address} SIP/2.0", *lines, "Content-Length: 0", "", ""])
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        with self._namespace.inside(), socket.socket(family, socket.SOCK_DGRAM) as local:
            local.sendto(text.encode(), (self.address, self.port))

    def freeze(self):
        """Hears nothing for a while: what comes waits in its socket."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def done(self, seconds=15):
        """Waits for the successful end of all calls."""
        try:
            code = self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failure(f"SIPp on {self.address}:{self.port} does not end\n{self._log()}") from None
        if code != 0:
            raise Failure(f"SIPp on {self.address}:{self.port} ended with {code}\n{self._log()}")

    def received(self):
        """The text of all messages that came."""
        if not os.path.exists(self.base + ".msg"):
            return []
        with open(self.base + ".msg", encoding="latin-1") as file:
            parts = re.split(r"-{20,}[^\n]*\n", file.read())
        return [part.split("\n\n", 1)[1] for part in parts if " message received " in part[:100] and "\n\n" in part]

    def _log(self):
        text = ""
        for suffix in (".err", ".out"):
            if os.path.exists(self.base + suffix):
                with open(self.base + suffix, encoding="latin-1") as file:
                    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\(B", "", line).rstrip() for line in file]
                text += "\n".join(line for line in lines if line)[-1500 if suffix == ".err" else -400:] + "\n"
        return text

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        time.sleep(0)
