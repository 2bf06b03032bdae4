# SPDX-License-Identifier: GPL-2.0-or-later
# TCP connections and the daemon's life: killed, restarted, gone for good, and conntrack flushed beneath it.
import signal
import threading
import time

from harness.case import case
from harness.router import WAN
from harness.stream import OUT, Listener, Reader, Talk, exchange, pair, registered
from harness.wait import check, equal, until


def tables(bench):
    return bench.router.router.run(["nft", "list", "tables"]).stdout.split("\n")


def busy(bench, port=40000, listener=None):
    """A connection with edits in both directions."""
    phone, provider = pair(bench, listener, port)
    talk = registered(phone, provider)
    for number in range(5):
        exchange(phone, provider, talk.invite(f"before-{port}-{number}"))
        exchange(provider, phone, talk.called(f"before-{port}-{number}"))
    return phone, provider, talk


# What the engine knew of calls and registrations ended with the daemon, so it restores no Request-URI until the phone has
# registered again; the connection's map is another matter.
def as_sent(message):
    return (message[0], message[0])


def goes_on_behind_a_restart(phone, provider, talk, name):
    for number in range(3):
        exchange(phone, provider, talk.invite(f"{name}-first-{number}"), f"an INVITE out, {name}")
        exchange(provider, phone, as_sent(talk.called(f"{name}-first-{number}")), f"an INVITE in, {name}")
    registered(phone, provider)
    goes_on(phone, provider, talk, name)


def goes_on(phone, provider, talk, name, rounds=5):
    for number in range(rounds):
        exchange(phone, provider, talk.invite(f"{name}-{number}"), f"an INVITE out, {name}")
        exchange(provider, phone, talk.called(f"{name}-{number}"), f"an INVITE in, {name}")


def returns(bench, how, down):
    """The daemon ends and a new one starts while both ends write. Nothing arrives while there is none."""
    listener = Listener(bench, bench.router.outside, "203.0.113.2", 5060)
    phone, provider, talk = busy(bench, listener=listener)
    late = busy(bench, 40001, listener)  # nothing is said on it meanwhile
    for turn in range(3):
        bench.daemon.stop(how)
        out, back = talk.invite(f"down-{turn}"), talk.called(f"down-{turn}")
        phone.send(out[0])
        provider.send(back[0])
        if down:
            provider.receives_nothing(down, "bytes of a resized connection without a daemon")
            phone.receives_nothing(0.05, "bytes of a resized connection without a daemon")
        begin = time.monotonic()
        bench.daemon.start()
        provider.receives(out[1], "an INVITE out that was sent without a daemon")
        phone.receives(back[0], "an INVITE in that was sent without a daemon")
        print(f"     both arrived {(time.monotonic() - begin) * 1000:.0f} ms after the daemon was started")
        goes_on_behind_a_restart(phone, provider, talk, f"after-{turn}")
    goes_on_behind_a_restart(*late, "late")
    phone.close()
    provider.sees_end()


@case("issue 4", accept=OUT)
def killed_daemon_returns_and_the_connection_goes_on(bench):
    """SIGKILL while connections with edits are up: what the ends send meanwhile is not delivered wrongly; a new daemon has the
    map, and everything arrives as expected, three times over."""
    returns(bench, signal.SIGKILL, 0.3)


@case("issue 4", accept=OUT)
def restarted_daemon_takes_its_connections_back(bench):
    """The same with SIGTERM."""
    returns(bench, signal.SIGTERM, 0.3)


@case("issue 4", accept=OUT)
def daemon_killed_in_the_middle_of_a_message(bench):
    """SIGKILL while half a message is held, not yet and already taken over: no byte is lost, doubled or mixed; the message
    arrives edited or as it was sent, and both directions go on."""
    listener = Listener(bench, bench.router.outside, "203.0.113.2", 5060)
    for number, (cut, wait) in enumerate(((100, 0), (100, 0.1), (400, 0), (400, 0.1))):
        phone, provider, talk = busy(bench, 40000 + number, listener)
        sent, edited = talk.invite(f"middle-{number}")
        phone.send(sent[:cut])
        if wait:
            provider.receives_nothing(wait, "half a message")
        bench.daemon.stop(signal.SIGKILL)
        phone.send(sent[cut:])
        bench.daemon.start()
        until(lambda: len(provider.peek()) >= min(len(sent), len(edited)), lambda: f"the message; there is {provider.peek()!r}")
        whole = edited if provider.peek().startswith(edited[:400]) else sent
        provider.receives(whole, f"a message with {cut} bytes held for {wait} s")
        print(f"     held {cut} bytes for {wait} s: arrived {'edited' if whole is edited else 'as sent'}")
        exchange(provider, phone, as_sent(talk.called(f"behind-{number}")), "the other direction")
        after = talk.invite(f"after-{number}")
        exchange(phone, provider, after if whole is edited else (after[0],) * 2, "the message behind it")


