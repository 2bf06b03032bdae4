# SPDX-License-Identifier: GPL-2.0-or-later
# What is counted and logged of the messages: every method, every class of response, what went wrong.
import re

from cases.lifetime import Call
from harness.case import case
from harness.router import PHONE, PROXY, WAN
from harness.texts import sdp
from harness.wait import check, equal, until
from harness.scripted import Wire, request, response

# How many requests of a method, and how many 200s to it: all differ, so that no column can stand for another.
SENT = {"REGISTER": (3, 1), "INVITE": (4, 2), "UPDATE": (5, 3), "BYE": (7, 4), "SUBSCRIBE": (8, 5), "REFER": (9, 6),
        "PRACK": (10, 7), "ACK": (11, 0), "INFO": (12, 2), "CANCEL": (13, 1), "MESSAGE": (14, 3), "NOTIFY": (15, 1), "PUBLISH": (16, 2),
        "OPTIONS": (17, 1), "JUGGLE": (18, 2)}
RETRANSMITTED = 2
OTHERS = {"100 Trying": 2, "180 Ringing": 3, "183 Session Progress": 4, "181 Call Is Being Forwarded": 1, "182 Queued": 2,
          "199 Early Dialog Terminated": 2, "202 Accepted": 3, "204 No Notification": 4, "302 Moved Temporarily": 1,
          "404 Not Found": 2, "486 Busy Here": 1, "500 Server Internal Error": 2, "503 Service Unavailable": 1, "603 Decline": 2}
LAYOUT = """RECEIVE
Register:           3 -> 200-OK:            1
Invite:             6 -> 200-OK:            2   Rexmit-invite:          2
Update:             5 -> 200-OK:            3
Bye:                7 -> 200-OK:            4
Subscribe:          8 -> 200-OK:            5
Refer:              9 -> 200-OK:            6
Prack:             10 -> 200-OK:            7
Trying:             2    Ringing:           3    Ack:                  11
Info:              12    Cancel:           13    Sess Prog:             4
Message:           14    Notify:           15
Publish:           16    Options:          30
1xx:                5    2xx:               7
OtherReq:          18    OtherOk:          12    3xx-6xx:               9
"""


def send_everything(wire):
    for method, (asked, answered) in SENT.items():
        for number in range(1, asked + 1):
            text = request(method, number)
            arrived = wire.out(text)
            if method == "INVITE" and number <= RETRANSMITTED:
                equal(wire.out(text), arrived, "a retransmitted INVITE at the provider")
            if number <= answered:
                wire.back(response(arrived, "200 OK"))
    for number, (status, count) in enumerate(OTHERS.items(), 100):
        for _ in range(count):
            arrived = wire.out(request("OPTIONS" if number % 2 else "INFO", number))
            wire.back(response(arrived, status))


@case("issue, 5")
def every_method_and_response_is_counted(bench):
    """Every request method, an unknown one, the 200 OK of each, retransmitted INVITEs, 100, 180, 183, other 1XX, other 2XX and
    3XX to 6XX move exactly their counter, in the layout of `show stats` and in its JSON."""
    send_everything(Wire(bench))
    options = sum(count for number, count in enumerate(OTHERS.values(), 100) if number % 2)
    info = sum(OTHERS.values()) - options
    expected = LAYOUT.replace("Info:              12", f"Info:{12 + info:>16}")
    expected = expected.replace("Options:          30", f"Options:{17 + options:>12}")
    text = bench.daemon.ctl("show", "stats").stdout
    equal(text[: text.index("\n\n") + 1].splitlines(), expected.splitlines(), "show stats")
    stats = bench.daemon.show("stats")
    sent = {name: {"received": asked, "ok": ok} for name, (asked, ok) in SENT.items()}
    sent["OTHER"] = sent.pop("JUGGLE")
    sent["INVITE"]["received"] += RETRANSMITTED
    sent["OPTIONS"]["received"] += options
    sent["INFO"]["received"] += info
    equal(stats["methods"], sent, "methods in JSON")
    codes = {status.split()[0]: count for status, count in OTHERS.items()}
    equal(stats["responses"], {**codes, "200": sum(ok for _, ok in SENT.values())}, "responses in JSON")
    equal(stats["events"]["retransmitted-invites"], RETRANSMITTED, "retransmitted INVITEs in JSON")


