//! The venue's rules, one table each.

mod common;

use common::{MONDAY, check, check_with};
use sandpit_types::{MarketTime, Side, Symbol};
use sandpit_venue::{Amount, Class, NewOrder, OrderKind, Reject, TimeInForce, Venue, VenueConfig};

#[test]
fn marketable_orders_fill_at_the_quote() {
    check(
        "at 10:00
         quote A 99.99 500 100.01 300
         buy A 100 market
         sell A 40 99.50
         buy A 10 100.05",
        "1 pending_new
         1 new
         1 fill 100@100.01
         2 pending_new
         2 new
         2 fill 40@99.99
         3 pending_new
         3 new
         3 fill 10@100.01",
    );
}

#[test]
fn a_market_order_pays_one_tick_more_beyond_the_size_shown() {
    check(
        "at 10:00
         quote A 99.99 200 100.01 300
         buy A 500 market
         buy A 50 market
         quote A 99.99 200 100.01 300
         sell A 550 market",
        "1 pending_new
         1 new
         1 partial_fill 300@100.01
         1 fill 200@100.02
         2 pending_new
         2 new
         2 fill 50@100.02
         3 pending_new
         3 new
         3 partial_fill 200@99.99
         3 fill 350@99.98",
    );
}

#[test]
fn a_limit_order_takes_the_size_shown_once_and_waits() {
    check(
        "at 10:00
         quote A 99.99 500 100.01 300
         buy A 500 100.01
         buy A 50 100.05
         quote A 99.99 500 100.02 300
         quote A 99.97 500 99.99 120
         quote A 99.97 500 99.99 120",
        "1 pending_new
         1 new
         1 partial_fill 300@100.01
         2 pending_new
         2 new
         2 fill 50@100.02
         1 partial_fill 120@99.99
         1 fill 80@99.99",
    );
}

#[test]
fn better_prices_go_first_then_earlier_orders() {
    check(
        "at 10:00
         quote A 99.99 500 100.01 300
         buy A 100 99.90
         buy A 100 99.95
         buy A 100 99.95
         quote A 99.80 500 99.85 150
         quote A 99.80 500 99.85 150",
        "1 pending_new
         1 new
         2 pending_new
         2 new
         3 pending_new
         3 new
         2 fill 100@99.85
         3 partial_fill 50@99.85
         3 fill 50@99.85
         1 fill 100@99.85",
    );
}

#[test]
fn immediate_orders_end_at_once() {
    check(
        "at 10:00
         quote A 99.99 500 100.01 300
         buy A 500 100.01 ioc
         buy A 10 99 ioc
         quote A 99.99 500 100.01 300
         buy A 301 100.01 fok
         buy A 300 100.01 fok
         buy A 400 market fok",
        "1 pending_new
         1 new
         1 partial_fill 300@100.01
         1 canceled
         2 pending_new
         2 new
         2 canceled
         3 pending_new
         3 new
         3 canceled
         4 pending_new
         4 new
         4 fill 300@100.01
         5 pending_new
         5 new
         5 fill 400@100.02",
    );
}

#[test]
fn a_symbol_with_bars_only_is_quoted_around_the_close() {
    check(
        "at 10:00
         bar A 50 5000
         buy A 500 market
         at 10:01
         bar A 49 10
         sell A 200 market
         position A",
        "1 pending_new
         1 new
         1 fill 500@50.01
         2 pending_new
         2 new
         2 partial_fill 100@49
         2 fill 100@48.99
         300 (300 free) at 50.01",
    );
}

#[test]
fn orders_outside_the_session_are_queued() {
    check(
        "at 8:00
         quote A 99.99 500 100.01 300
         buy A 100 market
         order 1
         at 9:30
         buy A 10 market
         quote A 100.49 500 100.51 300",
        "accepted buy_to_open 0/100 until 2013-10-07T20:00:00Z
         1 new
         2 pending_new
         2 new
         1 fill 100@100.51
         2 fill 10@100.51",
    );
    // After the close: for the next session, and gone with it.
    check(
        "at 10:00
         quote A 99.99 500 100.01 300
         at 16:00
         buy A 100 90
         buy A 100 100.01 ioc
         order 1
         at 1d 9:29
         at 1d 9:30
         quote A 99.99 500 100.01 60
         at 1d 16:00",
        "accepted buy_to_open 0/100 until 2013-10-08T20:00:00Z
         1 new
         2 new
         2 partial_fill 60@100.01
         2 canceled
         1 expired",
    );
    check(
        "at 20:30\nquote A 9 1 10 1\nbuy A 1 9\ncancel 1\ncancel 1",
        "1 canceled\nreject 422: order is already in \"canceled\" state",
    );
}

