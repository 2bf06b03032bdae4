#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""images.py kernel BZIMAGE OUT: the ELF inside a compressed kernel; booted directly it spares an emulated machine 5 s of xz.
images.py initramfs OUT VERSION KERNEL-ROOT MODPROBE BUSYBOX INIT BASE-MODULES NET-MODULES: an uncompressed newc cpio."""
import lzma
import os
import struct
import subprocess
import sys


def kernel(image, out):
    with open(image, "rb") as file:
        data = file.read()
    # the boot protocol's header: setup sectors at 0x1f1, payload offset and length at 0x248
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = ((data[0x1F1] or 4) + 1) * 512 + offset
    if data[start:start + 6] == b"\xfd7zXZ\0":
        elf = lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(data[start:])
    elif data[start:start + 4] == b"\x28\xb5\x2f\xfd":  # the last four bytes are the length, not zstd's
        elf = subprocess.run(["zstd", "-dcq"], input=data[start:start + length - 4], stdout=subprocess.PIPE, check=True).stdout
    else:
        sys.exit("unknown kernel compression " + data[start:start + 6].hex())
    if elf[:4] != b"\x7fELF" or len(elf) != struct.unpack_from("<I", data, start + length - 4)[0]:
        sys.exit("no whole ELF in " + image)
    with open(out, "wb") as file:
        file.write(elf)


def dependencies(modules, seen, modprobe, version, root):
    """The module files to insert, in order, without those of `seen`; adds to it."""
    new = []
    for module in modules.split():
        command = [modprobe, "-d", root, "-S", version, "--show-depends", module]
        for line in subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines():
            words = line.split()
            if words and words[0] == "insmod" and words[1] not in seen:
                seen.add(words[1])
                new.append(words[1])
    return new


class Cpio:
    def __init__(self, file):
        self._file, self._inode = file, 0

    def add(self, name, mode, data=b""):
        self._inode += 1
        name = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        head = ("070701" + "".join("%08X" % field for field in fields)).encode() + name
        self._file.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))


def read_module(path):
    with open(path, "rb") as file:
        data = file.read()
    return lzma.decompress(data) if path.endswith(".xz") else data


def initramfs(out, version, root, modprobe, busybox, init, base, net):
    seen = set()
    lists = {"base": dependencies(base, seen, modprobe, version, root), "net": dependencies(net, seen, modprobe, version, root)}
    with open(out, "wb") as file:
        cpio = Cpio(file)
        for folder in ("bin", "dev", "proc", "sys", "lower", "rw", "new", "mod"):
            cpio.add(folder, 0o40755)
        for name, path in (("bin/busybox", busybox), ("init", init)):
            with open(path, "rb") as program:
                cpio.add(name, 0o100755, program.read())
        for name, paths in lists.items():
            names = [os.path.basename(path).removesuffix(".xz") for path in paths]
            for module, path in zip(names, paths):
                cpio.add("mod/" + module, 0o100644, read_module(path))
            cpio.add("mod/" + name, 0o100644, "".join(module + "\n" for module in names).encode())
        cpio.add("TRAILER!!!", 0)


if __name__ == "__main__":
    {"kernel": kernel, "initramfs": initramfs}[sys.argv[1]](*sys.argv[2:])
