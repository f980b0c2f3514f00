//! The house rules that a machine checks: sizes of files and lines, who may import whom, documents that tell
//! the truth about files. Function length is clippy's (`too-many-lines-threshold`).

#[cfg(test)]
mod builds;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Columns a line may have.
pub const MAX_COLUMNS: usize = 110;
/// Lines a source file may have before its tests begin.
pub const MAX_FILE_LINES: usize = 400;

/// Lines that the watchdog's broker client may have in all, so that a person can read it at one go.
pub const MAX_CLIENT_LINES: usize = 400;

/// Folders that are not ours.
const SKIPPED: [&str; 3] = ["target", ".git", "node_modules"];

/// The workspace's folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("tests/tidy lies two folders deep").to_owned()
}

/// Every file of the workspace with this extension, in order.
///
/// # Panics
/// When a folder cannot be read.
pub fn files(root: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("readable folder") {
            let path = entry.expect("readable entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !SKIPPED.contains(&name.as_str()) {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Whether a file, named from the root, holds nothing but tests: those may be as long as their tables are.
pub fn is_test(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file == "tests.rs"
        || file.ends_with("_tests.rs")
        || name.split('/').skip(1).any(|folder| folder == "tests")
}

/// What is too long in one source file.
pub fn too_long(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > MAX_COLUMNS {
            found.push(format!("line {} has {columns} columns, at most {MAX_COLUMNS} are allowed", at + 1));
        }
    }
    let code = code_lines(text).count();
    if code > MAX_FILE_LINES && !is_test(name) {
        found.push(format!(
            "{code} lines before the tests, at most {MAX_FILE_LINES} are allowed: split it by duty"
        ));
    }
    found
}

/// Lines of these files before their tests; test files count nothing.
pub fn lines_in_all<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> usize {
    let code = files.into_iter().filter(|(name, _)| !is_test(name));
    code.map(|(_, text)| code_lines(text).count()).sum()
}

/// The lines of a file without its tests, numbered from 0: a `#[cfg(test)]` leaves out the item behind it,
/// which may be a line, such as `mod tests;`.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut lines = text.lines().enumerate().peekable();
    std::iter::from_fn(move || {
        loop {
            let (at, line) = lines.next()?;
            if !line.starts_with("#[cfg(test)]") {
                return Some((at, line));
            }
            // Further attributes of the same item.
            while lines.next_if(|(_, line)| line.starts_with("#[")).is_some() {}
            let (_, item) = lines.next()?;
            if item.ends_with('{') {
                while !lines.next()?.1.starts_with('}') {}
            }
        }
    })
}

/// The `| path | may import |` rows of the import table in a document: folder to folders.
pub fn import_table(document: &str) -> BTreeMap<String, BTreeSet<String>> {
    let rows = document.lines().skip_while(|line| !line.contains("| may import |"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        let paths =
            |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
        let folder = paths(cells[0]).pop_first().expect("a folder in the first cell");
        (folder, paths(cells.last().expect("cells")))
    })
    .collect()
}

/// The folders a crate imports, by its manifest; development dependencies are free.
///
/// # Panics
/// When the manifest is not one.
pub fn imports(manifest: &str, folder_of: &BTreeMap<String, String>) -> BTreeSet<String> {
    let manifest: toml::Table = manifest.parse().expect("a manifest");
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    dependencies.into_iter().flatten().filter_map(|(name, _)| folder_of.get(name).cloned()).collect()
}

/// Crates that can send something over a network.
const SENDERS: [&str; 8] =
    ["hyper", "hyper-util", "isahc", "reqwest", "tokio-tungstenite", "tungstenite", "ureq", "curl"];

/// Who may use them: the adapter behind its gate, the watchdog with a quota of its own, the simulated broker,
/// what only tests, and three of which an operator's commands are made, never a host that trades:
/// `host/records` talks to the bucket that he names for backups, `host/operator` asks the broker whether it
/// accepts the keys, `host/control` connects to a socket file and to this machine's own addresses.
const MAY_SEND: [&str; 8] = [
    "host/brokers/alpaca",
    "host/records",
    "host/control",
    "host/operator",
    "watchdog/daemon",
    "sim/server",
    "xtask",
    "tests/",
];

/// The folder of the host whose HTTP client may only ask, and the words by which it would do more.
const ONLY_ASKS: (&str, [&str; 6]) =
    ("host/operator/", [".post(", ".put(", ".patch(", ".delete(", ".send_json(", "Request::builder"]);

/// The files in which words of other HTTP clients may stand (see `MAY_SEND`).
const OTHERS: [(&str, &[&str]); 2] = [
    ("host/records/src/bucket.rs", &[".send()", "Client::builder"]),
    ("host/control/src/client.rs", &["TcpStream", "http1::handshake"]),
];

/// Words that send or connect, and the one place of the host in which they may stand.
const SENDING: [(&str, &str); 11] = [
    // Channels send something: there is an argument.
    (".send()", "host/brokers/alpaca/src/rest.rs"),
    // Statements of the database; that crate has no client (see `SENDERS`).
    (".execute(", "host/store/src/"),
    // The adapter's client makes its own.
    ("http1::handshake", "host/brokers/alpaca/src/rest.rs"),
    ("RequestBuilder", "host/brokers/alpaca/src/rest.rs"),
    ("Client::builder", "host/brokers/alpaca/src/rest.rs"),
    ("reqwest::get", "host/brokers/alpaca/src/rest.rs"),
    ("connect_async", "host/brokers/alpaca/src/socket.rs"),
    ("client_async", "host/brokers/alpaca/src/socket.rs"),
    ("TcpStream", "host/brokers/alpaca/src/socket.rs"),
    ("TcpSocket", "host/brokers/alpaca/src/socket.rs"),
    ("UdpSocket", "host/brokers/alpaca/src/socket.rs"),
];

/// The calls in these two files that let bytes out, each of which has to come after its gate.
const LETTING_OUT: [&str; 2] = ["self.exchange(", "= connect_async"];

/// The network crates a crate uses that it may not; development dependencies are free.
///
/// # Panics
/// When the manifest is not one.
pub fn unguarded_senders(folder: &str, manifest: &str) -> Vec<String> {
    if MAY_SEND.iter().any(|may| folder == *may || may.ends_with('/') && folder.starts_with(may)) {
        return Vec::new();
    }
    let manifest: toml::Table = manifest.parse().expect("a manifest");
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    let platforms = platforms.into_iter().flatten().filter_map(|(_, platform)| platform.as_table());
    let sections = std::iter::once(&manifest).chain(platforms).flat_map(|table| {
        ["dependencies", "build-dependencies"].map(|name| table.get(name).and_then(toml::Value::as_table))
    });
    let dependencies = sections.flatten().flatten().map(|(key, value)| {
        // A dependency may go under another name.
        value.get("package").and_then(toml::Value::as_str).unwrap_or(key).to_owned()
    });
    dependencies.filter(|name| SENDERS.contains(&name.as_str())).collect()
}

/// Where code of the host sends something beside the one place for it, or without asking at the gate first.
pub fn ways_around_the_gate(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut has_asked = false;
    for (at, line) in code_lines(text).filter(|(_, line)| !line.trim_start().starts_with("//")) {
        let is_other = |word: &str| OTHERS.iter().any(|(file, words)| name == *file && words.contains(&word));
        let is_allowed = |word: &str, place: &str| name.starts_with(place) || is_other(word);
        for (word, place) in
            SENDING.iter().filter(|(word, place)| line.contains(word) && !is_allowed(word, place))
        {
            found.push(format!("{name}:{}: `{word}` may stand in {place} only", at + 1));
        }
        if name.starts_with(ONLY_ASKS.0) {
            let more = ONLY_ASKS.1.iter().filter(|word| line.contains(**word));
            found.extend(more.map(|word| format!("{name}:{}: `{word}`: it may only ask", at + 1)));
        }
        let is_new_function = line.trim_start().split(' ').any(|word| word == "fn");
        has_asked =
            !is_new_function && has_asked || line.contains("gate.acquire(") && line.contains(".await?");
        if LETTING_OUT.iter().any(|call| line.contains(call)) && !has_asked {
            found.push(format!("{name}:{}: something is let out before `gate.acquire(…).await?`", at + 1));
        }
    }
    found
}

/// Paths in backticks of a document that look like files or folders of ours: with a slash, or a known ending.
pub fn named_paths(document: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in document.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2).filter(|text| is_path(text)).map(str::to_owned));
        }
    }
    found
}

