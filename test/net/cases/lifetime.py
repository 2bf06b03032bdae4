# SPDX-License-Identifier: GPL-2.0-or-later
# When doors close, and what becomes of them when somebody flushes conntrack or ends the daemon.
import signal
import socket
import time

from cases.registration import incoming_call, registered
from harness.case import case
from harness.media import converse
from harness.router import PHONE, PHONE_2, PROXY, REGISTRAR_2, WAN
from harness.texts import Callee, Caller, provider_on_two_ports, register, registrar
from harness.wait import check, equal, until

CALL_ID = "life@" + PHONE


class Call:
    """An established call from the phone with audio both ways."""

    def __init__(self, bench, **options):
        self.servers = provider_on_two_ports(bench, **options)
        self.near, self.far = bench.inside_party(4000), bench.outside_party(6000)
        self.phone = bench.phone(Caller().call(), call_id=CALL_ID, **options)
        self.offer = bench.capture.both("INVITE", "out")[1]
        self.answer = bench.capture.message("lan0", False, 200, "INVITE")
        bench.capture.message("wan0", False, "ACK")
        converse(self.near, self.answer.media(), self.far, self.offer.media())

    def still_talks(self):
        self.near.hears(self.far)
        self.far.hears(self.near)
        equal(self.far.rtp.sources("phone"), {self.offer.media()}, "the port the phone's RTP leaves from")
        equal(self.near.rtp.sources("provider"), {(PROXY, 6000)}, "where the provider's RTP comes from")

    def hang_up(self):
        self.phone.go()
        for program in (self.phone, *self.servers):
            program.done()


def media_pinholes(bench):
    expectations = bench.router.router.conntrack("-L", "expect").splitlines()
    return [line for line in expectations if "dport=4000" in line or "dport=4001" in line or "dport=6000" in line]


@case("6")
def media_doors_close_with_the_call(bench):
    """2 s after the 2xx to BYE no media door stands, neither in the daemon's list nor in the kernel, and the provider's
    RTP does not come in any more."""
    call = Call(bench)
    check(bench.daemon.media_doors(), "no media door during the call")
    check(media_pinholes(bench), "no media pinhole in the kernel during the call")
    call.hang_up()
    ended = time.monotonic()
    until(lambda: not bench.daemon.media_doors(), lambda: f"media doors to close: {bench.daemon.media_doors()}", 2)
    until(lambda: not media_pinholes(bench), lambda: f"pinholes to close: {media_pinholes(bench)}", 2)
    call.near.hush()
    time.sleep(max(0, 2 - (time.monotonic() - ended)))
    call.near.hears_nothing(call.far)


@case("6", slow=True)
def everything_of_the_call_is_gone_after_40_seconds(bench):
    """40 s after the 2xx to BYE nothing of the call stands, while the registration stays."""
    registered(bench)
    doors = {(d["purpose"], d["inside"], d["outside"]) for d in bench.daemon.doors()}
    call = Call(bench)
    call.hang_up()
    ended = time.monotonic()
    until(lambda: not bench.daemon.media_doors(), "media doors to close", 2)
    check(bench.daemon.calls(), "the call is forgotten while its transactions may still be repeated")
    left = [d["remaining_ms"] for d in bench.daemon.doors() if "contact" not in d["purpose"]]
    check(all(ms is not None and ms <= 40_000 for ms in left), f"remaining times after BYE: {left}")
    until(lambda: not bench.daemon.calls(), lambda: f"the call to be forgotten: {bench.daemon.calls()}", 40, 0.5)
    until(lambda: {(d["purpose"], d["inside"], d["outside"]) for d in bench.daemon.doors()} == doors,
          lambda: f"the call's doors to close: {bench.daemon.doors()}; before it: {doors}", 8, 0.5)
    check(time.monotonic() - ended < 40, f"the call stood for {time.monotonic() - ended:.0f} s")
    equal(len(bench.daemon.registrations()), 1, "registrations")
    bench.forget_flow("--orig-src", PHONE)
    incoming_call(bench, (WAN, 5060), media=4100, far=6100)


