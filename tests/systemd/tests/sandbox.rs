//! What each service may not do.

use sandpit_systemd_tests::{HOST, SECRET, Stage, WATCHDOG};

const USERS: [(&str, &str); 2] = [(HOST, "sandpit"), (WATCHDOG, "sandpit-watchdog")];

#[test]
fn each_service_has_what_it_needs_and_nothing_else() -> anyhow::Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    stage.start()?;
    secrets(&stage)?;
    processes(&stage)?;
    for (unit, _) in USERS {
        probes(&stage, unit)?;
    }
    Ok(())
}

/// No user but its own and root reads a service's keys, and nothing shows them.
fn secrets(stage: &Stage) -> anyhow::Result<()> {
    for (unit, user) in USERS {
        let files = stage.lab.must(&format!("ls /run/credentials/{unit}"))?;
        for name in files.lines() {
            let file = format!("/run/credentials/{unit}/{name}");
            let own = stage.lab.must(&format!("runuser -u {user} -- cat {file}"))?;
            assert_eq!(own, format!("{SECRET}{name}"));
            for (_, other) in USERS.into_iter().filter(|(_, other)| *other != user).chain([("", "nobody")]) {
                for path in [&file, &format!("/etc/sandpit/credentials/{name}")] {
                    let said = stage.lab.run(&format!("runuser -u {other} -- cat {path}"))?;
                    assert!(
                        said.code != 0 && !said.text.contains(SECRET),
                        "{other} reads {path}: {}",
                        said.text
                    );
                }
            }
        }
        let shown = stage.lab.must(&format!(
            "systemctl show {unit}; tr '\\\\0' '\\\\n' </proc/{0}/environ; tr '\\\\0' ' ' </proc/{0}/cmdline",
            stage.process(unit)
        ))?;
        assert!(
            shown.contains("_FILE=/run/credentials/") && !shown.contains(SECRET),
            "{unit} shows a secret"
        );
    }
    let said = stage.journal("--no-pager")?;
    assert!(!said.contains(SECRET), "a secret is in the journal");
    Ok(())
}

/// What the kernel says of the running processes.
fn processes(stage: &Stage) -> anyhow::Result<()> {
    for (unit, user) in USERS {
        let process = stage.process(unit);
        let status = stage.lab.must(&format!("cat /proc/{process}/status"))?;
        // CAP_KILL is the sixth capability.
        let capabilities = if unit == WATCHDOG { "0000000000000020" } else { "0000000000000000" };
        for line in [
            "NoNewPrivs:\t1",
            "Seccomp:\t2",
            "Umask:\t0077",
            &format!("CapBnd:\t{capabilities}"),
            &format!("CapEff:\t{capabilities}"),
            &format!("CapPrm:\t{capabilities}"),
            &format!("CapAmb:\t{capabilities}"),
        ] {
            assert!(status.lines().any(|is| is == line), "{unit} lacks {line:?}:\n{status}");
        }
        let owner = stage.lab.must(&format!("stat -c '%U %G' /proc/{process}"))?;
        assert_eq!(owner, format!("{user} sandpit"));
        let limits = stage.lab.must(&format!("cat /proc/{process}/limits"))?;
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    }
    let own = ["mnt", "ipc", "uts"];
    for (unit, spaces) in [(HOST, [&own[..], &["user"]].concat()), (WATCHDOG, own.to_vec())] {
        for space in spaces {
            let link = |process: u32| stage.lab.must(&format!("readlink /proc/{process}/ns/{space}"));
            assert_ne!(link(stage.process(unit))?, link(1)?, "{unit} shares its {space} namespace");
        }
    }
    let group = stage.lab.must(&format!("cat /proc/{}/cgroup", stage.process(HOST)))?;
    let memory = group.lines().find_map(|line| line.split(":memory:").nth(1));
    let limit = match memory {
        Some(path) => stage.lab.must(&format!("cat /sys/fs/cgroup/memory{path}/memory.limit_in_bytes"))?,
        None => stage.lab.must(&format!("cat /sys/fs/cgroup/system.slice/{HOST}/memory.max"))?,
    };
    assert_eq!(limit, (1792_u64 << 20).to_string());
    Ok(())
}

