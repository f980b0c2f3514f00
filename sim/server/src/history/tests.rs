//! Property tests of the past: nothing is lost or counted twice, whatever the timeframe.

use proptest::prelude::*;
use sandpit_types::Bar;

use super::*;

fn history() -> History {
    History::new([Symbol::new("A")].iter(), Calendar::nyse())
}

fn bar(start: MarketTime, seed: u64) -> Tick {
    let low = 10.0 + (seed % 7) as f64;
    let bar = Bar {
        symbol: Symbol::new("A"),
        start,
        open: low + 0.5,
        high: low + (seed % 5) as f64 + 1.0,
        low,
        close: low + 0.25,
        volume: 1 + seed % 1_000,
        vwap: low + 0.4,
    };
    Tick { event: MarketEvent::Bar(bar), trades: 1 + seed % 9 }
}

/// All words of timeframes.
fn frames() -> Vec<Timeframe> {
    let mut words: Vec<String> = (1..60).map(|n| format!("{n}Min")).collect();
    words.extend((1..24).map(|n| format!("{n}Hour")));
    words.extend(["1Day", "1Week"].map(str::to_owned));
    words.extend([1, 2, 3, 4, 6, 12].map(|n| format!("{n}Month")));
    words.iter().map(|word| word.parse().expect("a timeframe")).collect()
}

const EVER: Span = Span {
    start: MarketTime::from_nanos(i64::MIN),
    end: MarketTime::from_nanos(i64::MAX),
    descending: false,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Gaps of up to three days between bars, over the change to summer time.
    #[test]
    fn every_timeframe_conserves_volume_and_pages_cover_it_once(
        gaps in prop::collection::vec((1..4_000_i64, any::<u64>()), 1..120),
        limit in 1..40_usize, descending: bool,
    ) {
        let mut history = history();
        let mut minute = MarketTime::parse("2026-02-20T14:30:00Z").expect("a time");
        let mut minutes: Vec<Candle> = Vec::new();
        for (gap, seed) in gaps {
            minute = minute + std::time::Duration::from_secs(60 * gap as u64);
            let tick = history.record(bar(minute, seed));
            let MarketEvent::Bar(bar) = &tick.event else { unreachable!("a bar stays one") };
            minutes.push(Candle::new(bar, tick.trades));
        }
        for frame in frames() {
            let a = Symbol::new("A");
            let all: Vec<Candle> = history.bars(&a, frame, EVER).collect();
            prop_assert!(all.windows(2).all(|pair| pair[0].start < pair[1].start), "{frame:?}");
            let total = |candles: &[Candle]| -> (u64, u64) {
                (candles.iter().map(|c| c.volume).sum(), candles.iter().map(|c| c.trades).sum())
            };
            prop_assert_eq!(total(&all), total(&minutes), "{:?}", frame);
            let periods = Periods::new(frame);
            for sum in &all {
                let own: Vec<&Candle> =
                    minutes.iter().filter(|minute| periods.start_of(minute.start) == sum.start).collect();
                prop_assert_eq!(sum.open, own[0].open);
                prop_assert_eq!(sum.close, own[own.len() - 1].close);
                prop_assert_eq!(sum.high, own.iter().map(|c| c.high).fold(f64::MIN, f64::max));
                prop_assert_eq!(sum.low, own.iter().map(|c| c.low).fold(f64::MAX, f64::min));
                prop_assert!((sum.low..=sum.high).contains(&sum.vwap()));
            }
            let mut query =
                Query { symbols: vec![a], span: Span { descending, ..EVER }, limit, after: None };
            let mut paged = Vec::new();
            loop {
                let page = page::page(&query, |symbol, span| history.bars(symbol, frame, span));
                paged.extend(page.rows.into_iter().flat_map(|(_, rows)| rows));
                prop_assert!(paged.len() <= all.len(), "something comes twice");
                let Some(next) = page.next else { break };
                query.after = Some(next);
            }
            if descending {
                paged.reverse();
            }
            let starts = |candles: &[Candle]| candles.iter().map(|c| (c.start, c.volume)).collect::<Vec<_>>();
            prop_assert_eq!(starts(&paged), starts(&all), "{:?}", frame);
        }
    }
}