fn is_path(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let ending =
        [".rs", ".md", ".toml", ".wit", ".sql", ".service"].iter().any(|ending| text.ends_with(ending));
    let ours = [
        "host/",
        "watchdog/",
        "sim/",
        "plugins/",
        "wit/",
        "tests/",
        "xtask/",
        "migrations/",
        ".ci/",
        "docs/",
    ];
    plain && (ending && !text.starts_with(['/', '.']) || ours.iter().any(|folder| text.starts_with(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[test]
    fn the_checks_can_fail() {
        let long = "x\n".repeat(MAX_FILE_LINES + 1);
        assert_eq!(too_long("a/src/b.rs", &"x".repeat(MAX_COLUMNS + 1)).len(), 1);
        assert_eq!(too_long("a/src/b.rs", &long).len(), 1);
        assert!(too_long("a/src/b.rs", &format!("x\n#[cfg(test)]\nmod tests {{\n{long}")).is_empty());
        let listed = |item: &str| format!("#[cfg(test)]\n{item}\n{long}");
        assert_eq!(too_long("a/src/b.rs", &listed("mod tests;")).len(), 1);
        assert_eq!(too_long("a/src/b.rs", &listed("#[path = \"x.rs\"]\npub(crate) mod x;")).len(), 1);
        assert_eq!(too_long("a/src/b.rs", &listed("use std::fs;")).len(), 1);
        assert!(too_long("a/src/b.rs", &listed("mod tests {")).is_empty());
        assert!(too_long("a/src/b.rs", &listed("#[allow(x)]\npub(crate) mod testing {")).is_empty());
        let most = "x\n".repeat(MAX_FILE_LINES);
        assert!(too_long("a/src/b.rs", &format!("#[cfg(test)]\nmod tests;\n{most}")).is_empty());
        for name in ["a/src/b/tests.rs", "a/tests/b.rs", "a/src/b/tests/c.rs", "a/src/b_tests.rs"] {
            assert!(too_long(name, &long).is_empty(), "{name}");
        }
        assert_eq!(too_long("tests/tidy/src/lib.rs", &long).len(), 1);
        let table =
            import_table("| path | duty | may import |\n|---|---|---|\n| `a/b` | x | `c`, `d/e` |\n\ntext");
        assert_eq!(table["a/b"], ["c", "d/e"].map(str::to_owned).into());
        assert_eq!(named_paths("see `host/x.rs`, `cargo demo` and\n```\n`tests/y.rs`\n```"), ["host/x.rs"]);
    }

    #[test]
    fn files_and_lines_are_short() {
        let root = root();
        let mut found = Vec::new();
        for file in files(&root, "rs") {
            let name = file.strip_prefix(&root).expect("below the root").display().to_string();
            found.extend(too_long(&name, &read(&file)).into_iter().map(|what| format!("{name}: {what}")));
        }
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn the_watchdogs_broker_client_is_small() {
        assert_eq!(lines_in_all([("a/b.rs", "x\ny\n"), ("a/b_tests.rs", "z\n"), ("a/c.rs", "x\n")]), 3);
        let root = root();
        let source = root.join("watchdog/daemon/src");
        let in_folder =
            if source.join("broker").is_dir() { files(&source.join("broker"), "rs") } else { vec![] };
        let all = in_folder.into_iter().chain([source.join("broker.rs")]);
        let texts: Vec<(String, String)> =
            all.map(|file| (file.display().to_string(), read(&file))).collect();
        let lines = lines_in_all(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        assert!(
            lines <= MAX_CLIENT_LINES,
            "the watchdog's broker client has {lines} lines, at most {MAX_CLIENT_LINES} are allowed: what \
             concludes belongs beside it, what runs it into the lanes"
        );
    }

    #[test]
    fn imports_are_those_of_the_architecture() {
        let root = root();
        let table = import_table(&read(&root.join("ARCHITECTURE.md")));
        let manifest: toml::Table = read(&root.join("Cargo.toml")).parse().expect("a manifest");
        let members = manifest["workspace"]["members"].as_array().expect("members");
        let members: Vec<_> =
            members.iter().map(|member| member.as_str().expect("text").to_owned()).collect();
        let name_of = |folder: &String| {
            let manifest: toml::Table =
                read(&root.join(folder).join("Cargo.toml")).parse().expect("a manifest");
            (manifest["package"]["name"].as_str().expect("text").to_owned(), folder.clone())
        };
        let folder_of: BTreeMap<_, _> = members.iter().map(name_of).collect();
        for folder in &members {
            let imported = imports(&read(&root.join(folder).join("Cargo.toml")), &folder_of);
            let Some(allowed) = table.get(folder) else {
                panic!("{folder} is not in the import table of ARCHITECTURE.md");
            };
            let extra: Vec<_> = imported.difference(allowed).collect();
            assert!(extra.is_empty(), "{folder} imports {extra:?}, which ARCHITECTURE.md does not allow");
        }
        let gone: Vec<_> = table.keys().filter(|folder| !members.contains(folder)).collect();
        assert!(gone.is_empty(), "ARCHITECTURE.md lists {gone:?}, which are no members");
    }

    #[test]
    fn the_checks_of_the_gate_can_fail() {
        let manifest =
            "[package]\nname = \"x\"\n[dependencies]\nweb = { package = \"reqwest\", version = \"1\" }\n";
        assert_eq!(unguarded_senders("host/x", manifest), ["reqwest"]);
        assert!(unguarded_senders("tests/x", manifest).is_empty());
        assert_eq!(unguarded_senders("testsuite", manifest), ["reqwest"]);
        let platform = "[target.'cfg(unix)'.build-dependencies]\nureq = \"1\"\n";
        assert_eq!(unguarded_senders("plugins/x", platform), ["ureq"]);
        assert!(unguarded_senders("host/x", "[dev-dependencies]\nureq = \"1\"\n").is_empty());
        let check = |name: &str, text: &str, expected: usize| {
            assert_eq!(ways_around_the_gate(name, text).len(), expected, "{name}: {text}");
        };
        check("host/x/src/a.rs", "    TcpStream::connect(address);\n", 1);
        check("host/records/src/bucket.rs", "    client.send().await\n", 0);
        check("host/records/src/bucket.rs", "    TcpStream::connect(address);\n", 1);
        check("host/records/src/place.rs", "    client.send().await\n", 1);
        check("host/control/src/client.rs", "    TcpStream::connect(http1::handshake(own));\n", 0);
        check("host/control/src/server.rs", "    TcpStream::connect(address);\n", 1);
        check("host/control/src/server.rs", "    http1::handshake(stream);\n", 1);
        check("host/operator/src/ask.rs", "    agent.get(url).call()\n", 0);
        check("host/operator/src/ask.rs", "    agent.post(url).send_empty()\n", 1);
        check("host/x/src/a.rs", "    // TcpStream\n#[cfg(test)]\nuse TcpStream;\n", 0);
        check("host/x/src/a.rs", "#[cfg(test)]\nmod tests {\n    TcpStream\n}\n", 0);
        check("host/x/src/a.rs", "#[cfg(test)]\nmod tests {\n    x\n}\nuse TcpStream;\n", 1);
        check("host/x/src/a.rs", "#[cfg(test)]\nmod tests;\n    TcpStream::connect(address);\n", 1);
        check("host/x/src/a.rs", "    request\n        .send()\n        .await\n", 1);
        check("host/x/src/a.rs", "    client.execute(request);\n", 1);
        check("host/x/src/a.rs", "    channel.send(order).await\n", 0);
        check("host/brokers/alpaca/src/rest.rs", "    request.send().await\n", 0);
        check("host/brokers/alpaca/src/history.rs", "    request.send().await\n", 1);
        let asked = "fn read() {\n    self.gate.acquire(x).await?;\n    self.exchange(y)\n}\n";
        check("host/brokers/alpaca/src/rest.rs", asked, 0);
        let forgotten = format!("{asked}fn quick() {{\n    self.exchange(y)\n}}\n");
        check("host/brokers/alpaca/src/rest.rs", &forgotten, 1);
        check("host/brokers/alpaca/src/rest.rs", &asked.replace(".await?", ""), 1);
        let socket = "fn open() {\n    let x = connect_async_tls(y);\n}\n";
        check("host/brokers/alpaca/src/socket.rs", socket, 1);
    }

    #[test]
    fn nothing_but_the_adapter_behind_its_gate_sends_anything() {
        let root = root();
        let manifest: toml::Table = read(&root.join("Cargo.toml")).parse().expect("a manifest");
        for member in manifest["workspace"]["members"].as_array().expect("members") {
            let folder = member.as_str().expect("text");
            let senders = unguarded_senders(folder, &read(&root.join(folder).join("Cargo.toml")));
            assert!(senders.is_empty(), "{folder} depends on {senders:?}: it could send past the limiter");
        }
        let sources = files(&root.join("host"), "rs");
        let mut let_out = 0;
        for file in sources {
            let name = file.strip_prefix(&root).expect("below the root").display().to_string();
            if is_test(&name) || name.contains("/benches/") {
                continue;
            }
            let text = read(&file);
            let found = ways_around_the_gate(&name, &text);
            assert!(found.is_empty(), "{}", found.join("\n"));
            let_out += LETTING_OUT.iter().map(|call| text.matches(call).count()).sum::<usize>();
        }
        assert_eq!(let_out, 3, "a GET, a POST and a handshake; when the adapter changes, so does this check");
    }

    #[test]
    fn documents_name_files_that_exist() {
        let root = root();
        for document in files(&root, "md") {
            let text = read(&document);
            let folder = document.parent().expect("a file lies in a folder");
            for path in named_paths(&text) {
                let there = root.join(&path).exists() || folder.join(&path).exists();
                assert!(there, "{} names `{path}`, which does not exist", document.display());
            }
        }
    }
}
