//! What orders must look like, by notional and with fractions, and what listings allow.

use sandpit_types::{MarketEvent, MarketTime, Price, Qty, Quote, Side, Symbol};
use sandpit_venue::{Amount, Class, Listing, NewOrder, OrderKind, StopLoss, TimeInForce, Venue, VenueConfig};

use crate::common::{check, check_listed};

#[test]
fn what_an_order_must_look_like() {
    let check = |order: &str, expected: &str| {
        check(&format!("at 10:00\nquote A 99 500 100 500\n{order}"), &format!("reject {expected}"));
    };
    let penny = "sub-penny increment does not fulfill minimum pricing criteria";
    check("buy A 1 stop=0", "422: invalid stop_price 0");
    check("buy A 1 stop=101.001", &format!("422: invalid stop_price 101.001. {penny}"));
    check("buy A 1 stop=101/102.001", &format!("422: invalid limit_price 102.001. {penny}"));
    check("buy A 1 trail=0", "422: trail_price must be greater than 0");
    check("buy A 1 trail=0.09%", "422: trail_percent must be greater than or equal to 0.1");
    check("buy A 1 trail=100%", "422: trail_percent must be greater than or equal to 0.1");
    check("buy A 1 trail=1 ioc", "422: trailing stop orders must be DAY or GTC orders");
    check("buy A 1 stop=101 ioc", "422: stop orders must be DAY or GTC orders");
    check("buy A 1 stop=101 opg", "422: opg orders must be market or limit orders");
    check("buy A 1 stop=101 ext", "422: extended hours order must be DAY or GTC limit orders");
    check("buy A $0 market", "422: invalid notional");
    check("buy A $1.0000000001 market", "422: invalid notional");
    check("buy A $0.99 market", "403: cost basis must be >= minimal amount of order 1");
    check("buy A $10 market gtc", "422: fractional orders must be DAY orders");
    check("buy A $10 trail=1", "422: fractional orders must be market, limit, stop, or stop_limit orders");
    check("buy A $10 100 tp 110", "422: fractional orders must be simple orders");
    check("sell A $10 market", "422: fractional orders cannot be sold short");
    check("buy B $10 market", "422: asset \"B\" is not tradable");
    check(
        "buy A 1 market as buy_to_close",
        "422: position intent mismatch, inferred: buy_to_open, specified: buy_to_close",
    );
}

#[test]
fn orders_by_notional_fill_at_one_price() {
    check(
        "at 10:00
         quote A 99 1 100 1
         buy A $1000 market as buy_to_open
         order 1
         buy A $70 101
         buy A $33 stop=102
         account held
         quote A 102.5 1 103 1
         trade A 103
         position A
         sell A $250 102
         sell A $2000 market
         sell A $500 110
         position A
         close A
         cancel 5
         close A 50%
         close A
         position A",
        "1 pending_new
         1 new
         1 fill 10@100
         filled buy_to_open 10/$1000 until 2013-10-07T20:00:00Z
         2 pending_new
         2 new
         2 fill 0.7@100
         3 pending_new
         3 new
         held 33
         3 fill 0.320388349@103
         11.020388349 (11.020388349 free) at 100.087216985
         4 pending_new
         4 new
         4 fill 2.43902439@102.5
         reject 403: insufficient qty available for order (requested: 19.512195121, available: 8.581363959)
         5 pending_new
         5 new
         8.581363959 (3.703315179 free) at 100.087216985
         reject 403: insufficient qty available for order (requested: 8.581363959, available: 3.703315179)
         5 canceled
         6 pending_new
         6 new
         6 fill 4.290681979@102.5
         7 pending_new
         7 new
         7 fill 4.29068198@102.5
         flat",
    );
}

#[test]
fn a_sale_by_notional_reserves_shares() {
    check(
        "at 10:00
         quote A 99 100 100 100
         buy A 10 market
         sell A $990 110
         position A
         cancel 2
         sell A $500 stop=90
         position A
         quote A 40 100 41 100
         trade A 40.5
         position A",
        "1 pending_new
         1 new
         1 fill 10@100
         2 pending_new
         2 new
         10 (0 free) at 100
         2 canceled
         3 pending_new
         3 new
         10 (4.94949495 free) at 100
         3 fill 10@40
         flat",
    );
}

#[test]
fn a_sale_by_notional_without_a_bid_is_measured_at_the_mark() {
    check(
        "at 10:00
         quote A 99 100 100 100
         buy A 10 market
         quote A 0 0 100 100
         sell A $1001 stop=90
         sell A $1000 stop=90",
        "1 pending_new
         1 new
         1 fill 10@100
         reject 403: insufficient qty available for order (requested: 10.01, available: 10)
         2 pending_new
         2 new",
    );
}

