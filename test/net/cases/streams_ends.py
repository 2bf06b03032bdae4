# SPDX-License-Identifier: GPL-2.0-or-later
# How connections begin and end: doors for new ones, the phone's own one, FIN, RST, windows that close.
import errno
import threading

from harness.case import case
from harness.router import PHONE, PROXY, REGISTRAR_2, STRANGER, WAN
from harness.stream import OUT, Listener, Talk, connect, exchange, pair, registered, text
from harness.wait import Failure, check, equal, until


@case("issue 4; sip-rules 5", accept=OUT)
def contact_with_the_connections_port_needs_no_door(bench):
    """A TCP phone whose Contact has its connection's port registers: its Contact is the connection's mapping, no door is made,
    and calls come in over the phone's own connection."""
    phone, provider = pair(bench, port=40000)
    talk = registered(phone, provider)
    equal([door for door in bench.daemon.doors() if "contact" in door["purpose"]], [], "doors for the Contact")
    equal(len(bench.daemon.registrations()), 1, "registrations")
    for number in range(3):
        exchange(provider, phone, talk.called(f"own-{number}"), "a call over the phone's connection")
        answer = lambda host: text("SIP/2.0 200 OK", f"{PROXY}:5060;branch=z9hG4bK-own-{number}", f"<sip:bob@{PROXY}>;tag=b",
                                   f"<sip:alice@{PROXY}>;tag=a", f"own-{number}@provider", "1 INVITE",
                                   [f"Contact: <sip:alice@{host}:40000;transport=tcp>"],
                                   f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n")
        exchange(phone, provider, (answer(PHONE), answer(WAN)), "the phone's answer")
    near, far = bench.inside_party(4000), bench.outside_party(6000)
    far.talk((WAN, 4000))
    near.hears(far)
    near.talk((PROXY, 6000))
    far.hears(near)
    equal(far.rtp.sources("phone"), {(WAN, 4000)}, "the port the phone's RTP leaves from")


@case("issue 4; sip-rules 5", accept=OUT)
def contact_with_another_port_takes_a_new_connection(bench):
    """A TCP phone that registers another port than its connection's gets a door: the registrar opens a new connection through
    it and calls over that; a stranger can not, neither before nor after."""
    waiting = Listener(bench, bench.router.inside, PHONE, 5070)
    phone, provider = pair(bench, port=40000)
    talk = registered(phone, provider, 5070)
    doors = [door for door in bench.daemon.doors() if "contact" in door["purpose"]]
    equal([(d["inside"], d["outside"]) for d in doors], [(f"{PHONE}:5070", f"{WAN}:5070")], "the door for the Contact")
    stays_out(bench)
    caller = connect(bench, bench.router.outside, (WAN, 5070), (PROXY, 0))
    called = waiting.accept()
    exchange(caller, called, talk.called("new-connection"), "a call over a new connection")
    stays_out(bench)
    exchange(phone, provider, talk.invite("old"), "a call over the old one")
    second = connect(bench, bench.router.outside, (WAN, 5070), (PROXY, 0))
    exchange(second, waiting.accept(), talk.called("third"), "a call over a third one")
    for end, other in ((caller, called), (provider, phone)):
        end.close()
        other.sees_end()


def stays_out(bench):
    for source in (STRANGER, REGISTRAR_2):
        try:
            connect(bench, bench.router.outside, (WAN, 5070), (source, 0), 0.5)
        except (ConnectionRefusedError, TimeoutError):
            continue
        raise Failure(f"{source} was let in")


@case("issue 4", accept=OUT)
def every_way_to_close_reaches_the_other_end(bench):
    """FIN with data on it, a half close with answers behind it, simultaneous close, RST from either end, FIN in the middle of a
    message: each arrives, behind all bytes, in both directions, on connections with edits and without."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    port = 40000
    for edits in (True, False):
        for way in ("fin-with-data", "half-close", "simultaneous", "reset", "in-a-message"):
            for from_phone in (True, False):
                port += 1
                phone, provider = pair(bench, listener, port)
                talk = registered(phone, provider) if edits else Talk(port)
                first, second = (phone, provider) if from_phone else (provider, phone)
                there, back = (talk.invite, talk.called) if from_phone else (talk.called, talk.invite)
                if not edits:
                    there = back = lambda name: (Talk(port).invite(name)[1].replace(WAN.encode(), b"198.51.100.1"),) * 2
                # a Call-ID and branch are one transaction, whichever connection they come by
                there, back = ((lambda name, make=make: make(f"{name}-{port}")) for make in (there, back))
                what = f"{way} from the {'phone' if from_phone else 'provider'}, {'with' if edits else 'without'} edits"
                ENDINGS[way](first, second, there, back, what)
                for end in (phone, provider):
                    end.close()
    opened = bench.daemon.counter("events", "streams-followed")
    equal(opened, 20, "connections followed")


def fin_with_data(first, second, there, _, what):
    first.send(there("last-1")[0])
    first.send(there("last-2")[0])
    first.close()
    second.receives(there("last-1")[1] + there("last-2")[1], what)
    second.sees_end()


def half_close(first, second, there, back, what):
    exchange(first, second, there("before"), what)
    first.half_close()
    second.sees_end()
    for number in range(20):
        exchange(second, first, back(f"behind-{number}"), what)
    second.half_close()
    first.sees_end()


def simultaneous(first, second, there, back, what):
    threads = [threading.Thread(target=end.half_close) for end in (first, second)]
    first.send(there("both")[0])
    second.send(back("both")[0])
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    second.receives(there("both")[1], what)
    first.receives(back("both")[1], what)
    first.sees_end()
    second.sees_end()


def reset(first, second, there, back, what):
    exchange(first, second, there("before"), what)
    exchange(second, first, back("before"), what)
    first.reset()
    second.sees_reset()


def in_a_message(first, second, there, _, what):
    exchange(first, second, there("whole"), what)
    half = there("half")[0][:150]
    first.send(half)
    first.half_close()
    second.receives(half, what)
    second.sees_end()


ENDINGS = {"fin-with-data": fin_with_data, "half-close": half_close, "simultaneous": simultaneous, "reset": reset,
           "in-a-message": in_a_message}


@case("issue 4", accept=OUT)
def reset_in_the_middle_of_a_message(bench):
    """RST while an incomplete message is held ends the connection at the other end, too."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    for port, wait in ((40001, 0), (40002, 0.1)):
        phone, provider = pair(bench, listener, port)
        talk = registered(phone, provider)
        phone.send(talk.invite("half")[0][:200])
        if wait:  # the box has taken the bytes over meanwhile
            provider.receives_nothing(wait, "half an INVITE")
        phone.reset()
        provider.sees_reset()


@case("issue 4", accept=OUT)
def port_taken_again_at_once_is_a_new_connection(bench):
    """A phone that opens its next connection from the same port, behind a close, a reset and a crash without a word: each is
    read from its beginning, with nothing of the one before."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    for turn in range(6):
        phone = until(lambda: connected(bench), "the port to be free")
        provider = listener.accept()
        talk = registered(phone, provider)
        exchange(phone, provider, talk.invite(f"turn-{turn}"), f"an INVITE of connection {turn}")
        exchange(provider, phone, talk.called(f"turn-{turn}"), f"a call on connection {turn}")
        if turn % 3 == 2:  # a phone that lost its power: its next SYN is all that says so
            rules = "table ip dead {\n chain out {\n type filter hook output priority 0;\n tcp flags rst drop\n }\n}\n"
            bench.router.inside.nft(rules)
            phone.reset()
            bench.router.inside.nft("delete table ip dead\n")
            provider.reset()
        elif turn % 3 == 1:
            phone.reset()
            provider.sees_reset()
        else:
            provider.close()  # so that TIME_WAIT is not the phone's
            phone.sees_end()
            phone.close()


def connected(bench):
    try:
        return connect(bench, bench.router.inside, (PROXY, 5060), (PHONE, 40000))
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:  # the last acknowledgement of the one before is under way
            raise
    return None


@case("issue 4", accept=OUT)
def reader_that_stalls_gets_every_byte(bench):
    """Readers with small buffers that stop reading (zero windows in both directions, window probes) while hundreds of edited
    messages wait: when they read again they get exactly these."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060, buffer=4096)
    phone, provider = pair(bench, listener, 40000)
    talk = registered(phone, provider)
    out, back = [talk.invite(f"out-{n}") for n in range(1500)], [talk.called(f"in-{n}") for n in range(3000)]
    threads = [phone.send_meanwhile(b"".join(m[0] for m in out)), provider.send_meanwhile(b"".join(m[0] for m in back))]
    expected = b"".join(m[1] for m in out)
    threads[0].join(1.5)
    check(threads[0].is_alive(), "nothing stalled")
    third = len(expected) // 3
    provider.receives(expected[:third], "the first third", 20)
    threads[0].join(0.5)
    provider.receives(expected[third:], "the rest, after another stall", 20)
    phone.receives(b"".join(m[1] for m in back), "what came in", 20)
    for thread in threads:
        thread.join()
    exchange(phone, provider, talk.invite("last"))
    exchange(provider, phone, talk.called("last"))


@case("issue 4; issue 3, 6", accept=OUT)
def tcp_switched_off_lets_connections_finish(bench):
    """`service off tcp`: transactions that are up go on mapped on their connections, new requests and new connections pass
    untouched and open nothing; UDP stays in service; `service on tcp` takes new connections again."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    phone, provider = pair(bench, listener, 40000)
    talk = Talk(40000)
    exchange(phone, provider, talk.invite("up"))
    bench.daemon.ctl("service", "off", "tcp")
    exchange(provider, phone, talk.answer("up", method="INVITE", status="180 Ringing"), "a response behind `off`")
    exchange(phone, provider, talk.invite("up"), "the same request again")
    exchange(phone, provider, (talk.invite("new")[0],) * 2, "a new INVITE")
    exchange(provider, phone, talk.answer("up", method="INVITE", status="180 Ringing"), "another response")
    other, far = pair(bench, listener, 40001)
    exchange(other, far, (Talk(40001).invite("none")[0],) * 2, "an INVITE of a new connection")
    bench.listener(bench.router.outside, PROXY, 5060)
    udp = Talk(5060).options("udp")[0].replace(b"SIP/2.0/TCP", b"SIP/2.0/UDP").replace(b";transport=tcp", b"")
    bench.datagram(bench.router.inside, (PHONE, 5060), (PROXY, 5060), udp)
    after = bench.capture.message("wan0", False, "OPTIONS")
    equal(after.contact(), (WAN, 5060), "the Contact of a request over UDP")
    bench.daemon.ctl("service", "on", "tcp")
    last, far = pair(bench, listener, 40002)
    exchange(last, far, Talk(40002).invite("again"), "an INVITE of a new connection after `on`")


@case("issue 4", accept=OUT)
def udp_and_tcp_phones_beside_each_other(bench):
    """One host with a phone over UDP and one over TCP, same user, same port: each gets what is his."""
    listener = Listener(bench, bench.router.outside, PROXY, 5060)
    bench.listener(bench.router.outside, PROXY, 5060)
    phone, provider = pair(bench, listener, 5060)
    talk = registered(phone, provider)
    udp = talk.invite("udp", media=4200)[0].replace(b"SIP/2.0/TCP", b"SIP/2.0/UDP").replace(b";transport=tcp", b"")
    bench.datagram(bench.router.inside, (PHONE, 5060), (PROXY, 5060), udp)
    after = bench.capture.message("wan0", False, "INVITE")
    equal((after.contact(), after.media()), ((WAN, 5060), (WAN, 4200)), "what the UDP phone offers")
    exchange(phone, provider, talk.invite("tcp"), "an INVITE over TCP")
    exchange(provider, phone, talk.called("tcp"), "a call to the TCP phone")
