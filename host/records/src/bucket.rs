//! A bucket that speaks S3. The one file of the host besides the broker's adapter that sends requests: to the
//! address that the operator names, by an operator's command, never from a host that trades and never to the
//! broker; so it asks no gate.
//!
//! Requests are signed in their address (`rusty-s3`), which holds for minutes. Whatever is asked may be asked
//! again: names are fixed before, and parts are numbered.

use std::{collections::BTreeMap, fmt, fs::File, io::Read, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{Client, Method, StatusCode, Url, redirect};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rusty_s3::{Bucket as Address, Credentials, S3Action, UrlStyle};
use tokio::{io::AsyncWriteExt, time::sleep};

use crate::{Clock, RecordsError};

/// How often one request is tried, and how long the first pause is; it doubles.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How long a signed address holds.
const SIGNED_FOR: Duration = Duration::from_secs(900);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// One answer may take so long without a byte.
const SILENT_FOR: Duration = Duration::from_secs(60);
/// What is longer goes up in parts of this size, at most 10,000: 160 GB.
const PART_BYTES: usize = 16 << 20;
const MAX_PARTS: usize = 10_000;
/// Pages of a list, of 1,000 names each.
const MAX_PAGES: usize = 100;
/// An answer that is read as text is not longer.
const MAX_TEXT_BYTES: usize = 4 << 20;
/// What an answer says is shown up to so many characters.
const MAX_SAID: usize = 300;

/// A bucket and what stands before the names in it.
pub(crate) struct Bucket {
    client: Client,
    address: Address,
    credentials: Credentials,
    prefix: String,
    now: Clock,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.address.name(), self.prefix)
    }
}

/// What one try ended with, if not well.
enum Trouble {
    Refused(StatusCode, String),
    Again(String),
}

