# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel's limit of expectations. It is one for the whole machine and writable outside of network namespaces alone, so the
# daemon under test, which lives in one, can not raise it. Counted are the expectations of each namespace for itself.
import fcntl

from .wait import Skip

SETTING = "/proc/sys/net/netfilter/nf_conntrack_expect_max"
LOCK = "/run/lock/sipalg-expect-max"


class ExpectationLimit:
    """Holds the limit, as it is or at least `wanted`, for one test at a time; puts it back."""

    def __init__(self, wanted=0):
        self._wanted, self._before = wanted, None

    def __enter__(self):
        self._lock = open(LOCK, "w", encoding="ascii")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.value = self._read()
        if self.value < self._wanted:
            self._raise()
        return self

    def _raise(self):
        try:
            self._write(self._wanted)
        except OSError as error:
            self._lock.close()
            raise Skip(f"net.netfilter.nf_conntrack_expect_max is {self.value}, this test needs {self._wanted}, "
                       f"and it can not be set here: {error.strerror}") from None
        self._before, self.value = self.value, self._wanted

    def __exit__(self, *_):
        if self._before is not None:
            self._write(self._before)
        self._lock.close()

    @staticmethod
    def _read():
        with open(SETTING, encoding="ascii") as file:
            return int(file.read())

    @staticmethod
    def _write(value):
        with open(SETTING, "w", encoding="ascii") as file:
            file.write(str(value))