@case("design 4")
def sigterm_leaves_nothing(bench):
    """After SIGTERM in the middle of a call no expectation, anchor or table is left in the kernel."""
    registered(bench)
    Call(bench)
    check(bench.daemon.kernel_leftovers(), "nothing in the kernel during the call; the test can not see it")
    equal(bench.daemon.stop(), 0, "exit status")
    bench.daemon.leaves_clean()


@case("design 3; peers 51")
def restarted_daemon_leaves_calls_their_audio(bench):
    """The daemon is ended by SIGTERM in mid call, and started again, as an upgrade does it: audio goes on both ways through a
    default-drop firewall, from the same ports, and the call ends as it should."""
    call = Call(bench)
    equal(bench.daemon.stop(), 0, "exit status")
    bench.daemon.leaves_clean()
    call.still_talks()
    bench.daemon.start()
    call.still_talks()
    call.hang_up()


def is_called_after_a_restart(bench, by, seconds=0):
    """What registered before is known to the next daemon, and called at the Contact that the registrar has."""
    contact = registered(bench, contact=f"Contact: <sip:alice@{PHONE}:6000>")
    before = bench.daemon.registrations()
    doors = {(d["inside"], d["outside"], d["scope"]) for d in bench.daemon.doors() if "contact" in d["purpose"]}
    bench.forget_flow("--orig-src", PHONE)
    time.sleep(seconds)
    bench.daemon.stop(by)
    bench.daemon.start()
    after = bench.daemon.registrations()
    stable = lambda found: [{key: value for key, value in r.items() if key != "remaining_ms"} for r in found]
    equal(stable(after), stable(before), "registrations after the restart")
    check(0 <= before[0]["remaining_ms"] - after[0]["remaining_ms"] < 10_000, "it ends at another time")
    equal({(d["inside"], d["outside"], d["scope"]) for d in bench.daemon.doors()}, doors, "its doors")
    invite = incoming_call(bench, contact, port=6000)
    equal(invite.uri, f"sip:alice@{PHONE}:6000", "the Request-URI at the phone")
    server = bench.provider(registrar(0))
    bench.phone(register(expires=0, contact=f"Contact: <sip:alice@{PHONE}:6000>")).done()
    server.done()
    bench.daemon.stop()
    bench.daemon.start()
    equal([r for r in bench.daemon.registrations() if r["remaining_ms"] > 32_000], [], "registrations after it was taken back")


@case("design 3; peers 51")
def restarted_daemon_keeps_registrations(bench):
    """A registered phone whose flow has ended is called after the daemon was restarted: same door, same texts, same end."""
    is_called_after_a_restart(bench, signal.SIGTERM)


@case("design 3; peers 51")
def killed_daemon_keeps_registrations(bench):
    """The same when the daemon was killed, two seconds after the phone registered."""
    is_called_after_a_restart(bench, signal.SIGKILL, 2)


@case("design 3; peers 51", config="workers = 3")
def restarted_workers_keep_registrations(bench):
    """The same with several workers."""
    is_called_after_a_restart(bench, signal.SIGTERM)


@case("design 3; 5")
def registration_whose_place_is_lost_is_not_kept(bench):
    """The router has another address when the daemon starts again, or somebody else has the port: no door is opened there."""
    registered(bench)
    bench.forget_flow("--orig-src", PHONE)
    bench.daemon.stop()
    with bench.router.router.inside():
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind((WAN, 5060))
    bench.keep(taken)
    bench.daemon.start()
    equal((bench.daemon.registrations(), bench.daemon.doors()), ([], []), "registrations and doors while a program has the port")
    taken.close()
    registered(bench)
    bench.daemon.stop()
    router = bench.router.router
    router.run(["ip", "addr", "del", WAN + "/24", "dev", "wan0"])
    router.run(["ip", "addr", "add", "203.0.113.77/24", "dev", "wan0"])
    bench.daemon.start()
    equal((bench.daemon.registrations(), bench.daemon.doors()), ([], []), "registrations and doors with another address")


