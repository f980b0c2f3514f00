//! `[admin]`: where the port is, and by which names it may be called.

use std::net::SocketAddr;

use serde::Deserialize;

/// Where the port is when nothing else is said.
const DEFAULT: &str = "127.0.0.1:8081";
/// Turns the port off.
const OFF: &str = "off";
/// Further names are refused.
const MAX_HOSTS: usize = 16;
/// A DNS name is never longer, with room for a port.
const MAX_HOST_CHARS: usize = 260;
/// The port that a `Host` header leaves out.
const HTTP_PORT: u16 = 80;

/// `[admin]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdminConfig {
    /// A loopback address and port, or `off`. With port 0 the system chooses one, which the log names.
    listen: String,
    /// What a proxy in front of it is called: the `Host` of its requests, with the port unless it is the
    /// usual one.
    hosts: Vec<String>,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: DEFAULT.into(), hosts: Vec::new() }
    }
}

impl AdminConfig {
    /// Whether it makes sense; else a sentence that says what would.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_loopback = self.address().is_some_and(|address| address.ip().is_loopback());
        if self.listen != OFF && !is_loopback {
            return Err("`[admin] listen` must be a loopback address with a port, such as \
                        \"127.0.0.1:8081\", or \"off\": from elsewhere it is reached by `ssh -L \
                        8081:127.0.0.1:8081 HOST`, a VPN or a TLS proxy on this machine (docs/panic-page.md)"
                .into());
        }
        if self.hosts.len() > MAX_HOSTS {
            return Err(format!("`[admin] hosts` has more than {MAX_HOSTS} names"));
        }
        match self.hosts.iter().find(|host| !is_host(host)) {
            Some(host) => Err(format!(
                "`[admin] hosts` holds `{host}`: only a name or address, with `:PORT` unless it is the usual \
                 one, as in \"panic.example.org\""
            )),
            None => Ok(()),
        }
    }

    /// Where to listen; `None` when the port is off. Checked before: loopback.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }

    /// Every name by which a request may call the port that listens at `address`, in lower case.
    pub(super) fn hosts(&self, address: SocketAddr) -> Vec<String> {
        let own = ["127.0.0.1", "localhost", "[::1]"].into_iter().map(String::from);
        let own = own.chain([match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        }]);
        let port = address.port();
        let own = own.flat_map(|name| {
            let plain = (port == HTTP_PORT).then(|| name.clone());
            [Some(format!("{name}:{port}")), plain].into_iter().flatten()
        });
        own.chain(self.hosts.iter().map(|host| host.to_ascii_lowercase())).collect()
    }
}

fn is_host(host: &str) -> bool {
    (1..=MAX_HOST_CHARS).contains(&host.len())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, refused: Option<&str>) {
        let config: AdminConfig = toml::from_str(text).expect("well formed");
        match (config.check(), refused) {
            (Ok(()), None) => {}
            (Err(error), Some(words)) if error.contains(words) => {}
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn only_loopback_is_listened_on() {
        check("", None);
        check("listen = \"off\"", None);
        check("listen = \"[::1]:9\"", None);
        check("listen = \"127.1.2.3:0\"", None);
        for open in ["0.0.0.0:8081", "[::]:8081", "192.168.1.5:8081", "127.0.0.1", "localhost:8081", ""] {
            check(&format!("listen = {open:?}"), Some("ssh -L"));
        }
        check("hosts = [\"panic.example.org\", \"10.8.0.1:8081\", \"[fd00::1]:81\"]", None);
        check("hosts = [\"https://panic.example.org\"]", Some("https://panic.example.org"));
        check("hosts = [\"\"]", Some("``"));
        check(&format!("hosts = {:?}", ["a"; MAX_HOSTS + 1]), Some("more than 16"));
        assert!(toml::from_str::<AdminConfig>("listn = \"off\"").is_err());
    }

    #[test]
    fn the_names_of_the_port_carry_the_port() {
        let config: AdminConfig = toml::from_str("hosts = [\"Panic.Example.org\"]").expect("well formed");
        let hosts = config.hosts("127.0.0.1:8081".parse().expect("an address"));
        for name in ["127.0.0.1:8081", "localhost:8081", "[::1]:8081", "panic.example.org"] {
            assert!(hosts.contains(&name.into()), "{name} in {hosts:?}");
        }
        assert!(!hosts.contains(&"localhost".into()));
        let hosts = config.hosts("[::1]:80".parse().expect("an address"));
        assert!(hosts.contains(&"localhost".into()) && hosts.contains(&"[::1]:80".into()), "{hosts:?}");
    }
}
