# SPDX-License-Identifier: GPL-2.0-or-later
# SIP over TCP where it is hard: strangers' resets, small windows, narrow paths, ports that are used again, a host that fills
# what it can.
import signal
import socket
import struct
import time

from harness.case import case
from harness.netns import Namespace, batch
from harness.router import PHONE, PHONE_2, PROXY, WAN
from harness.stream import OUT, Listener, Talk, connect, exchange, pair, registered
from harness.wait import PATIENCE, check, equal, until

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ, TCP_SEND_QUEUE, TCP_WINDOW_CLAMP = 19, 20, 21, 2, 10  # linux/tcp.h


def needs_no_edit(talk, name):
    return (talk.invite(name)[1].replace(WAN.encode(), b"198.51.100.9"),) * 2


def known_to_nobody(talk, name):
    """A response to a request that never was: it needs no edit and leaves no record."""
    return (talk.answer(name)[1].replace(PHONE.encode(), b"198.51.100.9"),) * 2


def next_sequence(end):
    """Of what this end will send."""
    sock = end.socket
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE)
    number = sock.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, -1)  # without a window probe
    return number & 0xFFFFFFFF


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


RESET, ACKNOWLEDGEMENT = 4, 16


def send_segment(namespace, source, target, flags, sequence, acknowledged=0, time=None):
    """`time`: in a timestamps option, far from any clock's."""
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
    options = b"" if time is None else struct.pack("!BBBBII", 1, 1, 8, 10, time, 0)
    size = 20 + len(options)
    head = lambda sum_: struct.pack("!HHIIBBHHH", source[1], target[1], sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF, size << 2,
                                    flags, 500, sum_, 0) + options
    segment = head(checksum(addresses + struct.pack("!BBH", 0, 6, size) + head(0)))
    packet = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 1, 0, 64, 6, 0) + addresses + segment  # the kernel fills in the rest
    with namespace.inside():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw:
        raw.sendto(packet, (target[0], 0))


@case("issue 4: resets by strangers", accept=OUT)
def reset_by_a_stranger_changes_nothing(bench):
    """Resets with the right addresses and ports, but not exactly the next sequence number, as a stranger can send them: the
    connection lives on and is edited on, whether it had edits before or none."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    for number, has_edits in enumerate((False, True)):
        phone, provider = pair(bench, listener, 40000 + number)
        talk = Talk(40000 + number)
        exchange(phone, provider, talk.invite("first") if has_edits else needs_no_edit(talk, "first"))
        exchange(provider, phone, needs_no_edit(talk, "back"))
        for off in (1, 5000, 1_000_000, -300, 0x30000000):
            send_segment(bench.router.outside, (PROXY, 5060), (WAN, 40000 + number), RESET, next_sequence(provider) + off)
        time.sleep(0.2)
        exchange(provider, phone, needs_no_edit(talk, "in"))
        exchange(phone, provider, talk.invite("out"), "an INVITE behind the resets")
        send_segment(bench.router.outside, (PROXY, 5060), (WAN, 40000 + number), RESET, next_sequence(provider))
        phone.sees_reset()


@case("issue 4: acknowledgements by strangers", accept=OUT)
def acknowledgement_by_a_stranger_changes_nothing(bench):
    """Segments that acknowledge what was never sent, with the right addresses and ports but a guessed sequence number: to a
    connection without edits of which a message was taken over, and to one with edits that a new daemon has taken back."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    for number, is_restored in enumerate((False, True)):
        phone, provider = pair(bench, listener, 40000 + number)
        talk = Talk(40000 + number)
        if is_restored:
            exchange(phone, provider, talk.invite("first"))
            bench.daemon.stop(signal.SIGKILL)
            bench.daemon.start()
        else:
            sent = needs_no_edit(talk, "half")[0]
            phone.send(sent[:200])
            provider.receives_nothing(0.1)
            phone.send(sent[200:])
            provider.receives(sent, "a message in two parts")
        for off in (1_000_000, 0x30000000):
            send_segment(bench.router.outside, (PROXY, 5060), (WAN, 40000 + number), ACKNOWLEDGEMENT, next_sequence(provider) + off,
                         next_sequence(phone) + 1_000_000)
            send_segment(bench.router.outside, (PROXY, 5060), (WAN, 40000 + number), ACKNOWLEDGEMENT, next_sequence(provider) + off,
                         next_sequence(phone) - 100, time=1 << 29)
        time.sleep(0.2)
        for turn in range(3):
            exchange(phone, provider, talk.invite(f"out-{turn}"), "an INVITE behind the acknowledgements")
            exchange(provider, phone, known_to_nobody(talk, f"in-{turn}"))


