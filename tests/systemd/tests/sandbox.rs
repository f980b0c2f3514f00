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
        understood(&stage, unit)?;
        probes(&stage, unit)?;
    }
    Ok(())
}

#[test]
fn keys_encrypted_to_the_machine_serve_as_well() -> anyhow::Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    stage.arm()?;
    for who in ["host", "watchdog"] {
        let example = format!("/usr/share/doc/sandpit/examples/encrypted-{who}.conf");
        // The commands in its head, as they stand there.
        stage
            .lab
            .must(&format!("sed -n 's/^#   //p' {example} >/lab/encrypt; bash -euo pipefail /lab/encrypt"))?;
    }
    let plain =
        stage.lab.run(&format!("ls /etc/sandpit/credentials; grep -r {SECRET} /etc/sandpit /etc/systemd"))?;
    assert!(plain.code == 1 && plain.text.lines().all(|line| line.ends_with(".cred")), "{}", plain.text);
    stage.start()?;
    secrets(&stage)?;
    let again = stage.lab.must("sandpit setup --yes")?;
    assert!(again.contains("nothing to change"), "{again}");
    let other = stage.lab.run("printf 'other\\nother\\n' | sandpit setup --yes --key-file -")?;
    assert!(other.code == 10 && other.text.contains("host-key-id.cred holds another key"), "{other:?}");
    stage.lab.must("test ! -e /etc/sandpit/credentials/host-key-id")?;
    let found = stage.lab.run("sandpit doctor --json")?;
    let found: serde_json::Value = serde_json::from_str(&found.text)?;
    let checks = found["checks"].as_array().into_iter().flatten();
    let failed: Vec<_> = checks.filter(|check| check["level"] == "fail").collect();
    assert_eq!(failed, Vec::<&serde_json::Value>::new(), "it reads them, too");
    let waits = || stage.lab.run("sandpit doctor").map(|said| said.text.contains("and not in force"));
    assert!(!waits()?);
    // As if it was changed long after the start.
    stage.lab.must("touch -d '1 hour' /etc/sandpit/credentials/host-key-id.cred")?;
    assert!(waits()?, "what runs has another key");
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
            "systemctl show {unit}; tr '\\0' '\\n' </proc/{0}/environ; tr '\\0' ' ' </proc/{0}/cmdline",
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
    let mounts = stage.lab.must(&format!("grep ' /proc ' /proc/{}/mountinfo", stage.process(HOST)))?;
    assert!(mounts.contains("hidepid=invisible") && mounts.contains("subset=pid"), "{mounts}");
    let group = stage.lab.must(&format!("cat /proc/{}/cgroup", stage.process(HOST)))?;
    let memory = group.lines().find_map(|line| line.split(":memory:").nth(1));
    let limit = match memory {
        Some(path) => stage.lab.must(&format!("cat /sys/fs/cgroup/memory{path}/memory.limit_in_bytes"))?,
        None => stage.lab.must(&format!("cat /sys/fs/cgroup/system.slice/{HOST}/memory.max"))?,
    };
    assert_eq!(limit, (1792_u64 << 20).to_string());
    Ok(())
}