@case("issue, 5")
def requests_of_both_sides_are_counted(bench):
    """A provider's BYE and NOTIFY and the phone's answers are counted like the phone's requests."""
    wire = Wire(bench)
    wire.out(request("OPTIONS"))
    for number, method in enumerate(("BYE", "NOTIFY", "OPTIONS"), 1):
        arrived = wire.back(request(method, number, f"sip:alice@{WAN}", f"{PROXY}:5060", call_id="from-outside"))
        wire.out(response(arrived, "200 OK"))
    methods = bench.daemon.show("stats")["methods"]
    equal([methods[name] for name in ("BYE", "NOTIFY", "OPTIONS")],
          [{"received": 1, "ok": 1}, {"received": 1, "ok": 1}, {"received": 2, "ok": 1}], "BYE, NOTIFY and OPTIONS")


def invite(name, body):
    return request("INVITE", call_id=name, more=[f"Contact: <sip:alice@{PHONE}:5060>"], body=body.replace("\n", "\r\n"))


def length_left_out(text):
    return re.sub(rb"Content-Length: \d+\r\n", b"", text)


def filled(text, size):
    """A message of this size. UDP over IPv4 carries 65,507 bytes, a queue shows 65,503 of them."""
    return text.replace(b"Max-Forwards", b"X: " + b"x" * (size - len(text) - 5) + b"\r\nMax-Forwards")


# What moves a line of `show stats`; "Cr Trunk Chnls" and "Del Trunk Chnls" move with every call.
MISHAPS = {
    "Media Port Zero": invite("port-zero", sdp(PHONE, 0)),
    "Media Addr Zero": invite("address-zero", sdp("0.0.0.0", 4000)),
    "Malform Media": invite("low-port", sdp(PHONE, 80)),
    "No Content Length": length_left_out(request("OPTIONS", call_id="no-length")),
    "Parse SIP Hdr Fail": b"OPTIONS sip:bob@203.0.113.2 SIP/2.0\r\nVia: broken\r\nContent-Length: 0\r\n\r\n",
    "Parse SDP Fail": invite("bad-sdp", "v=0\no=\nm=audio\n"),
    "Huge Size": filled(invite("huge", sdp(PHONE, 4000)), 65_500),
    "Not SIP Msg": b"GET / HTTP/1.1\r\n\r\n",
}


UNTOUCHED = ("Parse SIP Hdr Fail", "Huge Size", "Not SIP Msg")


@case("issue, 5")
def every_event_and_error_is_counted(bench):
    """Each line under Events and Errors of `show stats` that one message can move moves by what it names, and no other of them
    does. The others: `full_expectation_table_is_told` (Error New Chnl, Create Failed), `silent_call_ends_by_call_idle` (trunk
    timer timeout, Del Trunk Chnls), `exhausted_media_ports_are_counted` (Add portlist Err)."""
    wire = Wire(bench)
    for label, text in MISHAPS.items():
        before = bench.daemon.stats_lines()
        equal(wire.out(text) == text, label in UNTOUCHED, f"{label}: passes unchanged")
        after = bench.daemon.stats_lines()
        moved = {name for name in MISHAPS if after[name] != before[name]}
        equal(moved, {label}, "what moved")
    largest = filled(MISHAPS["No Content Length"], 65_507)
    equal(wire.out(largest), largest, "the largest datagram there is")
    equal(bench.daemon.stats_lines()["Huge Size"], 2, "Huge Size")
    ended = bench.daemon.stats_lines()
    equal((ended["Cr Trunk Chnls"], ended["Del Trunk Chnls"]), (5, 0), "calls begun and ended")


