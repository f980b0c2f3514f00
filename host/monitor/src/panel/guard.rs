//! Who may guess the token, and how often. Pure: time is an argument, memory is bounded.
//!
//! A wrong token counts against its address and against everybody. Past a few, the address is locked out, for
//! twice as long each time; while it is, the right token is refused, too, so that nobody learns of it. The
//! same wrong token again is no guess: a scraper with an old one locks nobody out.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Addresses that are remembered with their guesses. The one that matters least gives way.
const MAX_ADDRESSES: usize = 1_024;
/// Addresses that have signed in, which guesses of others do not lock out.
const MAX_KNOWN: usize = 64;
/// Wrong tokens of one address that may come again and again.
const MAX_REPEATED: usize = 4;
/// What one address may do.
const OF_ONE: Terms = Terms {
    free: 5,
    first: Duration::from_secs(30),
    longest: Duration::from_secs(3_600),
    forgiven: Duration::from_secs(86_400),
};
/// What all together may do.
const OF_ALL: Terms = Terms {
    free: 50,
    first: Duration::from_secs(60),
    longest: Duration::from_secs(900),
    forgiven: Duration::from_secs(3_600),
};
/// The network part of an IPv6 address: whoever has one address has all that share it.
const V6_NETWORK: u128 = !0 << 64;

/// How many guesses are free, and how long the pauses are after them.
struct Terms {
    free: u32,
    first: Duration,
    longest: Duration,
    forgiven: Duration,
}

/// Where a token was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The sign-in page. Guesses of everybody together close it to addresses that never signed in, but
    /// never to this machine itself: its owner comes by a tunnel.
    SignIn,
    /// `Authorization: Bearer`. Only guesses from the same address close it.
    Bearer,
}

/// What is thought of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the one.
    Right,
    /// It is not.
    Wrong,
    /// It was not looked at, and will not be for so long.
    Locked(Duration),
}

/// The digest of a secret: all comparisons take the same time, and nothing readable is kept.
pub(crate) type Print = [u8; 32];

/// The digest of `secret`.
pub(crate) fn print(secret: &[u8]) -> Print {
    Sha256::digest(secret).into()
}

/// Compares without telling by its duration how much was right.
pub(crate) fn same(one: &Print, other: &Print) -> bool {
    bool::from(one.ct_eq(other))
}

#[derive(Debug, Default)]
struct Strikes {
    count: u32,
    last: Duration,
    until: Duration,
    /// The newest wrong tokens, the newest last: what only repeats itself does not guess.
    newest: Vec<Print>,
}

impl Strikes {
    fn strike(&mut self, terms: &Terms, now: Duration) {
        if now.saturating_sub(self.last.max(self.until)) > terms.forgiven {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = now;
        if let Some(past) = self.count.checked_sub(terms.free) {
            let pause = terms.first.saturating_mul(1_u32.checked_shl(past).unwrap_or(u32::MAX));
            self.until = now + pause.min(terms.longest);
        }
    }

    fn left(&self, now: Duration) -> Option<Duration> {
        self.until.checked_sub(now).filter(|left| !left.is_zero())
    }
}

/// The token, and everybody who has guessed it wrong.
pub(crate) struct Guard {
    token: Print,
    wrong: BTreeMap<IpAddr, Strikes>,
    all: Strikes,
    /// The newest last.
    known: Vec<IpAddr>,
}

impl Guard {
    /// Guards `token`.
    pub(crate) fn new(token: &str) -> Self {
        let token = print(token.as_bytes());
        Self { token, wrong: BTreeMap::new(), all: Strikes::default(), known: Vec::new() }
    }

    /// Judges a token that came from `address` at `now`, time since any fixed start.
    pub(crate) fn judge(&mut self, address: IpAddr, given: &str, door: Door, now: Duration) -> Verdict {
        let is_local = address.to_canonical().is_loopback();
        let address = network(address);
        if let Some(left) = self.wrong.get(&address).and_then(|strikes| strikes.left(now)) {
            return Verdict::Locked(left);
        }
        if door == Door::SignIn
            && !is_local
            && !self.known.contains(&address)
            && let Some(left) = self.all.left(now)
        {
            return Verdict::Locked(left);
        }
        let given = print(given.as_bytes());
        if !same(&given, &self.token) {
            self.on_wrong(address, given, now);
            return Verdict::Wrong;
        }
        self.wrong.remove(&address);
        if door == Door::SignIn {
            self.known.retain(|known| *known != address);
            if self.known.len() >= MAX_KNOWN {
                self.known.remove(0);
            }
            self.known.push(address);
        }
        Verdict::Right
    }

