# SPDX-License-Identifier: GPL-2.0-or-later
# baresip as a real phone: its microphone is a tone in a file, its loudspeaker another file, no sound card.
import json
import math
import os
import shutil
import socket
import struct
import wave

from .bench import wait_port
from .wait import Skip, until

CONFIG = """sip_listen %(address)s:5060
audio_source aufile,%(folder)s/microphone.wav
audio_player aufile,%(folder)s/loudspeaker.wav
audio_alert aufile,%(folder)s/alert.wav
rtp_ports 4000-4010
module_path %(modules)s
module g711.so
module aufile.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:4444
"""


def _tone(path, seconds=60, rate=8000):
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        second = b"".join(struct.pack("<h", int(8000 * math.sin(2 * math.pi * 440 * n / rate))) for n in range(rate))
        file.writeframes(second * seconds)


class Baresip:
    """One phone; account: what its accounts file says."""

    def __init__(self, bench, address, account):
        modules = next((path for path in ("/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules")
                        if os.path.isdir(path)), None)
        if not modules or not shutil.which("baresip"):
            raise Skip("baresip is not installed (test/install-dependencies)")
        folder = os.path.join(bench.folder, "baresip-" + address)
        os.mkdir(folder)
        _tone(os.path.join(folder, "microphone.wav"))
        texts = {"config": CONFIG % {"address": address, "folder": folder, "modules": modules}, "accounts": account + "\n",
                 "contacts": ""}
        for name, text in texts.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        self._namespace = bench.router.inside
        self._log = os.path.join(bench.folder, "baresip.log")
        bench.program(self._namespace, ["baresip", "-4", "-f", folder, "-v"], "baresip.log")
        until(self._is_ready, lambda: "baresip to be ready; its log:\n" + self.log(), 10)
        wait_port(self._namespace, address, 5060, "baresip")

    def _is_ready(self):
        return "baresip is ready" in self.log()

    def log(self):
        with open(self._log, encoding="latin-1") as file:
            return file.read()[-3000:]

    def say(self, command, parameters=""):
        """A command of its menu through ctrl_tcp (JSON in netstrings)."""
        text = json.dumps({"command": command, "params": parameters}).encode()
        with self._namespace.inside():
            control = socket.create_connection(("127.0.0.1", 4444), 10)
        with control:
            control.sendall(b"%d:%s," % (len(text), text))
            control.recv(4096)
