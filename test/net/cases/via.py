# SPDX-License-Identifier: GPL-2.0-or-later
# Where responses go: a phone that sends from one port and listens on another (RFC 3261 section 18.2.2, RFC 3581 section 4).
#
# The phone sends from 49152 and listens on 5060, as its Via says, or asks for the port it sent from by rport. Kamailio answers
# as the RFCs want it; the test itself answers as servers do that send from another port of their address, or know no rport.
import re

from harness.case import case
from harness.kamailio import kamailio
from harness.router import PHONE, PHONE_2, PROXY, REGISTRAR_2, WAN
from harness.wait import check, equal
from harness.scripted import Wire, request, response

SOURCE, LISTENING, NAME = 49152, 5060, "phone.example.com"
SENT_BY = {"address": PHONE, "address_and_port": f"{PHONE}:{LISTENING}", "name": NAME, "name_and_port": f"{NAME}:{LISTENING}"}
METHODS = ("OPTIONS", "INVITE", "MESSAGE", "REGISTER")


class TwoPortPhone:
    def __init__(self, bench):
        self.source = bench.socket(bench.router.inside, PHONE, SOURCE)
        self.ports = {SOURCE: self.source, LISTENING: bench.socket(bench.router.inside, PHONE, LISTENING)}

    def ask(self, method, sent_by, rport):
        """Sends one request and returns it."""
        contact = [f"Contact: <sip:alice@{PHONE}:{LISTENING}>"] if method in ("REGISTER", "INVITE") else []
        text = request(method, via=sent_by + (";rport" if rport else ""), call_id=f"via-{method}@{PHONE}", more=contact)
        self.source.send(text, (PROXY, 5060))
        return text

    def hears(self, port, asked):
        """The response at this port, with the Via that was sent."""
        answer = self.ports[port].receive()[0]
        check(answer.startswith(b"SIP/2.0 "), f"no response at port {port}: {answer[:60]}")
        # received and rport are the server's to add; they may name the phone only as it is inside
        via, sent = (re.search(rb"Via: ([^\r]*)", text).group(1).decode() for text in (answer, asked))
        pieces = [piece for piece in via.split(";") if not piece.startswith(("received=", "rport"))]
        equal(pieces, [piece for piece in sent.split(";") if piece != "rport"], "the Via that comes back")
        check(WAN not in via, f"an outside address in the Via at the phone: {via}")
        return via


def answered_by_kamailio(bench, sent_by, rport):
    """{how} from Kamailio, for every method."""
    kamailio(bench, PROXY)
    phone = TwoPortPhone(bench)
    for method in METHODS:
        via = phone.hears(SOURCE if rport else LISTENING, phone.ask(method, sent_by, rport))
        equal(f";rport={SOURCE}" in via, rport, "rport that the server added, as the phone's own port")


def answered_from_another_port(bench, sent_by, rport):
    """{how} from a server that answers from another port of its address."""
    server, other = bench.socket(bench.router.outside, PROXY, 5060), bench.socket(bench.router.outside, PROXY, 5099)
    phone = TwoPortPhone(bench)
    for method in METHODS:
        asked = phone.ask(method, sent_by, rport)
        arrived, source = server.receive()
        other.send(response(arrived, "200 OK"), source if rport else sent_by_of(arrived))
        phone.hears(SOURCE if rport else LISTENING, asked)


def answered_without_rport(bench, sent_by, rport):
    """The phone asks for rport, the server knows none: its responses reach the port that sent-by names."""
    server = bench.socket(bench.router.outside, PROXY, 5060)
    phone = TwoPortPhone(bench)
    for method in METHODS:
        asked = phone.ask(method, sent_by, rport)
        arrived, _ = server.receive()
        server.send(response(arrived, "200 OK"), sent_by_of(arrived))
        phone.hears(LISTENING, asked)


def sent_by_of(arrived):
    """Where a server without rport answers: to the address the request came from, at the port of sent-by or 5060."""
    port = re.search(rb"Via: SIP/2.0/UDP [^;:\r]*:?(\d*)", arrived).group(1)
    return WAN, int(port or 5060)