@case("kernel-facts 3")
def audio_survives_a_conntrack_flush(bench):
    """After `conntrack -F` in the middle of a call audio goes on both ways from the same ports, and the call ends as it
    should."""
    call = Call(bench)
    for _ in range(3):
        bench.router.router.conntrack("-F")
        call.still_talks()
    equal(len(bench.daemon.calls()), 1, "calls")
    call.hang_up()
    until(lambda: not bench.daemon.media_doors(), "media doors to close", 2)


@case("design 4")
def doors_come_back_with_the_address(bench):
    """The router loses its outside address in the middle of a call and gets the same one again: the doors close, then are
    there again, and audio goes on from the same ports."""
    call = Call(bench)
    router = bench.router.router
    router.run(["ip", "addr", "del", WAN + "/24", "dev", "wan0"])
    until(lambda: not any(d["in_kernel"] for d in bench.daemon.media_doors()), "media doors to close", 5)
    router.run(["ip", "addr", "add", WAN + "/24", "dev", "wan0"])
    router.run(["ip", "route", "replace", "default", "via", PROXY])
    until(lambda: any(d["in_kernel"] for d in bench.daemon.media_doors()), "media doors to come back", 5)
    call.still_talks()
    call.hang_up()
    until(lambda: not bench.daemon.media_doors(), "media doors to close", 2)


def registers_at_the_new_address(bench):
    """The router's outside address is another from now on: what the phone sends leaves with it, and there the phone is called."""
    new, router = "203.0.113.77", bench.router.router
    router.run(["ip", "addr", "del", WAN + "/24", "dev", "wan0"])
    router.run(["ip", "addr", "add", new + "/24", "dev", "wan0"])
    router.run(["ip", "route", "replace", "default", "via", PROXY])
    if not bench.daemon.is_running():
        bench.daemon.start()
    until(lambda: not any(d["in_kernel"] for d in bench.daemon.doors(outside=f"{WAN}:5060")), "the doors of the old address to close")
    contact = registered(bench)
    equal(contact, (new, 5060), "the Contact at the registrar with another address")
    incoming_call(bench, contact, media=4200, far=6200)


@case("kernel-facts 3; design 4")
def flow_through_a_door_ends_with_its_address(bench):
    """The router gets another outside address while a flow lives that a door translated, not masquerade (the phone sent again after
    its conntrack had ended): the phone's next REGISTER leaves with the new address."""
    registered(bench)
    bench.forget_flow("--orig-src", PHONE)
    registered(bench)
    registers_at_the_new_address(bench)


@case("kernel-facts 3; design 4")
def flow_of_a_call_in_ends_with_its_address(bench):
    """The same while a flow lives that the registrar began through the phone's door."""
    contact = registered(bench)
    bench.forget_flow("--orig-src", PHONE)
    incoming_call(bench, contact)
    registers_at_the_new_address(bench)


@case("kernel-facts 3; design 4", config="workers = 3")
def flow_of_a_worker_ends_with_its_address(bench):
    """The same with several workers."""
    flow_of_a_call_in_ends_with_its_address(bench)


@case("kernel-facts 3; design 3")
def flow_ends_with_an_address_lost_while_stopped(bench):
    """The same when the address is another while no daemon runs: the phone is known again when it registers again."""
    contact = registered(bench)
    bench.forget_flow("--orig-src", PHONE)
    incoming_call(bench, contact)
    bench.daemon.stop()
    registers_at_the_new_address(bench)


