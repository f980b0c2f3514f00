//! Who may ask: the names a request may call us by, the page it may come from, and the token.

use std::{collections::VecDeque, time::Duration};

use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HOST, HeaderName, ORIGIN},
};
use sandpit_contract::BootTime;
use subtle::ConstantTimeEq;

use crate::secret::Secret;

/// So many wrong tokens within [`WINDOW`] begin a pause.
const MAX_WRONG: usize = 5;
/// In which they are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// How long it lasts. The right token works in it: nobody may be able to lock the owner out.
pub(super) const PAUSE: Duration = Duration::from_secs(60);

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It calls us by a name that is not ours, or by none: another site may have its name point at us.
    Host,
    /// It comes from a page of another site.
    Origin,
    /// No token is set, so nobody has the right one.
    Off,
    /// It has no token, or a wrong one.
    Token,
    /// As `Token`, and the fifth within a minute: a pause begins.
    PauseBegins,
    /// As `Token`, in a pause.
    Paused,
}

/// The checks. What they remember is bounded.
pub(super) struct Gate {
    hosts: Vec<String>,
    token: Option<Secret>,
    /// When the newest wrong tokens came.
    wrong: VecDeque<BootTime>,
    paused_until: BootTime,
}

impl Gate {
    /// `hosts` are in lower case.
    pub(super) fn new(hosts: Vec<String>, token: Option<Secret>) -> Self {
        let wrong = VecDeque::with_capacity(MAX_WRONG);
        Self { hosts, token, wrong, paused_until: BootTime::default() }
    }

    /// For everything: a page elsewhere whose name was made to point at this machine still sends its own.
    pub(super) fn admit_host(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match only(headers, &HOST) {
            Some(host) if self.is_ours(host) => Ok(()),
            Some(_) | None => Err(Refusal::Host),
        }
    }

    /// For whatever wants the token, before [`Gate::admit_token`].
    pub(super) fn admit_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if !headers.contains_key(ORIGIN) {
            return Ok(());
        }
        let origin = only(headers, &ORIGIN).unwrap_or_default();
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        if host.is_some_and(|host| self.is_ours(host)) { Ok(()) } else { Err(Refusal::Origin) }
    }

    /// The token, compared in a time that depends on its length only.
    pub(super) fn admit_token(&mut self, headers: &HeaderMap, now: BootTime) -> Result<(), Refusal> {
        let Some(token) = &self.token else {
            return Err(Refusal::Off);
        };
        let given = only(headers, &AUTHORIZATION).and_then(|value| {
            let (scheme, given) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(given)
        });
        match given {
            Some(given) if bool::from(given.as_bytes().ct_eq(token.expose().as_bytes())) => Ok(()),
            // Without one nobody has guessed.
            None => Err(Refusal::Token),
            Some(_) => Err(self.on_wrong(now)),
        }
    }

    /// Whether there is a token at all.
    pub(super) fn is_on(&self) -> bool {
        self.token.is_some()
    }

    fn on_wrong(&mut self, now: BootTime) -> Refusal {
        if now < self.paused_until {
            return Refusal::Paused;
        }
        self.wrong.retain(|at| now.since(*at) < WINDOW);
        self.wrong.push_back(now);
        if self.wrong.len() < MAX_WRONG {
            return Refusal::Token;
        }
        self.wrong.clear();
        self.paused_until = now + PAUSE;
        Refusal::PauseBegins
    }

    fn is_ours(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}

/// The header's value when it is there once, and text.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use hyper::header::HeaderValue;

    use super::*;
    use crate::secret::secret;

    const TOKEN: &str = "0123456789abcdef";

    fn gate() -> Gate {
        let token = secret(|name| (name == "T").then(|| OsString::from(TOKEN)), "T").expect("a word");
        Gate::new(vec!["127.0.0.1:8081".into(), "panic.example.org".into()], token)
    }

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name, HeaderValue::from_str(value).expect("plain"));
        }
        map
    }

    #[test]
    fn only_our_names_and_pages() {
        let gate = gate();
        let host = |values: &[&str]| {
            let pairs: Vec<_> = values.iter().map(|value| (HOST, *value)).collect();
            gate.admit_host(&headers(&pairs))
        };
        for good in ["127.0.0.1:8081", "Panic.Example.ORG"] {
            assert_eq!(host(&[good]), Ok(()), "{good}");
        }
        for bad in ["127.0.0.1", "evil.example:8081", "panic.example.org.evil", "panic.example.org:81", ""] {
            assert_eq!(host(&[bad]), Err(Refusal::Host), "{bad}");
        }
        assert_eq!(host(&[]), Err(Refusal::Host));
        assert_eq!(host(&["127.0.0.1:8081", "127.0.0.1:8081"]), Err(Refusal::Host));
        let origin = |value: &str| gate.admit_origin(&headers(&[(ORIGIN, value)]));
        assert_eq!(gate.admit_origin(&HeaderMap::new()), Ok(()));
        for good in ["http://127.0.0.1:8081", "https://panic.example.org"] {
            assert_eq!(origin(good), Ok(()), "{good}");
        }
        for bad in ["null", "", "https://evil.example", "panic.example.org", "file://127.0.0.1:8081"] {
            assert_eq!(origin(bad), Err(Refusal::Origin), "{bad}");
        }
    }

    #[test]
    fn the_token_decides_and_guessing_is_slowed_without_locking_the_owner_out() {
        let mut gate = gate();
        let right = headers(&[(AUTHORIZATION, "Bearer 0123456789abcdef")]);
        let mut at = 1_000_u64;
        let mut ask = |value: &str, later_s: u64| {
            at += later_s;
            let now = BootTime::from_nanos(at * 1_000_000_000);
            let answer = gate.admit_token(&headers(&[(AUTHORIZATION, value)]), now);
            assert_eq!(gate.admit_token(&right, now), Ok(()), "the owner gets in, always");
            answer
        };
        assert_eq!(ask("bearer 0123456789abcdef", 0), Ok(()));
        for _ in 0..20 {
            for none in ["0123456789abcdef", "Basic 0123456789abcdef", "Bearer", ""] {
                assert_eq!(ask(none, 0), Err(Refusal::Token), "no guess: {none}");
            }
        }
        let wrong = ["Bearer 0123456789abcdeg", "Bearer 0123456789abcde", "Bearer ", "Bearer x"];
        for guess in wrong {
            assert_eq!(ask(guess, 1), Err(Refusal::Token), "{guess}");
        }
        assert_eq!(ask("Bearer x", 57), Err(Refusal::Token), "the first is a minute old");
        assert_eq!(ask("Bearer x", 0), Err(Refusal::PauseBegins));
        assert_eq!(ask("Bearer x", 59), Err(Refusal::Paused));
        assert_eq!(ask("Bearer x", 1), Err(Refusal::Token));
        let mut gate = Gate::new(Vec::new(), None);
        assert!(!gate.is_on());
        assert_eq!(gate.admit_token(&right, BootTime::default()), Err(Refusal::Off));
    }
}
