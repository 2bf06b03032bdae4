# SPDX-License-Identifier: GPL-2.0-or-later
# What test/bench is made of: the ground, the candidates on it, the workloads, the figures and how they are shown.
