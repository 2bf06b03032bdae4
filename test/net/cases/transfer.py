# SPDX-License-Identifier: GPL-2.0-or-later
# REFER, blind and attended, from either side, each to its end with audio to the new party (RFC 3515, 3891, 5589).
# A re-INVITE that moves the audio to another host is `transfer_to_a_second_media_endpoint`.
from cases.real_phone import talks
from cases.registration import registered
from harness.baresip import Baresip
from harness.case import case
from harness.media import converse
from harness.router import MEDIA, PHONE, PHONE_2, PROXY, WAN
from harness.sipp import expect, go, send
from harness.texts import REMEMBER, Callee, Caller, callee_asks, response
from harness.two import Two
from harness.wait import check, equal
from harness.wire import check_wire

EVENT = ("Event: refer", "Content-Type: message/sipfrag")
REPLACES = "Replaces=consult%40example.com%3Bto-tag%3Db1%3Bfrom-tag%3Da1"
REPLACES_HEADER = "Replaces: consult@example.com;to-tag=b1;from-tag=a1"


def fragment(text):
    """The body of a NOTIFY of a transfer; \\n\\n of its own would end SIPp's message."""
    return f"SIP/2.0 {text}\n"


def provider_refers(two, target):
    """The callee transfers the caller to `target`: REFER, two NOTIFYs, then it hangs up (RFC 5589 section 6.1)."""
    def notify(cseq, state, text):
        more = [f"Subscription-State: {state}", *EVENT, two.caller.contact]
        return [send(plain(two.caller.in_dialog("NOTIFY", cseq, fragment(text), more))), expect(200)]
    caller = [two.invite(), expect(200), two.caller_asks("ACK", 1), expect("REFER"),
              two.caller_answers("202 Accepted"), *notify(2, "active;expires=60", "100 Trying"), go(),
              *notify(3, "terminated;reason=noresource", "200 OK"), *two.callee_is_left()]
    callee = [two.invited(), two.to_invite("200 OK", two.callee.body), expect("ACK"), go(),
              two.callee_asks("REFER", 7, more=[two.callee.contact, f"Refer-To: {target}", f"Referred-By: <sip:bob@{PROXY}>"]), expect(202),
              expect("NOTIFY"), two.callee_answers(), expect("NOTIFY"), two.callee_answers(),
              two.callee_asks("BYE", 8), expect(200)]
    return caller, callee


def plain(text):
    """A body that is no SDP."""
    return text.replace("Content-Type: application/sdp\n", "")


def phone_calls_carol(bench, two, more=()):
    """The phone, told to, calls the transfer target from another socket; audio with her both ways, and only with her."""
    carol = bench.provider(Callee(MEDIA, 6200, user="carol").call(), MEDIA)
    caller = Caller(port=5062, media=4000, to=MEDIA, more=more)
    phone = bench.phone(caller.call(proxied=True), port=5062, remote=(MEDIA, 5060), call_id="transferred@example.com")
    offer = bench.capture.message("wan0", False, "INVITE", destination=MEDIA)
    bench.capture.message("wan0", False, "ACK", destination=MEDIA)
    far = bench.outside_party(6200, "carol", MEDIA)
    converse(two.caller_party, (MEDIA, 6200), far, offer.media())
    return offer, far, phone, carol


def transfer_by_the_provider(bench, target, more=()):
    two = Two(bench, outgoing=True)
    two.start(*provider_refers(two, target))
    first = two.from_caller("INVITE")
    two.talk(first, two.from_callee(200, "INVITE"))
    two.callee_program.go()
    refer = two.from_callee("REFER")
    two.from_caller("NOTIFY")
    offer, far, phone, carol = phone_calls_carol(bench, two, more)
    two.callee_party.hush()
    two.caller_program.go()
    two.done()
    two.caller_party.hears(far)
    far.hears(two.caller_party)
    equal(offer.media(), first.media(), "the phone's outside media port in the new call")
    equal(far.rtp.sources(two.caller_party.name), {offer.media()}, "the port the phone's RTP leaves from")
    phone.go()
    for program in (phone, carol):
        program.done()
    check_wire(bench, at_least=15)
    return refer, offer


@case("1, 6, issue 3.4")
def blind_transfer_by_the_provider(bench):
    """The provider's party refers the phone to a third party on another host: REFER and its NOTIFYs pass, the phone calls her
    while the old call stands, has audio with her, and keeps it when the old call ends."""
    target = f"<sip:carol@{MEDIA}:5060>"
    refer, _ = transfer_by_the_provider(bench, target)
    equal(refer.header("refer-to"), target, "Refer-To at the phone")


@case("1, 6, issue 3.4")
def attended_transfer_by_the_provider(bench):
    """The same with Replaces, after the provider's party has consulted the third one: Replaces in Refer-To and in the new INVITE
    stays byte for byte, the phone has audio with her to the end."""
    target = f"<sip:carol@{MEDIA}:5060?{REPLACES}>"
    refer, offer = transfer_by_the_provider(bench, target, [REPLACES_HEADER])
    equal(refer.header("refer-to"), target, "Refer-To at the phone")
    equal(offer.header("replaces"), REPLACES_HEADER.partition(": ")[2], "Replaces at the third party")