@case("kernel-facts 3")
def doors_come_back_after_a_flush(bench):
    """A registration's door is made again when somebody flushes conntrack: the phone stays reachable."""
    contact = registered(bench)
    bench.router.router.conntrack("-F")
    incoming_call(bench, contact)


@case("design 4, kernel-facts 1")
def killed_daemon_leaves_sip_flowing(bench):
    """After SIGKILL of the daemon SIP flows on, unmodified, its table is gone, and the audio of living calls goes on."""
    call = Call(bench)
    bench.daemon.stop(signal.SIGKILL)
    call.still_talks()
    bench.listener(bench.router.outside, PROXY, 5060)
    text = (f"OPTIONS sip:{PROXY} SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE}:5061;branch=z9hG4bK-o\r\nFrom: <sip:a@{PHONE}>;tag=1\r\n"
            f"To: <sip:{PROXY}>\r\nCall-ID: options@{PHONE}\r\nCSeq: 1 OPTIONS\r\nContact: <sip:a@{PHONE}:5061>\r\n"
            "Content-Length: 0\r\n\r\n").encode()
    for source_port in (5061, 5062):
        bench.datagram(bench.router.inside, (PHONE, source_port), (PROXY, 5060), text)
        after = bench.capture.message("wan0", False, "OPTIONS", sport=source_port)
        equal(after.bytes, text, "the OPTIONS at the provider")
    tables = bench.router.router.run(["nft", "list", "tables"]).stdout
    check("sipalg" not in tables, tables)


@case("design 4")
def killed_daemon_can_start_again(bench):
    """A daemon that follows a killed one removes what that one left and serves new calls."""
    registered(bench)
    bench.daemon.stop(signal.SIGKILL)
    bench.daemon.start()
    Call(bench).hang_up()
    equal(bench.daemon.stop(), 0, "exit status")
    bench.daemon.leaves_clean()


@case("issue, 1; 6", slow=True, config='call-idle = "60s"')
def silent_call_ends_by_call_idle(bench):
    """Without SIP and without media a call ends when `call-idle` is over, and its media doors close; a call that began before
    it and still has audio lives on, with the same doors, and ends with its BYE."""
    living = Call(bench, limit=120)
    doors = {d["id"] for d in bench.daemon.media_doors()}
    silent = Caller(PHONE_2, media=4400)
    server = bench.provider(Callee(REGISTRAR_2, 6000).call(), REGISTRAR_2, limit=120)
    uri = f"sip:bob@{REGISTRAR_2}"
    invite = silent.invite
    silent.invite = lambda: invite(uri=uri, to=f"<{uri}>")
    phone = bench.phone(silent.call(), PHONE_2, remote=(REGISTRAR_2, 5060), call_id="silent@" + PHONE_2, limit=120)
    bench.capture.message("wan0", False, "ACK", destination=REGISTRAR_2)
    answered = time.monotonic()

    def state():
        return {c["call_id"]: c["state"] for c in bench.daemon.calls()}.get("silent@" + PHONE_2)

    until(lambda: state() == "confirmed", "the silent call to be up")
    until(lambda: state() == "ending", lambda: f"the silent call to end; it is {state()}", 75, 0.5)
    check(time.monotonic() - answered >= 59, f"the silent call ended after {time.monotonic() - answered:.0f} s")
    equal({d["id"] for d in bench.daemon.media_doors()}, doors, "media doors: those of the call with audio")
    equal(bench.daemon.counter("events", "calls-ended-by-time"), 1, "calls ended by time")
    lines = bench.daemon.stats_lines()
    equal((lines["trunk timer timeout"], lines["Del Trunk Chnls"]), (1, 1), "trunk timer timeout and Del Trunk Chnls")
    equal({c["call_id"]: c["state"] for c in bench.daemon.calls()}[CALL_ID], "confirmed", "the call with audio")
    living.still_talks()
    for program in (phone, server):
        bench.end(program)
    living.hang_up()
    until(lambda: not bench.daemon.media_doors(), "media doors to close", 2)
