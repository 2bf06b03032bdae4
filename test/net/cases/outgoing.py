# SPDX-License-Identifier: GPL-2.0-or-later
# A phone calls out: what the provider sees, what the phone gets back, and the audio.
import re

from harness.case import case
from harness.media import converse
from harness.router import MEDIA, PHONE, PROXY, WAN
from harness.sipp import expect, expect_with_contact, go, send
from harness.texts import Callee, Caller, provider_on_two_ports, request, response
from harness.wait import check, equal

CALL_ID = "a84b4c76@" + PHONE
# Free text, other headers and lower Vias carry the inside address too; no rule touches them
OTHERS = (f"Record-Route: <sip:{PHONE}:5060;lr>", f"Subject: from {PHONE}:5060", f"User-Agent: phone {PHONE}",
          f"P-Preferred-Identity: <sip:alice@{PHONE}>")
LOWER_VIA = f"Via: SIP/2.0/UDP {PHONE}:5070;branch=z9hG4bK-lower"
SDP_LINES = (f"a=rtcp:4001 IN IP4 {PHONE}", f"a=candidate:1 1 UDP 2130706431 {PHONE} 4000 typ host",
             f"a=candidate:1 2 UDP 2130706430 {PHONE} 4001 typ host", "a=sendrecv", f"i=the phone {PHONE} 4000")
MAPPED = ("Via: ", "From: ", "Contact: ", "Record-Route: ", "Path: ", "o=", "c=", "a=rtcp:", "a=candidate:")


def rich_caller():
    return Caller(more=[LOWER_VIA, *OTHERS], sdp_more=SDP_LINES[:-1])


def mapped(message, also=()):
    """The message as it must leave: the address in the mapped fields of the sender's own endpoints, nothing else."""
    head, _, body = message.bytes.decode("latin-1").partition("\r\n\r\n")
    lines, body_lines = head.split("\r\n"), body.split("\r\n")
    via = False
    for number, line in enumerate(lines):
        if line.startswith("Via: ") and via:
            continue
        via = via or line.startswith("Via: ")
        if line.startswith(MAPPED + tuple(also)):
            lines[number] = line.replace(PHONE, WAN)
    body = "\r\n".join(line.replace(PHONE, WAN) if line.startswith(MAPPED) else line for line in body_lines)
    lines = [re.sub(r"\d+", str(len(body)), line) if line.startswith("Content-Length:") else line for line in lines]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1")


def same_text(seen, expected, what):
    if seen != expected:
        first, second = expected.decode("latin-1").split("\r\n"), seen.decode("latin-1").split("\r\n")
        lines = [f"\n  expected {a!r}\n  seen     {b!r}" for a, b in zip(first, second) if a != b]
        check(False, f"{what}: {len(first)} lines expected, {len(second)} seen{''.join(lines)}")


@case("1, 9")
def outgoing_invite_is_mapped(bench):
    """The provider's side sees no inside address in top Via, Contact, Record-Route, From and the SDP's o=, c=, a=rtcp and
    candidates of the same endpoint; lower Via, Call-ID, other headers and free text leave byte for byte."""
    provider_on_two_ports(bench)
    bench.phone(rich_caller().call(), call_id=CALL_ID)
    before, after = bench.capture.both("INVITE", "out")
    equal((after.packet.source, after.packet.sport), (WAN, 5060), "where the INVITE comes from")
    same_text(after.bytes, mapped(before), "the INVITE at the provider")
    ack, ack_after = bench.capture.both("ACK", "out", dport=5080)
    same_text(ack_after.bytes, mapped(ack), "the ACK at the provider")
    equal(bench.daemon.counter("methods", "INVITE")["received"], 1, "INVITEs counted")


@case("1")
def request_uri_of_a_request_out_stays(bench):
    """A Request-URI that our side sends is not ours, whatever it equals."""
    caller = Caller()
    bench.provider([expect("INVITE"), send(response("404 Not Found"), retrans=False)])
    bench.phone([send(caller.invite(uri=f"sip:{PHONE}:5060")), expect(404)], call_id=CALL_ID)
    after = bench.capture.both("INVITE", "out")[1]
    equal(after.uri, f"sip:{PHONE}:5060", "the Request-URI")