/// Each deed fails under the unit's own directives, though root does it, and works without them: else it
/// proves nothing. The last column says of whom it is true.
const DEEDS: &[(&str, &str, &str)] = &[
    ("ProtectSystem", "touch /usr/x", "both"),
    ("ProtectSystem", "touch /var/lib/x", "both"),
    ("ProtectHome", "touch /root/x", "both"),
    ("PrivateTmp", "ls /tmp/of-root", "both"),
    ("PrivateDevices", "rm -f /dev/shm/k; mknod /dev/shm/k c 1 11", "both"),
    ("PrivateDevices", "test -e /dev/console", "both"),
    ("ProcSubset", "test -e /proc/meminfo", "host"),
    ("ProtectKernelTunables", "mode=$(stat -c %a /proc/kallsyms); test $mode != 0", "both"),
    ("ProtectKernelLogs", "mode=$(stat -c %a /proc/kmsg); test $mode != 0", "both"),
    (
        "ProtectControlGroups",
        "for one in /sys/fs/cgroup /sys/fs/cgroup/pids; do ! mkdir $one/zz || exit 0; done; exit 1",
        "both",
    ),
    ("ProtectHostname", "hostname x", "both"),
    ("RestrictNamespaces", "unshare --mount true", "both"),
    ("RestrictRealtime", "chrt -f 1 true", "both"),
    ("RestrictSUIDSGID", "touch /run/S/s; chmod u+s /run/S/s", "both"),
    ("LockPersonality", "setarch i686 true", "both"),
    ("RestrictAddressFamilies", "ip link show lo", "both"),
    ("SystemCallFilter", "mount -t tmpfs x /run/S/m", "both"),
    ("IPAddressDeny", "exec 3<>/dev/udp/224.0.0.9/9; echo x >&3", "both"),
];
/// So many of them work here without the directives.
const PROOFS: usize = 15;

/// The unit with another program, once with its directives and once without.
fn probes(stage: &Stage, unit: &str) -> anyhow::Result<()> {
    stage.lab.must("mkdir -p /run/S/m; touch /tmp/of-root; ip route replace 224.0.0.0/4 dev lo")?;
    // Root with all its rights: what stops it is the directive in question.
    let others = "^(Exec|Type|Notify|Watchdog|Restart|Load|Environment|Runtime|State|Condition|Timeout|\
                  OnFailure|User|Group|Capability|Ambient|PrivateUsers)";
    stage.lab.must(&format!(
        "grep -vE '{others}' /lib/systemd/system/{unit} >/run/systemd/system/probe.service
         printf '[Service]\nType=oneshot\nReadWritePaths=/run/S\nExecStart=bash /lab/deed\n' \
         >>/run/systemd/system/probe.service; systemctl daemon-reload"
    ))?;
    let mut proven = 0;
    for (directive, deed, _) in DEEDS.iter().filter(|(_, _, whose)| *whose == "both" || unit == HOST) {
        std::fs::write(stage.lab.share().join("deed"), format!("set -e\n{deed}\n"))?;
        let free = stage.lab.run("bash /lab/deed")?;
        let undo = "umount /run/S/m; rm -f /run/S/s; rmdir /sys/fs/cgroup/zz /sys/fs/cgroup/pids/zz";
        stage.lab.run(undo)?;
        let bound = stage.lab.run("systemctl start probe")?;
        let said = || stage.journal("-o cat -n 5 -u probe").unwrap_or_default();
        assert_ne!(bound.code, 0, "{unit}: {directive} lets `{deed}` happen: {}", said());
        if free.code == 0 {
            proven += 1;
        } else {
            eprintln!("{unit}: {directive}: no proof here, `{deed}` fails without it: {}", free.text);
        }
        stage.lab.run(&format!("systemctl reset-failed probe; {undo}"))?;
    }
    assert!(proven >= PROOFS, "only {proven} deeds of {} prove anything", DEEDS.len());
    eprintln!("{unit}: {proven} deeds of root work without the unit's directives, and none with them");
    Ok(())
}

/// Words that systemd shows as they are written.
const WORDS: [&str; 10] =
    ["yes", "strict", "closed", "invisible", "pid", "private", "kill", "always", "on-failure", "mixed"];

/// What systemd has understood is what is written.
fn understood(stage: &Stage, unit: &str) -> anyhow::Result<()> {
    let text = stage.lab.must(&format!("cat /lib/systemd/system/{unit}"))?;
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let mut count = 0;
    for (name, value) in lines.filter(|(_, value)| WORDS.contains(value)) {
        assert_eq!(stage.property(unit, name)?, value, "{unit}: {name}=");
        count += 1;
    }
    assert!(count > 20, "{unit}: {count} directives");
    Ok(())
}