#[test]
fn extended_hours_are_for_day_and_gtc_limits() {
    check(
        "at 8:00
         quote A 99.99 500 100.01 300
         buy A 100 100.01 day ext
         buy A 100 99 day ext
         buy A 100 99 day
         order 2
         at 9:30
         at 16:00
         quote A 98.99 500 99 300
         at 16:01
         buy A 5 99 gtc ext
         at 20:00
         buy A 5 99 ext
         order 5
         at 1d 4:00",
        "1 pending_new
         1 new
         1 fill 100@100.01
         2 pending_new
         2 new
         new buy_to_open 0/100 until 2013-10-08T00:00:00Z
         3 new
         3 expired
         2 fill 100@99
         4 pending_new
         4 new
         4 fill 5@99
         accepted buy_to_open 0/5 until 2013-10-09T00:00:00Z
         5 new",
    );
    let refused = "reject 422: extended hours order must be DAY or GTC limit orders";
    for order in ["buy A 1 market day ext", "buy A 1 9 ioc ext", "buy A 1 9 fok ext"] {
        check(&format!("at 10:00\nquote A 9 1 10 1\n{order}"), refused);
    }
}

#[test]
fn orders_end_with_their_time() {
    // A day order does not see the quote of the close; a GTC order sleeps outside the session, for 90 days.
    check(
        "at 10:00
         quote A 99.99 500 100.01 300
         buy A 100 99
         buy A 100 98 gtc
         order 2
         at 16:00
         quote A 97 500 97.5 300
         at 1d 9:30
         quote A 97.9 500 98 40
         at 1d 17:00
         at 90d 17:14
         at 90d 17:15",
        "1 pending_new
         1 new
         2 pending_new
         2 new
         new buy_to_open 0/100 until 2014-01-05T21:15:00Z
         1 expired
         2 partial_fill 40@98
         2 canceled",
    );
}

#[test]
fn a_calendar_that_never_closes() {
    let config = VenueConfig { always_open: true, ..VenueConfig::default() };
    check_with(
        config,
        "at 3:00
         quote A 99.99 500 100.01 300
         buy A 100 market
         buy A 100 99
         at 23:59
         at 1d 0:00
         buy A 1 market",
        "1 pending_new
         1 new
         1 fill 100@100.01
         2 pending_new
         2 new
         2 expired
         3 pending_new
         3 new
         3 fill 1@100.01",
    );
}

#[test]
fn what_an_order_must_look_like() {
    let check = |order: &str, reject: &str| {
        let script = format!("at 10:00\nquote A 99 100 100 100\n{order}");
        common::check(&script, &format!("reject 422: {reject}"));
    };
    let sub_penny = |price: &str| {
        format!("invalid limit_price {price}. sub-penny increment does not fulfill minimum pricing criteria")
    };
    check("buy A 0 market", "qty must be > 0");
    check("buy A -1 market", "qty must be > 0");
    check("buy A 0.1234567891 market", "invalid qty");
    check("buy A 1000000001 market", "invalid qty");
    check("buy A 1 0", "invalid limit_price 0");
    check("buy A 1 9999999999999999999999", "invalid limit_price 9999999999999999999999");
    check("buy A 1 290.123", &sub_penny("290.123"));
    check("buy A 1 0.00011", &sub_penny("0.00011"));
    check("buy ZZZZ 1 market", "asset \"ZZZZ\" not found");
    check("buy B 1 market", "asset \"B\" is not tradable");
    check("buy A 1.5 market gtc", "fractional orders must be DAY orders");
    check("buy A 1.5 market ioc", "fractional orders must be DAY orders");
    check("sell A 1.5 market", "fractional orders cannot be sold short");
}