ANSWER_VIA = ('<ereg regexp="(SIP/2.0/UDP [^;]*;branch=[^;]*);rport" search_in="hdr" header="Via:" check_it="true" '
              'assign_to="all,via"/><assignstr assign_to="unused" value="[$all]"/>')


def answer_with_received(status, body):
    """A response that fills received and rport of the top Via, as RFC 3581 section 4 wants it."""
    callee = Callee(contact=PROXY + ":5080")
    lines = [f"SIP/2.0 {status}", f"Via: [$via];received={WAN};rport=5060", LOWER_VIA, "[last_Record-Route:]", "[last_From:]",
             "[last_To:];tag=b1", "[last_Call-ID:]", "[last_CSeq:]", callee.contact, "Content-Type: application/sdp",
             "Content-Length: [len]", "", body]
    return "\n".join(lines)


@case("1")
def mapped_fields_come_back_as_sent(bench):
    """Every field that was mapped comes back to the phone with the bytes it sent; received and rport as its own source."""
    caller, callee = rich_caller(), Callee(contact=PROXY + ":5080")
    invite = caller.invite().replace("branch=[branch]", "branch=[branch];rport", 1)
    bench.provider([expect("INVITE", action=ANSWER_VIA), send(answer_with_received("200 OK", callee.body))])
    bench.provider([expect("ACK"), *callee.hung_up()], port=5080)
    phone = bench.phone([send(invite), expect(200), go()], call_id=CALL_ID)
    sent = bench.capture.both("INVITE", "out")[0]
    answer = bench.capture.message("lan0", False, 200, "INVITE")
    vias = sent.headers("via")
    equal(answer.headers("via"), [vias[0].replace(";rport", f";received={PHONE};rport=5060"), vias[1]], "Via at the phone")
    for header in ("from", "call-id", "cseq", "record-route"):
        equal(answer.headers(header), sent.headers(header), header + " at the phone")
    equal(answer.header("to"), sent.header("to") + ";tag=b1", "To at the phone")
    equal(answer.header("contact"), f"<sip:bob@{PROXY}:5080>", "the provider's Contact")
    equal(answer.body.replace("\r\n", "\n"), callee.body, "the provider's SDP")
    bench.end(phone)


@case("1")
def provider_hangs_up(bench):
    """Request-URI, Route and To of the provider's BYE reach the phone with the bytes the phone wrote, and its answer
    reaches the provider with the bytes the provider wrote."""
    caller, callee = rich_caller(), Callee()
    remember = ('<ereg regexp=".*" search_in="hdr" header="From:" check_it="true" assign_to="caller"/>'
                '<ereg regexp=".*" search_in="hdr" header="To:" check_it="true" assign_to="callee"/>')
    bye = request("BYE", "[next_url]", PROXY + ":5060", "[$callee];tag=b1", "[$caller]", 7, ["[routes]"])
    provider = bench.provider([expect("INVITE", action=remember), callee.ok(), expect("ACK"), go(), send(bye), expect(200)],
                              call_id=CALL_ID)
    phone = bench.phone(caller.call_ended_by_peer(), call_id=CALL_ID)
    sent = bench.capture.both("INVITE", "out")[0]
    bench.capture.message("wan0", False, "ACK")
    provider.go()
    bye_before, bye_after = bench.capture.both("BYE", "in")
    check(WAN in bye_before.uri and WAN in bye_before.header("route"), f"the provider's BYE: {bye_before.lines}")
    equal(bye_after.uri, f"sip:alice@{PHONE}:5060", "Request-URI at the phone")
    equal(bye_after.header("route"), f"<sip:{PHONE}:5060;lr>", "Route at the phone")
    equal(bye_after.header("to"), sent.header("from"), "To at the phone")
    equal(bye_after.header("from"), bye_before.header("from"), "From at the phone")
    ok_before, ok_after = bench.capture.both(200, "out", "BYE")
    for header in ("via", "from", "to", "call-id", "cseq"):
        equal(ok_after.headers(header), bye_before.headers(header), header + " of the 200 to BYE at the provider")
    equal(ok_before.header("to"), sent.header("from"), "To as the phone answers it")
    for program in (phone, provider):
        program.done()