#[test]
fn listings_say_what_is_allowed() {
    let open = |name: &str| Listing::open(Symbol::new(name));
    let listings = [
        Listing { tradable: false, ..open("OFF") },
        Listing { fractionable: false, ..open("WHOLE") },
        Listing { shortable: false, ..open("LONG") },
        Listing { marginable: false, ..open("CASH") },
        open("A"),
    ];
    let check = |script: &str, expected: &str| {
        check_listed(VenueConfig::default(), &listings, &format!("at 10:00\n{script}"), expected);
    };
    check("quote OFF 9 100 10 100\nbuy OFF 1 market", "reject 422: asset \"OFF\" is not tradable");
    let whole = "quote WHOLE 9 100 10 100";
    check(&format!("{whole}\nbuy WHOLE 1.5 market"), "reject 403: asset \"WHOLE\" is not fractionable");
    check(&format!("{whole}\nbuy WHOLE $5 market"), "reject 403: asset \"WHOLE\" is not fractionable");
    check("quote LONG 9 100 10 100\nsell LONG 1 market", "reject 403: asset \"LONG\" cannot be sold short");
    check(
        "quote A 9 100 10 100\nwhole-shares\nbuy A 1.5 market",
        "reject 403: account is not allowed to trade fractional shares",
    );
    check(
        "quote A 9 100 10 100\nbuy A 1.5 market\nwhole-shares\nsell A 1.2 market\nsell A 0.5 market",
        "1 pending_new\n1 new\n1 fill 1.5@10\n2 pending_new\n2 new\n2 fill 1.2@9
         reject 403: insufficient qty available for order (requested: 0.5, available: 0.3)",
    );
    // All of what is not marginable is margin.
    check(
        "quote CASH 9 100000 10 100000
         buy CASH 10001 10
         buy CASH 4000 10
         account power
         buy CASH 1000 9
         account power
         account held",
        "reject 403: insufficient buying power
         1 pending_new
         1 new
         1 fill 4000@10
         power 120000
         2 pending_new
         2 new
         power 102000
         held 9000",
    );
}

#[test]
fn an_elected_stop_is_in_the_way_whatever_its_limit() {
    crate::common::check(
        "at 10:00
         quote A 99 500 100 500
         buy A 10 market
         buy A 1 90
         sell A 10 105
         cancel 3
         buy A 10 stop=101
         quote A 101 500 104 500
         trade A 101
         sell A 10 105
         cancel 4
         sell A 10 105",
        "1 pending_new
         1 new
         1 fill 10@100
         2 pending_new
         2 new
         3 pending_new
         3 new
         3 canceled
         4 pending_new
         4 new
         reject 403: potential wash trade detected. use complex orders
         4 canceled
         5 pending_new
         5 new",
    );
}

#[test]
fn a_refusal_names_the_orders_that_hold_the_shares() {
    let now = MarketTime::parse("2026-03-02T15:00:00Z").expect("a time in a session");
    let symbol = Symbol::new("A");
    let mut venue = Venue::new(VenueConfig::default(), std::slice::from_ref(&symbol), now);
    let (bid, ask) = (99.0, 100.0);
    let quote = Quote { symbol: symbol.clone(), time: now, bid, bid_size: 900, ask, ask_size: 900 };
    venue.on_market(&MarketEvent::Quote(quote));
    let mut send = |side, qty: u32, kind, class| {
        let amount = Amount::Qty(Qty::new(qty.into()));
        let (time_in_force, symbol) = (TimeInForce::Day, symbol.clone());
        let (client_order_id, extended_hours, position_intent) = (None, false, None);
        venue.submit(
            NewOrder {
                client_order_id,
                symbol,
                side,
                amount,
                kind,
                time_in_force,
                extended_hours,
                class,
                position_intent,
            },
            now,
        )
    };
    let price = |dollars: u32| Price::new(dollars.into());
    let limit = |dollars| OrderKind::Limit { limit_price: price(dollars) };
    // The stop-loss beside the take-profit holds nothing.
    let stop_loss = StopLoss { stop_price: price(90), limit_price: None };
    send(Side::Buy, 150, OrderKind::Market, Class::Simple).expect("it can be paid");
    let oco = send(Side::Sell, 10, limit(110), Class::Oco { stop_loss }).expect("ten are free");
    let refused = send(Side::Sell, 141, limit(110), Class::Simple).expect_err("140 are free");
    assert_eq!(refused.related_orders(), [oco]);
    for _ in 0..140 {
        send(Side::Sell, 1, limit(110), Class::Simple).expect("one is free");
    }
    let refused = send(Side::Sell, 1, limit(110), Class::Simple).expect_err("none is free");
    assert_eq!(refused.related_orders().len(), 100);
}