    fn on_wrong(&mut self, address: IpAddr, given: Print, now: Duration) {
        if self.wrong.len() >= MAX_ADDRESSES && !self.wrong.contains_key(&address) {
            let least = self.wrong.iter().min_by_key(|(_, strikes)| (strikes.until, strikes.last));
            let least = least.map(|(address, _)| *address);
            least.and_then(|least| self.wrong.remove(&least));
        }
        let strikes = self.wrong.entry(address).or_default();
        if strikes.newest.iter().any(|newest| same(newest, &given)) {
            return;
        }
        if strikes.newest.len() >= MAX_REPEATED {
            strikes.newest.remove(0);
        }
        strikes.newest.push(given);
        strikes.strike(&OF_ONE, now);
        self.all.strike(&OF_ALL, now);
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6((u128::from(six) & V6_NETWORK).into()),
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn guess(guard: &mut Guard, from: IpAddr, number: u32, now: Duration) -> Verdict {
        guard.judge(from, &format!("guess-{number}"), Door::SignIn, now)
    }

    #[test]
    fn an_address_is_locked_out_for_twice_as_long_each_time_and_the_right_token_with_it() {
        let mut guard = Guard::new(TOKEN);
        for number in 1..=5 {
            assert_eq!(guess(&mut guard, v4(1), number, secs(0)), Verdict::Wrong);
        }
        for door in [Door::SignIn, Door::Bearer] {
            assert_eq!(guard.judge(v4(1), TOKEN, door, secs(0)), Verdict::Locked(secs(30)), "{door:?}");
            assert_eq!(guard.judge(v4(2), TOKEN, door, secs(0)), Verdict::Right, "{door:?}: another address");
        }
        let mut now = secs(0);
        for pause in [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600] {
            assert_eq!(guess(&mut guard, v4(1), 99, now), Verdict::Locked(secs(pause)));
            now += secs(pause);
            let number = u32::try_from(now.as_secs()).expect("small");
            assert_eq!(guess(&mut guard, v4(1), number, now), Verdict::Wrong, "after {pause} s");
        }
        assert!(matches!(guard.judge(v4(1), TOKEN, Door::Bearer, now), Verdict::Locked(_)));
        now += secs(3_600);
        assert_eq!(guard.judge(v4(1), TOKEN, Door::SignIn, now), Verdict::Right);
        assert_eq!(guess(&mut guard, v4(1), 1, now), Verdict::Wrong);
        assert_eq!(guard.judge(v4(1), TOKEN, Door::SignIn, now), Verdict::Right, "forgotten with a success");
    }

    #[test]
    fn the_same_wrong_token_again_is_no_guess() {
        let mut guard = Guard::new(TOKEN);
        for at in 0..100 {
            // Scrapers with old tokens, behind one address.
            assert_eq!(guess(&mut guard, v4(1), 7 + at % 4, secs(0)), Verdict::Wrong);
        }
        assert_eq!(guard.judge(v4(1), TOKEN, Door::Bearer, secs(0)), Verdict::Right);
    }

    #[test]
    fn many_addresses_close_the_sign_in_but_no_bearer_and_nobody_known() {
        let mut guard = Guard::new(TOKEN);
        assert_eq!(guard.judge(v4(200), TOKEN, Door::SignIn, secs(0)), Verdict::Right);
        for number in 0..50 {
            let from = v4(u8::try_from(number).expect("small"));
            assert_eq!(guess(&mut guard, from, number, secs(0)), Verdict::Wrong);
        }
        let mut ask = |from, door| guard.judge(from, TOKEN, door, secs(0));
        assert_eq!(ask(v4(201), Door::SignIn), Verdict::Locked(secs(60)));
        assert_eq!(ask(v4(201), Door::Bearer), Verdict::Right);
        assert_eq!(ask(v4(200), Door::SignIn), Verdict::Right);
        for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let here = here.parse().expect("an address");
            assert_eq!(ask(here, Door::SignIn), Verdict::Right, "{here}: the owner comes by a tunnel");
        }
        assert_eq!(guard.judge(v4(201), TOKEN, Door::SignIn, secs(60)), Verdict::Right);
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_and_memory_is_bounded() {
        let mut guard = Guard::new(TOKEN);
        for number in 1..=5_u32 {
            let from = IpAddr::V6((0x2001_0db8_u128 << 96 | u128::from(number)).into());
            assert_eq!(guess(&mut guard, from, number, secs(0)), Verdict::Wrong);
        }
        let next = IpAddr::V6((0x2001_0db8_u128 << 96 | 77).into());
        assert_eq!(guard.judge(next, TOKEN, Door::Bearer, secs(0)), Verdict::Locked(secs(30)));
        let mapped: IpAddr = "::ffff:10.0.0.9".parse().expect("an address");
        assert_eq!(network(mapped), v4(9));
        for number in 0..5_000_u32 {
            guard.judge(IpAddr::from(number.to_be_bytes()), &number.to_string(), Door::Bearer, secs(1));
        }
        assert_eq!(guard.wrong.len(), MAX_ADDRESSES);
        assert_eq!(
            guard.judge(next, TOKEN, Door::Bearer, secs(1)),
            Verdict::Locked(secs(29)),
            "whoever is locked out is forgotten last"
        );
    }
}
