//! Whether an open data stream has gone silent.
//!
//! A socket that is open and answers pings may deliver nothing for hours. Silence counts only while the
//! session is open. A *steady* channel, one with a liquid symbol in it, is judged by its own data alone: a
//! broker may acknowledge a subscription and never serve it, or stop to serve one kind of data. Any other
//! channel may be quiet for ever while something else flows, because a quiet symbol is no broken stream: only
//! data of no kind at all, for the patience of that channel, is silence.

use std::time::Duration;

use sandpit_types::MarketTime;

/// A kind of data that a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// One-minute bars.
    Bars,
    /// Quotes.
    Quotes,
    /// Trades.
    Trades,
}

impl Channel {
    const COUNT: usize = 3;
    const ALL: [Self; Self::COUNT] = [Self::Bars, Self::Quotes, Self::Trades];

    const fn index(self) -> usize {
        self as usize
    }
}

/// How long a channel may be silent in an open session. Any symbol's data counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Which channel.
    pub channel: Channel,
    /// From the subscription or the opening to the first data, market time.
    pub first: Duration,
    /// Between data, market time.
    pub gap: Duration,
    /// Whether only data of this channel counts as its data; else that of any channel does.
    pub steady: bool,
}

/// What the judge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing is overdue.
    Live,
    /// This channel is overdue: treat the stream as down.
    Silent(Channel),
}

/// The judge of one stream.
#[derive(Clone, Debug)]
pub struct Staleness {
    watches: [Option<Watch>; Channel::COUNT],
    last: [Option<MarketTime>; Channel::COUNT],
    /// Since when each channel owes data.
    subscribed: [Option<MarketTime>; Channel::COUNT],
    opened: Option<MarketTime>,
}

impl Staleness {
    /// A judge of the subscribed channels; a channel that is not watched is never overdue. The session counts
    /// as closed and the stream as not subscribed until told otherwise.
    pub fn new(watches: &[Watch]) -> Self {
        let (last, subscribed) = ([None; Channel::COUNT], [None; Channel::COUNT]);
        Self { watches: by_channel(watches), last, subscribed, opened: None }
    }

    /// Other symbols are wanted from now on, and watched in this way. A channel that keeps some of its symbols
    /// goes on to owe what it owed: else whoever changes his mind often enough would keep a dead stream from
    /// being found out. The others owe their first data anew.
    pub fn watch_anew(&mut self, watches: &[Watch], is_kept: impl Fn(Channel) -> bool, now: MarketTime) {
        self.watches = by_channel(watches);
        for channel in Channel::ALL.into_iter().filter(|channel| !is_kept(*channel)) {
            let subscribed = &mut self.subscribed[channel.index()];
            *subscribed = subscribed.map(|_| now);
        }
    }

    /// The broker acknowledged a (new) subscription: every channel owes its first data.
    pub fn on_subscribed(&mut self, now: MarketTime) {
        self.subscribed = [Some(now); Channel::COUNT];
    }

    /// The stream is gone: nothing is owed until the next subscription.
    pub fn on_down(&mut self) {
        self.subscribed = [None; Channel::COUNT];
    }

    /// The session is open or closed. Saying again what is known changes nothing.
    pub fn on_session(&mut self, open: bool, now: MarketTime) {
        self.opened = open.then(|| self.opened.unwrap_or(now));
    }

    /// The channel is not subscribed any more: it owes nothing.
    pub const fn forget(&mut self, channel: Channel) {
        self.watches[channel.index()] = None;
    }

    /// Data came.
    pub fn on_data(&mut self, channel: Channel, now: MarketTime) {
        self.last[channel.index()] = self.last[channel.index()].max(Some(now));
    }

    /// The next moment at which a channel is overdue, and which; `None` while nothing is owed.
    pub fn deadline(&self) -> Option<(MarketTime, Channel)> {
        self.deadlines().map(|(at, watch)| (at, watch.channel)).min()
    }

    /// When each channel is overdue; none while nothing is owed.
    pub fn deadlines(&self) -> impl Iterator<Item = (MarketTime, &Watch)> {
        let owed_since = move |channel: Channel| Some(self.subscribed[channel.index()]?.max(self.opened?));
        let newest = self.last.iter().copied().max().flatten();
        self.watches.iter().flatten().filter_map(move |watch| {
            let owed_since = owed_since(watch.channel)?;
            let last = if watch.steady { self.last[watch.channel.index()] } else { newest };
            // What came before the bell, or over the connection before, says nothing about this one.
            let last = last.filter(|&last| last >= owed_since);
            Some((last.map_or(owed_since + watch.first, |last| last + watch.gap), watch))
        })
    }

