//! `cargo xtask deb`: the Debian package. What lies where is a table here.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use clap::Args;

/// What to build it from.
#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// Where the binaries are, built already, as are the plugins [default: both are built first]
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
    /// The package's version [default: that of the workspace]
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Where the package is put [default: target]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Do not compress it: a second instead of half a minute, for tests
    #[arg(long)]
    quick: bool,
}

/// Programs of the package.
const PROGRAMS: [&str; 3] = ["sandpit", "sandpit-watchdog", "sandpit-sim"];
/// From where in the repository, to where in the package. What is configuration is said by its place, `etc`.
const FILES: [(&str, &str); 15] = [
    ("systemd/sandpit-host.service", "lib/systemd/system/sandpit-host.service"),
    ("systemd/sandpit-watchdog.service", "lib/systemd/system/sandpit-watchdog.service"),
    ("systemd/sandpit-alert@.service", "lib/systemd/system/sandpit-alert@.service"),
    ("systemd/sysusers.conf", "usr/lib/sysusers.d/sandpit.conf"),
    ("systemd/tmpfiles.conf", "usr/lib/tmpfiles.d/sandpit.conf"),
    ("systemd/catalog/sandpit.catalog", "usr/lib/systemd/catalog/sandpit.catalog"),
    ("systemd/examples/alerts-watchdog.conf", "usr/share/doc/sandpit/examples/alerts-watchdog.conf"),
    ("systemd/examples/encrypted-host.conf", "usr/share/doc/sandpit/examples/encrypted-host.conf"),
    ("systemd/examples/encrypted-watchdog.conf", "usr/share/doc/sandpit/examples/encrypted-watchdog.conf"),
    ("systemd/sandpit-watch.service", "lib/systemd/system/sandpit-watch.service"),
    ("systemd/sandpit-watch.timer", "lib/systemd/system/sandpit-watch.timer"),
    ("systemd/config/sandpit.toml", "usr/share/sandpit/config/sandpit.toml"),
    ("systemd/config/watchdog.toml", "usr/share/sandpit/config/watchdog.toml"),
    ("README.md", "usr/share/doc/sandpit/README.md"),
    ("LICENSE", "usr/share/doc/sandpit/copyright"),
];
/// Scripts that units run.
const HELPERS: [(&str, &str); 2] =
    [("systemd/alert", "usr/lib/sandpit/alert"), ("systemd/watch", "usr/lib/sandpit/watch")];
/// Of the package itself.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];
/// From where below what `cargo xtask docs` makes, to where in the package; the pages first.
const MANUALS: [(&str, &str); 4] = [
    ("man1", "usr/share/man/man1"),
    ("completions/bash", "usr/share/bash-completion/completions"),
    ("completions/zsh", "usr/share/zsh/vendor-completions"),
    ("completions/fish", "usr/share/fish/vendor_completions.d"),
];
/// Folders that are there though nothing of ours lies in them.
const FOLDERS: [&str; 2] = ["etc/sandpit/plugins", "etc/sandpit/credentials"];

/// Builds the package; the file.
///
/// # Errors
/// When a binary or an example is not built, or `dpkg-deb` is missing or refuses.
pub(crate) fn run(root: &Path, options: &Options) -> Result<PathBuf> {
    let target = crate::target_dir(root);
    if options.binaries.is_none() {
        crate::cargo(root, ["build", "--release", "--bins"])?;
        crate::plugins::build_all(root, &target)?;
    }
    let binaries = options.binaries.clone().unwrap_or_else(|| target.join("release"));
    let version = options.version.clone().unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned());
    let stage = tempfile::tempdir_in(&target).context("no room beside what is built")?;
    let stage = stage.path();
    for program in PROGRAMS {
        let file = binaries.join(program);
        ensure!(file.exists(), "{} is not built", file.display());
        put(&file, &stage.join("usr/bin").join(program), 0o755)?;
        strip(&stage.join("usr/bin").join(program));
    }
    for (from, to) in FILES {
        put(&root.join(from), &stage.join(to), 0o644)?;
    }
    for (from, to) in HELPERS {
        put(&root.join(from), &stage.join(to), 0o755)?;
    }
    for folder in FOLDERS {
        fs::create_dir_all(stage.join(folder))?;
    }
    examples(root, &target.join("plugins"), stage)?;
    manuals(&binaries, stage)?;
    control(root, stage, &version)?;
    // Whatever the umask of who builds it.
    open_folders(stage)?;
    mode(&stage.join("etc/sandpit/credentials"), 0o700)?;
    let architecture = output(Command::new("dpkg").arg("--print-architecture"))?;
    let folder = options.out.clone().unwrap_or(target);
    let package = folder.join(format!("sandpit_{version}_{architecture}.deb"));
    pack(stage, &package, options.quick)?;
    Ok(package)
}

/// The example plugins in Rust, each with the manifest that its page shows.
fn examples(root: &Path, plugins: &Path, stage: &Path) -> Result<()> {
    let to = stage.join("usr/share/sandpit/plugins");
    let built = fs::read_dir(plugins)
        .with_context(|| format!("{} is not there: run cargo xtask plugins", plugins.display()))?;
    for entry in built {
        let file = entry?.path();
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        put(&file, &to.join(format!("{name}.wasm")), 0o644)?;
        let page = root.join("plugins").join(&name).join("README.md");
        let text = fs::read_to_string(&page).with_context(|| format!("{} is missing", page.display()))?;
        let manifest = manifest(&text, &name).with_context(|| format!("{} has none", page.display()))?;
        fs::write(to.join(format!("{name}.toml")), manifest)?;
        mode(&to.join(format!("{name}.toml")), 0o644)?;
    }
    Ok(())
}