@case("issue 4; kernel-facts 3", accept=OUT, open_firewall=True)
def connection_opened_from_outside_survives_a_flush(bench):
    """A connection with edits that the provider opened through a TCP door; after `conntrack -F` the phone speaks first, so that
    conntrack knows it the other way round: it goes on."""
    listener = Listener(bench, bench.router.inside, PHONE, 5070)
    phone, provider = pair(bench, port=40000)
    registration = registered(phone, provider, 5070)
    outer = connect(bench, bench.router.outside, (WAN, 5070), (PROXY, 5062))
    inner = listener.accept()
    talk = Talk(5070)
    exchange(outer, inner, registration.called("in"))
    exchange(inner, outer, talk.invite("out"))
    for turn in range(4):
        bench.router.router.conntrack("-F")
        first = [(inner, outer, talk.invite(f"out-{turn}")), (outer, inner, registration.called(f"in-{turn}"))]
        for ends in first if turn % 2 == 0 else reversed(first):
            exchange(*ends, f"behind flush {turn}")
    bench.daemon.stop(signal.SIGKILL)
    inner.send(talk.invite("down")[0])
    outer.receives_nothing(0.3, "bytes of a resized connection without a daemon")
    bench.daemon.start()
    outer.receives(talk.invite("down")[1], "an INVITE that was sent without a daemon")


@case("issue 4", accept=OUT)
def same_ports_again_after_a_lost_connection(bench):
    """A phone whose TCP port is fixed connects again after its connection with edits was lost with the daemon: without a daemon
    it passes, with a new one it is edited."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    for has_daemon in (False, True):
        phone, provider = pair(bench, listener, 40000)
        talk = registered(phone, provider)
        exchange(phone, provider, talk.invite(f"before-{has_daemon}"))
        bench.daemon.stop(signal.SIGKILL)
        bench.router.router.nft("flush set inet sipalg_streams held4\n")  # what 60 s do
        phone.is_reset_by_sending(b"\r\n\r\n")
        provider.is_reset_by_sending(b"\r\n")
        phone.close(), provider.close()
        if has_daemon:
            bench.daemon.start()
        phone, provider = pair(bench, listener, 40000)
        message = talk.invite(f"after-{has_daemon}")
        exchange(phone, provider, message if has_daemon else (message[0],) * 2, "an INVITE on the same ports")
        phone.reset()
        provider.sees_reset()
        if not has_daemon:
            bench.daemon.start()


@case("issue 4", accept=OUT)
def daemon_that_dies_in_a_message_tears_nothing(bench):
    """A connection without edits, half a message held and taken over; the daemon is killed, the rest is sent, a new one comes:
    the message arrives whole, edited or as it was sent, and the next ones are edited. Nothing is lost between them."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    for number, name in enumerate((signal.SIGKILL, signal.SIGTERM)):
        phone, provider = pair(bench, listener, 40000 + number)
        talk = Talk(40000 + number)
        sent, edited = talk.invite("mixed", sdp_more="a=x-note:" + "n" * 60 + "\r\n" + "a=x-note:m\r\n" * 200)
        phone.send(sent[:300])
        provider.receives_nothing(0.2, "half a message")
        bench.daemon.stop(name)
        phone.send(sent[300:])
        provider.receives_nothing(0.3, "the rest of a message whose beginning nobody has")
        bench.daemon.start()
        provider.receives(edited, "the message")
        exchange(phone, provider, talk.invite("next"), "the next message")


