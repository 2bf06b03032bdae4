# SPDX-License-Identifier: GPL-2.0-or-later
# A real Kamailio, outside or inside: registrar and record-routing proxy, no NAT helper, no media relay.
import os

from .bench import wait_port

CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=1
tcp_children=1
%(tcp)s
auto_aliases=no
dns=no
rev_dns=no
%(listen)s
mpath="%(modules)s"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "path.so"
modparam("usrloc", "db_mode", 0)
modparam("registrar", "use_path", 1)
modparam("registrar", "path_mode", 1)
request_route {
  if (is_method("REGISTER")) {
    %(register)s
    exit;
  }
  if (is_method("CANCEL")) {
    if (t_check_trans()) t_relay();
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
  loose_route();
%(record_route)s
%(hops)s
  if (!lookup("location")) {
    sl_send_reply("404", "Not found");
    exit;
  }
  t_relay();
}
"""


def _hop(user, where):
    """Requests to this user go there; the third part, where there is one, is the socket they leave by."""
    host, port, *leaving = where
    socket = f'$fs = "{leaving[0]}"; ' if leaving else ""
    transport = f";transport={leaving[0].partition(':')[0]}" if leaving else ""
    return f'  if ($rU == "{user}") {{ {socket}$du = "sip:{host}:{port}{transport}"; t_relay(); exit; }}'


def kamailio(bench, address, namespace=None, listen=None, hops=(), register='save("location");', record_route=True):
    """Started and listening, outside unless told. `listen`: its sockets; `hops`: user -> next hop of what begins a dialog,
    others are looked up; `register`: what it does with a REGISTER; without `record_route` it sees nothing of a dialog but its
    beginning."""
    folder = "/usr/lib/x86_64-linux-gnu/kamailio/modules"
    if not os.path.isdir(folder):
        folder = next((os.path.join(root, "modules") for root, names, _ in os.walk("/usr/lib")
                       if root.endswith("/kamailio") and "modules" in names), folder)
    namespace, listen = namespace or bench.router.outside, listen or [f"udp:{address}:5060"]
    tcp = any(each.startswith("tcp") for each in listen)
    own = os.path.join(bench.folder, "kamailio-" + address)
    os.mkdir(own)
    path = os.path.join(own, "kamailio.cfg")
    with open(path, "w", encoding="utf-8") as file:
        file.write(CONFIG % {"listen": "\n".join("listen=" + each for each in listen), "modules": folder + "/", "register": register,
                             "record_route": "  record_route();" if record_route else "",
                             "tcp": "tcp_connection_lifetime=600" if tcp else "disable_tcp=yes",
                             "hops": "\n".join(_hop(user, where) for user, where in dict(hops).items())})
    command = ["kamailio", "-DD", "-E", "-f", path, "-m", "32", "-M", "8", "-w", own, "-Y", own]
    program = bench.program(namespace, command, f"kamailio-{address}.log")
    wait_port(namespace, address, 5060, "kamailio")
    if tcp:
        wait_port(namespace, address, 5060, "kamailio", "tcp")
    return program