/// Each deed fails under the unit's own directives, and works without them: else it proves nothing. The last column
/// says of whom it is true.
const DEEDS: &[(&str, &str, &str)] = &[
    ("ProtectSystem", "touch /usr/x /etc/x /var/lib/x", "both"),
    ("ProtectHome", "ls /root/.", "both"),
    ("PrivateTmp", "ls /tmp/of-root", "both"),
    ("PrivateDevices", "mknod /dev/shm/k c 1 11", "both"),
    ("PrivateDevices", "test -e /dev/console", "both"),
    ("PrivateUsers", "test \"$(wc -l </proc/self/uid_map)\" = 1", "host"),
    ("ProtectProc", "test -e /proc/1/comm", "host"),
    ("ProcSubset", "test -e /proc/meminfo", "host"),
    ("ProtectKernelTunables", "test \"$(stat -c %a /proc/kallsyms)\" != 0", "both"),
    (
        "ProtectControlGroups",
        "d=$(ls -d /sys/fs/cgroup/*/ /sys/fs/cgroup | head -1); mkdir $d/zz && rmdir $d/zz",
        "both",
    ),
    ("ProtectHostname", "hostname x", "both"),
    ("ProtectKernelLogs", "test \"$(stat -c %a /proc/kmsg)\" != 0", "both"),
    ("RestrictNamespaces", "unshare --mount true", "both"),
    ("RestrictRealtime", "chrt -f 1 true", "both"),
    ("RestrictSUIDSGID", "touch /run/S/s && chmod u+s /run/S/s", "both"),
    ("LockPersonality", "setarch i686 true", "both"),
    ("RestrictAddressFamilies", "ip link show lo", "both"),
    ("SystemCallFilter", "mount -t tmpfs x /run/S", "both"),
    ("SystemCallFilter", "swapoff /nothing 2>&1 | grep -v 'not permitted'", "both"),
    ("IPAddressDeny", "exec 3<>/dev/udp/224.0.0.9/9 && echo x >&3", "both"),
    ("LimitNOFILE", "ulimit -n 100000", "both"),
];

/// The unit with another program, once with its directives and once without.
fn probes(stage: &Stage, unit: &str) -> anyhow::Result<()> {
    stage.lab.must("mkdir -p /run/S; chmod 777 /run/S; touch /tmp/of-root")?;
    let name = unit.trim_end_matches(".service");
    let directives =
        "^(Exec|Type|Notify|Watchdog|Restart|Load|Environment|Runtime|State|Condition|Timeout|OnFailure)";
    stage.lab.must(&format!(
        "grep -vE '{directives}' /lib/systemd/system/{unit} >/run/systemd/system/probe.service
         printf '[Service]\\nType=oneshot\\nReadWritePaths=/run/S\\nExecStart=bash /lab/deed\\n' \
         >>/run/systemd/system/probe.service; systemctl daemon-reload"
    ))?;
    let mut proven = 0;
    for (directive, deed, whose) in DEEDS {
        if *whose == "host" && unit != HOST {
            continue;
        }
        std::fs::write(stage.lab.share().join("deed"), format!("set -e -o pipefail\n{deed}\n"))?;
        let free = stage.lab.run("bash /lab/deed")?;
        let bound = stage.lab.run("systemctl start probe")?;
        let said = || stage.journal("-o cat -n 5 -u probe").unwrap_or_default();
        assert_ne!(bound.code, 0, "{name}: {directive} lets `{deed}` happen: {}", said());
        if free.code == 0 {
            proven += 1;
        } else {
            eprintln!("{name}: {directive}: no proof here, `{deed}` fails without it as well: {}", free.text);
        }
        stage.lab.run("systemctl reset-failed probe; rm -rf /run/S/*")?;
    }
    eprintln!("{name}: {proven} deeds work without the unit's directives, and none with them");
    Ok(())
}
