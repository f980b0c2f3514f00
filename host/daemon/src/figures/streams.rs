//! The figures of the streams, and of what came over them.

use std::collections::BTreeMap;

use sandpit_alpaca::Alpaca;
use sandpit_ingest::{ConnectionStats, Fall, IngestStats};
use sandpit_monitor::{SequenceFigures, StreamFigures};
use sandpit_types::StreamHealth;

use super::Running;

/// One entry a stream; that of the news where somebody wants any.
pub(super) fn streams(running: &Running, has_news: bool) -> Vec<StreamFigures> {
    let (ingest, updates) = (&running.ingest, &running.updates);
    let health = match ingest.health() {
        StreamHealth::Live => "live",
        StreamHealth::Fallback => "fallback",
        StreamHealth::Stale => "stale",
    };
    let market_data = StreamFigures {
        health: health.to_owned(),
        messages: ingest.bars() + ingest.quotes() + ingest.trades(),
        polls: ingest.polls(),
        polls_failed: ingest.polls_failed(),
        silence_secs: ingest.silence_ms() as f64 / 1e3,
        fallback_secs: ingest.fallback_latency_ms() as f64 / 1e3,
        ..stream("market-data", &ingest.connection)
    };
    let trade_updates =
        StreamFigures { messages: updates.updates(), ..stream("trade-updates", &updates.connection) };
    let news = StreamFigures {
        messages: running.news.news(),
        polls: running.news.polls(),
        polls_failed: running.news.polls_failed(),
        ..stream("news", &running.news.connection)
    };
    [market_data, trade_updates].into_iter().chain(has_news.then_some(news)).collect()
}

fn stream(name: &str, connection: &ConnectionStats) -> StreamFigures {
    let falls = Fall::ALL.into_iter().map(|fall| (fall.as_str().to_owned(), connection.falls_by(fall)));
    StreamFigures {
        name: name.to_owned(),
        state: connection.state().as_str().to_owned(),
        reconnects: connection.opens().saturating_sub(1),
        failures: connection.failures().into(),
        falls: falls.collect(),
        pages: connection.pages(),
        ..StreamFigures::default()
    }
}

/// How market data became one sequence.
pub(super) fn sequence(ingest: &IngestStats) -> SequenceFigures {
    SequenceFigures {
        minutes: ingest.minutes(),
        late_bars: ingest.late_bars(),
        corrected_bars: ingest.corrected_bars(),
        repeats: ingest.repeats(),
        too_old: ingest.too_old(),
        pulses: ingest.pulses(),
        strangers: ingest.strangers(),
        let_go: ingest.let_go(),
        too_early: ingest.too_early(),
        gaps_filled: ingest.gaps_filled(),
        gaps_open: ingest.gaps_open(),
        audits: ingest.audits(),
        audit_finds: ingest.audit_finds(),
        quiet: ingest.quiet(),
        quotes_over_rest: ingest.untold_quotes(),
    }
}

/// Messages that were passed by, by reason.
pub(super) fn unknown(alpaca: &Alpaca) -> BTreeMap<String, u64> {
    let counts = alpaca.oddities();
    [("ignored", counts.ignored), ("unknown", counts.unknown), ("unreadable", counts.unreadable)]
        .map(|(what, count)| (what.to_owned(), count))
        .into()
}