@case("issue, 5")
def media_of_both_sides_is_counted_once(bench):
    """Media Port Zero, Media Addr Zero and Malform Media count the lines of the provider's SDP like those of the phone's, and no
    copy of either."""
    wire = Wire(bench)
    bodies = {"Media Port Zero": (sdp(PHONE, 0), sdp(PROXY, 0)), "Media Addr Zero": (sdp("0.0.0.0", 4000), sdp("0.0.0.0", 6000)),
              "Malform Media": (sdp(PHONE, 80), sdp(PROXY, 80))}
    for label, (ours, theirs) in bodies.items():
        asked = invite("both-" + label.split()[1], ours)
        for _ in range(2):
            arrived = wire.out(asked)
        for _ in range(2):
            wire.back(response(arrived, "200 OK", [f"Contact: <sip:bob@{PROXY}>"], theirs.replace("\n", "\r\n")))
        moved = {name: count for name, count in bench.daemon.stats_lines().items() if name in bodies and count}
        equal(moved.pop(label), 2, label)
        bench.daemon.ctl("clear", "stats")
        equal(moved, {}, f"what else moved with {label}")


@case("issue, 5")
def calls_are_counted_once_and_subscriptions_never(bench):
    """A call that is challenged and then hung up is one channel created and one deleted; a subscription is none, and no line of
    `show calls`."""
    wire = Wire(bench)

    def channels():
        told = bench.daemon.stats_lines()
        return told["Cr Trunk Chnls"], told["Del Trunk Chnls"]

    contact = [f"Contact: <sip:alice@{PHONE}:5060>"]
    arrived = wire.out(request("SUBSCRIBE", call_id="presence", more=[*contact, "Event: presence", "Expires: 600"]))
    wire.back(response(arrived, "200 OK", ["Expires: 600", f"Contact: <sip:bob@{PROXY}>"]))
    equal((channels(), bench.daemon.calls(), bench.daemon.show("stats")["now"]["subscriptions"]), ((0, 0), [], 1), "a subscription")
    for number, status in ((1, "407 Proxy Authentication Required"), (2, "200 OK")):
        arrived = wire.out(request("INVITE", number, call_id="asked-twice", more=contact, body=sdp(PHONE, 4000).replace("\n", "\r\n")))
        wire.back(response(arrived, status, [f"Contact: <sip:bob@{PROXY}>"]))
        equal(channels(), (1, 0), f"channels created and deleted after {status}")
    arrived = wire.out(request("BYE", 3, call_id="asked-twice").replace(b">\r\nCall-ID", b">;tag=b1\r\nCall-ID"))
    wire.back(response(arrived, "200 OK"))
    equal(channels(), (1, 1), "channels created and deleted")


@case("issue, 5; 8", config='reserved-ports = ["4000-4999"]\nmedia-ports = "20000-20003"')
def exhausted_media_ports_are_counted(bench):
    """With four outside ports for media, all in use, the next call's SDP is left alone and Add portlist Err tells it."""
    wire = Wire(bench)
    for number in range(2):
        body = sdp(PHONE, 4000 + 2 * number)
        check(b"m=audio 2000" in wire.out(invite(f"fits-{number}", body)), "no port of the pool")
    equal(bench.daemon.stats_lines()["Add portlist Err"], 0, "Add portlist Err while there are ports")
    check(f"c=IN IP4 {PHONE}".encode() in wire.out(invite("one-too-many", sdp(PHONE, 4004))), "SDP without a door was changed")
    equal(bench.daemon.stats_lines()["Add portlist Err"], 1, "Add portlist Err")


@case("issue, 5")
def only_counters_that_can_move_are_shown(bench):
    """A reason that can not befall a packet, or a group of edits, is not listed there."""
    stats = bench.daemon.show("stats")
    for name in ("edited", "nothing-to-edit", "not-sip", "keepalive", "fragment", "no-record"):
        check(name in stats["packets"] and name not in stats["groups"], f"{name} in {stats}")
    for name in ("kernel-refused", "expectations-full", "third-party"):
        check(name in stats["groups"], f"no {name} among the groups")
    check("third-party" not in stats["packets"], "third-party among the packets")


