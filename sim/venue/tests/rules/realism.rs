//! Paper and live: parts by chance, slippage, blocks behind the size, fees.

use sandpit_venue::{Realism, VenueConfig};

use crate::common::check_with;

fn config(realism: Realism) -> VenueConfig {
    VenueConfig { realism, ..VenueConfig::default() }
}

/// Live without what chance decides.
fn steady() -> Realism {
    Realism {
        slippage_min_bp: 2,
        slippage_max_bp: 2,
        latency_min: std::time::Duration::ZERO,
        latency_max: std::time::Duration::ZERO,
        ..Realism::live()
    }
}

#[test]
fn paper_does_not_look_at_sizes() {
    let realism = Realism { partial_percent: 0, ..Realism::paper() };
    check_with(
        config(realism),
        "at 10:00
         quote A 99.99 1 100.01 1
         buy A 500 market
         buy A 100 100.01
         sell A 600 99.99 fok",
        "1 pending_new
         1 new
         1 fill 500@100.01
         2 pending_new
         2 new
         2 fill 100@100.01
         3 pending_new
         3 new
         3 fill 600@99.99",
    );
}

#[test]
fn parts_by_chance_wait_for_the_next_quote_or_trade() {
    // Every eligible fill is a part: the rest comes with the next events, until one share is left.
    let realism = Realism { partial_percent: 100, ..Realism::paper() };
    check_with(
        config(realism),
        "at 10:00
         quote A 99 1 100 1
         buy A 3 market
         trade A 99
         order 1
         quote A 99 1 100 1
         quote A 99 1 100 1
         order 1
         buy A 1 market
         buy A 3 100 fok
         buy A $250 market
         buy A 1.5 market
         trade A 100",
        "1 pending_new
         1 new
         1 partial_fill 1@100
         1 partial_fill 1@100
         partially_filled buy_to_open 2/3 until 2013-10-07T20:00:00Z
         1 fill 1@100
         filled buy_to_open 3/3 until 2013-10-07T20:00:00Z
         2 pending_new
         2 new
         2 fill 1@100
         3 pending_new
         3 new
         3 fill 3@100
         4 pending_new
         4 new
         4 fill 2.5@100
         5 pending_new
         5 new
         5 partial_fill 1@100
         5 fill 0.5@100",
    );
}

#[test]
fn live_orders_walk_through_the_market() {
    check_with(
        config(steady()),
        "at 10:00
         quote A 99.99 100 100 100
         buy A 250 100.01
         buy A 30 100.03
         buy A 20 100.05 fok
         buy A 500 100.05 fok
         quote A 99.99 100 100 100
         sell A 150 market
         quote A 99.99 0 100 0
         buy A 50 100",
        "1 pending_new
         1 new
         1 partial_fill 100@100
         1 partial_fill 100@100.01
         2 pending_new
         2 new
         2 fill 30@100.02
         3 pending_new
         3 new
         3 fill 20@100.02
         4 pending_new
         4 new
         4 canceled
         1 fill 50@100
         5 pending_new
         5 new
         5 partial_fill 100@99.97
         5 fill 50@99.96
         6 pending_new
         6 new",
    );
}

#[test]
fn market_orders_and_elected_stops_slip() {
    check_with(
        config(steady()),
        "at 10:00
         quote A 99.99 100 100 100
         buy A 10 market
         buy A $1000.2 market
         buy A 10 stop=101
         quote A 101 100 104 100
         trade A 101
         quote A 101 100 103.52 100
         quote A 101 100 103.5 100",
        "1 pending_new
         1 new
         1 fill 10@100.02
         2 pending_new
         2 new
         2 fill 10@100.02
         3 pending_new
         3 new
         3 fill 10@103.53",
    );
}

#[test]
fn quotes_made_from_bars_are_wider_live() {
    check_with(
        config(Realism { slippage_min_bp: 0, slippage_max_bp: 0, ..steady() }),
        "at 10:00
         bar A 200.01 10000
         buy A 10 market
         bar B 10 10000
         buy B 10 market",
        "1 pending_new
         1 new
         1 fill 10@200.06
         2 pending_new
         2 new
         2 fill 10@10.01",
    );
}

