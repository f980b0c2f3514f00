//! Stops and their election, trailing stops, orders for the open and the close, halts.

use sandpit_venue::VenueConfig;

use crate::common::{check, check_with};

#[test]
fn a_sell_stop_becomes_a_market_order() {
    check(
        "at 10:00
         quote A 99.99 500 100.01 500
         buy A 100 market
         sell A 100 stop=95
         position A
         trade A 99.99
         quote A 95 60 95.05 500
         trade A 95.01
         trade A 95
         position A",
        "1 pending_new
         1 new
         1 fill 100@100.01
         2 pending_new
         2 new
         100 (0 free) at 100.01
         2 partial_fill 60@95
         2 fill 40@94.99
         flat",
    );
}

#[test]
fn a_buy_stop_becomes_a_limit_order() {
    // 4 % above a stop below 50 USD, 2.5 % above others, up to the tick.
    check(
        "at 10:00
         quote A 39 500 40 500
         buy A 100 stop=41
         account held
         quote A 42.70 500 42.75 500
         trade A 42.70
         quote A 42.60 500 42.64 500
         account held",
        "1 pending_new
         1 new
         held 4264
         1 fill 100@42.64
         held 0",
    );
    check(
        "at 10:00\nquote A 99 500 100 500\nbuy A 100 stop=101.01\naccount held",
        "1 pending_new\n1 new\nheld 10354",
    );
}

#[test]
fn a_stop_limit_becomes_its_limit_order() {
    check(
        "at 10:00
         quote A 99 500 100 500
         buy A 100 stop=101/101.5 gtc
         quote A 102 500 102.01 500
         trade A 102
         order 1
         quote A 101 500 101.4 500
         order 1",
        "1 pending_new
         1 new
         new buy_to_open 0/100 stop 101 until 2014-01-05T21:15:00Z
         1 fill 100@101.4
         filled buy_to_open 100/100 stop 101 until 2014-01-05T21:15:00Z",
    );
}

#[test]
fn which_trades_elect() {
    // One sell stop at 95; the market as it stands after `market`.
    let check = |market: &str, elects: bool| {
        let script =
            format!("at 10:00\nquote A 99 500 100 500\nbuy A 1 market\nsell A 1 stop=95 gtc\n{market}");
        let fill = if elects { "2 fill 1@94" } else { "" };
        check(&script, &format!("1 pending_new\n1 new\n1 fill 1@100\n2 pending_new\n2 new\n{fill}"));
    };
    check("quote A 94 5 96 5\ntrade A 95", true);
    check("quote A 94 5 96 5\ntrade A 94.5", true);
    check("quote A 94 5 96 5\ntrade A 95.01", false);
    // Outside the quote that stands, and with one side of it missing.
    check("quote A 94 5 96 5\ntrade A 93.99", false);
    check("quote A 94 5 94.5 5\ntrade A 94.6", false);
    check("quote A 94 5 0 0\ntrade A 95", true);
    // Quotes elect nothing, nor do trades outside the session or bars of a symbol that has trades.
    check("quote A 94 5 95 5", false);
    check("at 16:00\nquote A 94 5 96 5\ntrade A 94.5\nat 1d 9:30\nquote A 97 5 98 5", false);
    check("at 1d 9:30:30\nbar A 90 100\nquote A 97 5 98 5", false);
    check("trade A 99.5\nquote A 94 5 96 5\nat 10:02\nbar A 94 100", false);
    check("quote A 94 5 96 5\nat 10:02\nbar A 96 100 95 97", true);
    check("quote A 94 5 96 5\nat 10:02\nbar A 96 100 95.01 97", false);
    // Without a quote of this session any trade counts; what is sold then waits for a quote.
    check("at 1d 9:30\ntrade A 90\nquote A 94 5 96 5", true);
}

#[test]
fn several_stops_are_elected_in_order_of_submission() {
    check(
        "at 10:00
         quote A 99 500 100 500
         buy A 100 market
         sell A 30 stop=96
         sell A 30 stop=97
         sell A 40 stop=90
         quote A 95 50 96 500
         trade A 95.5",
        "1 pending_new
         1 new
         1 fill 100@100
         2 pending_new
         2 new
         3 pending_new
         3 new
         4 pending_new
         4 new
         2 fill 30@95
         3 partial_fill 20@95
         3 fill 10@94.99",
    );
}

#[test]
fn a_trailing_stop_follows_the_best_price() {
    check(
        "at 10:00
         quote A 99 500 100 500
         buy A 10 market
         trade A 99.5
         sell A 10 trail=1% gtc
         order 2
         quote A 99 500 103 500
         trade A 102.33
         order 2
         trade A 101.4
         order 2
         trade A 101.31",
        "1 pending_new
         1 new
         1 fill 10@100
         2 pending_new
         2 new
         new sell_to_close 0/10 stop 98.51 best 99.5 until 2014-01-05T21:15:00Z
         new sell_to_close 0/10 stop 101.31 best 102.33 until 2014-01-05T21:15:00Z
         new sell_to_close 0/10 stop 101.31 best 102.33 until 2014-01-05T21:15:00Z
         2 fill 10@99",
    );
    // A buy follows the lowest price and becomes a market order too; bars show their lows.
    check(
        "at 10:00
         bar A 50 1000
         buy A 10 trail=2
         at 10:01
         bar A 49 1000 48 49.5
         order 1
         at 10:02
         bar A 49.98 1000 49 50",
        "1 pending_new
         1 new
         new buy_to_open 0/10 stop 50 best 48 until 2013-10-07T20:00:00Z
         1 fill 10@49.99",
    );
}

