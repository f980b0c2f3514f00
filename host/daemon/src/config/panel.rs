//! How the panel may be reached, and whether it may do anything.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Entries of each list.
const MAX_ENTRIES: usize = 32;
/// The longest name of a host.
const MAX_HOST_CHARS: usize = 255;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PanelSection {
    /// Names by which browsers may call it, beside this machine's own: `host` or `host:port`.
    pub(crate) hosts: Vec<String>,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// Addresses that may sign in without TLS, beside this machine's own.
    pub(crate) plain_http_from: Vec<IpAddr>,
    /// Whether nothing may be done by it.
    pub(crate) read_only: bool,
}

/// Checks the section.
///
/// # Errors
/// A sentence that names the key and what is allowed.
pub(super) fn check(section: &PanelSection) -> Result<(), String> {
    let sizes = [
        ("hosts", section.hosts.len()),
        ("trusted_proxies", section.trusted_proxies.len()),
        ("plain_http_from", section.plain_http_from.len()),
    ];
    if let Some((key, count)) = sizes.into_iter().find(|(_, count)| *count > MAX_ENTRIES) {
        return Err(format!("panel.{key} has {count} entries, at most {MAX_ENTRIES} are allowed"));
    }
    match section.hosts.iter().find(|host| !is_host(host)) {
        Some(host) => Err(format!(
            "panel.hosts has {host:?}: write a name as the browser shows it, such as \"panel.example.org\" \
             or \"panel.example.org:8443\""
        )),
        None => Ok(()),
    }
}

/// What may stand in the header `Host`, roughly; a pattern or an address would never match.
fn is_host(host: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    (1..=MAX_HOST_CHARS).contains(&host.len()) && host.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_and_lists_are_short() {
        let of = |hosts: &[&str]| PanelSection {
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            ..PanelSection::default()
        };
        check(&of(&["panel.example.org", "10.0.0.1:8080", "[fd00::1]:8080"])).expect("names");
        for wrong in ["", "https://panel.example.org", "*.example.org", "a b", "panel/"] {
            let error = check(&of(&[wrong])).expect_err(wrong);
            assert!(error.contains("panel.hosts has"), "{error}");
        }
        let error = check(&of(&["a"; 33])).expect_err("too many");
        assert!(error.contains("panel.hosts has 33 entries, at most 32"), "{error}");
    }
}
