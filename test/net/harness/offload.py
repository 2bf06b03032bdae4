# SPDX-License-Identifier: GPL-2.0-or-later
# The offloads of a network interface, as ethtool -K sets them (linux/ethtool.h).
import ctypes
import fcntl
import socket
import struct

SIOCETHTOOL = 0x8946
GET, SET = {"gso": 0x23, "gro": 0x2B, "tso": 0x1E}, {"gso": 0x24, "gro": 0x2C, "tso": 0x1F}


def _ask(namespace, link, command, value=0):
    data = bytearray(struct.pack("II", command, value))
    buffer = (ctypes.c_char * len(data)).from_buffer(data)
    address = ctypes.addressof(buffer)
    with namespace.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, struct.pack("16sP16x", link.encode(), address))
    del buffer
    return struct.unpack("II", data)[1]


def switch(namespace, link, **features):
    """switch(ns, "lan0", gro=True): and it is so afterwards."""
    for name, on in features.items():
        _ask(namespace, link, SET[name], int(on))
        if bool(_ask(namespace, link, GET[name])) != on:
            raise RuntimeError(f"{link}: {name} can not be switched")
