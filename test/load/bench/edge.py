# SPDX-License-Identifier: GPL-2.0-or-later
# Kamailio as the edge proxy of the router, with rtpengine: what a user would run instead.
import os
import shutil
import subprocess
import tempfile
import time

from harness.router import LAN, PROXY, WAN

from .candidates import Candidate

NG_PORT = 2223
CONFIG = """#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=2
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
mhomed=no
listen=udp:%(lan)s:5060
listen=udp:%(wan)s:5060
mpath="%(modules)s"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "sdpops.so"
loadmodule "rtpengine.so"
modparam("rtpengine", "rtpengine_sock", "udp:127.0.0.1:%(ng)d")
request_route {
  if ($Ri == "%(lan)s") {
    $fs = "udp:%(wan)s:5060";
    $du = "sip:%(provider)s:5060";
  }
  if (is_method("INVITE")) {
    if (!has_totag()) record_route();
    rtpengine_offer("replace-origin replace-session-connection direction=priv direction=pub");
    t_on_reply("answer");
  }
  if (is_method("BYE")) rtpengine_delete();
  t_relay();
}
onreply_route[answer] {
  if (has_body("application/sdp")) rtpengine_answer("replace-origin replace-session-connection");
}
"""


def _modules():
    for root, names, _ in os.walk("/usr/lib"):
        if root.endswith("/kamailio") and "modules" in names:
            return os.path.join(root, "modules")
    return None


def _family(process):
    """A process and all that it started."""
    found = [process]
    for parent in found:
        try:
            with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
                found += [int(word) for word in file.read().split()]
        except OSError:
            pass
    return found


class Kamailio(Candidate):
    name, title, expect = "kamailio", "Kamailio+rtpengine", "proxied"
    may_lose = 0.01  # its workers let a 200 overtake the 180, which is then no longer sent on
    generator = ["--edge-inside", LAN, "--edge-outside", WAN]

    def __init__(self):
        self._processes, self._folder = [], None

    def missing(self):
        modules = _modules()
        if not shutil.which("kamailio") or not modules or not os.path.exists(os.path.join(modules, "rtpengine.so")):
            return "Kamailio is not installed (test/install-dependencies)"
        return "" if shutil.which("rtpengine") else "rtpengine is not installed (test/install-dependencies bench)"

    def start(self, ground, words, hosts, first_port):
        self._folder = tempfile.mkdtemp(prefix="sipalg-bench-")
        path = os.path.join(self._folder, "kamailio.cfg")
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONFIG % {"lan": LAN, "wan": WAN, "modules": _modules() + "/", "ng": NG_PORT, "provider": PROXY})
        relay = ["rtpengine", "--foreground", "--log-stderr", "--log-level=3", "--table=-1", f"--interface=priv/{LAN}",
                 f"--interface=pub/{WAN}", f"--listen-ng=127.0.0.1:{NG_PORT}", "--port-min=16384", "--port-max=65000",
                 "--pidfile=" + os.path.join(self._folder, "rtpengine.pid")]
        proxy = ["kamailio", "-DD", "-E", "-f", path, "-m", "512", "-M", "16", "-b", "8388608", "-b", "8388608", "-w", self._folder, "-Y", self._folder]
        self._launch(ground, relay, ("127.0.0.1", NG_PORT))
        self._launch(ground, proxy, (LAN, 5060))
        return [process for started in self._processes for process in _family(started.pid)]

    def _launch(self, ground, command, endpoint):
        router = ground.router.router
        log = os.path.join(self._folder, command[0] + ".log")
        with open(log, "wb") as output:
            process = router.popen(command, stdout=output, stderr=output, cwd=self._folder)
        self._processes.append(process)
        for _ in range(500):
            if router.has_socket(*endpoint):
                break
            if process.poll() is not None:
                break
            time.sleep(0.02)
        if not router.has_socket(*endpoint):
            with open(log, encoding="utf-8", errors="replace") as file:
                raise RuntimeError(f"{command[0]} does not start:\n{file.read()[-2000:]}")
        time.sleep(0.2)  # its workers

    def stop(self, ground):
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                for member in _family(process.pid):
                    os.kill(member, 9)
                process.wait()
        self._processes = []
        if self._folder:
            shutil.rmtree(self._folder)
            self._folder = None