#[test]
fn fees_are_booked_the_day_after() {
    let realism = Realism { slippage_min_bp: 0, slippage_max_bp: 0, ..steady() };
    let day = |date: &str, expected: &str| {
        let script = format!(
            "date {date}
             at 10:00
             quote A 100 100000 100 100000
             buy A 1000 100
             account accrued
             sell A 1000 100
             account accrued
             at 16:00
             account cash
             at 23:59:59
             fees
             at 1d 0:00
             fees
             account cash
             account accrued"
        );
        let filled = |n: u32| format!("{n} pending_new\n{n} new\n{n} fill 1000@100");
        let (bought, sold) = (filled(1), filled(2));
        check_with(
            config(realism),
            &script,
            &format!("{bought}\naccrued 0.04\n{sold}\n{}\naccrued 0", expected.replace(", ", "\n")),
        );
    };
    day(
        "2025-05-13",
        "accrued 3.02, cash 100000, \
         REG 2025-05-13 2.78, TAF 2025-05-13 0.17, CAT 2025-05-13 0.07, cash 99996.98",
    );
    day("2025-05-14", "accrued 0.24, cash 100000, TAF 2025-05-14 0.17, CAT 2025-05-14 0.07, cash 99999.76");
    day("2026-04-02", "accrued 0.27, cash 100000, TAF 2026-04-02 0.2, CAT 2026-04-02 0.07, cash 99999.73");
    day(
        "2026-04-06",
        "accrued 2.33, cash 100000, \
         REG 2026-04-06 2.06, TAF 2026-04-06 0.2, CAT 2026-04-06 0.07, cash 99997.67",
    );
    day(
        "2027-01-04",
        "accrued 2.37, cash 100000, \
         REG 2027-01-04 2.06, TAF 2027-01-04 0.24, CAT 2027-01-04 0.07, cash 99997.63",
    );
}

#[test]
fn the_rest_of_an_elected_stop_waits_for_the_next_trade_too() {
    let realism = Realism { partial_percent: 100, ..Realism::paper() };
    check_with(
        config(realism),
        "at 10:00
         quote A 99 100 100 100
         buy A 3 100 fok
         sell A 3 stop=99
         trade A 99
         trade A 99
         trade A 99
         trade A 99
         position A",
        "1 pending_new
         1 new
         1 fill 3@100
         2 pending_new
         2 new
         2 partial_fill 1@99
         2 partial_fill 1@99
         2 fill 1@99
         flat",
    );
}

#[test]
fn market_buys_whose_fills_may_stray_hold_more() {
    let cash_account = VenueConfig { cash: "1500".parse().expect("money"), ..config(steady()) };
    check_with(
        cash_account,
        "at 10:00
         quote A 0.0999 100 0.1 100
         buy A 14900 market",
        "reject 403: insufficient buying power",
    );
    // Until the close the offer may be anywhere.
    let held = |price: &str, expected: &str| {
        let script = format!("at 10:00\nquote A {price} 100 {price} 100\nbuy A 10 market cls\naccount held");
        check_with(VenueConfig::default(), &script, &format!("1 pending_new\n1 new\nheld {expected}"));
    };
    held("100", "1025");
    held("49", "509.6");
    // A tick may be more than four per cent.
    held("0.001", "0.011");
}

#[test]
fn a_day_that_is_over_is_booked_before_anything_else() {
    let latency = std::time::Duration::from_millis(50);
    let realism = Realism { latency_min: latency, latency_max: latency, ..steady() };
    let realism = Realism { slippage_min_bp: 0, slippage_max_bp: 0, ..realism };
    check_with(
        VenueConfig { always_open: true, ..config(realism) },
        "date 2026-06-10
         at 10:00
         quote A 100 100000 100 100000
         buy A 1000 100
         at 23:59:59.95
         accrued
         sell A 1000 100
         at 1d 0:00
         accrued
         fees
         at 2d 0:00
         fees",
        "1 pending_new
         1 new
         1 fill 1000@100
         accrued 0.035
         2 pending_new
         2 new
         2 fill 1000@100
         accrued 2.29
         CAT 2026-06-10 0.04
         CAT 2026-06-10 0.04
         REG 2026-06-11 2.06
         TAF 2026-06-11 0.2
         CAT 2026-06-11 0.04",
    );
}
