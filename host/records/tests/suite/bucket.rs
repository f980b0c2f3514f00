//! A bucket on a real server, `s3rver` from the locks of the conformance tests, behind a check of signatures.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sandpit_records::{Place, RecordsError};
use sandpit_store::Database;

use crate::common::{env, fill_books, open, path, real_now, sound};

const KEY: &str = "the-key";
const SECRET: &str = "the-secret-of-the-bucket";

/// Starts the server on a free port, with one bucket, and prints the port. `s3rver` knows keys and rules of
/// buckets, but computes no signatures of version 4: what stands before it does, by the rules that Amazon
/// publishes and with nothing of the client's library.
const SERVER: &str = r#"
const { createHash, createHmac } = require("crypto");
const http = require("http");
const S3rver = require("s3rver");
const Account = require("s3rver/lib/models/account");
const [key, secret, directory] = process.argv.slice(1);
new Account(1, "records").createKeyPair(key, secret);
const hash = (text) => createHash("sha256").update(text).digest("hex");
const sign = (with_, text) => createHmac("sha256", with_).update(text).digest();
const encode = (text) => encodeURIComponent(text)
  .replace(/[!'()*]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());
function refusal({ method, url, headers }) {
  const { pathname, searchParams } = new URL(url, "http://server");
  const given = Object.fromEntries(searchParams);
  const [id, day, region, service, end] = (given["X-Amz-Credential"] || "").split("/");
  if (id !== key) return "InvalidAccessKeyId";
  const stamp = given["X-Amz-Date"].replace(/(....)(..)(..T..)(..)(.*)/, "$1-$2-$3:$4:$5");
  const age = (Date.now() - Date.parse(stamp)) / 1000;
  if (!(age > -900 && age < Number(given["X-Amz-Expires"]))) return "AccessDenied";
  const query = [...searchParams].filter(([name]) => name !== "X-Amz-Signature")
    .map((pair) => pair.map(encode).join("=")).sort().join("&");
  const signed = given["X-Amz-SignedHeaders"].split(";");
  const lines = signed.map((name) => `${name}:${headers[name]}\n`).join("");
  const request = [method, pathname, query, lines, signed.join(";"), "UNSIGNED-PAYLOAD"].join("\n");
  const scope = [day, region, service, end].join("/");
  const text = ["AWS4-HMAC-SHA256", given["X-Amz-Date"], scope, hash(request)].join("\n");
  const own = [day, region, service, end].reduce(sign, "AWS4" + secret);
  return sign(own, text).toString("hex") === given["X-Amz-Signature"] ? null : "SignatureDoesNotMatch";
}
const server = new S3rver({
  address: "127.0.0.1", silent: true, directory, vhostBuckets: false,
  configureBuckets: [{ name: "records", configs: [] }],
});
server.configureBuckets().then(() => {
  const pass = server.callback();
  const front = http.createServer((request, response) => {
    const code = refusal(request);
    if (!code) return pass(request, response);
    request.resume();
    response.writeHead(403).end(`<Error><Code>${code}</Code><Message>refused</Message></Error>`);
  });
  front.listen(0, "127.0.0.1", () => console.log(front.address().port));
});
"#;

struct Server {
    child: Child,
    port: u16,
    _files: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn modules() -> PathBuf {
    let here = std::env::current_exe().expect("a test knows its own path");
    let target = here.ancestors().nth(3).expect("target/PROFILE/deps/TEST");
    let folder = target.join("sdk/node/node_modules");
    assert!(folder.join("s3rver").exists(), "s3rver is not installed; run cargo xtask test");
    folder
}

impl Server {
    fn start() -> Self {
        let files = tempfile::tempdir().expect("a folder");
        let mut child = Command::new("node")
            .args(["-e", SERVER, KEY, SECRET])
            .arg(files.path())
            .env("NODE_PATH", modules())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("it says something");
        let port = line.trim().parse().unwrap_or_else(|_| panic!("no port: {line:?}"));
        Self { child, port, _files: files }
    }

    fn env(&self, secret: &str) -> BTreeMap<String, String> {
        let url = format!("http://127.0.0.1:{}", self.port);
        env(&[
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", &url),
        ])
    }

    fn place(&self, text: &str, secret: &str) -> Place {
        Place::parse(text, &self.env(secret), real_now).unwrap_or_else(|error| panic!("{error}"))
    }
}

async fn back_up(
    database: &Database,
    folder: &Path,
    place: &Place,
) -> Result<sandpit_records::BackupDone, RecordsError> {
    let (keep, path) = (2.try_into().ok(), path());
    let now = crate::common::now;
    let job = sandpit_records::Backup {
        database,
        mode: "paper",
        state_folder: folder,
        place,
        keep,
        now,
        path: &path,
    };
    sandpit_records::backup(&job).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_takes_lists_prunes_and_gives_back() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("one");
    let database = Database::Sqlite(state.join("sandpit.db"));
    let store = open(&database).await;
    fill_books(&store, 1, 30).await;
    let place = server.place("s3://records/desk/paper", SECRET);
    let mut made = Vec::new();
    for _ in 0..4 {
        let done = back_up(&database, &state, &place).await.unwrap_or_else(|error| panic!("{error}"));
        made.push(done);
    }
    assert_eq!(made[2].pruned, [made[0].manifest.file.clone()]);
    assert_eq!(made[3].pruned, [made[1].manifest.file.clone()]);
    let left: Vec<_> =
        fs::read_dir(&state).expect("a folder").map(|entry| entry.expect("readable").path()).collect();
    assert!(!left.iter().any(|path| path.display().to_string().contains("partial")), "{left:?}");

    let state = folder.path().join("two");
    let restored = Database::Sqlite(state.join("sandpit.db"));
    let done = crate::common::bring_back(&restored, &state, &place, None).await;
    assert_eq!(done.unwrap_or_else(|error| panic!("{error}")).manifest, made[3].manifest);
    assert_eq!(sound(&restored).await.counts, made[3].manifest.counts);
    let state = folder.path().join("three");
    let file = format!("s3://records/desk/paper/{}", made[2].manifest.file);
    let (place, name) = Place::parse_file(&file, &server.env(SECRET), real_now).expect("a file");
    let third = Database::Sqlite(state.join("sandpit.db"));
    let done = crate::common::bring_back(&third, &state, &place, name.as_deref()).await;
    assert_eq!(done.unwrap_or_else(|error| panic!("{error}")).manifest, made[2].manifest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_backup_goes_up_in_parts() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("one");
    let path = state.join("sandpit.db");
    let database = Database::Sqlite(path.clone());
    let store = open(&database).await;
    fill_books(&store, 1, 3).await;
    store.close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = sqlx::SqlitePool::connect_with(options).await.expect("opens");
    let grow = "INSERT INTO strategy_state VALUES ('sma', 1, '1', randomblob(40000000))";
    sqlx::query(grow).execute(&pool).await.expect("grown");
    pool.close().await;
    let place = server.place("s3://records", SECRET);
    let done = back_up(&database, &state, &place).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(done.manifest.bytes > 40_000_000, "{}", done.manifest.bytes);
    let state = folder.path().join("two");
    let restored = Database::Sqlite(state.join("sandpit.db"));
    let back = crate::common::bring_back(&restored, &state, &place, None).await;
    assert_eq!(back.unwrap_or_else(|error| panic!("{error}")).manifest, done.manifest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_refused_and_never_shown() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::Sqlite(folder.path().join("sandpit.db"));
    let store = open(&database).await;
    fill_books(&store, 1, 1).await;
    let wrong = "the-wrong-secret";
    for (address, secret, expected) in
        [("s3://records/desk", wrong, "SignatureDoesNotMatch"), ("s3://nobody/desk", SECRET, "NoSuchBucket")]
    {
        let place = server.place(address, secret);
        let error = back_up(&database, folder.path(), &place).await.expect_err("refused");
        let said = format!("{error} {error:?} {place:?}");
        assert!(matches!(error, RecordsError::Refused { .. }), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains(secret) && !said.contains("Signature="), "{said}");
    }
    let missing = Place::parse("s3://records", &env(&[("AWS_ACCESS_KEY_ID", KEY)]), real_now);
    let said = missing.expect_err("no secret").to_string();
    assert!(said.contains("AWS_SECRET_ACCESS_KEY: is not set"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_does_not_answer_is_tried_a_few_times() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let url = format!("http://127.0.0.1:{port}");
    let env =
        env(&[("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_ENDPOINT_URL", &url)]);
    let place = Place::parse("s3://records", &env, real_now).expect("a place");
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::Sqlite(folder.path().join("sandpit.db"));
    let lost = crate::common::bring_back(&database, folder.path(), &place, None).await.expect_err("nobody");
    assert!(matches!(lost, RecordsError::Unreachable { tries: 4, .. }), "{lost}");
    assert!(!lost.to_string().contains("X-Amz"), "{lost}");
}