def phone_refers(two, target):
    """The phone transfers its callee to `target` and hangs up when that has worked."""
    def notify(cseq, state, text):
        more = [f"Subscription-State: {state}", *EVENT, two.callee.contact]
        return [send(plain(callee_asks("NOTIFY", cseq, PROXY + ":5060", more, fragment(text)))), expect(200)]
    caller = [two.invite(), expect(200), two.caller_asks("ACK", 1), go(),
              two.caller_asks("REFER", 2, more=[two.caller.contact, f"Refer-To: {target}"]), expect(202), expect("NOTIFY"),
              two.caller_answers(), expect("NOTIFY"), two.caller_answers(), two.caller_asks("BYE", 3), expect(200)]
    callee = [two.invited(), two.to_invite("200 OK", two.callee.body), expect("ACK"), expect("REFER"), two.callee_answers("202 Accepted"),
              *notify(7, "active;expires=60", "100 Trying"), go(), *notify(8, "terminated;reason=noresource", "200 OK"),
              *two.callee_is_left()]
    return caller, callee


def transfer_by_the_phone(bench, parameters="", more=()):
    """The phone refers its callee to a registered colleague inside; he calls where Refer-To leads him."""
    contact = registered(bench, PHONE_2, user="dave")
    two = Two(bench, outgoing=True)
    written = f"<sip:dave@{PHONE_2}:5060{parameters}>"
    two.start(*phone_refers(two, written))
    first = two.from_caller("INVITE")
    two.talk(first, two.from_callee(200, "INVITE"))
    two.caller_program.go()
    refer = two.from_caller("REFER")
    equal(refer.header("refer-to"), f"<sip:dave@{WAN}:{contact[1]}{parameters}>", "Refer-To at the provider's party")
    two.from_callee("NOTIFY")
    dave = bench.phone_waits(Callee(PHONE_2, 4000, user="dave").call(), PHONE_2)
    caller = Caller(PROXY, 5070, 6000, to=WAN, user="bob", more=more)
    steps = caller.call(proxied=True)
    steps[0] = send(caller.invite(f"sip:dave@{WAN}:{contact[1]}"))
    bob = bench.caller(steps, contact, port=5070, call_id="transferred@example.com")
    invite = bench.capture.message("lan0", False, "INVITE", destination=PHONE_2)
    equal(invite.uri, f"sip:dave@{PHONE_2}:5060", "the Request-URI at the colleague")
    answer = bench.capture.message("wan0", False, 200, "INVITE", call_id="transferred@example.com")
    check(answer.media() != first.media(), f"both inside phones are at {first.media()}")
    near = bench.inside_party(4000, "dave", PHONE_2)
    converse(two.callee_party, answer.media(), near, (PROXY, 6000))
    two.caller_party.hush()
    two.callee_program.go()
    two.done()
    near.hears(two.callee_party)
    two.callee_party.hears(near)
    equal(two.callee_party.rtp.sources("dave"), {answer.media()}, "the port the colleague's RTP leaves from")
    bench.capture.message("lan0", False, "ACK", destination=PHONE_2)
    bob.go()
    for program in (bob, dave):
        program.done()
    check_wire(bench, at_least=18)
    return invite


@case("1, 5, 6, issue 3.4")
def blind_transfer_by_the_phone(bench):
    """The phone refers the provider's party to a registered colleague inside: Refer-To leads to his door outside, he is called
    there and has audio, also when the old call has ended."""
    transfer_by_the_phone(bench)


@case("1, 5, 6, issue 3.4")
def attended_transfer_by_the_phone(bench):
    """The same with Replaces, after the phone has consulted its colleague: the header parameters of Refer-To and the Replaces of
    the new INVITE stay byte for byte, both have audio to the end."""
    invite = transfer_by_the_phone(bench, "?" + REPLACES, [REPLACES_HEADER])
    equal(invite.header("replaces"), REPLACES_HEADER.partition(": ")[2], "Replaces at the colleague")


@case("1, 6, issue 3.4")
def baresip_is_transferred(bench):
    """A real phone: baresip calls out, is referred to a third party on another host, reports that by NOTIFY, calls her and has
    audio with her both ways."""
    bob, carol = Callee(), Callee(MEDIA, 6200, user="carol")
    target = f"<sip:carol@{MEDIA}>"
    provider = bench.provider([expect("INVITE", action=REMEMBER), bob.ringing(), bob.ok(), expect("ACK"), go(),
                               send(callee_asks("REFER", 7, more=[bob.contact, f"Refer-To: {target}"])), expect(202, rrs=False),
                               expect("NOTIFY"), send(response("200 OK", tag=""), retrans=False)])
    third = bench.provider([*carol.answer(), expect("ACK"), *carol.hung_up()], MEDIA)
    first, second = bench.outside_party(6000), bench.outside_party(6200, "carol", MEDIA)
    phone = Baresip(bench, PHONE, f"<sip:alice@{PROXY}>;regint=0")
    phone.say("dial", f"sip:bob@{PROXY}")
    offer = bench.capture.both("INVITE", "out")[1]
    bench.capture.message("wan0", False, "ACK", destination=PROXY)
    first.talk(offer.media())
    talks(bench, first, offer, (PROXY, 6000))
    provider.go(call_id=offer.header("call-id"))
    equal(bench.capture.message("lan0", False, "REFER").header("refer-to"), target, "Refer-To at baresip")
    again = bench.capture.message("wan0", False, "INVITE", destination=MEDIA)
    check(PHONE not in again.bytes.decode(), f"an inside address in baresip's INVITE:\n{again.bytes.decode()}")
    second.talk(again.media())
    bench.capture.message("wan0", False, "ACK", destination=MEDIA)
    talks(bench, second, again, (MEDIA, 6200))
    provider.done()
    phone.say("hangup")
    third.done()
