# SPDX-License-Identifier: GPL-2.0-or-later
# A phone registers and is called: the signalling door.
from harness.case import case
from harness.media import converse
from harness.router import PHONE, PROXY, WAN
from harness.texts import Callee, Caller, register, registrar
from harness.wait import check, equal


def registered(bench, address=PHONE, port=5060, registrar_address=PROXY, contact=None, more=(), user="alice", expires=3600):
    """Registers and returns the (host, port) at which the registrar may call."""
    known = len(bench.capture.messages("wan0", False, "REGISTER"))
    server = bench.provider(registrar(expires, more), address=registrar_address)
    phone = bench.phone(register(address, port, user, registrar_address, expires, contact=contact), address, port,
                        remote=(registrar_address, 5060))
    for program in (phone, server):
        program.done()
        bench.end(program)
    request = bench.capture.message("wan0", False, "REGISTER", number=known)
    return request.contact()


def incoming_call(bench, contact, address=PHONE, port=5060, media=4000, source=PROXY, source_port=5060, user="alice", far=6000,
                  wan="wan0"):
    """The registrar calls the Contact it was given; two-way audio, the provider hangs up. Returns the phone's INVITE."""
    name = f"{source}-{address}-{media}-{far}"
    call_id = f"in-{name}@provider"
    near, out = bench.inside_party(media, "phone " + name, address), bench.outside_party(far, "provider " + name, source)
    phone = bench.phone_waits(Callee(address, media, contact=f"{address}:{port}", user=user).call(), address, port)
    caller = Caller(source, source_port, far, to=contact[0], user="bob")
    uri = f"sip:{user}@{contact[0]}:{contact[1]}"
    provider = bench.caller(call_uri(caller, uri), contact, source, source_port, call_id=call_id)
    invite = bench.capture.message("lan0", False, "INVITE", destination=address, call_id=call_id)
    answer = bench.capture.message(wan, False, 200, "INVITE", destination=source, call_id=call_id)
    bench.capture.message("lan0", False, "ACK", destination=address, call_id=call_id)
    converse(out, answer.media(), near, invite.media())
    equal(out.rtp.sources(near.name), {answer.media()}, "the port the phone's RTP leaves from")
    provider.go()
    for program in (provider, phone):
        program.done()
        bench.end(program)
    return invite


def call_uri(caller, uri):
    original = caller.invite
    caller.invite = lambda *_, **__: original(uri=uri)
    return caller.call(proxied=True)


@case("1, 5, 6")
def incoming_call_after_the_flow_is_forgotten(bench):
    """REGISTER; the signalling conntrack is deleted; an incoming call still reaches the phone, with its Contact's bytes in
    the Request-URI, and has two-way audio."""
    contact = registered(bench)
    equal(contact, (WAN, 5060), "the Contact the registrar sees")
    ok = bench.capture.message("lan0", False, 200, "REGISTER")
    equal(ok.header("contact"), f"<sip:alice@{PHONE}:5060>;expires=3600", "the Contact that comes back")
    equal(len(bench.daemon.registrations()), 1, "registrations")
    bench.forget_flow("--orig-src", PHONE)
    invite = incoming_call(bench, contact)
    equal(invite.uri, f"sip:alice@{PHONE}:5060", "the Request-URI at the phone")


@case("5, 6")
def incoming_call_from_another_port_of_the_registrar(bench):
    """A registration's door serves the registrar's address, whatever port calls."""
    contact = registered(bench)
    incoming_call(bench, contact, source_port=5071)


@case("1, 5")
def phone_that_listens_on_another_port(bench):
    """A Contact whose port is not the source port of the REGISTER gets its own door, and its messages are steered too."""
    contact = registered(bench, contact=f"Contact: <sip:alice@{PHONE}:6000>")
    check(contact[0] == WAN, f"the Contact the registrar sees: {contact}")
    bench.forget_flow("--orig-src", PHONE)
    invite = incoming_call(bench, contact, port=6000)
    equal((invite.packet.dport, invite.uri), (6000, f"sip:alice@{PHONE}:6000"), "the INVITE at the phone")


@case("1")
def other_contacts_in_the_answer_stay(bench):
    """Bindings of other devices in the 200 to REGISTER pass untouched, also those with inside addresses."""
    others = ("Contact: <sip:alice@198.51.100.7:5060>;expires=60", f"Contact: <sip:alice@{PHONE}:7777>;expires=60")
    registered(bench, more=others)
    ok = bench.capture.message("lan0", False, 200, "REGISTER")
    equal(ok.headers("contact")[1:], [line.partition(": ")[2] for line in others], "the other Contacts")


@case("6")
def unregistered_phone_has_no_door(bench):
    """Expires 0 closes the registration and reports it gone."""
    registered(bench)
    equal(len(bench.daemon.registrations()), 1, "registrations")
    server = bench.provider(registrar(0))
    bench.phone(register(expires=0)).done()
    server.done()
    remaining = [r["remaining_ms"] for r in bench.daemon.registrations()]
    check(all(ms <= 32_000 for ms in remaining), f"after unregistering: {remaining}")