#[test]
fn fractions_of_shares() {
    check(
        "at 10:00
         quote A 99 100 100 100
         buy A 1.5 market
         sell A 0.123456789 99
         position A
         close A
         account cash",
        "1 pending_new
         1 new
         1 fill 1.5@100
         2 pending_new
         2 new
         2 fill 0.123456789@99
         1.376543211 (1.376543211 free) at 100
         3 pending_new
         3 new
         3 fill 1.376543211@99
         cash 99998.5",
    );
}

#[test]
fn buying_power() {
    check(
        "at 10:00
         quote A 99 100000 100 100000
         account power
         buy A 1000 90
         account power
         buy A 1101 100
         buy A 1100 100
         account power
         buy A 1 90
         cancel 1
         account power
         account held",
        "power 200000
         1 pending_new
         1 new
         power 110000
         reject 403: insufficient buying power
         2 pending_new
         2 new
         2 fill 1100@100
         power 0
         reject 403: insufficient buying power
         1 canceled
         power 89450
         held 0",
    );
}

#[test]
fn small_accounts_have_neither_margin_nor_shorts() {
    let config = VenueConfig { cash: "1999.99".parse().expect("money"), ..VenueConfig::default() };
    check_with(
        config,
        "at 10:00
         quote A 99 100 100 100
         account power
         sell A 1 market
         buy A 20 100
         buy A 19 100",
        "power 1999.99
         reject 403: account is not allowed to short
         reject 403: insufficient buying power
         1 pending_new
         1 new
         1 fill 19@100",
    );
    let config = VenueConfig { shorting: false, ..VenueConfig::default() };
    let script = "at 10:00\nquote A 99 100 100 100\nsell A 1 market";
    check_with(config, script, "reject 403: account is not allowed to short");
}

#[test]
fn open_sells_reserve_shares() {
    check(
        "at 10:00
         quote A 99 100 100 100
         buy A 16 market
         sell A 10 110
         position A
         sell A 7 111
         close A
         close A 6
         position A
         cancel 2
         position A",
        "1 pending_new
         1 new
         1 fill 16@100
         2 pending_new
         2 new
         16 (6 free) at 100
         reject 403: insufficient qty available for order (requested: 7, available: 6)
         reject 403: insufficient qty available for order (requested: 16, available: 6)
         3 pending_new
         3 new
         3 fill 6@99
         10 (0 free) at 100
         2 canceled
         10 (10 free) at 100",
    );
}

#[test]
fn no_order_flips_a_position() {
    check(
        "at 10:00
         quote A 99 100 100 100
         buy A 10 market
         sell A 11 market
         close A
         sell A 10 market
         buy A 11 market
         order 3
         buy A 4 90
         position A
         close A
         close A 6
         position A",
        "1 pending_new
         1 new
         1 fill 10@100
         reject 403: insufficient qty available for order (requested: 11, available: 10)
         2 pending_new
         2 new
         2 fill 10@99
         3 pending_new
         3 new
         3 fill 10@99
         reject 403: insufficient qty available for order (requested: 11, available: 10)
         filled sell_to_open 10/10 until 2013-10-07T20:00:00Z
         4 pending_new
         4 new
         -10 (-6 free) at 99
         reject 403: insufficient qty available for order (requested: 10, available: 6)
         5 pending_new
         5 new
         5 fill 6@100
         -4 (0 free) at 99",
    );
}

#[test]
fn a_flat_account_trades_one_way_at_a_time() {
    let check = |first: &str, second: &str, reject: &str| {
        let script = format!("at 10:00\nquote A 99 100 100 100\n{first}\n{second}");
        common::check(&script, &format!("1 pending_new\n1 new\nreject 403: {reject}"));
    };
    let short = "cannot open a short sell while a long buy order is open";
    check("buy A 1 90", "sell A 1 110", short);
    check("buy A 1 90", "sell A 1 market", short);
    check("sell A 1 110", "buy A 1 90", "cannot open a long buy while a short sell order is open");
    common::check(
        "at 10:00\nclose A\nclose ZZZZ",
        "reject 404: position does not exist\nreject 404: position does not exist",
    );
}