def add(name, run, form, rport):
    how = f"Via with {form.replace('_', ' ')}{' and rport' if rport else ''}, sent from {SOURCE}: responses reach " \
          f"{'the port it was sent from' if rport else f'port {LISTENING}'}"

    def test(bench):
        run(bench, SENT_BY[form], rport)

    test.__name__, test.__doc__ = name, run.__doc__.format(how=how)
    case("issue, 2; 6")(test)


for sent_form in SENT_BY:
    add(f"responses_reach_the_listening_port_{sent_form}", answered_by_kamailio, sent_form, False)
    add(f"responses_reach_the_source_port_{sent_form}_and_rport", answered_by_kamailio, sent_form, True)
    add(f"responses_from_another_port_{sent_form}", answered_from_another_port, sent_form, False)
    add(f"responses_from_another_port_{sent_form}_and_rport", answered_from_another_port, sent_form, True)
    add(f"responses_of_a_server_without_rport_{sent_form}", answered_without_rport, sent_form, True)


@case("issue, 2; 6")
def responses_reach_the_listening_port_when_it_is_taken_outside(bench):
    """Another phone has port 5060 outside already: the Via gets another port, also behind a name, and comes back as sent."""
    wire = Wire(bench, (PHONE_2, LISTENING))
    wire.out(request("OPTIONS", via=f"{PHONE_2}:{LISTENING}", call_id="first"))
    server = wire.provider
    phone = TwoPortPhone(bench)
    for number, (form, sent_by) in enumerate(SENT_BY.items()):
        text = request("OPTIONS", number, via=sent_by, call_id="second")
        phone.source.send(text, (PROXY, 5060))
        arrived, _ = server.receive()
        host, port = (WAN, sent_by_of(arrived)[1]) if not sent_by.startswith(NAME) else (NAME, sent_by_of(arrived)[1])
        check(port != LISTENING, f"{form}: port 5060 outside is the other phone's")
        check(f"Via: SIP/2.0/UDP {host}:{port};".encode() in arrived, f"{form}: the Via at the server: {arrived}")
        server.send(response(arrived, "200 OK"), (WAN, port))
        phone.hears(LISTENING, text)


@case("issue, 2; 6")
def ack_makes_no_door(bench):
    """Every request but ACK opens the door that its first Via calls for; it closes when the transaction is done."""
    server = bench.socket(bench.router.outside, PROXY, 5060)
    phone = TwoPortPhone(bench)
    phone.ask("ACK", PHONE, False)
    server.receive()
    equal(bench.daemon.doors(), [], "doors after an ACK")
    phone.ask("OPTIONS", PHONE, False)
    server.receive()
    equal([(d["purpose"], d["inside"], d["outside"], d["scope"]) for d in bench.daemon.doors()],
          [("via", f"{PHONE}:{LISTENING}", f"{WAN}:{LISTENING}", PROXY)], "doors after an OPTIONS")


@case("5")
def peer_with_a_name_hangs_up_from_where_the_ack_went(bench):
    """The peer's Contact is a name that leads the ACK to another host than the INVITE: that host reaches the phone's Contact, on
    the port where the phone listens, and hangs up."""
    server, host = (bench.socket(bench.router.outside, address, 5060) for address in (PROXY, REGISTRAR_2))
    phone = TwoPortPhone(bench)
    phone.ask("INVITE", PHONE, True)
    arrived, source = server.receive()
    server.send(response(arrived, "200 OK", ["Contact: <sip:bob@sbc.example.net>"]), source)
    phone.source.receive()
    call_id, end_of_to = f"via-INVITE@{PHONE}", b"\r\nCall-ID"
    phone.source.send(request("ACK", via=PHONE + ";rport", call_id=call_id).replace(end_of_to, b";tag=b1" + end_of_to), (REGISTRAR_2, 5060))
    host.receive()
    bye = request("BYE", 7, f"sip:alice@{WAN}:{LISTENING}", REGISTRAR_2, call_id).replace(b"tag=a1", b"tag=b1")
    host.send(bye.replace(end_of_to, b";tag=a1" + end_of_to), (WAN, LISTENING))
    arrived = phone.ports[LISTENING].receive()[0]
    check(arrived.startswith(f"BYE sip:alice@{PHONE}:{LISTENING} ".encode()), f"the BYE at the phone: {arrived[:60]}")