@case("issue 4", accept=OUT)
def daemon_killed_again_and_again_under_load(bench):
    """Both ends write without a pause while the daemon is killed and started five times: every byte of both directions is the
    expected one."""
    phone, provider, talk = busy(bench)
    out = [talk.invite(f"load-{n}") for n in range(1200)]
    back = [as_sent(talk.answer(f"nobody-{n}")) for n in range(1200)]  # to a request that nobody knows

    def write(end, messages):
        for message in messages:
            end.send(message[0])
            time.sleep(0.003)

    writers = [threading.Thread(target=write, args=pair, daemon=True) for pair in ((phone, out), (provider, back))]
    readers = [Reader(provider), Reader(phone)]
    for thread in writers:
        thread.start()
    for turn in range(5):
        time.sleep(0.2)
        bench.daemon.stop(signal.SIGKILL if turn % 2 else signal.SIGTERM)
        bench.daemon.start()
    for thread in writers:
        thread.join()
    for reader, messages, what in ((readers[0], out, "out"), (readers[1], back, "in")):
        reader.got(b"".join(m[1] for m in messages), f"what went {what}")
    exchange(phone, provider, talk.invite("last"))


@case("issue 4", accept=OUT)
def faithful_connection_goes_on_without_the_daemon(bench):
    """A connection whose bytes were never changed goes on at once when the daemon is killed, with a new one, and
    when that ends too; nothing of it is left in the kernel."""
    phone, provider = pair(bench, port=40000)
    own = lambda name: (Talk(40000).invite(name)[1].replace(WAN.encode(), b"198.51.100.9"),) * 2
    for number in range(5):
        exchange(phone, provider, own(f"own-{number}"), "a message that needs no edit")
        exchange(provider, phone, own(f"back-{number}"), "a message that needs no edit")
    equal(bench.daemon.counter("packets", "edited"), 0, "edited")
    bench.daemon.stop(signal.SIGKILL)
    equal([line for line in tables(bench) if "sipalg" in line], [], "tables after the kill")
    for number in range(5):
        exchange(phone, provider, own(f"dead-{number}"), "a message without a daemon", seconds=1)
        exchange(provider, phone, own(f"dead-back-{number}"), "a message without a daemon", seconds=1)
    bench.daemon.start()
    for turn in range(2):
        exchange(phone, provider, own(f"new-{turn}"), "a message beside a new daemon", seconds=1)
        exchange(provider, phone, own(f"new-back-{turn}"), "a message beside a new daemon", seconds=1)
        bench.daemon.stop(signal.SIGKILL if turn else signal.SIGTERM)
        equal([line for line in tables(bench) if "sipalg" in line], [], "tables after the daemon")
        exchange(phone, provider, own(f"again-{turn}"), "a message without a daemon", seconds=1)
        exchange(provider, phone, own(f"again-back-{turn}"), "a message without a daemon", seconds=1)
        bench.daemon.start()


@case("issue 4: NAT slipstreaming", accept=OUT)
def bytes_missed_while_there_was_no_daemon_end_the_reading(bench):
    """A connection without edits whose bytes passed while there was no daemon: no message start is certain any more, so it
    passes untouched, also what looks like a message in the middle of another one's body."""
    listener = Listener(bench, bench.router.outside, "203.0.113.2", 5060)
    elsewhere = lambda message: (message[1].replace(WAN.encode(), b"198.51.100.9"),) * 2  # needs no edit
    for number, (first, answered) in enumerate(((True, True), (True, False), (False, True))):
        phone, provider = pair(bench, listener, 40000 + number)
        talk = Talk(40000 + number)
        inner = talk.invite("inner")[0]
        outer = elsewhere(talk.options("outer", body="x" * 400 + inner.decode()))[0]
        exchange(phone, provider, elsewhere(talk.options("whole")))
        exchange(provider, phone, elsewhere(talk.answer("whole")))
        if not first:
            exchange(phone, provider, as_sent((outer[:-len(inner)],)), "the outer message up to the inner one")
        bench.daemon.stop(signal.SIGKILL)
        if first:
            exchange(phone, provider, as_sent((outer[:-len(inner)],)), "its beginning, without a daemon")
        bench.daemon.start()
        if answered:  # acknowledges what was missed
            exchange(provider, phone, (b"\r\n", b"\r\n"), "a keepalive")
        exchange(phone, provider, (inner, inner), "the inner message")
        equal(bench.daemon.doors(), [], "doors")


