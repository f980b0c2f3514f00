//! Header, footer, and how the panes share the room between them.

use ratatui::text::Span;

use crate::{
    Pane, Top,
    figures::{Shown, Tone, age},
};

/// A title and the heads of the columns.
const OVER_ROWS: u16 = 2;
/// A pane that has to give way keeps its title, its heads and one row.
const LEAST: u16 = 3;
/// Rows of which a pane can make use; beyond, it is scrolled.
const MOST: usize = 500;

/// The keys, in the last line while nothing else is to be said there.
const KEYS: &str = "q quit  1-5 Tab pane  ↑↓ row  c cancel  p pause/resume  f freeze  K kill  ? help";

/// The lines above the panes, each with how serious it is.
pub(super) fn top_lines(top: &Top, now_ms: u64, width: u16) -> [(String, Tone); 2] {
    let Some(shown) = top.shown() else {
        let why = top.trouble().unwrap_or("asking the host…").to_owned();
        let tone = if top.trouble().is_some() { Tone::Bad } else { Tone::Plain };
        return [("sandpit top".to_owned(), Tone::Plain), (why, tone)];
    };
    // What matters most comes first: a narrow terminal cuts off the rest.
    let left =
        format!("{}  {}  {}  {}", shown.mode.to_uppercase(), shown.market_time, shown.lease.0, money(shown));
    if top.is_stale(now_ms) {
        let seconds = top.age_ms(now_ms).map_or("-".to_owned(), |ms| age(ms as f64 / 1e3));
        let why = top.trouble().unwrap_or("the host has not answered since");
        return [(left, Tone::Notable), (format!("STALE, {seconds} old: {why}"), Tone::Bad)];
    }
    let seen = top.age_ms(now_ms).map_or(String::new(), |ms| format!("seen {:.1} s ago", ms as f64 / 1e3));
    let room = usize::from(width).saturating_sub(Span::raw(left.as_str()).width() + seen.len());
    let first = if room > 1 { format!("{left}{}{seen}", " ".repeat(room)) } else { left };
    [(first, shown.lease.1), stance(shown)]
}

fn money(shown: &Shown) -> String {
    match (shown.equity, shown.equity_start) {
        (Some(now), Some(start)) if start > 0.0 => {
            let gain = now - start;
            format!("equity {now:.2} USD, {gain:+.2} ({:+.2} %) in this life", gain / start * 100.0)
        }
        (Some(now), _) => format!("equity {now:.2} USD"),
        (None, _) => "equity -".to_owned(),
    }
}

/// What keeps it from trading, the gravest first.
fn stance(shown: &Shown) -> (String, Tone) {
    let [open, planned, unknown] = shown.orders;
    let orders = format!("{open} open, {planned} waiting, {unknown} of unknown outcome");
    if let Some(why) = &shown.frozen {
        return (format!("FROZEN: {why}"), Tone::Bad);
    }
    if !shown.is_reconciled {
        return (format!("starting: books not reconciled; {orders}"), Tone::Bad);
    }
    if !shown.paused.is_empty() {
        let paused: Vec<String> = shown.paused.iter().map(|(name, why)| format!("{name} ({why})")).collect();
        return (format!("PAUSED: {}", paused.join(", ")), Tone::Notable);
    }
    (format!("books reconciled; {orders}"), Tone::Plain)
}

/// The line below the panes.
pub(super) fn bottom(top: &Top) -> (String, Tone) {
    top.word().map_or_else(|| (KEYS.to_owned(), Tone::Plain), |(text, tone)| (text.to_owned(), tone))
}

/// Lines that each pane could make use of.
pub(crate) fn wanted(top: &Top) -> [u16; 5] {
    Pane::ALL.map(|pane| match top.rows(pane).len().min(MOST) {
        0 => 1,
        rows => OVER_ROWS + u16::try_from(rows).unwrap_or(u16::MAX),
    })
}

/// How high each pane is: first a little for each, then what the one with the keys wants, then the others
/// from above. Where not even that fits, the one with the keys has all.
pub(super) fn heights(room: u16, wanted: [u16; 5], focus: Pane) -> [u16; 5] {
    let mut heights = wanted.map(|lines| lines.min(LEAST));
    let taken: u16 = heights.iter().sum();
    let Some(mut left) = room.checked_sub(taken) else {
        let mut alone = [0; 5];
        alone[focus.at()] = room;
        return alone;
    };
    let others = (0..wanted.len()).filter(|at| *at != focus.at());
    for at in std::iter::once(focus.at()).chain(others) {
        let more = (wanted[at] - heights[at]).min(left);
        heights[at] += more;
        left -= more;
    }
    heights
}
