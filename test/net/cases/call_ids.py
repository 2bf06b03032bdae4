# SPDX-License-Identifier: GPL-2.0-or-later
# Calls that a Call-ID alone does not tell apart. A real Kamailio outside stands between, so that every message to and from
# inside travels between the same two endpoints.
from harness.case import case
from harness.kamailio import kamailio
from harness.media import converse
from harness.router import PHONE, PHONE_2, PROXY, REGISTRAR_2, WAN, WORKER
from harness.sipp import expect, go, send
from harness.texts import Callee, Caller, register, response
from harness.wait import check, equal, until

CALL_ID = "one-for-both@example.com"


def registered_outside(bench, address, user):
    """A user agent of the provider's side; Kamailio finds it without the router."""
    bench.caller(register(address, user=user), (PROXY, 5060), address).done()


class Client:
    """One inside client and whom it calls, with an RTP endpoint each."""

    def __init__(self, bench, host, port, media, tag, user, far, far_host):
        self.bench, self.host = bench, host
        self.server = bench.provider(Callee(far_host, user=far).call(), far_host)
        caller = Caller(host, port, media, user=user)
        caller.sender = caller.sender.replace("tag=a1", "tag=" + tag)
        uri = f"sip:{far}@{PROXY}"
        invite = caller.invite
        caller.invite = lambda: invite(uri=uri, to=f"<{uri}>")
        self.phone = bench.phone(caller.call(proxied=True), host, port, call_id=CALL_ID)
        self.offer = bench.capture.message("wan0", False, "INVITE", destination=PROXY, call_id=CALL_ID, seconds=5,
                                           number=len(bench.capture.messages("wan0", False, "INVITE")))
        self.answer = bench.capture.message("lan0", False, 200, "INVITE", destination=host, dport=port)
        self.near, self.far = bench.inside_party(media, user, host), bench.outside_party(6000, far, far_host)

    def converse(self):
        converse(self.far, self.offer.media(), self.near, self.answer.media())

    def talks_on(self, other):
        self.near.hears(self.far)
        self.far.hears(self.near)
        equal(self.far.rtp.sources(self.near.name), {self.offer.media()}, f"where RTP of {self.near.name} leaves from")
        equal({name for _, name in self.near.rtp.received} & {other.far.name}, set(), f"whom {self.near.name} hears")

    def hang_up(self):
        self.phone.go()
        for program in (self.phone, self.server):
            program.done()


def both_calls(bench, first, second):
    """Both calls have audio, the first ends, the second goes on and ends by itself."""
    kamailio(bench, PROXY)
    for address, user in ((REGISTRAR_2, "bob"), (WORKER, "dave")):
        registered_outside(bench, address, user)
    one = Client(bench, *first, "alice", "bob", REGISTRAR_2)
    two = Client(bench, *second, "carol", "dave", WORKER)
    one.converse()
    two.converse()
    check(one.offer.media() != two.offer.media(), f"both are announced at {one.offer.media()}")
    equal([(c["call_id"], c["state"]) for c in bench.daemon.calls()], [(CALL_ID, "confirmed")] * 2, "calls")
    doors = {d["id"] for d in bench.daemon.media_doors()}
    one.hang_up()
    until(lambda: len(bench.daemon.media_doors()) == 2, lambda: f"two media doors to close of {bench.daemon.media_doors()}", 2)
    check({d["id"] for d in bench.daemon.media_doors()} < doors, "the second call has other doors than before")
    equal(sorted(c["state"] for c in bench.daemon.calls()), ["confirmed", "ending"], "states of the calls")
    two.talks_on(one)
    two.hang_up()
    until(lambda: not bench.daemon.media_doors(), "media doors to close", 2)


@case("issue, 1; 4")
def two_clients_with_one_call_id(bench):
    """Two phones use the same Call-ID at once toward one proxy: both calls have audio and end separately."""
    both_calls(bench, (PHONE, 5060, 4000, "a1"), (PHONE_2, 5060, 4000, "a2"))


@case("issue, 1; 4")
def two_hosts_with_one_call_id_and_from_tag(bench):
    """Two phones use the same Call-ID and the same From tag at once: both calls have audio and end separately."""
    both_calls(bench, (PHONE, 5060, 4000, "a1"), (PHONE_2, 5060, 4000, "a1"))