/// Manual pages, compressed as Debian wants them, and the completions of three shells.
fn manuals(binaries: &Path, stage: &Path) -> Result<()> {
    let made = tempfile::tempdir().context("no room for manual pages")?;
    crate::docs::write(binaries, made.path())?;
    let mut compress = Command::new("gzip");
    compress.arg("-9n");
    for (from, to) in MANUALS {
        let folder = made.path().join(from);
        let files = fs::read_dir(&folder).with_context(|| format!("{} was not made", folder.display()))?;
        for file in files {
            let (file, to) = (file?, stage.join(to));
            put(&file.path(), &to.join(file.file_name()), 0o644)?;
            if from == MANUALS[0].0 {
                compress.arg(to.join(file.file_name()));
            }
        }
    }
    output(&mut compress).map(drop)
}

/// The manifest that a plugin's page shows: the block that begins with the name of its file.
fn manifest<'t>(page: &'t str, name: &str) -> Option<&'t str> {
    let begin = page.find(&format!("```toml\n# {name}.toml\n"))? + "```toml\n".len();
    let end = begin + page[begin..].find("```")?;
    Some(&page[begin..end])
}

/// What `dpkg` is told: who it is, what it needs, what to run when. Nothing is a conffile: the configuration
/// is edited by `sandpit setup`, and dpkg would ask about that at every upgrade.
fn control(root: &Path, stage: &Path, version: &str) -> Result<()> {
    let folder = stage.join("DEBIAN");
    fs::create_dir_all(&folder)?;
    let programs = PROGRAMS.iter().map(|program| fs::read(stage.join("usr/bin").join(program)));
    let bytes: Vec<_> = programs.collect::<std::io::Result<_>>()?;
    let libc = bytes.iter().map(|bytes| newest_libc(bytes)).max().unwrap_or_default();
    let architecture = output(Command::new("dpkg").arg("--print-architecture"))?;
    let size = bytes.iter().map(Vec::len).sum::<usize>() / 1024 + 1024;
    let text = format!(
        "Package: sandpit\nVersion: {version}\nArchitecture: {architecture}\n\
         Section: misc\nPriority: optional\n\
         Maintainer: Sandpit <sandpit@localhost>\nInstalled-Size: {size}\n\
         Depends: libc6 (>= 2.{libc}), libgcc-s1, systemd (>= 252)\nRecommends: ca-certificates\n\
         Description: runs automated trading strategies on one machine, unattended\n \
         A host that trades, a watchdog that can stop everything, and a simulated\n \
         broker. Nothing is started by the installation.\n"
    );
    fs::write(folder.join("control"), text)?;
    for script in SCRIPTS {
        put(&root.join("systemd/deb").join(script), &folder.join(script), 0o755)?;
    }
    Ok(())
}

/// The second number of the newest version of the C library that a program wants symbols of.
fn newest_libc(program: &[u8]) -> u32 {
    const WORD: &[u8] = b"GLIBC_2.";
    let wanted = program.windows(WORD.len()).enumerate().filter(|(_, window)| *window == WORD);
    let numbers = wanted.filter_map(|(at, _)| {
        let digits = program[at + WORD.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        String::from_utf8(digits.copied().collect()).ok()?.parse().ok()
    });
    numbers.max().unwrap_or_default()
}

fn pack(stage: &Path, package: &Path, quick: bool) -> Result<()> {
    let compress = if quick { "-Znone" } else { "-Zxz" };
    let mut command = Command::new("dpkg-deb");
    command.args(["--root-owner-group", compress, "--build"]).arg(stage).arg(package);
    output(&mut command).map(drop)
}

/// Symbols are of use to a debugger only; without `strip` the package is larger.
fn strip(program: &Path) {
    let _ = Command::new("strip").arg("--strip-debug").arg(program).status();
}

fn put(from: &Path, to: &Path, permissions: u32) -> Result<()> {
    let folder = to.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder)?;
    fs::copy(from, to).with_context(|| format!("{} cannot be copied", from.display()))?;
    mode(to, permissions)
}

/// Every folder below may be entered by everybody.
fn open_folders(folder: &Path) -> Result<()> {
    mode(folder, 0o755)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            open_folders(&path)?;
        }
    }
    Ok(())
}

fn mode(path: &Path, permissions: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(permissions))?;
    Ok(())
}

/// Runs it; what it said, without the end of the line.
fn output(command: &mut Command) -> Result<String> {
    let output =
        command.output().with_context(|| format!("{command:?} cannot be run: is dpkg installed?"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_libc_counts() {
        assert_eq!(newest_libc(b"..GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.4\0"), 34);
        assert_eq!(newest_libc(b"nothing"), 0);
    }

    #[test]
    fn a_manifest_is_the_block_of_its_name() {
        let page = "# x\n```toml\nother\n```\ntext\n```toml\n# x.toml\na = 1\n```\nend";
        assert_eq!(manifest(page, "x"), Some("# x.toml\na = 1\n"));
        assert_eq!(manifest(page, "y"), None);
    }

    #[test]
    fn every_file_of_the_table_is_there() {
        let root = crate::root();
        for (from, _) in FILES.into_iter().chain(HELPERS) {
            assert!(root.join(from).exists(), "{from}");
        }
        for script in SCRIPTS {
            assert!(root.join("systemd/deb").join(script).exists(), "{script}");
        }
    }
}
