# SPDX-License-Identifier: GPL-2.0-or-later
# sipalgd in the router's namespace, and what sipalgctl says of it.
import json
import os
import re
import shutil
import signal
import subprocess

from .wait import PATIENCE, Failure, equal, until

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BUILD = os.path.abspath(os.environ.get("SIPALG_BUILD", os.path.join(ROOT, "build")))
DAEMON = os.path.join(BUILD, "alg", "daemon", "sipalgd")
CTL = os.path.join(BUILD, "cli", "sipalgctl")


def find(tree, key):
    """The first value of this key, however deep; None when there is none."""
    if isinstance(tree, dict):
        if key in tree:
            return tree[key]
        tree = list(tree.values())
    for branch in tree if isinstance(tree, list) else ():
        found = find(branch, key)
        if found is not None:
            return found
    return None


def rows(answer):
    """The list of an answer, whether it stands alone or beside a note on what was left off."""
    if isinstance(answer, list):
        return answer
    return next((value for value in answer.values() if isinstance(value, list)), [])


def workers_for(config):
    """SIPALG_TEST_WORKERS runs any test with so many workers."""
    wanted = os.environ.get("SIPALG_TEST_WORKERS")
    return f"\nworkers = {wanted}" if wanted and "workers" not in config and "manual" not in config else ""


class Daemon:
    """user: the daemon drops root and goes on as this one. program: another build of it."""

    def __init__(self, namespace, folder, config="", user=None, program=DAEMON):
        self._namespace, self.folder, self._user, self._program = namespace, folder, user, program
        self.socket = os.path.join(self._socket_folder(), "control.sock")
        self.config = os.path.join(folder, "sipalgd.toml")
        self.log = os.path.join(folder, "sipalgd.log")
        self.process = None
        self.configure(config)
        self.start()

    def _socket_folder(self):
        if not self._user:
            return self.folder
        os.chmod(self.folder, 0o755)
        path = os.path.join(self.folder, "run")
        os.mkdir(path)
        shutil.chown(path, self._user)
        return path

    def configure(self, config):
        # keys of the root table come before the first [table]
        with open(self.config, "w", encoding="utf-8") as file:
            level = "" if "log-level" in config else 'log-level = "debug"'
            state = f'state = "{os.path.dirname(self.socket)}/state"'
            file.write(f'control-socket = "{self.socket}"\n{state}\n{level}{workers_for(config)}\n{config}\n')

    def start(self):
        command = [self._program, "--config", self.config] + (["--user", self._user] if self._user else [])
        with open(self.log, "ab") as log:
            self.process = self._namespace.popen(command, stdout=log, stderr=log, cwd=self.folder)
        until(self.is_ready, lambda: "the daemon to be ready; its log:\n" + self.tail(), 10)

    def is_ready(self):
        if self.process.poll() is not None:
            raise Failure(f"sipalgd ended with {self.process.returncode}; its log:\n{self.tail()}")
        return os.path.exists(self.socket) and self.ctl("show", "stats", "--json", check=False).returncode == 0

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def ctl(self, *arguments, check=True):
        result = subprocess.run([CTL, "--socket", self.socket, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=10 * PATIENCE)
        if check and result.returncode != 0:
            raise Failure(f"sipalgctl {' '.join(arguments)} ended with {result.returncode}: {result.stderr.strip()}")
        return result

    def show(self, *what):
        return json.loads(self.ctl("show", *what, "--json").stdout)

    def stats_lines(self):
        """{label: count} of the lines of `show stats`."""
        text = self.ctl("show", "stats").stdout
        return {label.strip(): int(count) for label, count in re.findall(r"([A-Za-z][A-Za-z0-9 -]+):? +(\d+)", text)}

    def counter(self, group, name):
        return find(self.show("stats"), group)[name]

    def counts(self, group, name, at_least, since=0):
        until(lambda: self.counter(group, name) >= since + at_least,
              lambda: f"{group} {name} to grow from {since} by {at_least}, is {self.counter(group, name)}")

    def counts_method(self, method, received):
        """Waits until so many requests of a method were received."""
        until(lambda: self.show("stats")["methods"][method]["received"] >= received, f"{received} {method}s", 15)

    def status(self, key):
        """A line of the process' status, as words."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii", errors="replace") as file:
            return next(line.split()[1:] for line in file if line.startswith(key + ":"))

    def calls(self):
        return rows(self.show("calls"))

    def doors(self, **fields):
        return [d for d in rows(self.show("doors")) if all(d[key] == value for key, value in fields.items())]

    def media_doors(self):
        return [d for d in self.doors() if {"rtp", "rtcp", "media"} & set(d["purpose"].split(","))]

    def registrations(self):
        return rows(self.show("registrations"))

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self, how=signal.SIGTERM):
        if self.is_running():
            self.process.send_signal(how)
            try:
                self.process.wait(10 * PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failure("sipalgd does not end on signal %d; its log:\n%s" % (how, self.tail())) from None
        return self.process.returncode

    def leaves_clean(self):
        """After the end of the daemon nothing of it may stand in the kernel (design, section 4)."""
        equal(self.kernel_leftovers(), [], "left in the kernel by sipalgd")

    def kernel_leftovers(self):
        lines = self._namespace.conntrack("-L", "expect").splitlines()
        for family in ("ipv4", "ipv6"):
            table = self._namespace.conntrack("-L", "-f", family)
            lines += [line for line in table.splitlines() if "src=127." in line or "src=100::" in line]
        tables = self._namespace.run(["nft", "list", "tables"]).stdout.splitlines()
        return lines + [line for line in tables if line.endswith(" sipalg")]

    def tail(self, lines=25):
        if not os.path.exists(self.log):
            return "(no log)"
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return "    " + "    ".join(file.readlines()[-lines:])

    def close(self):
        if self.is_running():
            self.process.kill()
            self.process.wait()
