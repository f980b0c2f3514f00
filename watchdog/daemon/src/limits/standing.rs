//! What the limits say: whether the account forbids a lease, and how far it is from each limit.

use sandpit_contract::{BootTime, LimitsStatus};

use super::{Block, Limits, Money};

/// Without a good reading for so many pauses between two, the account is out of sight, whatever is
/// configured.
const LEAST_BLIND: u32 = 3;

impl Limits {
    /// Why there is no lease.
    pub(crate) fn block(&self, now: BootTime) -> Option<Block> {
        if !self.is_judged {
            return None;
        }
        self.wrong_account().or_else(|| self.unknown()).or_else(|| self.blind(now)).or_else(|| self.awaited())
    }

    fn unknown(&self) -> Option<Block> {
        let why = self.belief.why_unknown()?;
        let text = format!("the account's worth is unknown until two further reads agree: {why}");
        Some(Block { key: Some("limits-unknown"), text })
    }

    fn wrong_account(&self) -> Option<Block> {
        let text = match (&self.account, &self.stranger, &self.of_host) {
            (Some(ours), Some(shown), _) => format!(
                "the broker shows account {} to the watchdog's key, it was {}: arm again if that is meant",
                tail(shown),
                tail(ours)
            ),
            (Some(ours), None, Some(host)) if ours != host => format!(
                "the host trades account {}, but the watchdog's key is for {}: give both keys of one account",
                tail(host),
                tail(ours)
            ),
            (None, _, Some(_)) => {
                let text = "which account the watchdog's key is for is not read yet".into();
                return Some(Block { key: None, text });
            }
            (Some(_), None, _) | (None, _, None) => return None,
        };
        Some(Block { key: Some("limits-account"), text })
    }

    fn blind(&self, now: BootTime) -> Option<Block> {
        let longest = self.terms.blind.max(self.reads.every() * LEAST_BLIND);
        let since = now.since(self.good_at.max(self.watched_from));
        (since > longest).then(|| Block {
            key: Some("limits-blind"),
            text: format!(
                "the watchdog cannot see the account since {} s: {}",
                since.as_secs(),
                self.last_failure.as_deref().unwrap_or("no reading is good")
            ),
        })
    }

    fn awaited(&self) -> Option<Block> {
        let text = || "the account is not read yet since the watchdog started or was armed".into();
        self.is_awaited.then(|| Block { key: None, text: text() })
    }

    /// For observers.
    pub(crate) fn status(&self, now: BootTime) -> LimitsStatus {
        LimitsStatus {
            is_judged: self.is_judged,
            account: self.account.as_deref().map(tail),
            equity_cents: self.latest.equity.map(Money::cents),
            peak_cents: self.losses.peak().map(Money::cents),
            drawdown_bp: self.latest.lost.drawdown,
            half_hour_loss_bp: self.latest.lost.half_hour,
            day_loss_bp: self.latest.lost.day,
            gross_bp: self
                .belief
                .last()
                .map_or(0, |last| self.latest.gross.share_of(self.terms.capital(last))),
            orders_a_minute: self.orders.a_minute(now),
            read_ms_ago: self
                .is_seen
                .then(|| u64::try_from(now.since(self.good_at).as_millis()).unwrap_or(u64::MAX)),
            withheld: self.block(now).map(|block| block.text),
        }
    }
}

/// The last four characters of an account's id: enough to tell two apart.
fn tail(account: &str) -> String {
    let skip = account.chars().count().saturating_sub(4);
    format!("…{}", account.chars().skip(skip).collect::<String>())
}
