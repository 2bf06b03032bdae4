# SPDX-License-Identifier: GPL-2.0-or-later
# A router that translates nothing: doors are pinholes.
from cases.registration import incoming_call, registered
from harness.case import case
from harness.media import converse
from harness.router import PHONE, PHONE_V6, PROXY, PROXY_V6, SERVER
from harness.sipp import Sipp, expect
from harness.texts import Callee, Caller, bracket, register, registrar
from harness.wait import check, equal, until


def nothing_changed(bench):
    """Everything that went through the router went through unchanged, SIP and media."""
    for first, second in (("lan0", "wan0"), ("wan0", "lan0")):
        arrived = sorted(p.payload for p in bench.capture.select(first, True))
        left = sorted(p.payload for p in bench.capture.select(second, False))
        changed = [payload for payload in left if payload not in arrived]
        equal(changed, [], f"datagrams that left by {second} and did not arrive so by {first}")
    equal(bench.daemon.show("stats") and bench.daemon.counter("packets", "edited"), 0, "packets edited")


def call(bench, phone_address, far_address):
    callee = Callee(far_address, contact=bracket(far_address) + ":5080")
    servers = (bench.provider(callee.answer(), far_address),
               bench.provider([expect("ACK"), *callee.hung_up()], far_address, 5080))
    near, far = bench.inside_party(4000, address=phone_address), bench.outside_party(6000, address=far_address)
    caller = Caller(phone_address, to=far_address)
    phone = bench.phone(caller.call(), phone_address, remote=(far_address, 5060), call_id="firewall@example.com")
    answer = bench.capture.message("lan0", False, 200, "INVITE")
    offer = bench.capture.both("INVITE", "out")[1]
    equal(offer.media(), (phone_address, 4000), "the phone's media as announced")
    bench.capture.message("wan0", False, "ACK", dport=5080)
    converse(far, offer.media(), near, answer.media())
    phone.go()
    for program in (phone, *servers):
        program.done()


@case("1, design 2", nat=False, config='inside = ["10.0.0.0/24"]')
def firewall_call_ipv4(bench):
    """On a router without NAT a call gets its pinholes through a default-drop firewall and not one byte changes."""
    call(bench, PHONE, PROXY)
    nothing_changed(bench)


@case("1, design 2", nat=False, ipv6=True, config='inside = ["fd00::/64"]')
def firewall_call_ipv6(bench):
    """The same over IPv6."""
    call(bench, PHONE_V6, PROXY_V6)
    nothing_changed(bench)


@case("1", nat=False)
def firewall_inside_is_detected(bench):
    """Without NAT and without configuration the networks behind interfaces without default route are inside."""
    call(bench, PHONE, PROXY)
    nothing_changed(bench)


@case("1", nat=False)
def default_route_by_a_nexthop_object_leads_outside(bench):
    """The same where the default route tells a nexthop object alone, one or a group, as those of a routing daemon may."""
    router = bench.router.router
    router.sysctl(ipv4__nexthop_compat_mode=0)
    inside = lambda: bench.daemon.show("config")["in_force"]["inside"]
    for command in (["route", "del", "default"], ["nexthop", "add", "id", "1", "via", PROXY, "dev", "wan0"],
                    ["nexthop", "add", "id", "2", "group", "1"], ["route", "add", "default", "nhid", "2"]):
        router.run(["ip", *command])
    until(lambda: inside() == ["10.0.0.0/24"], lambda: f"the inside by a group: {inside()}")
    router.run(["ip", "route", "replace", "default", "nhid", "1"])
    until(lambda: inside() == ["10.0.0.0/24"], lambda: f"the inside by a nexthop: {inside()}")
    call(bench, PHONE, PROXY)
    nothing_changed(bench)


# Phones and a PBX in two networks of the router, with a firewall between them that lets SIP begin
TO_PBX = {"nat": False, "dmz": True, "accept": 'iifname "lan0" oifname "dmz0" udp dport 5060 accept'}


def call_to_the_pbx(bench):
    """Answered; the phone's program, the PBX's, and the audio of both."""
    callee = Callee(SERVER)
    pbx = bench.keep(Sipp(bench.folder, bench.router.dmz, SERVER, 5060, callee.call())).ready()
    near, far = bench.inside_party(4000), bench.media.party(bench.router.dmz, SERVER, 6000, "pbx")
    phone = bench.phone(Caller(to=SERVER).call(), remote=(SERVER, 5060), call_id="to-the-pbx@example.com")
    bench.capture.message("lan0", True, "ACK")
    far.talk((PHONE, 4000))
    return phone, pbx, near, far


@case("1", **TO_PBX)
def two_inside_networks_open_nothing_between_them(bench):
    """Without NAT and with both ends in `inside`, as they are without configuration, a call opens nothing and is counted so; its
    reason says that both may be there."""
    phone, pbx, near, far = call_to_the_pbx(bench)
    near.hears_nothing(far)
    phone.go()
    for program in (phone, pbx):
        program.done()
    stats = bench.daemon.show("stats")
    equal((stats["packets"]["nobody-inside"] > 0, bench.daemon.doors()), (True, []), "counted, and doors")
    check("or both are" in bench.daemon.ctl("show", "stats").stdout, "the reason does not say that both may be inside")


@case("1", config='inside = ["10.0.0.0/24"]', **TO_PBX)
def phones_alone_are_inside_of_a_pbx_in_another_network(bench):
    """The same has audio where `inside` has the phones' network alone."""
    phone, pbx, near, far = call_to_the_pbx(bench)
    near.hears(far)
    near.talk((SERVER, 6000))
    far.hears(near)
    phone.go()
    for program in (phone, pbx):
        program.done()


@case("5, 6", nat=False)
def firewall_registration_ipv4(bench):
    """On a router without NAT a registered phone is called after its flow is forgotten, and not one byte changes."""
    contact = registered(bench)
    equal(contact, (PHONE, 5060), "the Contact at the registrar")
    bench.forget_flow("--orig-src", PHONE)
    incoming_call(bench, contact)
    nothing_changed(bench)


@case("5, 6", nat=False, ipv6=True)
def firewall_registration_ipv6(bench):
    """The same over IPv6."""
    server = bench.provider(registrar(), PROXY_V6)
    phone = bench.phone(register(PHONE_V6, registrar=PROXY_V6), PHONE_V6, remote=(PROXY_V6, 5060))
    for program in (phone, server):
        program.done()
        bench.end(program)
    bench.router.router.conntrack("-D", "-f", "ipv6", "-p", "udp")
    waiting = bench.phone_waits(Callee(PHONE_V6, 4000, user="alice").call(), PHONE_V6)
    provider = bench.caller(Caller(PROXY_V6, media=6000, to=PHONE_V6).call(proxied=True), (PHONE_V6, 5060), PROXY_V6,
                            call_id="in-v6@example.com")
    near, far = bench.inside_party(4000, address=PHONE_V6), bench.outside_party(6000, address=PROXY_V6)
    bench.capture.message("lan0", False, "ACK")
    converse(far, (PHONE_V6, 4000), near, (PROXY_V6, 6000))
    provider.go()
    for program in (provider, waiting):
        program.done()
    nothing_changed(bench)
    check(bench.daemon.registrations(), "no registration is known")
