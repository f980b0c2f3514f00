//! `[alerts.email]` and the secrets beside it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::Deserialize;

use super::{
    mail::{Envelope, is_address},
    smtp::{Cover, Server},
};
use crate::{error::Error, lookup::Lookup, secret::secret};

/// Humans; each is a sink with threads of its own.
const MAX_HUMANS: usize = 8;
/// A file of certificates is never longer.
const MAX_CA_BYTES: u64 = 1 << 20;

/// `[alerts.email]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmailConfig {
    server: String,
    from: String,
    to: Vec<String>,
    /// Follows from the port when it is left out.
    tls: Option<Cover>,
    /// Trusted besides the usual authorities.
    ca_file: Option<PathBuf>,
}

impl EmailConfig {
    /// Checks what the file alone says.
    ///
    /// # Errors
    /// The sentence about what is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (host, port) = self.place()?;
        let is_local =
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let rules = [
            (
                is_address(&self.from),
                "`[alerts.email] from` must be a plain address like \"dog@example.org\"",
            ),
            (
                (1..=MAX_HUMANS).contains(&self.to.len()) && self.to.iter().all(|to| is_address(to)),
                "`[alerts.email] to` must hold 1 to 8 plain addresses like \"you@example.org\"",
            ),
            (
                self.cover(host, port) != Cover::None || is_local,
                "`[alerts.email] tls = \"none\"` is for a mail server on this machine: what is said would go \
                 unencrypted over a network",
            ),
            (
                self.ca_file.as_ref().is_none_or(|path| path.is_absolute()),
                "`[alerts.email] ca_file` must be an absolute path",
            ),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, sentence)| Err((*sentence).into()))
    }

    /// A mail for each human.
    ///
    /// # Errors
    /// [`Error::Config`] when half of the log-in is missing, a secret is none, or `ca_file` holds no
    /// certificate.
    pub(crate) fn mails(
        &self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Vec<(Arc<Server>, Envelope)>, Error> {
        let (host, port) = self.place().map_err(Error::Config)?;
        let login = match (secret(&variable, "SMTP_USERNAME")?, secret(&variable, "SMTP_PASSWORD")?) {
            (Some(user), Some(password)) => Some((user, password)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                let text = "SMTP_USERNAME and SMTP_PASSWORD belong together: set both, or neither";
                return Err(Error::Config(text.into()));
            }
        };
        let trust = Arc::new(trust(self.ca_file.as_deref())?);
        let (cover, lookup) = (self.cover(host, port), Lookup::default());
        let server = Arc::new(Server { host: host.into(), port, cover, trust, login, lookup });
        let mail = |to: &String| {
            let envelope = Envelope { from: self.from.clone(), to: to.clone() };
            (Arc::clone(&server), envelope)
        };
        Ok(self.to.iter().map(mail).collect())
    }

    fn place(&self) -> Result<(&str, u16), String> {
        let is_host = |host: &str| {
            let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"-.:".contains(&c);
            !host.is_empty() && host.len() <= 253 && host.bytes().all(is_plain)
        };
        let place = self.server.rsplit_once(':');
        place
            .and_then(|(host, port)| Some((host.trim_matches(['[', ']']), port.parse().ok()?)))
            .filter(|(host, port)| is_host(host) && *port != 0)
            .ok_or_else(|| {
                "`[alerts.email] server` must be a name and a port: \"smtp.example.org:587\"".into()
            })
    }

    fn cover(&self, host: &str, port: u16) -> Cover {
        let is_local =
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        self.tls.unwrap_or(match port {
            465 => Cover::Implicit,
            587 => Cover::Starttls,
            _ if is_local => Cover::None,
            _ => Cover::Starttls,
        })
    }
}

/// The usual authorities, and those of a file.
pub(super) fn trust(ca_file: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca_file {
        let wrong = |why: &str| Error::Config(format!("`[alerts.email] ca_file` {} {why}", path.display()));
        let mut pem = Vec::new();
        let file = std::fs::File::open(path).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
        let read = std::io::Read::read_to_end(&mut std::io::Read::take(file, MAX_CA_BYTES), &mut pem);
        read.map_err(|error| wrong(&format!("cannot be read: {error}")))?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let added = roots.add_parsable_certificates(certificates.unwrap_or_default()).0;
        if added == 0 {
            return Err(wrong("holds no certificate in PEM"));
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::Config("this build has no version of TLS in common with anybody".into()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "server = \"smtp.example.org:587\"\nfrom = \"dog@example.org\"\nto = [\"a@b.c\", \"d@e.f\"]\n";

    fn config(text: &str) -> Result<EmailConfig, String> {
        let config: EmailConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map(|()| config)
    }

    #[test]
    fn encryption_follows_from_the_port_and_is_left_out_on_this_machine_only() {
        let cover = |server: &str, more: &str| {
            let config = config(&format!("{}{more}", GOOD.replace("smtp.example.org:587", server)))?;
            let (host, port) = config.place()?;
            Ok::<_, String>(config.cover(host, port))
        };
        assert_eq!(cover("smtp.example.org:465", ""), Ok(Cover::Implicit));
        assert_eq!(cover("smtp.example.org:587", ""), Ok(Cover::Starttls));
        assert_eq!(cover("smtp.example.org:25", ""), Ok(Cover::Starttls));
        assert_eq!(cover("127.0.0.1:25", ""), Ok(Cover::None));
        assert_eq!(cover("[::1]:587", ""), Ok(Cover::Starttls));
        assert_eq!(cover("localhost:2525", "tls = \"none\""), Ok(Cover::None));
        for server in ["smtp.example.org:25", "10.0.0.1:25", "localhost.example.org:25"] {
            assert!(
                cover(server, "tls = \"none\"").is_err_and(|error| error.contains("unencrypted")),
                "{server}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_a_sentence() {
        let refused = |from: &str, to: &str, words: &str| {
            let error = config(&GOOD.replace(from, to)).expect_err(words);
            assert!(error.contains(words), "{error}");
        };
        for server in ["smtp.example.org", "smtp.example.org:0", ":25", "a b:25", "x:99999", "a\\r\\nb:25"] {
            refused("smtp.example.org:587", server, "server");
        }
        refused("dog@example.org", "dog", "from");
        refused("a@b.c", "a@b.c>\\r\\nRCPT TO:<x@y.z", "to");
        refused("[\"a@b.c\", \"d@e.f\"]", "[]", "to");
        refused("to =", "ca_file = \"x\"\nto =", "ca_file");
        refused("to =", "cc = []\nto =", "cc");
        let mails = |pairs: &[(&str, &str)]| {
            let find = |name: &str| pairs.iter().find(|(own, _)| *own == name).map(|(_, text)| text.into());
            config(GOOD).expect("good").mails(find).map_err(|error| error.to_string())
        };
        assert!(mails(&[("SMTP_USERNAME", "me")]).is_err_and(|error| error.contains("belong together")));
        let mails = mails(&[("SMTP_USERNAME", "me"), ("SMTP_PASSWORD", "hush")]).expect("both");
        assert_eq!((mails.len(), mails[1].1.to.as_str()), (2, "d@e.f"));
        assert!(!format!("{mails:?}").contains("hush"));
        let missing = trust(Some(Path::new("/nowhere/ca.pem"))).expect_err("no file").to_string();
        assert!(missing.contains("/nowhere/ca.pem cannot be read"), "{missing}");
    }
}