impl Bucket {
    /// `address` is `BUCKET` or `BUCKET/PREFIX`.
    pub(crate) fn open(
        address: &str,
        env: &BTreeMap<String, String>,
        now: Clock,
    ) -> Result<Self, RecordsError> {
        let (name, prefix) = address.split_once('/').unwrap_or((address, ""));
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let variable = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| env.get(*name).map(|text| text.trim()).filter(|text| !text.is_empty()))
        };
        let needed = |name: &'static str| {
            let what =
                || RecordsError::Usage(format!("environment variable {name}: is not set; a bucket needs it"));
            variable(&[name]).ok_or_else(what)
        };
        let (key, secret) = (needed("AWS_ACCESS_KEY_ID")?, needed("AWS_SECRET_ACCESS_KEY")?);
        let credentials = match variable(&["AWS_SESSION_TOKEN"]) {
            Some(token) => Credentials::new_with_token(key, secret, token),
            None => Credentials::new(key, secret),
        };
        let region = variable(&["AWS_REGION", "AWS_DEFAULT_REGION"]).unwrap_or("us-east-1").to_owned();
        let own = variable(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
        let endpoint = own.map_or_else(|| format!("https://s3.{region}.amazonaws.com"), str::to_owned);
        // A name with dots does not fit the certificate of the virtual host.
        let style = if own.is_some() || name.contains('.') { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let url = Url::parse(&endpoint).map_err(|error| {
            RecordsError::Usage(format!(
                "environment variable AWS_ENDPOINT_URL: {endpoint:?} is no address: {error}"
            ))
        })?;
        let wrong = |error: rusty_s3::BucketError| {
            RecordsError::Usage(format!("s3://{name} at {endpoint} cannot be a bucket: {error}"))
        };
        let address = match name {
            "" => return Err(RecordsError::Usage("s3:// needs the name of a bucket".into())),
            _ => Address::new(url, style, name.to_owned(), region).map_err(wrong)?,
        };
        Ok(Self { client: client()?, address, credentials, prefix, now })
    }

    /// Sends a file up, in parts when it is long.
    pub(crate) async fn put(&self, file: &Path, name: &str) -> Result<(), RecordsError> {
        const WHAT: &str = "take a file";
        let key = self.key(name);
        let reading = |error| RecordsError::file("read", file)(error);
        let mut source = File::open(file).map_err(reading)?;
        let first = part(&mut source).map_err(reading)?;
        if first.len() < PART_BYTES {
            let url = || self.signed(&self.address.put_object(Some(&self.credentials), &key));
            return self.ask(WHAT, Method::PUT, url, first).await.map(drop);
        }
        let action = self.address.create_multipart_upload(Some(&self.credentials), &key);
        let answer = self.ask(WHAT, Method::POST, || self.signed(&action), Vec::new()).await?;
        let answer = text(answer).await;
        let upload =
            within(&answer, "UploadId").next().ok_or_else(|| self.odd(WHAT, "it names no upload"))?;
        let sent = self.parts(&key, &upload, first, &mut source, file).await;
        if sent.is_err() {
            // What was sent would cost money for ever.
            let action = self.address.abort_multipart_upload(Some(&self.credentials), &key, &upload);
            let _ = self.ask(WHAT, Method::DELETE, || self.signed(&action), Vec::new()).await;
        }
        sent
    }

    /// The names of all that is there, without what stands before them.
    pub(crate) async fn list(&self) -> Result<Vec<String>, RecordsError> {
        const WHAT: &str = "list its files";
        let (mut names, mut after) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let url = || {
                let mut action = self.address.list_objects_v2(Some(&self.credentials));
                action.with_prefix(&self.prefix);
                if let Some(after) = &after {
                    action.with_continuation_token(after);
                }
                self.signed(&action)
            };
            let answer = self.ask(WHAT, Method::GET, url, Vec::new()).await?;
            let page = text(answer).await;
            if !page.contains("<ListBucketResult") {
                return Err(self.odd(WHAT, "it is no list"));
            }
            let own = within(&page, "Key")
                .filter_map(|key| key.strip_prefix(&self.prefix).map(str::to_owned))
                .filter(|name| !name.contains('/'));
            names.extend(own);
            after = within(&page, "NextContinuationToken").next();
            if after.is_none() {
                return Ok(names);
            }
        }
        Err(RecordsError::Usage(format!("{self} holds too many files; use a prefix for backups alone")))
    }

    /// Writes what is called `name` to a file.
    pub(crate) async fn get(&self, name: &str, to: &Path) -> Result<(), RecordsError> {
        const WHAT: &str = "give a file";
        let key = self.key(name);
        let mut tries = 1;
        loop {
            let url = || self.signed(&self.address.get_object(Some(&self.credentials), &key));
            let mut answer = self.ask(WHAT, Method::GET, url, Vec::new()).await?;
            let mut file = tokio::fs::File::create(to).await.map_err(RecordsError::file("write", to))?;
            let broken = loop {
                match answer.chunk().await {
                    Ok(Some(piece)) => {
                        file.write_all(&piece).await.map_err(RecordsError::file("write", to))?;
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error.without_url()),
                }
            };
            file.flush().await.map_err(RecordsError::file("write", to))?;
            match broken {
                None => return Ok(()),
                Some(error) if tries == TRIES => return Err(self.unreachable(WHAT, said(&error))),
                Some(_) => self.pause(&mut tries).await,
            }
        }
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<(), RecordsError> {
        let key = self.key(name);
        let url = || self.signed(&self.address.delete_object(Some(&self.credentials), &key));
        self.ask("remove a file", Method::DELETE, url, Vec::new()).await.map(drop)
    }

    async fn parts(
        &self,
        key: &str,
        upload: &str,
        first: Vec<u8>,
        source: &mut File,
        file: &Path,
    ) -> Result<(), RecordsError> {
        const WHAT: &str = "take a part of a file";
        let (mut etags, mut next) = (Vec::new(), first);
        while !next.is_empty() {
            if etags.len() == MAX_PARTS {
                return Err(RecordsError::Usage(format!("{} is too long for a bucket", file.display())));
            }
            let number = u16::try_from(etags.len() + 1).expect("there are at most 10,000");
            let url = || self.signed(&self.address.upload_part(Some(&self.credentials), key, number, upload));
            let answer = self.ask(WHAT, Method::PUT, url, next).await?;
            let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok());
            etags.push(etag.ok_or_else(|| self.odd(WHAT, "it has no ETag"))?.to_owned());
            next = part(source).map_err(RecordsError::file("read", file))?;
        }
        let complete = || {
            let etags = etags.iter().map(String::as_str);
            self.address.complete_multipart_upload(Some(&self.credentials), key, upload, etags)
        };
        let body = complete().body().into_bytes();
        let answer = self.ask(WHAT, Method::POST, || self.signed(&complete()), body).await?;
        // A failure may come after the headers of a success.
        match text(answer).await {
            said if said.contains("<Error>") => Err(self.refused(WHAT, &said)),
            _ => Ok(()),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn signed<'a>(&self, action: &impl S3Action<'a>) -> Url {
        action.sign_with_time(SIGNED_FOR, &(self.now)().to_jiff())
    }

    /// One request, tried again while the network or the bucket has troubles.
    async fn ask(
        &self,
        what: &'static str,
        method: Method,
        url: impl Fn() -> Url,
        body: Vec<u8>,
    ) -> Result<reqwest::Response, RecordsError> {
        let body = Bytes::from(body);
        let mut tries = 1;
        loop {
            match self.try_once(&method, url(), body.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Refused(status, said)) => {
                    return Err(self.refused(what, &format!("{status} {}", short(&said))));
                }
                Err(Trouble::Again(message)) if tries == TRIES => return Err(self.unreachable(what, message)),
                Err(Trouble::Again(_)) => self.pause(&mut tries).await,
            }
        }
    }

    async fn try_once(&self, method: &Method, url: Url, body: Bytes) -> Result<reqwest::Response, Trouble> {
        let answer = self.client.request(method.clone(), url).body(body).send().await;
        // Addresses are signed: they do not belong into messages.
        let answer = answer.map_err(|error| Trouble::Again(said(&error.without_url())))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let is_passing = status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        let message = text(answer).await;
        Err(if is_passing {
            Trouble::Again(format!("{status} {}", short(&message)))
        } else {
            Trouble::Refused(status, message)
        })
    }

    async fn pause(&self, tries: &mut u32) {
        sleep(FIRST_PAUSE * 2_u32.pow(*tries - 1)).await;
        *tries += 1;
    }

    fn refused(&self, what: &'static str, message: &str) -> RecordsError {
        RecordsError::Refused { bucket: self.to_string(), what, message: short(message) }
    }

    fn unreachable(&self, what: &'static str, message: String) -> RecordsError {
        RecordsError::Unreachable { bucket: self.to_string(), what, message, tries: TRIES }
    }

    fn odd(&self, what: &'static str, error: &str) -> RecordsError {
        self.refused(what, &format!("its answer is not understood: {error}"))
    }
}

