# SPDX-License-Identifier: GPL-2.0-or-later
# A real Kamailio outside: registrar and record-routing proxy, no NAT helper, no media relay.
import os

from .bench import wait_port

CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=1
tcp_children=1
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
listen=udp:%(address)s:5060
mpath="%(modules)s"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
modparam("usrloc", "db_mode", 0)
request_route {
  if (is_method("REGISTER")) {
    save("location");
    exit;
  }
  if (has_totag()) {
    if (!loose_route() && !is_method("ACK")) {
      sl_send_reply("404", "Not here");
      exit;
    }
    t_relay();
    exit;
  }
  record_route();
  if (!lookup("location")) {
    sl_send_reply("404", "Not found");
    exit;
  }
  t_relay();
}
"""


def kamailio(bench, address):
    """Started and listening in the outside namespace."""
    folder = "/usr/lib/x86_64-linux-gnu/kamailio/modules"
    if not os.path.isdir(folder):
        folder = next((os.path.join(root, "modules") for root, names, _ in os.walk("/usr/lib")
                       if root.endswith("/kamailio") and "modules" in names), folder)
    path = os.path.join(bench.folder, "kamailio.cfg")
    with open(path, "w", encoding="utf-8") as file:
        file.write(CONFIG % {"address": address, "modules": folder + "/"})
    command = ["kamailio", "-DD", "-E", "-f", path, "-m", "32", "-M", "8", "-w", bench.folder, "-Y", bench.folder]
    program = bench.program(bench.router.outside, command, "kamailio.log")
    wait_port(bench.router.outside, address, 5060, "kamailio")
    return program