def fields_of(line):
    """A line of the log as fields; the text before them is TEXT."""
    text, pairs = re.fullmatch(r'("[^"]*"|[^="]*?)((?: [A-Z_]+=(?:"[^"]*"|[^ ="]+))*)', line.rstrip("\n")).groups()
    return {"TEXT": text.strip('"'), **{name: value.strip('"') for name, value in re.findall(r' ([A-Z_]+)=("[^"]*"|[^ ]+)', pairs)}}


@case("issue, 5")
def debug_log_tells_each_message(bench):
    """At level debug one line tells each message: its method, code and Call-ID, its direction, what was edited, and which
    doors it opened."""
    call = Call(bench)
    call.hang_up()

    def read():
        with open(bench.daemon.log, encoding="utf-8") as log:
            return [fields_of(line) for line in log if " CALL_ID=" in line and " METHOD=" in line]

    until(lambda: any(f["METHOD"] == "BYE" and f["TEXT"] == "SIP/2.0 200 OK" for f in read()), "the 200 to BYE in the log")
    told = {(f["METHOD"], f.get("STATUS", "")): f for f in read()}
    expected = [("ACK", ""), ("BYE", ""), ("BYE", "200"), ("INVITE", ""), ("INVITE", "180"), ("INVITE", "200")]
    equal(sorted(told), expected, "messages")
    equal({f["CALL_ID"] for f in told.values()}, {"life@" + PHONE}, "Call-IDs")
    for (method, status), f in told.items():
        equal((f["DIRECTION"], f["REASON"]), ("in" if status else "out", "edited"), f"direction and result of {method} {status}")
    asked, answered = told["INVITE", ""], told["INVITE", "200"]
    equal(asked["TEXT"], f"INVITE sip:bob@{PROXY} SIP/2.0", "the INVITE's first line")
    for field in ("via", "from", "contact"):
        check(f"{field} {PHONE}" in asked["EDITS"].lower(), f"{field} in the INVITE's edits: {asked['EDITS']}")
    for door in (f"rtp {PHONE}:4000 = {WAN}:4000", f"rtcp {PHONE}:4001 = {WAN}:4001"):
        check(door in asked["DOORS"], f"{door} in the INVITE's doors: {asked['DOORS']}")
    check(f"via {WAN}" in answered["EDITS"].lower(), f"the 200's edits: {answered['EDITS']}")
    check(f"way-out {PHONE}:0 = {PROXY}:6000" in answered["DOORS"], f"the 200's doors: {answered['DOORS']}")


@case("issue, 5")
def peers_can_not_write_fields_into_the_log(bench):
    """What a peer writes that looks like a field of the log, in a reason phrase or a Call-ID, is quoted there; an entry has no
    field without a value, and one of a packet that is no message says what it is."""
    wire = Wire(bench)
    arrived = wire.out(request("OPTIONS", call_id='a"b'))
    wire.back(response(arrived, "200 OK CALL_ID=forged METHOD=BYE DIRECTION=out"))
    for text in (b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
        wire.out(text)

    def read():
        with open(bench.daemon.log, encoding="utf-8") as log:
            return [fields_of(line) for line in log if " REASON=" in line]

    until(lambda: {"keepalive", "not-sip"} <= {f["REASON"] for f in read()}, lambda: f"the log: {bench.daemon.tail()}")
    told = read()
    answer = next(f for f in told if f.get("STATUS") == "200")
    equal((answer["TEXT"], answer["CALL_ID"], answer["METHOD"], answer["DIRECTION"]),
          ("SIP/2.0 200 OK CALL_ID=forged METHOD=BYE DIRECTION=out", r"a\x22b", "OPTIONS", "in"), "the forged 200")
    for f in told:
        check(f["TEXT"] and all(f.values()), f"an entry without text, or a field without a value: {f}")
        check(("CALL_ID" in f) == (f["REASON"] not in ("keepalive", "not-sip")), f"a Call-ID of no message: {f}")
