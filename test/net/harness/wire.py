# SPDX-License-Identifier: GPL-2.0-or-later
# What holds for every message that passes the router, whoever wrote it (sip-rules section 1).
import re

from .router import WAN
from .wait import check, equal

INSIDE = re.compile(r"\b10\.0\.0\.\d+(:\d+)?")
HOST = re.compile(r"(\b10\.0\.0\.\d+|\b203\.0\.113\.1(?!\d))(:\d+)?")
OURS_OUT = ("contact", "record-route")            # beside the top Via of requests; a Contact of REGISTER: the sender's own
OURS_BODY = ("o=", "c=", "m=", "a=rtcp:", "a=candidate:")
RESTORED_REQUEST, RESTORED_RESPONSE = ("route", "to"), ("via", "record-route", "path", "from", "contact")
URI = re.compile(r"sips?:[^>\s]+")


def _name(line):
    return line.partition(":")[0].strip().lower()


def _head(message):
    return message.bytes.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")[1:]


def _same_line(before, after, message, ports=False):
    """Equal but for host and port of ours."""
    before, after = HOST.sub("@", before), HOST.sub("@", after)
    if ports:
        before, after = (re.sub(r"^(m=\w+) \d+", r"\1 0", line) for line in (before, after))
    equal(after, before, f"a line of {message}")


def _left(before, after):
    """A message that left: the inside's own fields are mapped, every other byte is as it was."""
    equal(after.first_line, before.first_line, "the first line")
    lines, lines_after = _head(before), _head(after)
    equal(len(lines_after), len(lines), f"lines of {after}")
    top = not before.is_response
    for line, there in zip(lines, lines_after):
        name = _name(line)
        if (name == "via" and top) or (name in OURS_OUT and before.method != "REGISTER"):
            check(not INSIDE.search(there), f"an inside address in {there!r} of {after}")
            _same_line(line, there, after)
        elif name in ("from", "to", "refer-to") or (name in (*OURS_OUT, "path", "service-route") and before.method == "REGISTER"):
            _same_line(line, there, after)
        elif name != "content-length":
            equal(there, line, f"a line of {after}")
        top = top and name != "via"
    for line, there in zip(before.body.split("\r\n"), after.body.split("\r\n")):
        if line.startswith(OURS_BODY):
            check(not INSIDE.search(there), f"an inside address in {there!r} of {after}")
            _same_line(line, there, after, ports=True)
        else:
            equal(there, line, f"a line of {after}")


def _came(before, after, sent):
    """A message that came in: what it hands back has the bytes that the inside wrote (`sent`), the rest is as it was."""
    lines, lines_after = _head(before), _head(after)
    equal(len(lines_after), len(lines), f"lines of {after}")
    for line, there in zip(lines, lines_after):
        if _name(line) not in (RESTORED_RESPONSE if before.is_response else RESTORED_REQUEST):
            equal(there, line, f"a line of {after}")
    equal(after.body, before.body, f"the body of {after}")
    if before.is_response:
        _response_came(after, sent)
    else:
        _request_came(before, after, sent)


def _response_came(after, sent):
    request = next((m for m in sent if not m.is_response and m.identity[1:] == after.identity[1:]
                    and (m.kind == after.method)), None)
    check(request, f"no request belongs to {after}")
    vias, written = _values(after, "via"), _values(request, "via")
    vias[0] = re.sub(r";received=[^;]*", "", vias[0])  # RFC 3581 section 4: what the other side adds
    vias[0] = re.sub(r";rport=[^;]*", ";rport" if ";rport" in written[0] else "", vias[0])
    equal(vias, written, f"Via of {after}")
    equal(after.header("from"), request.header("from"), f"From of {after}")
    for name in ("record-route", "path"):
        own = _values(request, name)
        if own and after.headers(name):
            equal(_values(after, name)[-len(own):], own, f"{name} of {after}")


def _values(message, name):
    return [value.strip() for line in message.headers(name) for value in line.split(",")]


def _request_came(before, after, sent):
    """Request-URI: a Contact, Route: a Record-Route, Path or Service-Route that the inside wrote."""
    if after.uri != before.uri:
        contacts = {uri for m in sent for value in m.headers("contact") for uri in URI.findall(value)}
        check(after.uri in contacts, f"the Request-URI of {after}; the inside wrote {contacts}")
    written = {value for m in sent for name in ("record-route", "path", "service-route") for value in _values(m, name)}
    for there, here in zip(_values(before, "route"), _values(after, "route")):
        check(here == there or here in written, f"Route {here} of {after}; the inside wrote {written}")
        check(WAN not in there or here != there, f"Route {here} of {after} leads to the router")


def check_wire(bench, at_least):
    """Every message that passed in this test, both ways; at_least: so many of them."""
    seen, sent = 0, bench.capture.messages("lan0", True)
    for side, away in (("lan0", "wan0"), ("wan0", "lan0")):
        for before in bench.capture.messages(side, True):
            if before.is_response and before.method == "ACK":
                continue  # SIPp answers an ACK that is repeated, which RFC 3261 does not know
            after = bench.capture.twin(before, away)
            if after:
                _left(before, after) if away == "wan0" else _came(before, after, sent)
                seen += 1
    check(seen >= at_least, f"{seen} messages passed, not {at_least}")