@case("issue 4; kernel-facts 4", accept=OUT)
def message_larger_than_the_window_arrives_edited(bench):
    """An INVITE larger than what its receiver takes at once (a small buffer, a small window as light stacks have it): held
    whole and edited, without waiting for a bound."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    line = "a=x-note:this line makes the description long as video and candidates do\r\n"
    for number, (buffer, window, lines) in enumerate(((4096, 0, 40), (16384, 2144, 60), (16384, 2144, 20), (65536, 5744, 120))):
        with bench.router.inside.inside():
            sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        if window:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_WINDOW_CLAMP, window)
        phone, provider = connect(bench, bench.router.inside, (PROXY, 5060), (PHONE, 40000 + number), sock=sock), listener.accept()
        message = registered(phone, provider).called(f"big-{number}", sdp_more=line * lines)
        writing = provider.send_meanwhile(message[0])
        took = phone.receives(message[1], f"{len(message[0])} bytes to a buffer of {buffer}")
        writing.join()
        print(f"     buffer {buffer}, window {window or 'any'}, message {len(message[0])}: {took * 1000:.0f} ms")
        check(took < 5 * PATIENCE, f"took {took:.1f} s")
    equal(bench.daemon.counter("events", "stream-messages-given-up"), 0, "messages given up")


@case("issue 4", accept=OUT)
def backlog_behind_an_outage_arrives_at_once(bench):
    """The line is dead for two seconds while a phone sends on a connection with edits: when it is back, everything is there with
    the sender's next try."""
    phone, provider = pair(bench, port=40000)
    talk = Talk(40000)
    exchange(phone, provider, talk.invite("before"))
    messages = [talk.invite(f"backlog-{number}", more=["X-Fill: " + "y" * (30 * number % 800)]) for number in range(40)]
    bench.router.router.nft('table ip dead { chain in { type filter hook prerouting priority -400; meta l4proto tcp drop; }; }')
    for sent, _ in messages:
        phone.send(sent)
    time.sleep(2)
    bench.router.router.nft("delete table ip dead")
    took = provider.receives(b"".join(edited for _, edited in messages), "the backlog")
    print(f"     took {took:.1f} s")
    check(took < 4 * PATIENCE, f"took {took:.1f} s")