    /// Whether a channel is overdue. A closed market is never silent.
    pub fn check(&self, now: MarketTime) -> Health {
        match self.deadline() {
            Some((due, channel)) if due <= now => Health::Silent(channel),
            Some(_) | None => Health::Live,
        }
    }
}

fn by_channel(watches: &[Watch]) -> [Option<Watch>; Channel::COUNT] {
    let mut by_channel = [None; Channel::COUNT];
    for watch in watches {
        by_channel[watch.channel.index()] = Some(*watch);
    }
    by_channel
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Subscribed,
        Down,
        Open,
        Close,
        Data(Channel),
    }

    use Channel::{Bars, Quotes, Trades};
    use Step::{Close, Data, Down, Open, Subscribed};

    const WATCHES: [Watch; 2] = [
        Watch { channel: Bars, first: Duration::from_secs(130), gap: Duration::from_secs(75), steady: false },
        Watch {
            channel: Quotes,
            first: Duration::from_secs(20),
            gap: Duration::from_secs(15),
            steady: false,
        },
    ];

    fn judge(steps: &[(i64, Step)]) -> Staleness {
        let mut staleness = Staleness::new(&WATCHES);
        for &(secs, step) in steps {
            let now = MarketTime::from_secs(secs);
            match step {
                Subscribed => staleness.on_subscribed(now),
                Down => staleness.on_down(),
                Open => staleness.on_session(true, now),
                Close => staleness.on_session(false, now),
                Data(channel) => staleness.on_data(channel, now),
            }
        }
        staleness
    }

    #[test]
    fn who_changes_his_mind_does_not_hide_a_dead_stream() {
        let at = MarketTime::from_secs;
        let kept = |kept: &'static [Channel]| move |channel| kept.contains(&channel);
        let mut staleness = judge(&[(0, Open), (0, Subscribed), (5, Data(Quotes))]);
        for secs in [8, 12, 16] {
            staleness.watch_anew(&WATCHES, kept(&[Bars, Quotes]), at(secs));
        }
        assert_eq!(staleness.deadline(), Some((at(20), Quotes)), "as before");
        // Quotes of others only: they owe their first.
        staleness.watch_anew(&WATCHES, kept(&[Bars]), at(18));
        assert_eq!(staleness.deadline(), Some((at(38), Quotes)));
        staleness.watch_anew(&WATCHES[..1], kept(&[Bars]), at(19));
        assert_eq!(staleness.deadline(), Some((at(80), Bars)), "nobody wants quotes now");
        // Where there is no connection, nothing is owed by it.
        staleness.on_down();
        staleness.watch_anew(&WATCHES, kept(&[]), at(30));
        assert_eq!(staleness.deadline(), None);
    }

    #[test]
    fn silence_counts_by_channel_and_session() {
        let check = |steps: &[(i64, Step)], expected: Option<(i64, Channel)>| {
            let staleness = judge(steps);
            let expected = expected.map(|(secs, channel)| (MarketTime::from_secs(secs), channel));
            assert_eq!(staleness.deadline(), expected, "{steps:?}");
            if let Some((due, channel)) = expected {
                assert_eq!(staleness.check(due - Duration::from_nanos(1)), Health::Live, "{steps:?}");
                assert_eq!(staleness.check(due), Health::Silent(channel), "{steps:?}");
            }
        };
        check(&[], None);
        check(&[(0, Open)], None);
        check(&[(0, Subscribed)], None);
        check(&[(0, Subscribed), (100, Open)], Some((120, Quotes)));
        check(&[(0, Open), (100, Subscribed)], Some((120, Quotes)));
        check(&[(0, Open), (0, Subscribed), (5, Data(Quotes))], Some((20, Quotes)));
        check(&[(0, Open), (0, Subscribed), (125, Data(Quotes))], Some((140, Quotes)));
        check(&[(0, Open), (0, Subscribed), (61, Data(Bars)), (130, Data(Quotes))], Some((145, Quotes)));
        // A quiet channel is no silence while another flows, be it one that nobody watches.
        let proved = [(0, Open), (0, Subscribed), (5, Data(Quotes)), (14, Data(Bars))];
        check(&proved, Some((29, Quotes)));
        check(&[&proved[..], &[(28, Data(Bars)), (40, Data(Trades))]].concat(), Some((55, Quotes)));
        check(&[&proved[..], &[(28, Data(Bars)), (30, Down), (31, Subscribed)]].concat(), Some((51, Quotes)));
        // A symbol may be quiet for ever: any other's data of the channel is its pulse, and so is a new
        // subscription to say that the silence was looked into.
        check(&[(0, Open), (0, Subscribed), (5, Data(Quotes)), (19, Subscribed)], Some((39, Quotes)));
        // Not even its first data is owed while something flows: a thin symbol may not trade for hours.
        check(&[(0, Open), (0, Subscribed), (10, Data(Trades))], Some((25, Quotes)));
        // Data before the bell does not make a silent session live, and late stamps do not turn time back.
        check(&[(0, Subscribed), (90, Data(Quotes)), (100, Open)], Some((120, Quotes)));
        check(&[(0, Open), (0, Subscribed), (10, Data(Quotes)), (3, Data(Quotes))], Some((25, Quotes)));
        // Saying "open" again is no news; closing ends it; a new connection owes its first data again.
        check(&[(0, Open), (0, Subscribed), (15, Open)], Some((20, Quotes)));
        check(&[(0, Open), (0, Subscribed), (15, Close)], None);
        check(&[(0, Open), (0, Subscribed), (5, Data(Quotes)), (6, Down)], None);
        check(
            &[(0, Open), (0, Subscribed), (5, Data(Quotes)), (6, Down), (30, Subscribed)],
            Some((50, Quotes)),
        );
    }

    #[test]
    fn a_steady_channel_is_judged_by_its_own_data() {
        let mut staleness = Staleness::new(&WATCHES.map(|watch| Watch { steady: true, ..watch }));
        let at = MarketTime::from_secs;
        staleness.on_session(true, at(0));
        staleness.on_subscribed(at(0));
        for secs in 0..130 {
            staleness.on_data(Quotes, at(secs));
            staleness.on_data(Trades, at(secs));
        }
        // Acknowledged, and never served.
        assert_eq!(staleness.check(at(130)), Health::Silent(Bars));
        staleness.on_data(Bars, at(130));
        assert_eq!(staleness.deadline(), Some((at(129 + 15), Quotes)), "no bar is a quote");
        staleness.forget(Quotes);
        assert_eq!(staleness.deadline(), Some((at(130 + 75), Bars)));
        staleness.forget(Bars);
        assert_eq!(staleness.deadline(), None);
    }

    /// The usual patience of the loop: what is mute is noticed within 15 s with quotes, and within 75 s with
    /// bars alone, whenever in a session the stream falls mute, its first data included.
    #[test]
    fn a_mute_stream_is_noticed_in_time() {
        let watch = |channel, secs| {
            let patience = Duration::from_secs(secs);
            Watch { channel, first: patience, gap: patience, steady: channel == Quotes }
        };
        let check = |watches: &[Watch], data: &[(i64, Channel)], mute_since: i64, within: i64| {
            let mut staleness = Staleness::new(watches);
            staleness.on_session(true, MarketTime::EPOCH);
            staleness.on_subscribed(MarketTime::EPOCH);
            for &(secs, channel) in data {
                assert_eq!(staleness.check(MarketTime::from_secs(secs)), Health::Live, "{data:?}");
                staleness.on_data(channel, MarketTime::from_secs(secs));
            }
            let noticed = staleness.deadline().map(|(at, _)| at.as_millis() / 1_000 - mute_since);
            assert!(noticed.is_some_and(|secs| secs <= within), "{data:?}: {noticed:?}");
        };
        let (bars, quotes) = (watch(Bars, 180), watch(Quotes, 10));
        check(&[bars, quotes], &[], 0, 15);
        check(&[bars, quotes], &[(3, Quotes)], 3, 15);
        check(&[bars, quotes], &[(9, Quotes), (18, Quotes), (27, Quotes)], 27, 15);
        check(&[bars, quotes], &[(9, Quotes), (18, Quotes), (27, Bars)], 27, 15);
        let alone = watch(Bars, 70);
        check(&[alone], &[], 0, 75);
        // Each bar comes a little after its minute.
        check(&[alone], &[(61, Bars), (120, Bars), (184, Bars)], 184, 75);
    }

    proptest! {
        #[test]
        fn steady_data_is_never_silent(gaps in prop::collection::vec(1_i64..15, 1..200)) {
            let mut staleness = Staleness::new(&WATCHES[1..]);
            staleness.on_subscribed(MarketTime::EPOCH);
            staleness.on_session(true, MarketTime::EPOCH);
            let mut secs = 0;
            for gap in gaps {
                secs += gap;
                prop_assert_eq!(staleness.check(MarketTime::from_secs(secs)), Health::Live);
                staleness.on_data(Quotes, MarketTime::from_secs(secs));
            }
            prop_assert_eq!(staleness.check(MarketTime::from_secs(secs + 15)), Health::Silent(Quotes));
        }
    }
}
