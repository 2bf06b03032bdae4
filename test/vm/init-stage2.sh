# SPDX-License-Identifier: GPL-2.0-or-later
# PID 1 after switch_root (busybox sh), on the host's userland. /run/vm/x is the exchange folder of this run.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
B=/run/vm/bin/busybox x=/run/vm/x
for t in 1 2; do $B mkfifo /run/vm/f$t; $B cat </run/vm/f$t >/dev/ttyS$t & eval c$t=$!; done
$B setsid /bin/bash $x/cmd </dev/null >/run/vm/f1 2>/run/vm/f2 & wait $!; rc=$?
# cat ends (its close drains the UART) when every writer has gone; daemons left behind get 2 s
i=0; while [ $i -lt 40 ] && { [ -d /proc/$c1 ] || [ -d /proc/$c2 ]; }; do $B usleep 50000; i=$((i+1)); done
kill $c1 $c2 2>/dev/null; wait $c1 $c2
echo $rc >$x/rc.tmp; $B mv $x/rc.tmp $x/rc
echo o >/proc/sysrq-trigger
$B sleep 10
