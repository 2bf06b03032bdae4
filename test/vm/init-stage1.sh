#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# PID 1 of the initramfs: modules, then the host's root (read-only 9p) under a tmpfs overlay. All applets are the static
# busybox in RAM: an exec of a host binary costs about 0.1 s here (emulated, cold 9p), these about 0.01 s.
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
die() { echo "init: $*" >/dev/console; echo o >/proc/sysrq-trigger; $B sleep 5; }
for list in base net; do
  while read -r m; do
    $B insmod /mod/$m || case $m in crc32c-intel.ko) ;; *) echo "init: insmod $m failed" >/dev/console ;; esac
  done </mod/$list
done 2>/dev/null
options=trans=virtio,version=9p2000.L,msize=512000
$B mount -t 9p -o ro,$options,cache=loose root /lower || die "no root share"
$B mount -t tmpfs -o mode=0755,size=90% rw /rw; $B mkdir /rw/u /rw/w
$B mount -t overlay -o lowerdir=/lower,upperdir=/rw/u,workdir=/rw/w overlay /new || die "no overlay"
N=/new V=/new/run/vm
$B mount -t tmpfs -o mode=0755 run $N/run
$B mkdir -p $V/x $V/bin $N/run/lock $N/lib/modules /dev/pts /dev/shm
$B mount -t 9p -o $options,cache=none xchg $V/x || die "no exchange share"
. $V/x/vars # VM_FOLDER K
$B mount -t devpts devpts /dev/pts; $B mount -t tmpfs shm /dev/shm
$B ln -s /proc/self/fd /dev/fd; $B ln -s fd/0 /dev/stdin; $B ln -s fd/1 /dev/stdout; $B ln -s fd/2 /dev/stderr
$B mount -t cgroup2 cgroup2 /sys/fs/cgroup; $B mount -t debugfs debugfs /sys/kernel/debug
$B mount --bind /lower$VM_FOLDER/k/$K/root/lib/modules $N/lib/modules || die "no modules"
$B cp $B $V/bin/busybox
for t in modprobe depmod insmod rmmod lsmod modinfo; do $B ln -s $VM_FOLDER/tools/kmod/bin/kmod $V/bin/$t; done
echo /run/vm/bin/modprobe >/proc/sys/kernel/modprobe
$B ip link set lo up; $B hostname vm
$B stty -F /dev/ttyS1 115200 raw -echo; $B stty -F /dev/ttyS2 115200 raw -echo
for d in proc sys dev; do $B mount --move /$d $N/$d; done
exec $B switch_root $N /run/vm/bin/busybox sh /run/vm/x/stage2