def audio(bench, phone_first):
    provider_on_two_ports(bench)
    phone, far = bench.inside_party(4000), bench.outside_party(6000)
    caller = bench.phone(rich_caller().call(), call_id=CALL_ID)
    answer = bench.capture.message("lan0", False, 200, "INVITE")
    offer = bench.capture.both("INVITE", "out")[1]
    equal(offer.media(), (WAN, 4000), "the phone's media as announced")
    if phone_first:
        converse(phone, answer.media(), far, offer.media())
    else:
        converse(far, offer.media(), phone, answer.media())
    equal(far.rtp.sources("phone"), {offer.media()}, "the port the phone's RTP leaves from")
    equal(far.rtcp.sources("phone rtcp"), {(WAN, 4001)}, "the port the phone's RTCP leaves from")
    equal(phone.rtp.sources("provider"), {(PROXY, 6000)}, "the provider's RTP at the phone")
    bench.capture.message("wan0", False, "ACK", dport=5080)
    caller.go()
    caller.done()


@case("8, kernel-facts 3")
def audio_when_the_phone_sends_first(bench):
    """RTP and RTCP flow both ways; the phone's RTP leaves from exactly the port that its SDP announced; the firewall is
    default-drop, the provider's Contact names port 5080."""
    audio(bench, phone_first=True)


@case("8, kernel-facts 3")
def audio_when_the_provider_sends_first(bench):
    """RTP and RTCP flow both ways when the provider's first packet comes before the phone's."""
    audio(bench, phone_first=False)


@case("6, 9")
def early_media(bench):
    """SDP in a 183 opens the audio before the call is answered."""
    caller, callee = Caller(), Callee()
    progress = send(response("183 Session Progress", [callee.contact], callee.body), retrans=False)
    provider = bench.provider([expect("INVITE"), progress, go(), callee.ok(), expect("ACK"), *callee.hung_up()], call_id=CALL_ID)
    phone = bench.phone([send(caller.invite()), expect(183), expect_with_contact(200),
                         send(caller.in_dialog("ACK", 1), retrans=False), go(), send(caller.in_dialog("BYE", 2)), expect(200)],
                        call_id=CALL_ID)
    near, far = bench.inside_party(4000), bench.outside_party(6000)
    early = bench.capture.message("lan0", False, 183)
    offer = bench.capture.both("INVITE", "out")[1]
    converse(far, offer.media(), near, early.media())
    provider.go(like=offer)
    bench.capture.message("wan0", False, "ACK")
    near.hears(far)
    phone.go()
    phone.done()
    provider.done()


@case("8, 9")
def late_offer(bench):
    """An INVITE without SDP, the offer in the 200 and the answer in the ACK: audio both ways."""
    caller, callee = Caller(), Callee()
    ack = caller.in_dialog("ACK", 1, body=caller.body)
    provider = bench.provider(callee.call())
    phone = bench.phone([send(caller.invite(body="")), expect(100, True), expect(180, True), expect_with_contact(200),
                         send(ack, retrans=False), go(), send(caller.in_dialog("BYE", 2)), expect(200)], call_id=CALL_ID)
    near, far = bench.inside_party(4000), bench.outside_party(6000)
    ack_before, ack_after = bench.capture.both("ACK", "out")
    same_text(ack_after.bytes, mapped(ack_before), "the ACK at the provider")
    converse(far, ack_after.media(), near, (PROXY, 6000))
    phone.go()
    phone.done()
    provider.done()


@case("8, design 2")
def media_server_beside_the_proxy(bench):
    """The provider's media server has another address than its proxy: audio both ways, whoever sends first."""
    provider_on_two_ports(bench, media_address=MEDIA)
    near, far = bench.inside_party(4000), bench.outside_party(6000, address=MEDIA)
    caller = bench.phone(Caller().call(), call_id=CALL_ID)
    answer = bench.capture.message("lan0", False, 200, "INVITE")
    offer = bench.capture.both("INVITE", "out")[1]
    equal(answer.media(), (MEDIA, 6000), "the media server in the answer")
    converse(far, offer.media(), near, answer.media())
    equal(far.rtp.sources("phone"), {offer.media()}, "the port the phone's RTP leaves from")
    bench.capture.message("wan0", False, "ACK")
    caller.go()
    caller.done()
