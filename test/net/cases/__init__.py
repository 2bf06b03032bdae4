# SPDX-License-Identifier: GPL-2.0-or-later
# The network tests, one file per topic.
import importlib

TOPICS = ("harness_itself", "outgoing", "registration", "several_phones", "media", "lifetime", "pbx", "hairpin",
          "uplinks", "firewall_only", "security", "operations", "command_lines", "service", "zones", "placements", "offer_answer", "attempts",
          "mid_call", "transfer", "counters", "via", "call_ids", "trunk", "streams", "streams_untouched",
          "streams_ends", "streams_restart", "streams_calls", "streams_lines", "streams_hard",
          "streams_programs", "real_phone", "speed", "workers")


def load():
    for topic in TOPICS:
        importlib.import_module("cases." + topic)