@case("issue 4", accept=OUT)
def connection_is_reset_when_no_daemon_returns(bench):
    """When the lease of a connection with edits is over and no daemon came back, the next segment of either end is answered by a
    reset, not by silence or wrong bytes; connections without edits are not touched."""
    listener = Listener(bench, bench.router.outside, "203.0.113.2", 5060)
    phone, provider, talk = busy(bench, listener=listener)
    plain, server = pair(bench, listener, 40001)
    own = lambda name: (Talk(40001).invite(name)[1].replace(WAN.encode(), b"198.51.100.9"),) * 2
    exchange(plain, server, own("first"))
    bench.daemon.stop(signal.SIGKILL)
    exchange(plain, server, own("second"))
    phone.send(talk.invite("lost")[0])
    provider.receives_nothing(0.3)
    bench.router.router.nft("flush set inet sipalg_streams held4\n")  # what 60 s do
    phone.sees_reset()
    provider.is_reset_by_sending(talk.called("lost")[0])
    exchange(plain, server, own("third"))
    fresh, far = pair(bench, listener, 40002)
    exchange(fresh, far, (Talk(40002).invite("none")[0],) * 2, "a new connection without a daemon")


@case("issue 4", accept=OUT)
def reset_connections_do_not_come_back(bench):
    """A daemon that comes back after the reset serves new connections and forgets the old ones; after they all ended it leaves
    nothing."""
    listener = Listener(bench, bench.router.outside, "203.0.113.2", 5060)
    phone, provider, talk = busy(bench, listener=listener)
    bench.daemon.stop(signal.SIGKILL)
    bench.router.router.nft("flush set inet sipalg_streams held4\n")
    for end, message in ((phone, talk.invite("lost")), (provider, talk.called("lost"))):
        end.is_reset_by_sending(message[0])
        end.close()
    bench.daemon.start()
    phone, provider, talk = busy(bench, 40005, listener)
    goes_on(phone, provider, talk, "new")


@case("issue 4", accept=OUT)
def clean_stop_leaves_no_stream_table(bench):
    """After SIGTERM without living connections no table, set or rule is left; with living ones only the guard's table is."""
    phone, provider, talk = busy(bench)
    bench.daemon.stop()
    check(any(line.endswith(" sipalg_streams") for line in tables(bench)), f"no guard for a living connection: {tables(bench)}")
    equal([line for line in tables(bench) if line.endswith(" sipalg")], [], "the daemon's own table")
    bench.daemon.start()
    goes_on_behind_a_restart(phone, provider, talk, "after")
    phone.reset()
    provider.sees_reset()
    provider.close()
    bench.router.router.conntrack("-D", "-p", "tcp")
    bench.daemon.stop()
    bench.daemon.leaves_clean()
    equal([line for line in tables(bench) if "sipalg" in line], [], "tables after a clean stop")


@case("issue 4; kernel-facts 3", accept=OUT)
def connection_survives_a_conntrack_flush(bench):
    """After `conntrack -F` in the middle of a connection with edits it goes on, in both directions, as often as one likes."""
    phone, provider, talk = busy(bench)
    for turn in range(4):
        bench.router.router.conntrack("-F")
        goes_on(phone, provider, talk, f"flush-{turn}")
    phone.close()
    provider.sees_end()


@case("issue 4", accept=OUT)
def firewall_reload_does_not_break_connections(bench):
    """`nft flush ruleset` and the administrator's rules again, as a firewall's reload does it, in the middle of connections with
    edits: no segment passes unmapped, and they go on; killed and started again, too."""
    phone, provider, talk = busy(bench)
    for turn in range(3):
        bench.router.router.nft("flush ruleset\n" + bench.router.rules)
        goes_on(phone, provider, talk, f"reload-{turn}")
    bench.daemon.stop(signal.SIGKILL)
    phone.send(talk.invite("down")[0])
    provider.receives_nothing(0.3, "bytes of a resized connection without a daemon")
    bench.daemon.start()
    provider.receives(talk.invite("down")[1], "an INVITE that was sent without a daemon")
    goes_on_behind_a_restart(phone, provider, talk, "after")