fn at(text: &str) -> MarketTime {
    MarketTime::parse(&format!("2026-03-{text}Z")).expect(text)
}

#[test]
fn both_ends_count_and_periods_are_whole() {
    let mut history = history();
    for minute in 0..180 {
        history.record(bar(at("16T13:30:00") + std::time::Duration::from_secs(60 * minute), minute));
    }
    let check = |frame: &str, start: &str, end: &str, expected: &str| {
        for descending in [false, true] {
            let span = Span { start: at(start), end: at(end), descending };
            let bars = history.bars(&Symbol::new("A"), frame.parse().expect(frame), span);
            let mut got: Vec<String> =
                bars.map(|bar| format!("{}/{}", &bar.start.to_string()[11..16], bar.trades)).collect();
            if descending {
                got.reverse();
            }
            assert_eq!(got.join(" "), expected, "{frame} {start} {end}");
        }
    };
    check("1Min", "16T13:30:00", "16T13:31:00", "13:30/1 13:31/2");
    check("1Min", "16T13:30:01", "16T13:31:59", "13:31/2");
    let trades = |from: u64, to: u64| (from..to).map(|seed| 1 + seed % 9).sum::<u64>();
    let hour = format!("14:00/{}", trades(30, 90));
    check("1Hour", "16T13:30:00", "16T14:00:00", &hour);
    check("1Hour", "16T13:00:00", "16T13:59:59", &format!("13:00/{}", trades(0, 30)));
    check("1Day", "16T04:00:00", "16T04:00:00", &format!("04:00/{}", trades(0, 180)));
    check("1Day", "16T04:00:01", "17T03:00:00", "");
    check("1Week", "10T00:00:00", "20T00:00:00", &format!("04:00/{}", trades(0, 180)));
}

fn trade(text: &str, price: f64, size: u64) -> Trade {
    Trade { symbol: Symbol::new("A"), time: at(text), price, size }
}

#[test]
fn late_trades_change_bars_and_days() {
    let (mut history, a) = (history(), Symbol::new("A"));
    history.record(bar(at("16T13:30:00"), 0));
    history.record(bar(at("16T13:31:00"), 0));
    let late = trade("16T13:30:07", 99.0, 50);
    let changed = history.mix_in(&late, at("16T13:32:10")).expect("the minute is over");
    assert_eq!((changed.high, changed.close, changed.volume, changed.trades), (99.0, 10.25, 51, 2));
    let [day, before] = history.days(&a);
    assert_eq!(day.map(|day| (day.high, day.volume, day.open)), Some((99.0, 52, 10.5)));
    assert_eq!(before, None);
    // Of a minute that is not over the bar to come holds it; without one it is a bar of its own.
    let next = trade("16T13:32:07", 98.0, 7);
    assert_eq!(history.mix_in(&next, at("16T13:32:10")), None);
    let told = history.record(bar(at("16T13:32:00"), 0));
    let MarketEvent::Bar(told) = told.event else { panic!("a bar stays one") };
    assert_eq!((told.high, told.volume), (98.0, 8));
    assert_eq!(history.close_extra(&a, at("16T13:32:00")), None);
    let alone = trade("16T13:33:07", 97.0, 7);
    assert_eq!(history.mix_in(&alone, at("16T13:33:10")), None);
    assert_eq!(history.close_extra(&a, at("16T13:33:00")).map(|bar| bar.close), Some(97.0));
    assert_eq!(history.bar_at(&a, at("16T13:34:00")).map(|bar| bar.volume), Some(7));
    assert_eq!(history.bar_at(&a, at("16T13:33:59")).map(|bar| bar.volume), Some(8), "not over yet");
}

