//! What the tests share.

use std::time::{Duration, Instant};

use sandpit_faults::{Cut, Heard, Host, Lanes, Ledger, Mode, now, until};
use sandpit_types::MarketEvent;

/// Symbols of the usual market: liquid ones, with a bar in every minute of the session.
pub(crate) const SYMBOLS: [&str; 8] = ["SPY", "QQQ", "AAPL", "MSFT", "NVDA", "AMZN", "TSLA", "F"];
/// A drop is noticed within this.
pub(crate) const NOTICE: Duration = Duration::from_secs(1);
/// The first data over REST comes this soon after the notice.
pub(crate) const FALLBACK: Duration = Duration::from_secs(2);
/// Longest wait for what is measured, so that a miss is told as a figure and not as a time-out.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Holds a ledger to its bounds.
pub(crate) fn assert_whole(ledger: &Ledger) {
    assert!(ledger.is_clean(), "{}\n{}", ledger.told(), ledger.words.join("\n"));
    assert!(ledger.bars > 0, "nothing was traded: the test proves nothing");
}

/// How long after `since` the host said that its data is not live.
pub(crate) fn notice(host: &Host, since: Instant, bound: Duration) -> Duration {
    until("the notice of a fall", bound, || host.tape.not_live(since).is_some());
    host.tape.not_live(since).map_or(bound, |at| at - since)
}

/// How long after `noticed` the first data came, while the stream brings none.
pub(crate) fn first_data(host: &Host, noticed: Instant) -> Duration {
    until("the first data over REST", PATIENCE, || host.tape.first(noticed, Heard::is_data).is_some());
    host.tape.first(noticed, Heard::is_data).map_or(PATIENCE, |at| at - noticed)
}

/// Cuts the data stream and keeps it cut; `(notice, first fallback data)`, both from the tape.
pub(crate) fn cut_and_keep(host: &Host, lanes: &Lanes, how: Cut) -> (Duration, Duration) {
    lanes.stream.set(Mode::Refuse);
    let since = lanes.stream.cut(how);
    let noticed = notice(host, since, PATIENCE);
    (noticed, first_data(host, since + noticed))
}

/// Waits until, from now on, every symbol has been quoted: then the latest quotes of REST are no news.
pub(crate) fn all_quoted(host: &Host) {
    let since = now();
    for name in SYMBOLS {
        until("a quote of every symbol", PATIENCE, || {
            let is_it =
                |event: &_| matches!(event, MarketEvent::Quote(quote) if quote.symbol.as_str() == name);
            host.tape.first(since, |heard| is_it(&heard.event)).is_some()
        });
    }
}