@case("issue, 1; 4")
def two_clients_of_one_host_with_one_call_id(bench):
    """Two clients on one host, on ports 5060 and 5062, use the same Call-ID: both calls have audio and end separately."""
    both_calls(bench, (PHONE, 5060, 4000, "a1"), (PHONE, 5062, 4100, "a2"))


def forked(bench, losing, winning):
    """Kamailio forks one INVITE to two lines (host, port, media port) behind the router: the first has early media and is
    cancelled, the second answers."""
    kamailio(bench, PROXY)
    for address, port, _ in (losing, winning):
        phone = bench.phone(register(address, port, user="bob"), address, port)
        phone.done()
        bench.end(phone)
    bench.forget_flow("--orig-dst", PROXY)
    left, right = (Callee(address, media, contact=f"{address}:{port}") for address, port, media in (losing, winning))
    loser = bench.phone_waits([expect("INVITE"),
                               send(response("183 Session Progress", [left.contact], left.body, tag="left"), retrans=False),
                               expect("CANCEL"), send(response("200 OK", tag="left"), retrans=False),
                               send(response("487 Request Terminated", tag="left").replace("[last_CSeq:]", "CSeq: 1 INVITE")),
                               expect("ACK")], *losing[:2])
    winner = bench.phone_waits([expect("INVITE"), right.ringing(), go(), right.ok(), expect("ACK"), *right.hung_up()],
                               *winning[:2], call_id=CALL_ID)
    caller = Caller(WORKER, media=6000, user="worker")
    invite, trying, _, *answered = caller.call(proxied=True)
    # the dialog is the 2xx's, whoever rang first
    ringing = [expect(status, optional=True, rrs=False) for status in (180, 183)]
    worker = bench.caller([invite, trying, *ringing, *answered], (PROXY, 5060), WORKER, call_id=CALL_ID)
    rung = [bench.capture.message("lan0", False, "INVITE", destination=address, dport=port) for address, port, _ in (losing, winning)]
    equal([m.header("call-id") for m in rung], [CALL_ID] * 2, "Call-IDs of the two branches")
    early = f"{losing[0]}:{losing[2]}"
    until(lambda: early in {d["inside"] for d in bench.daemon.media_doors()}, "the early media's doors")
    winner.go(like=rung[1])
    loser.done()
    near, far = bench.inside_party(winning[2], "bob", winning[0]), bench.outside_party(6000, "worker", WORKER)
    answer = bench.capture.both(200, "out", "INVITE")[1]
    bench.capture.message("lan0", False, "ACK", destination=winning[0], dport=winning[1])
    converse(far, answer.media(), near, (WORKER, 6000))
    of_winner = {f"{winning[0]}:{winning[2] + n}" for n in (0, 1)}
    until(lambda: {d["inside"] for d in bench.daemon.media_doors()} == of_winner,
          lambda: f"only the answered call's doors: {bench.daemon.media_doors()}", 2)
    call = next(c for c in bench.daemon.calls() if c["state"] == "confirmed")
    stream = call["streams"][0]
    equal((call["inside_host"], stream["inside"], stream["remote"]), (winning[0], f"{winning[0]}:{winning[2]}", f"{WORKER}:6000"),
          "the call and its audio in show call")
    states = {c["inside_host"]: c["state"] for c in bench.daemon.calls()}
    equal(states, {losing[0]: "ending", winning[0]: "confirmed"}, "calls")
    near.hears(far)
    equal(far.rtp.sources("bob"), {answer.media()}, "where the answered phone's RTP leaves from")
    equal(answer.media()[0], WAN, "its address in the answer")
    worker.go()
    for program in (worker, winner):
        program.done()
    until(lambda: not bench.daemon.media_doors(), "media doors to close", 2)


@case("issue, 1; 3, 4")
def proxy_forks_to_two_phones(bench):
    """A proxy outside forks one INVITE, with one Call-ID, to two phones behind the router; one has early media and is
    cancelled, the other answers: the 487 closes the first one's media doors and touches no door of the answered call, whose
    audio goes on until BYE."""
    forked(bench, (PHONE, 5060, 4000), (PHONE_2, 5060, 4000))


@case("issue, 1; 3, 4")
def proxy_forks_to_two_lines_of_one_host(bench):
    """The same with two lines of one adapter, 5060 and 5062 at one address: the 487 of one closes its media doors at once, the
    other's call keeps its own, and `show call` tells its streams."""
    forked(bench, (PHONE, 5060, 4000), (PHONE, 5062, 4100))
