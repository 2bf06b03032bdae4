# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that people use, over TCP: baresip as the phone, Kamailio as the provider.
import re

from cases.streams_calls import calling, ended, no_inside_address
from harness.baresip import Baresip
from harness.case import case
from harness.kamailio import kamailio
from harness.media import converse
from harness.router import PHONE, PHONE_2, PROXY, WAN
from harness.stream import OUT
from harness.texts import Callee, Caller, register, registrar
from harness.wait import check, equal, until


def media_of(text):
    """(address, port) of the SDP in a message."""
    return re.search(r"\nc=IN IP4 (\S+)", text).group(1), int(re.search(r"\nm=audio (\d+)", text).group(1))


def message(sipp, beginning):
    """The first message of this kind that a SIPp got; waits for it."""
    find = lambda: next((text for text in sipp.received() if text.startswith(beginning)), None)
    return until(find, lambda: f"{beginning}; came: {[text.split(chr(10))[0] for text in sipp.received()]}", 10)


@case("issue 4", accept=OUT)
def baresip_calls_over_tcp(bench):
    """baresip calls a provider over TCP: audio both ways, and it hangs up."""
    server = bench.provider(Callee().call(), tcp="t1")
    far = bench.outside_party(6000)
    phone = Baresip(bench, PHONE, f"<sip:alice@{PROXY};transport=tcp>;regint=0")
    phone.say("dial", f"sip:bob@{PROXY};transport=tcp")
    offer = message(server, "INVITE")
    check("SIP/2.0/TCP" in offer and PHONE not in offer, f"baresip's INVITE at the provider:\n{offer}")
    message(server, "ACK")
    far.talk(media_of(offer))
    hears_baresip(far, media_of(offer))
    hears_provider(bench)
    phone.say("hangup")
    server.done()
    no_inside_address(server)


def hears_baresip(far, source):
    until(lambda: sum(n for (who, _), n in far.rtp.received.items() if who == source) >= 20,
          lambda: f"the phone's RTP from {source}; arrived: { {who for who, _ in far.rtp.received} }")
    equal({who for who, _ in far.rtp.received}, {source}, "where the phone's RTP comes from")


def hears_provider(bench):
    until(lambda: len(bench.capture.select("lan0", False, source=PROXY, sport=6000)) >= 20, "the provider's RTP at the phone")


@case("issue 4", accept=OUT)
def baresip_is_called_over_tcp(bench):
    """baresip registers over TCP; the provider opens a connection to the Contact it was given and calls: audio both ways."""
    server = bench.provider(registrar(), tcp="t1")
    Baresip(bench, PHONE, f"<sip:alice@{PROXY};transport=tcp>;regint=600;answermode=auto")
    contact = re.search(r"\nContact: <sip:([^@]*)@([^:]*):(\d+)", message(server, "REGISTER"))
    server.done()
    equal(contact.group(2), WAN, "baresip's Contact at the registrar")
    far = bench.outside_party(6000)
    caller = Caller(PROXY, media=6000, to=WAN, user="bob")
    invite = caller.invite(uri=f"sip:{contact.group(1)}@{WAN}:{contact.group(3)};transport=tcp")
    caller.invite = lambda: invite
    steps = [re.sub(r"\nTo: .*;tag=b1", "\n[last_To:]", step) for step in calling(caller, 2)]  # baresip has a tag of its own
    provider = bench.caller(steps, (WAN, int(contact.group(3))), tcp="t1")
    answer = media_of(message(provider, "SIP/2.0 200"))
    equal(answer[0], WAN, "media address in baresip's answer")
    far.talk(answer)
    hears_baresip(far, answer)
    hears_provider(bench)
    provider.done()
    no_inside_address(provider)


def through_kamailio(bench, **alice_options):
    """carol registers over TCP; alice calls her through Kamailio outside; the audio turns around in the router."""
    kamailio(bench, PROXY, listen=(f"udp:{PROXY}:5060", f"tcp:{PROXY}:5060"))
    contact = f"Contact: <sip:carol@{PHONE_2}:5070>"
    phone = bench.phone(register(PHONE_2, 5070, "carol", contact=contact), PHONE_2, 5071, tcp="t1")
    phone.done()
    bench.end(phone)
    carol = bench.phone_waits(Callee(PHONE_2, 4000, user="carol", contact=f"{PHONE_2}:5070").call(), PHONE_2, 5070, tcp="t1")
    caller = Caller()
    original = caller.invite
    caller.invite = lambda: original(uri=f"sip:carol@{PROXY}", to=f"<sip:carol@{PROXY}>")
    steps = calling(caller, 2)
    alice = bench.phone(steps, **alice_options)
    first, second = bench.inside_party(4000, "alice"), bench.inside_party(4000, "carol", PHONE_2)
    offer, answer = message(carol, "INVITE"), message(alice, "SIP/2.0 200")
    check(offer.startswith(f"INVITE sip:carol@{PHONE_2}:5070"), f"the Request-URI at carol:\n{offer}")
    message(carol, "ACK")
    converse(first, media_of(answer), second, media_of(offer))
    equal((media_of(answer)[0], media_of(offer)[0]), (WAN, WAN), "media addresses at the other phone")
    ended(alice, carol)


@case("issue 4", accept=OUT)
def kamailio_over_tcp(bench):
    """Two phones, one calling the other over TCP through a real Kamailio outside, which opens a connection to the Contact that
    was registered."""
    through_kamailio(bench, tcp="t1")


@case("issue 4", accept=OUT)
def kamailio_between_udp_and_tcp(bench):
    """The same with the caller on UDP and the called phone on TCP."""
    through_kamailio(bench)
