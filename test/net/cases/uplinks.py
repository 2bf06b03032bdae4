# SPDX-License-Identifier: GPL-2.0-or-later
# A router with two ways out: what becomes of phones and calls when the first one fails.
from cases.operations import ruleset_is_plain_nft
from cases.registration import incoming_call
from harness.case import case
from harness.media import converse
from harness.router import CARRIER, PHONE, WAN, WAN_2
from harness.texts import Callee, Caller, register, registrar
from harness.wait import check, equal, until

TWO = {"second_uplink": True}


def registers(bench, wan, number=0):
    """Registers at the carrier and returns the Contact that it sees."""
    server = bench.provider(registrar(), CARRIER)
    phone = bench.phone(register(registrar=CARRIER), remote=(CARRIER, 5060))
    for program in (phone, server):
        program.done()
        bench.end(program)
    return bench.capture.message(wan, False, "REGISTER", number=number).contact()


@case("kernel-facts 3; 5", **TWO)
def phone_follows_to_the_other_uplink(bench):
    """The first of two uplinks fails: the phone's next REGISTER leaves by the second with that one's address, though the door of
    the first still stands, and it is called there. The same on the way back."""
    equal(registers(bench, "wan0"), (WAN, 5060), "the Contact at the carrier")
    bench.forget_flow("--orig-src", PHONE)
    equal(registers(bench, "wan0", 1), (WAN, 5060), "the Contact at the carrier")
    bench.router.fail_over()
    contact = registers(bench, "wan1")
    equal(contact, (WAN_2, 5060), "the Contact at the carrier after the first uplink failed")
    incoming_call(bench, contact, source=CARRIER, wan="wan1")
    bench.router.fail_back()
    contact = registers(bench, "wan0", 2)
    equal(contact, (WAN, 5060), "the Contact at the carrier when the first uplink is back")
    incoming_call(bench, contact, source=CARRIER, media=4200, far=6200)


@case("kernel-facts 3; 8", open_firewall=True, **TWO)
def audio_follows_to_the_other_uplink(bench):
    """The first of two uplinks fails in mid call: the phone's RTP leaves by the second with that one's address, as it would
    without sipalgd, and a provider that answers to where it comes from is heard."""
    callee, caller = Callee(CARRIER), Caller(to=CARRIER)
    bench.provider(callee.call(), CARRIER)
    phone = bench.phone(caller.call(), remote=(CARRIER, 5060), call_id="moves@" + PHONE)
    near, far = bench.inside_party(4000), bench.outside_party(6000, address=CARRIER)
    offer = bench.capture.both("INVITE", "out")[1]
    equal(offer.media(), (WAN, 4000), "the offered endpoint")
    converse(near, bench.capture.message("lan0", False, 200, "INVITE").media(), far, offer.media())
    bench.capture.message("wan0", False, "ACK")
    bench.router.fail_over()
    by_second = until(lambda: [s for s in far.rtp.sources("phone") if s[0] == WAN_2], lambda: f"RTP from {WAN_2}: {far.rtp.received}")
    heard = near.rtp.heard("provider")
    far.talk(by_second[0])
    until(lambda: near.rtp.heard("provider") > heard + 5, "the provider's RTP by the second uplink")
    phone.go()  # SIPp answers to where the INVITE came from, so its 200 to the BYE gets lost
    equal(bench.capture.message("wan1", False, "BYE").header("via").split()[1].split(";")[0], f"{WAN_2}:5060", "Via of the BYE")


@case("kernel-facts 3", snat=f'oifname "wan1" snat to {WAN};', **TWO)
def address_of_one_uplink_may_leave_by_the_other(bench):
    """An administrator who translates to the first uplink's address on the second one too has his way: calls by it have
    that address, and none of their flows is touched again and again."""
    bench.router.fail_over()
    bench.router.outside.run(["ip", "route", "add", f"{WAN}/32", "via", WAN_2, "dev", "o1"])
    for number in range(3):
        equal(registers(bench, "wan1", number), (WAN, 5060), "the Contact at the carrier")
    check(bench.daemon.counter("events", "flows-rerouted") <= 1, "flows deleted again and again")
    incoming_call(bench, (WAN, 5060), source=CARRIER, wan="wan1")


@case("issue, 7", **TWO)
def ruleset_of_two_uplinks_is_plain_nft(bench):
    """With several uplinks `ruleset` prints what is in force, too, and nft accepts it and shows it."""
    check("@foreign4" in bench.daemon.ctl("ruleset").stdout, "no rule for foreign sources")
    ruleset_is_plain_nft(bench)
