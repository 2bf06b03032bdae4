# SPDX-License-Identifier: GPL-2.0-or-later
# TCP over bad lines, small MTUs and with the kernel's offloads.
import time

from cases.streams_calls import complete
from harness.case import case
from harness.offload import switch
from harness.router import PROXY
from harness.stream import OUT, Listener, Talk, exchange, pair, registered
from harness.wait import check


def load(bench, port, listener, rounds=40):
    """Both ends write at once: small messages, long descriptions, long bodies; both close with data."""
    phone, provider = pair(bench, listener, port)
    talk = registered(phone, provider)
    out, back = [], []
    for n in range(rounds):
        more = "a=x-note:a line that makes it longer\r\n" * (n * 7 % 90)
        out += [talk.invite(f"out-{port}-{n}", sdp_more=more), talk.options(f"o-{port}-{n}", body="x" * (n * 997 % 9000))]
        back += [talk.called(f"in-{port}-{n}", sdp_more=more), talk.called(f"in2-{port}-{n}")]
    begin = time.monotonic()
    threads = [phone.send_meanwhile(b"".join(m[0] for m in out)), provider.send_meanwhile(b"".join(m[0] for m in back))]
    provider.receives(b"".join(m[1] for m in out), f"what went out by {port}", 40)
    phone.receives(b"".join(m[1] for m in back), f"what came in by {port}", 40)
    for thread in threads:
        thread.join()
    last = talk.invite("last")
    phone.send(last[0])
    phone.half_close()
    provider.receives(last[1], "the last message", 20)
    provider.sees_end()
    provider.close()
    phone.sees_end()
    return time.monotonic() - begin, sum(len(m[0]) for m in out + back)


@case("issue 4", accept=OUT, bad_lines=True)
def bytes_are_right_over_bad_lines(bench):
    """1 % loss and 3 % reordering on both sides of the router: connections with edits both ways deliver exactly the expected
    bytes, also cut into tiny segments."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    for number in range(6):
        took, size = load(bench, 40000 + number, listener)
        print(f"     {size} bytes in {took:.1f} s")
    phone, provider = pair(bench, listener, 41000)
    talk = registered(phone, provider)
    for number, size in enumerate((5, 40, 200)):
        for sender, receiver, make in ((phone, provider, talk.invite), (provider, phone, talk.called)):
            messages = [make(f"tiny-{number}-{n}") for n in range(10)]
            data = b"".join(m[0] for m in messages)
            for at in range(0, len(data), size):
                sender.send(data[at:at + size])
            receiver.receives(b"".join(m[1] for m in messages), f"messages in pieces of {size}", 40)
    counts = [(wire.carried, wire.lost, wire.delayed) for wire in bench.router.wires]
    print(f"     packets carried, lost, delayed: {counts}")
    check(all(lost and delayed for _, lost, delayed in counts), f"the lines were good: {counts}")


OPTIONS = ({"tcp_sack": 0}, {"tcp_timestamps": 0}, {"tcp_window_scaling": 0}, {"tcp_sack": 0, "tcp_timestamps": 0},
           {"tcp_congestion_control": "reno", "tcp_recovery": 0}, {"tcp_ecn": 1})


@case("issue 4", accept=OUT, bad_lines=True)
def ends_without_newer_options(bench):
    """Over the same lines: ends without SACK, without timestamps, without window scaling, with ECN."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    for number, options in enumerate(OPTIONS):
        values = {"ipv4__" + name: value for name, value in options.items()}
        for namespace in (bench.router.inside, bench.router.outside):
            namespace.sysctl(**values)
        took, size = load(bench, 40000 + number, listener)
        print(f"     {options}: {size} bytes in {took:.1f} s")
        for namespace in (bench.router.inside, bench.router.outside):
            namespace.sysctl(ipv4__tcp_sack=1, ipv4__tcp_timestamps=1, ipv4__tcp_window_scaling=1, ipv4__tcp_ecn=2)


@case("issue 4", accept=OUT, bad_lines=True)
def two_hundred_calls_over_bad_lines(bench):
    """200 calls at the same time, each on its own connection, with RTP on a sample, over lines with 1 % loss and 3 %
    reordering on both sides: all complete."""
    complete(bench, 200, 50, 9, "tn", within=25)
    check(all(wire.lost for wire in bench.router.wires), "nothing was lost")


@case("issue 4", accept=OUT, bad_lines=True)
def trunk_over_bad_lines(bench):
    """The same with 200 calls on one connection."""
    complete(bench, 200, 50, 9, within=25)


@case("issue 4", accept=OUT)
def small_mtus(bench):
    """MTU 1492 and 576 outside, 576 inside, and 1500: edited segments fit, and arrive to the byte."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    for number, (lan, wan) in enumerate(((1500, 1492), (1500, 576), (576, 1500), (576, 576), (1500, 1500))):
        bench.router.set_mtu(lan, wan)
        took, size = load(bench, 40000 + number, listener)
        print(f"     MTU {lan} inside, {wan} outside: {size} bytes in {took * 1000:.0f} ms")
        phone, provider = pair(bench, listener, 41000 + number)
        talk = Talk(41000 + number)
        for fill in range(0, 1600, 97):  # whatever the place of the edit in its segment
            message = talk.invite(f"fill-{number}-{fill}", more=["X-Fill: " + "y" * fill])
            exchange(phone, provider, message, f"an INVITE with {fill} more bytes, MTU {lan} and {wan}")


@case("issue 4", accept=OUT)
def offloads_of_the_kernel(bench):
    """With GRO, GSO and TSO of the router's and its neighbours' interfaces on, and with all off, the bytes are the same."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    links = ((bench.router.inside, "i0"), (bench.router.router, "lan0"), (bench.router.router, "wan0"), (bench.router.outside, "o0"))
    for number, on in enumerate((True, False, True)):
        for namespace, link in links:
            switch(namespace, link, gro=on, gso=on, tso=on)
        for round_ in range(3):
            took, size = load(bench, 40000 + 10 * number + round_, listener, 60)
            print(f"     offloads {'on' if on else 'off'}: {size} bytes in {took * 1000:.0f} ms")