#[test]
fn orders_of_one_account_do_not_meet() {
    // With 10 shares held and the market closed, the first order rests. Does the second come to it?
    let check = |first: &str, second: &str, meets: bool| {
        let script =
            format!("at 10:00\nquote A 99 100 100 100\nbuy A 10 market\nat 16:00\n{first}\n{second}");
        let rejected =
            if meets { "reject 403: potential wash trade detected. use complex orders" } else { "" };
        common::check(&script, &format!("1 pending_new\n1 new\n1 fill 10@100\n{rejected}"));
    };
    check("buy A 1 market", "sell A 1 market", true);
    check("buy A 1 market", "sell A 1 110", true);
    check("buy A 1 90", "sell A 1 market", true);
    check("buy A 1 90", "sell A 1 90", true);
    check("buy A 1 90", "sell A 1 89", true);
    check("buy A 1 90", "sell A 1 90.01", false);
    check("sell A 1 110", "buy A 1 110", true);
    check("sell A 1 110", "buy A 1 109.99", false);
    check("sell A 1 110", "buy A 1 market", true);
    check("sell A 1 110", "sell A 1 109", false);
}

#[test]
fn a_suspended_account_takes_no_orders() {
    check(
        "at 10:00
         quote A 99 100 100 100
         buy A 1 market
         buy A 1 90
         suspend
         buy A 1 market
         close A
         cancel 2
         resume
         close A",
        "1 pending_new
         1 new
         1 fill 1@100
         2 pending_new
         2 new
         reject 403: new orders are rejected by user request
         reject 403: new orders are rejected by user request
         2 canceled
         3 pending_new
         3 new
         3 fill 1@99",
    );
}

#[test]
fn money() {
    check(
        "at 10:00
         quote A 99 100 100 100
         buy A 100 market
         account cash
         trade A 105
         account equity
         account last_equity
         at 16:00
         account last_equity
         at 1d 9:30
         quote A 104 100 105 100
         sell A 50 104
         account realized
         account cash
         account equity",
        "1 pending_new
         1 new
         1 fill 100@100
         cash 90000
         equity 100500
         last_equity 100000
         last_equity 100500
         2 pending_new
         2 new
         2 fill 50@104
         realized 200
         cash 95200
         equity 100450",
    );
}

#[test]
fn client_order_ids_are_used_once() {
    let now = MarketTime::parse("2013-10-07T10:00:00-04:00").expect("a time");
    let mut venue = Venue::new(VenueConfig::default(), &[Symbol::new("A")], now);
    let mut submit = |client_order_id: &str| {
        let order = NewOrder {
            client_order_id: Some(client_order_id.to_owned()),
            symbol: Symbol::new("A"),
            side: Side::Buy,
            amount: Amount::Qty("1".parse().expect("qty")),
            kind: OrderKind::Limit { limit_price: "10".parse().expect("a price") },
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class: Class::Simple,
            position_intent: None,
        };
        let id = venue.submit(order, now)?;
        venue.cancel(&id, now).expect("it is open");
        Ok((id, venue.by_client_id(client_order_id).map(|order| order.id.clone())))
    };
    let (id, found) = submit("x").expect("a new id");
    assert_eq!(found, Some(id));
    assert_eq!(submit("x"), Err(Reject::ClientOrderIdUsed));
    assert_eq!(submit(&"é".repeat(129)), Err(Reject::ClientOrderIdTooLong));
    submit(&"é".repeat(128)).expect("128 characters fit");
    // The venue names orders without one, and two of them do not collide.
    assert_eq!(submit("").expect("no id").1, None);
    submit("").expect("no id");
}

#[test]
fn ids_are_found_however_they_are_written() {
    let now = MarketTime::parse(MONDAY).expect("a time");
    let spy = Symbol::new("SPY");
    let venue = Venue::new(VenueConfig::default(), &[spy.clone(), spy.clone()], now);
    let id = venue.asset_id(&spy).expect("a known symbol").to_string();
    assert_eq!(venue.symbols().count(), 1);
    for text in ["SPY", &id, &id.replace('-', "")] {
        assert_eq!(venue.resolve(text), Some(&spy), "{text}");
    }
    assert_eq!(venue.resolve("spy"), None);
}
