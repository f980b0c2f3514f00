#!/usr/bin/env bash
# A machine for the tests: a real systemd as process 1 and a real journald, in namespaces, over a copy on write of
# this machine's own root. Needs root, util-linux and systemd. It changes nothing outside but its own cgroups, and
# ends with whoever started it.
#
#   lab.sh check      exit code 0 where a lab can be had, else why not
#   lab.sh run DIR    boots, and boots again after a reboot, until it is switched off. DIR/supervisor is the process
#                     whose child is process 1; DIR/share is /lab inside; DIR/again makes a power cut a reboot
set -euo pipefail
self=$(readlink -f "$0")
root=/sys/fs/cgroup
name=sandpit-lab

# The hierarchies of cgroups that there are: one line each, `NAME FOLDER-OF-OURS`.
hierarchies() {
  if [ "$(stat -fc %T $root)" = cgroup2fs ]; then
    # Best effort: where the root has processes of its own (a container), what is there has to do.
    for one in memory pids cpu; do echo "+$one" >$root/cgroup.subtree_control; done 2>/dev/null || true
    echo "unified $root"
    return
  fi
  local controller path
  while IFS=: read -r _ controller path; do
    case $controller in '') controller=unified ;; name=*) controller=${controller#name=} ;; esac
    # A new cpuset of version 1 is unusable until it is filled, and systemd does not use it.
    if [ "$controller" != cpuset ] && [ -d "$root/$controller" ]; then
      echo "$controller $root/$controller${path%/}"
    fi
  done </proc/self/cgroup
}

# Folders that an earlier lab, or boot, has left.
sweep() {
  local folder keeper
  find $root -type d -name "$name-*" 2>/dev/null | while read -r folder; do
    keeper=${folder##*/$name-}; keeper=${keeper%%-*}
    if [ "$keeper" = "$1" ] || ! kill -0 "$keeper" 2>/dev/null; then
      find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
    fi
  done
}

check() {
  [ "$(id -u)" = 0 ] || { echo "only root may make a lab"; return 1; }
  local tool
  for tool in unshare setpriv nsenter systemctl journalctl dpkg-deb apt-get curl ip strip /lib/systemd/systemd; do
    command -v "$tool" >/dev/null || { echo "$tool is missing"; return 1; }
  done
  unshare --pid --fork --mount --net --uts --ipc --cgroup --propagation private bash -c '
    set -e; mount -t tmpfs none /mnt; mkdir /mnt/up /mnt/wk /mnt/root
    mount -t overlay -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/wk overlay /mnt/root
    mount -t proc proc /mnt/root/proc' 2>&1 || { echo "namespaces or mounts are not permitted"; return 1; }
  local folder
  while read -r _ folder; do
    if ! mkdir "$folder/$name-$$-0" || ! rmdir "$folder/$name-$$-0"; then
      echo "no cgroup may be made in $folder"; return 1
    fi
  done < <(hierarchies)
}

run() {
  local lab number=0 status tie
  lab=$(readlink -f "$1"); mkdir -p "$lab/share" "$lab/root"
  mount -t tmpfs -o mode=755 none "$lab/root"
  mkdir "$lab/root/up" "$lab/root/work" "$lab/root/merged"
  tie=(setpriv --pdeathsig KILL)
  while :; do
    rm -f "$lab/again"; : >"$lab/cgroups"
    sweep $$
    while read -r hierarchy folder; do
      mkdir "$folder/$name-$$-$number"
      # With RT_GROUP_SCHED a new group has no time for real-time threads.
      [ "$hierarchy" != cpu ] || echo 100000 >"$folder/$name-$$-$number/cpu.rt_runtime_us" 2>/dev/null || true
      echo "$hierarchy $folder/$name-$$-$number" >>"$lab/cgroups"
    done < <(hierarchies)
    "${tie[@]}" unshare --pid --fork --kill-child=SIGKILL --mount --propagation private \
      bash "$self" enter "$lab" </dev/null &
    echo $! >"$lab/supervisor.new"; mv "$lab/supervisor.new" "$lab/supervisor"
    status=0; wait $! || status=$?
    sweep $$
    number=$((number + 1))
    # 129: process 1 asked for a reboot.
    [ $status = 129 ] || [ -e "$lab/again" ] || break
  done
  rm -f "$lab/supervisor"
}

# Process 1 of the new namespace; it goes into its cgroups before their namespace is made, which begins there.
enter() {
  while read -r _ folder; do echo 0 >"$folder/cgroup.procs"; done <"$1/cgroups"
  exec unshare --cgroup --uts --ipc --net bash "$self" boot "$1"
}

mounts() {
  local new=$1 part
  mount -t proc -o nosuid,nodev,noexec proc "$new/proc"
  # The kernel's settings are the machine's.
  for part in sys sysrq-trigger; do
    [ -e "$new/proc/$part" ] || continue
    mount --bind "$new/proc/$part" "$new/proc/$part"
    mount -o remount,bind,ro,nosuid,nodev,noexec "$new/proc/$part"
  done
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$new/sys"
  mount -t tmpfs -o mode=755,nosuid tmpfs "$new/dev"
  for part in null zero full random urandom tty; do cp -a "/dev/$part" "$new/dev/$part"; done
  mkdir "$new/dev/pts" "$new/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$new/dev/pts"
  ln -s pts/ptmx "$new/dev/ptmx"; ln -s /proc/self/fd "$new/dev/fd"
  : >"$new/dev/console"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$new/dev/shm"
  mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$new/run"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$new/tmp"
}

cgroups() {
  local new=$1 one options=nosuid,nodev,noexec
  if [ "$(stat -fc %T $root)" = cgroup2fs ]; then
    mount -t cgroup2 -o $options cgroup2 "$new$root"
    return
  fi
  mount -t tmpfs -o mode=755,$options tmpfs "$new$root"
  while read -r one _; do
    mkdir "$new$root/$one"
    case $one in
      unified) mount -t cgroup2 -o $options cgroup2 "$new$root/$one" ;;
      systemd) mount -t cgroup -o $options,none,name=systemd cgroup "$new$root/$one" ;;
      *) mount -t cgroup -o "$options,$one" cgroup "$new$root/$one" ;;
    esac
  done <"$2/cgroups"
}