#[test]
fn stops_sleep_outside_the_session() {
    check(
        "at 10:00
         quote A 99 500 100 500
         buy A 10 market
         sell A 10 trail=1 gtc
         at 17:00
         trade A 200
         order 2
         at 1d 9:29
         trade A 90
         at 1d 9:30
         trade A 99
         order 2
         quote A 97 5 98 5
         trade A 98",
        "1 pending_new
         1 new
         1 fill 10@100
         2 pending_new
         2 new
         new sell_to_close 0/10 stop 98.5 best 99.5 until 2014-01-05T21:15:00Z
         new sell_to_close 0/10 stop 98.5 best 99.5 until 2014-01-05T21:15:00Z
         2 partial_fill 5@97
         2 fill 5@96.99",
    );
}

#[test]
fn orders_for_the_open_meet_the_first_quote() {
    check(
        "at 9:27
         quote A 99 500 100 500
         buy A 100 100 opg
         buy A 5 market opg
         order 1
         at 9:30
         at 9:31
         quote A 99 500 99.5 60
         quote A 99 500 99.5 60",
        "accepted buy_to_open 0/100 until 2013-10-07T20:00:00Z
         1 new
         2 new
         2 fill 5@99.5
         1 partial_fill 55@99.5
         1 canceled",
    );
    let refused = "reject 403: opg orders must be submitted after 7:00pm and before 9:28am";
    let check_at = |time: &str, expected: &str| {
        check(&format!("at {time}\nquote A 9 1 10 1\nbuy A 1 market opg"), expected);
    };
    check_at("9:27:59", "");
    check_at("9:28", refused);
    check_at("18:59:59", refused);
    check_at("19:00", "");
    // Saturday.
    check_at("5d 12:00", "");
}

#[test]
fn orders_for_the_close_meet_what_stands_then() {
    check(
        "at 10:00
         quote A 99 500 100 60
         buy A 50 100.5 cls
         buy A 20 market cls
         buy A 10 98
         sell B 1 market cls
         quote A 99 500 100 60
         at 16:00",
        "1 pending_new
         1 new
         2 pending_new
         2 new
         3 pending_new
         3 new
         reject 422: asset \"B\" is not tradable
         2 fill 20@100
         1 partial_fill 40@100
         1 canceled
         3 expired",
    );
    let refused = "reject 403: cls orders must be submitted after 7:00pm and before 3:50pm";
    let check_at = |time: &str, expected: &str| {
        check(&format!("at {time}\nquote A 9 1 10 1\nbuy A 1 market cls"), expected);
    };
    check_at("15:49:59", "1 pending_new\n1 new");
    check_at("15:50", refused);
    check_at("18:59", refused);
    check_at("19:00", "");
    let config = VenueConfig { always_open: true, ..VenueConfig::default() };
    check_with(
        config,
        "at 15:55
         quote A 99 500 100 60
         buy A 70 100 opg
         buy A 5 market cls
         at 1d 0:00",
        "1 pending_new
         1 new
         1 partial_fill 60@100
         1 canceled
         2 pending_new
         2 new
         2 fill 5@100.01",
    );
}

#[test]
fn nothing_fills_in_a_halt() {
    check(
        "at 10:00
         quote A 99 500 100 500
         buy A 10 99.5
         buy A 5 stop=101
         halt A
         quote A 99 500 99.2 500
         trade A 99.1
         buy A 1 market
         buy A 1 market ioc
         trade A 101
         unhalt A
         trade A 99.2
         buy A 2 market
         quote A 99 500 99.3 500",
        "1 pending_new
         1 new
         2 pending_new
         2 new
         3 pending_new
         3 new
         4 pending_new
         4 new
         4 canceled
         5 pending_new
         5 new
         3 fill 1@99.3
         5 fill 2@99.3
         1 fill 10@99.3",
    );
}

#[test]
fn the_last_minute_belongs_to_its_session() {
    let held = "at 10:00\nbar A 100 100000\nbuy A 30 market\n";
    check(
        &format!(
            "{held}
             sell A 10 stop=95
             sell A 10 101
             sell A 10 market cls
             at 15:59:30
             until 16:00
             bar A 94 1000 94 100
             bar B 5 1000
             at 16:00
             account last_equity"
        ),
        "1 pending_new
         1 new
         1 fill 30@100.01
         2 pending_new
         2 new
         3 pending_new
         3 new
         4 pending_new
         4 new
         2 fill 10@94
         4 fill 10@94
         3 expired
         last_equity 99819.7",
    );
    check(
        "at 10:00
         bar A 100 100000
         buy A 10 95
         until 16:00
         bar A 94 1000
         order 1
         at 16:00",
        "1 pending_new
         1 new
         1 fill 10@94.01
         filled buy_to_open 10/10 until 2013-10-07T20:00:00Z",
    );
    // Nor is the pre-market's last one for sale in the session.
    check(
        "at 8:00
         buy A 10 95
         until 9:30
         bar A 94 1000
         at 9:30
         until 9:31
         bar A 93 1000",
        "1 new
         1 fill 10@93.01",
    );
}

#[test]
fn a_trade_without_a_price_is_none() {
    check(
        "at 10:00
         bar A 100 1000
         buy A 10 market
         sell A 10 stop=95
         trade A 0
         at 10:02
         bar A 94 1000",
        "1 pending_new
         1 new
         1 fill 10@100.01
         2 pending_new
         2 new
         2 fill 10@94",
    );
}
