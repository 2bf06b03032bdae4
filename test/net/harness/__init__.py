# SPDX-License-Identifier: GPL-2.0-or-later
# What the network tests stand on: namespaces, captures, SIP programs, media endpoints, the daemon.