/// The next part; the last one is shorter, or empty.
fn part(source: &mut File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(PART_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn text(mut answer: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_TEXT_BYTES {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What stands within each `<tag>` of an answer. Servers do not agree on the namespaces of their XML, and
/// these answers are flat: tags of one name are alike.
fn within(text: &str, tag: &str) -> impl Iterator<Item = String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let inside = text.split(&open).skip(1).filter_map(|rest| rest.split_once(&close));
    let plain = |text: &str| {
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
        text.replace("&apos;", "'").replace("&#39;", "'").replace("&amp;", "&")
    };
    inside.map(|(inside, _)| plain(inside)).collect::<Vec<_>>().into_iter()
}

/// What an error of S3 says: its code and message, else its beginning.
fn short(text: &str) -> String {
    let whole = match (within(text, "Code").next(), within(text, "Message").next()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code,
        (None, _) => text.trim().to_owned(),
    };
    whole.chars().take(MAX_SAID).collect()
}

/// An error and what is behind it.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text.chars().take(MAX_SAID).collect()
}

/// Its own client: TLS with the roots of the web, no redirects, no proxy of the environment's.
fn client() -> Result<Client, RecordsError> {
    let usage = |error: &dyn fmt::Display| RecordsError::Usage(format!("cannot speak TLS: {error}"));
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| usage(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .user_agent(concat!("sandpit/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls)
        .retry(reqwest::retry::never())
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .http1_only()
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(SILENT_FOR)
        .build()
        .map_err(|error| usage(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whatever_their_namespace() {
        let list = "<ListBucketResult \
        xmlns=\"http://x/\"><Contents><Key>a/b&amp;lt;.db</Key></Contents><Contents>\
                    <Key>c</Key></Contents></ListBucketResult>";
        assert_eq!(within(list, "Key").collect::<Vec<_>>(), ["a/b&lt;.db", "c"]);
        assert_eq!(within("<Key>cut off", "Key").count(), 0);
        assert_eq!(short("<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"), "NoSuchKey: gone");
        assert_eq!(short(" plain "), "plain");
    }
}
