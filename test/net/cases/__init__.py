# SPDX-License-Identifier: GPL-2.0-or-later
# The network tests, one file per topic.
import importlib

TOPICS = ("harness_itself", "outgoing", "registration", "several_phones", "media", "lifetime", "pbx", "hairpin",
          "firewall_only", "security", "operations", "service", "real_phone")
=======
          "zones", "security", "operations", "real_phone")
>>>>>>> 4dbc120 (test: zones with real traffic: calls in a pair, doors of another pair, self, applying during a call)


def load():
    for topic in TOPICS:
        importlib.import_module("cases." + topic)