#[test]
fn trades_from_outside_open_and_close_their_minute_in_the_order_they_happened() {
    let check = |told: &[(&str, f64)], open: f64, close: f64| {
        let (mut history, a) = (history(), Symbol::new("A"));
        for &(second, price) in told {
            let trade = trade(&format!("16T13:30:{second}"), price, 10);
            assert_eq!(history.mix_in(&trade, at("16T13:30:59")), None);
        }
        let bar = history.close_extra(&a, at("16T13:30:00")).expect("a bar");
        assert_eq!((bar.open, bar.close, bar.volume), (open, close, 10 * told.len() as u64), "{told:?}");
        let day = history.days(&a)[0].expect("a day");
        assert_eq!((day.open, day.close), (open, close), "{told:?}");
    };
    check(&[("07", 221.0), ("07", 221.0), ("07", 221.02)], 221.0, 221.02);
    check(&[("07", 2.0), ("08", 3.0)], 2.0, 3.0);
    check(&[("08", 3.0), ("07", 2.0)], 2.0, 3.0);
    check(&[("08", 3.0), ("07", 2.0), ("09", 1.0), ("07", 4.0)], 2.0, 1.0);
}

#[test]
fn auctions_are_the_first_and_last_trade_of_the_session() {
    let (mut history, a) = (history(), Symbol::new("A"));
    for (text, price) in
        [("16T13:29:59", 1.0), ("16T13:30:00", 2.0), ("16T19:59:59", 3.0), ("16T20:00:00", 4.0)]
    {
        history.add_trade(&trade(text, price, 10), None);
    }
    let auctions = |now: &str| history.auctions(&a, EVER, at(now)).next().expect("a day");
    assert_eq!(auctions("16T19:00:00").closing, None);
    let day = auctions("16T20:00:00");
    assert_eq!((day.opening.map(|p| p.1), day.closing.map(|p| p.1)), (Some(2.0), Some(3.0)));
}

#[test]
fn corrected_and_canceled_trades_say_so() {
    let (mut history, a) = (history(), Symbol::new("A"));
    for second in 0..3 {
        history.add_trade(&trade(&format!("16T13:30:0{second}"), 10.0, 5), None);
    }
    let read = |text| {
        crate::wire::market::MarketMessage::read(serde_json::from_str(text).expect(text), at("16T13:31:00"))
    };
    let correction = read(r#"{"T":"c","S":"A","oi":2,"op":10,"os":5,"ci":9,"cp":11.5,"cs":4}"#);
    let Ok(crate::wire::market::MarketMessage::Correction(correction)) = correction else {
        panic!("{correction:?}")
    };
    history.correct(&correction);
    let cancel = read(r#"{"T":"x","S":"A","i":3,"p":10,"s":5}"#);
    let Ok(crate::wire::market::MarketMessage::CancelError(cancel)) = cancel else { panic!("{cancel:?}") };
    history.cancel(&cancel);
    let got: Vec<_> = history.trades(&a, EVER).map(|t| (t.id, t.update.as_str())).collect();
    let expected = [(1, None), (2, Some("incorrect")), (9, Some("corrected")), (3, Some("canceled"))];
    assert_eq!(got, expected);
    assert_eq!(history.trade_at(&a, at("16T14:00:00")).map(|t| t.price), Some(11.5));
}

#[test]
fn the_oldest_go_and_days_stay() {
    let many: Vec<Symbol> = (0..2_000).map(|n| Symbol::new(format!("S{n}"))).collect();
    let mut history = History::new(many.iter(), Calendar::nyse());
    let start = at("16T13:30:00");
    for second in 0..2_000_u64 {
        let time = start + std::time::Duration::from_secs(second);
        history.add_trade(&Trade { symbol: many[0].clone(), time, price: 1.0, size: 1 }, None);
    }
    let kept: Vec<_> = history.trades(&many[0], EVER).collect();
    assert_eq!(kept.len(), MAX_TRADES / 2_000);
    assert_eq!(kept[kept.len() - 1].id, 2_000, "the newest stay");
    let stranger = Symbol::new("ZZZZ");
    history.add_trade(&Trade { symbol: stranger.clone(), time: start, price: 1.0, size: 1 }, None);
    assert_eq!(history.trades(&stranger, EVER).count(), 0, "nothing is kept of what the market lacks");
}