# What this machine has enabled for itself is not the lab's.
settings() {
  local new=$1 unit
  rm -rf "$new"/etc/systemd/system/* "$new"/var/log/journal
  mkdir -p "$new/etc/systemd/journald.conf.d" "$new/var/log/journal"
  printf '[Journal]\nStorage=persistent\nAudit=\nReadKMsg=no\nRateLimitIntervalSec=0\n' \
    >"$new/etc/systemd/journald.conf.d/lab.conf"
  for unit in getty.target systemd-timesyncd.service systemd-remount-fs.service dev-hugepages.mount \
    sys-fs-fuse-connections.mount systemd-tmpfiles-clean.timer systemd-logind.service apt-daily.timer \
    apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer; do
    ln -s /dev/null "$new/etc/systemd/system/$unit"
  done
  echo lab >"$new/etc/hostname"; : >"$new/etc/fstab"
}

boot() {
  local lab=$1 up=$1/root new=$1/root/merged
  mount -t overlay -o "lowerdir=/,upperdir=$up/up,workdir=$up/work" overlay "$new"
  mounts "$new"
  cgroups "$new" "$lab"
  [ -e "$new/lab" ] || { mkdir "$new/lab"; settings "$new"; }
  hostname lab
  mount --bind "$lab/share" "$new/lab"
  cd "$new"; mkdir -p .old; pivot_root . .old
  umount -l /.old; rmdir /.old; cd /
  mount --make-rshared /
  # As in any container: nothing inside sets the clock, loads modules or reads the machine's log.
  exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=lab TERM=dumb \
    setpriv --bounding-set -sys_time,-sys_module,-audit_control,-audit_read,-syslog,-sys_rawio \
    /lib/systemd/systemd --system --log-target=journal --show-status=no systemd.unit=multi-user.target
}

case ${1:-} in
  check) check ;;
  run) exec setpriv --pdeathsig KILL unshare --mount --propagation private bash "$self" keep "$2" ;;
  keep) run "$2" ;;
  enter) enter "$2" ;;
  boot) boot "$2" ;;
  *) sed -n '2,10p' "$self"; exit 2 ;;
esac
