# SPDX-License-Identifier: GPL-2.0-or-later
# Several workers share the calls: nothing is different but who does the work. PHONE and PHONE_2 have two of four workers, PBX
# shares one of them (alg/base/shard.h).
from cases.hairpin import two_phones_call_each_other_through_kamailio
from cases.lifetime import sigterm_leaves_nothing
from cases.operations import clear_call_closes_its_doors, ruleset_is_plain_nft
from cases.pbx import DNAT_ACCEPT, SIP_IN, pbx_behind_dnat_is_called
from cases.several_phones import two_phones_with_the_same_ports
from cases.trunk import trunk_of_a_thousand_calls
from harness.case import case
from harness.wait import check, equal

FOUR = "workers = 4"


def packets(bench):
    """Of each worker."""
    stats = bench.daemon.show("stats")
    equal(sum(stats["workers"].values()), stats["kernel"]["queue-packets"], "packets of all workers")
    return list(stats["workers"].values())


@case("issue 5, workers", config=FOUR)
def workers_have_hosts_of_their_own(bench):
    """With `workers = 4` two phones with the same ports call at once, as with one; each phone's messages are one worker's."""
    two_phones_with_the_same_ports(bench)
    busy = [count for count in packets(bench) if count]
    equal(len(busy), 2, f"workers that had packets, of {packets(bench)}")
    check(min(busy) > 4, f"packets of the two workers: {busy}")


@case("issue 5, workers", config=FOUR)
def workers_hand_calls_to_each_other(bench):
    """Two phones of different workers call each other through a proxy outside: what one worker maps another gives back."""
    two_phones_call_each_other_through_kamailio(bench)
    check(sum(count > 0 for count in packets(bench)) >= 2, f"packets of each worker: {packets(bench)}")


@case("issue 5, workers", config=FOUR)
def worker_carries_a_trunk(bench):
    """A thousand calls of one PBX are one worker's, and none is lost or mixed up."""
    trunk_of_a_thousand_calls(bench)
    equal(sum(count > 0 for count in packets(bench)), 1, f"workers that had packets, of {packets(bench)}")


@case("issue 5, workers", config=FOUR, dnat=SIP_IN, accept=DNAT_ACCEPT)
def worker_serves_a_pbx_behind_dnat(bench):
    """Calls that come to a PBX by an administrator's rule are its worker's."""
    pbx_behind_dnat_is_called(bench)
    equal(sum(count > 0 for count in packets(bench)), 1, f"workers that had packets, of {packets(bench)}")


@case("issue 5, workers", config=FOUR)
def workers_obey_the_administrator(bench):
    """`clear call` reaches the calls of every worker, and the printed rules are what spreads the packets."""
    ruleset_is_plain_nft(bench)
    clear_call_closes_its_doors(bench)


@case("issue 5, workers", config=FOUR)
def workers_end_together(bench):
    """After SIGTERM nothing of any worker is left in the kernel."""
    sigterm_leaves_nothing(bench)