@case("issue 4: MTU", accept=OUT)
def path_narrower_than_the_link(bench):
    """Edited messages of every length near the limit of a path that takes less than the next link, by a route's MTU and by a hop
    that drops silently: each arrives."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    for number, narrow in enumerate(("route", "hole")):
        if narrow == "route":
            bench.router.router.run(["ip", "route", "change", "203.0.113.0/24", "dev", "wan0", "mtu", "1384"])
        else:
            bench.router.router.run(["ip", "route", "change", "203.0.113.0/24", "dev", "wan0"])
            bench.router.router.nft("table ip far { chain out { type filter hook postrouting priority 400; "
                                    'oifname "wan0" meta length > 1384 drop; }; }')
        phone, provider = pair(bench, listener, 40000 + number)
        talk = Talk(40000 + number)
        took = [exchange(phone, provider, talk.invite(f"fill-{fill}", more=["X-Fill: " + "y" * fill]), f"{narrow}, fill {fill}")
                for fill in range(860, 940, 6)]
        print(f"     {narrow}: {len(took)} messages, the slowest took {max(took) * 1000:.0f} ms")


@case("issue 4: MTU", accept=OUT)
def path_mtu_is_found_behind_many_edits(bench):
    """After 600 edits the sequence numbers that a far router's ICMP quotes are nowhere near the phone's own: a message larger than
    what that router takes arrives all the same."""
    far_address, near_address = "198.51.100.9", "198.51.100.1"
    name = bench.router.prefix + "-far"
    batch([f"netns add {name}", f"link add f0 netns {name} type veth peer name f1 netns {bench.router.outside.name}"])
    far = Namespace(name)
    try:
        for command in (f"addr add {far_address}/24 dev f0", "link set f0 up", f"route add default via {near_address}"):
            far.run(["ip", *command.split()])
        for command in (f"addr add {near_address}/24 dev f1", "link set f1 up"):
            bench.router.outside.run(["ip", *command.split()])
        bench.router.outside.sysctl(ipv4__ip_forward=1)
        listener = Listener(bench, far, far_address, 5060)
        phone, provider = connect(bench, bench.router.inside, (far_address, 5060), (PHONE, 40000)), listener.accept()
        talk = Talk(40000)
        for number in range(600):
            exchange(phone, provider, talk.invite(f"edit-{number}"))
        bench.router.outside.run(["ip", "route", "change", "198.51.100.0/24", "dev", "f1", "mtu", "1300"])
        for number in range(2):
            took = exchange(phone, provider, talk.invite(f"big-{number}", more=["X-Fill: " + "y" * 900], sdp_more="a=x-note:abcdefghi\r\n" * 100),
                            "a long message", seconds=30)
            print(f"     took {took:.1f} s")
    finally:
        far.close()
        batch([f"netns del {name}"])


@case("issue 4", accept=OUT)
def port_that_comes_back_finds_its_connections(bench):
    """A port leaves the service, bytes pass, and it comes back: connections of the time before pass untouched, without a wait,
    also when only one direction spoke; new ones are edited."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    for number, both in enumerate((False, True)):
        phone, provider = pair(bench, listener, 40000 + number)
        talk = Talk(40000 + number)
        exchange(phone, provider, known_to_nobody(talk, "before"))
        bench.daemon.ctl("service", "remove", "tcp", "5060")
        until(lambda: "draining" not in str(bench.daemon.ctl("service", "list").stdout), "nothing to drain", 60)
        exchange(phone, provider, known_to_nobody(talk, "between"))
        if both:
            exchange(provider, phone, known_to_nobody(talk, "between-back"))
        bench.daemon.ctl("service", "add", "tcp", "5060")
        for ends in ((phone, provider), (provider, phone), (phone, provider)):
            took = exchange(*ends, known_to_nobody(talk, "after"), "a message behind the return")
            check(took < 1 * PATIENCE, f"took {took:.1f} s")
    fresh, far = pair(bench, listener, 40010)
    exchange(fresh, far, Talk(40010).invite("fresh"), "an INVITE on a new connection")


@case("issue 4: bounds", accept=OUT)
def one_host_can_not_stop_the_others(bench):
    """A host opens 400 connections and sends on each a part of a message that never ends, more than the kernel's queue has room
    for: another phone's messages arrive at once, edited, whole and split."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    listener.socket.listen(500)
    good, far = pair(bench, listener, 39000)
    talk = registered(good, far)
    body = "v=0\r\n" + "a=x\r\n" * 11_800
    ends = []
    for number in range(400):
        ends.append((connect(bench, bench.router.inside, (PROXY, 5060), (PHONE_2, 20000 + number)), listener.accept()))
        sent = Talk(20000 + number).invite(f"never-{number}", body=body + "x" * 200)[0]
        ends[-1][0].socket.setblocking(False)
        ends[-1][0].socket.send(sent[:-200])
    slowest = 0.0
    for number in range(10):
        slowest = max(slowest, exchange(good, far, talk.invite(f"whole-{number}"), "another phone's message"))
        sent, edited = talk.invite(f"split-{number}")
        good.send(sent[:200])
        time.sleep(0.05)
        good.send(sent[200:])
        slowest = max(slowest, far.receives(edited, "another phone's message in two parts"))
    now = bench.daemon.show("stats")["now"]
    print(f"     the slowest took {slowest * 1000:.0f} ms; {now['held_segments']} segments wait, {now['held_bytes']} bytes are held")
    check(slowest < 1 * PATIENCE, f"took {slowest:.1f} s")
    for end, other in ends:
        end.reset(), other.close()
