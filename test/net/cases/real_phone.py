# SPDX-License-Identifier: GPL-2.0-or-later
# A phone that people use: baresip, with its own SIP stack and its own RTP.
from cases.registration import call_uri
from harness.baresip import Baresip
from harness.case import case
from harness.router import MEDIA, PHONE, PROXY, WAN
from harness.texts import Caller, provider_on_two_ports, registrar
from harness.wait import check, equal, until


def talks(bench, far, offer, source):
    """Both ends hear each other: the phone's RTP from its announced port, the provider's at the phone."""
    until(lambda: sum(n for (who, _), n in far.rtp.received.items() if who == offer.media()) >= 20,
          lambda: f"the phone's RTP from {offer.media()}; arrived: { {who for who, _ in far.rtp.received} }")
    equal({who for who, _ in far.rtp.received}, {offer.media()}, "where the phone's RTP comes from")
    until(lambda: len(bench.capture.select("lan0", False, source=source[0], sport=source[1])) >= 20,
          "the provider's RTP towards the phone")


@case("issue")
def baresip_calls(bench):
    """baresip behind the router calls a provider whose media server is another host: audio both ways, and it hangs up."""
    servers = provider_on_two_ports(bench, media_address=MEDIA)
    far = bench.outside_party(6000, address=MEDIA)
    phone = Baresip(bench, PHONE, f"<sip:alice@{PROXY}>;regint=0")
    phone.say("dial", f"sip:bob@{PROXY}")
    offer = bench.capture.both("INVITE", "out")[1]
    check(PHONE not in offer.bytes.decode(), f"an inside address in baresip's INVITE:\n{offer.bytes.decode()}")
    far.talk(offer.media())
    bench.capture.message("wan0", False, "ACK", dport=5080)
    talks(bench, far, offer, (MEDIA, 6000))
    phone.say("hangup")
    for server in servers:
        server.done()


@case("issue")
def baresip_is_called(bench):
    """baresip registers, its flow is forgotten, and it answers a call of the provider with audio both ways."""
    server = bench.provider(registrar())
    Baresip(bench, PHONE, f"<sip:alice@{PROXY}>;regint=600;answermode=auto")
    server.done()
    contact = bench.capture.message("wan0", False, "REGISTER").contact()
    equal(contact[0], WAN, "baresip's Contact at the registrar")
    user = bench.capture.message("wan0", False, "REGISTER").header("contact").partition("sip:")[2].partition("@")[0]
    bench.capture.message("lan0", False, 200, "REGISTER")
    bench.forget_flow("--orig-src", PHONE)
    far = bench.outside_party(6000)
    caller = Caller(PROXY, media=6000, to=contact[0], user="bob")
    steps = call_uri(caller, f"sip:{user}@{contact[0]}:{contact[1]}")
    provider = bench.caller(steps, contact, call_id="to-baresip@example.com")
    answer = bench.capture.both(200, "out", "INVITE")[1]
    equal(answer.media()[0], WAN, "media address in baresip's answer")
    bench.capture.message("lan0", False, "ACK")
    far.talk(answer.media())
    talks(bench, far, answer, (PROXY, 6000))
    provider.go()
    provider.done()
