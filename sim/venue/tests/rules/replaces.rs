//! Replaces.

use sandpit_venue::{Realism, VenueConfig};

use crate::common::{check, check_with};

#[test]
fn a_replacement_carries_the_fills_on() {
    check(
        "at 10:00
         quote A 99 500 100 60
         buy A 100 100 gtc
         replace 1 qty=150 limit=101
         order 1
         order 2
         account held
         quote A 99 500 100.5 500
         order 2
         position A",
        "1 pending_new
         1 new
         1 partial_fill 60@100
         1 replaced
         2 new
         replaced buy_to_open 60/100 until 2014-01-05T21:15:00Z
         new buy_to_open 60/150 until 2014-01-05T21:15:00Z
         held 9090
         2 fill 90@100.5
         filled buy_to_open 150/150 until 2014-01-05T21:15:00Z
         150 (150 free) at 100.3",
    );
}

#[test]
fn a_replacement_goes_to_the_end_of_the_line() {
    check(
        "at 10:00
         quote A 99 500 100 60
         buy A 10 99.5
         buy A 10 99.5
         replace 1 id=again
         quote A 99 500 99.5 15",
        "1 pending_new
         1 new
         2 pending_new
         2 new
         1 replaced
         3 new
         2 fill 10@99.5
         3 partial_fill 5@99.5",
    );
}

#[test]
fn what_cannot_be_replaced() {
    let check = |script: &str, change: &str, expected: &str| {
        let script = format!("at 10:00\nquote A 99 500 100 60\nbuy A 1 market\n{script}\nreplace 2 {change}");
        let check = |log: &str| {
            let expected = format!("1 pending_new\n1 new\n1 fill 1@100\n{log}\nreject {expected}");
            check(&script, &expected);
        };
        let ended = if script.contains("cancel 2") { "\n2 canceled" } else { "" };
        if script.contains("at 16:00") { check("") } else { check(&format!("2 pending_new\n2 new{ended}")) }
    };
    check("buy A 1 90", "limit=90", "422: order parameters are not changed");
    check("buy A 1 90", "", "422: order parameters are not changed");
    check("buy A 1 90\ncancel 2", "limit=91", "422: unable to replace order, order is not open");
    check(
        "at 16:00\nbuy A 1 90",
        "limit=91",
        "422: unable to replace order, order isn't sent to exchange yet",
    );
    check("buy A 1 90", "qty=0", "422: qty must be > 0");
    check("buy A 1 90", "qty=1.5", "422: qty must be an integer");
    check("buy A 1.5 90", "qty=2", "422: qty must be an integer");
    check("buy A $100 90", "limit=91", "422: notional orders cannot be replaced");
    check("buy A 1 90", "stop=91", "422: invalid stop_price: limit orders have none");
    check("buy A 1 stop=110", "limit=91", "422: invalid limit_price: stop orders have none");
    check("buy A 1 90", "trail=1", "422: invalid trail: limit orders have none");
    check("buy A 1 90 tp 110 sl 80", "qty=2", "422: qty cannot be changed for advanced orders");
    check("buy A 1 90 tp 110 sl 80", "tif=gtc", "422: time_in_force cannot be changed for advanced orders");
    check("buy A 1 90", "qty=100000", "403: insufficient buying power");
    check("sell A 1 110", "qty=2", "403: insufficient qty available for order (requested: 2, available: 0)");
    check("buy A 1 90", "tif=opg", "403: opg orders must be submitted after 7:00pm and before 9:28am");
    let penny = "sub-penny increment does not fulfill minimum pricing criteria";
    check("buy A 1 90", "limit=91.001", &format!("422: invalid limit_price 91.001. {penny}"));
    crate::common::check(
        "at 10:00
         quote A 99 500 100 60
         buy A 100 100
         replace 1 qty=60
         replace 1 limit=101
         replace 1 limit=102
         replace 2 limit=103",
        "1 pending_new
         1 new
         1 partial_fill 60@100
         reject 422: qty must be > filled_qty
         1 replaced
         2 new
         reject 422: order already replaced
         2 replaced
         3 new",
    );
}

#[test]
fn legs_change_their_prices() {
    check(
        "at 10:00
         quote A 99 500 100 60
         buy A 10 market tp 110 sl 95
         replace 1b stop=96
         replace 1a limit=105
         replace 1a limit=106
         replace 3 limit=96
         order 2
         quote A 96 500 97 60
         trade A 96",
        "1 pending_new
         1 new
         1 fill 10@100
         1a new
         1b replaced
         1a replaced
         3 new
         reject 422: order already replaced
         reject 422: take_profit.limit_price must be > stop_loss.stop_price
         held sell_to_close 0/10 stop 96 until 2013-10-07T20:00:00Z
         3 canceled
         2 new
         2 fill 10@96",
    );
    // The entry, with its legs; the legs before the entry is filled.
    check(
        "at 10:00
         quote A 99 500 100 60
         buy A 10 98 tp 110 sl 95
         replace 1b stop=94
         replace 1 limit=97
         quote A 96 500 97 60
         order 1a
         cancel 3",
        "1 pending_new
         1 new
         1b replaced
         1 replaced
         3 new
         3 fill 10@97
         1a new
         new sell_to_close 0/10 until 2013-10-07T20:00:00Z
         reject 422: order is already in \"filled\" state",
    );
}

#[test]
fn stops_and_trailing_stops_start_anew() {
    check(
        "at 10:00
         quote A 99 500 100 500
         buy A 10 market
         trade A 100
         sell A 10 trail=2
         quote A 109 500 110 500
         trade A 110
         order 2
         replace 2 trail=3
         order 3",
        "1 pending_new
         1 new
         1 fill 10@100
         2 pending_new
         2 new
         new sell_to_close 0/10 stop 108 best 110 until 2013-10-07T20:00:00Z
         2 replaced
         3 new
         new sell_to_close 0/10 stop 107 best 110 until 2013-10-07T20:00:00Z",
    );
    check(
        "at 10:00
         quote A 99 500 100 500
         buy A 10 stop=101/101
         quote A 101 500 102 500
         trade A 101
         replace 1 limit=102
         quote A 101 500 102 500
         trade A 101",
        "1 pending_new
         1 new
         1 replaced
         2 new
         2 fill 10@102",
    );
}

fn slow() -> VenueConfig {
    let latency = std::time::Duration::from_millis(50);
    let realism = Realism { latency_min: latency, latency_max: latency, ..Realism::exact() };
    VenueConfig { realism, ..VenueConfig::default() }
}

#[test]
fn a_replace_takes_its_time() {
    check_with(
        slow(),
        "at 10:00
         quote A 99 500 100 60
         buy A 100 99.5
         replace 1 limit=101
         at 10:00:01
         replace 1 limit=90 qty=120
         account held
         replace 1 limit=91
         replace 2 limit=91
         cancel 1
         cancel 2
         at 10:00:01.02
         quote A 99 500 99.5 30
         at 10:00:02
         order 2
         account held",
        "1 pending_new
         reject 422: unable to replace order, order isn't sent to exchange yet
         1 new
         1 pending_replace
         held 10800
         reject 422: cannot replace order in pending_replace status
         reject 422: order chain not fully replaced
         reject 422: order is already in \"pending_replace\" state
         reject 422: order is already in \"pending_new\" state
         1 partial_fill 30@99.5
         1 replaced
         2 new
         new buy_to_open 30/120 until 2013-10-07T20:00:00Z
         held 8100",
    );
}

/// The order is filled, or as many shares as the replacement wanted are.
#[test]
fn a_replace_comes_too_late() {
    check_with(
        slow(),
        "at 10:00
         quote A 99 500 100 60
         buy A 100 99.5
         at 10:00:01
         replace 1 qty=80
         quote A 99 500 99.5 85
         at 10:00:02
         replace 1 limit=99
         quote A 99 500 99.5 85
         at 10:00:03
         account held
         position A",
        "1 pending_new
         1 new
         1 pending_replace
         1 partial_fill 85@99.5
         1 order_replace_rejected
         2 rejected
         1 pending_replace
         1 fill 15@99.5
         1 order_replace_rejected
         3 rejected
         held 0
         100 (100 free) at 99.5",
    );
}

#[test]
fn a_stop_loss_keeps_its_distance() {
    let resting = "at 10:00\nquote A 104 500 105 500\ntrade A 104.5\nbuy A 10 100 tp 110 sl 95";
    let open = "1 pending_new\n1 new\n";
    let near = "reject 422: stop price must not be greater than base price / 1.001";
    let check_in = |start: &str, log: &str, change: &str, expected: &str| {
        check(&format!("{start}\nreplace {change}"), &format!("{log}{expected}"));
    };
    // The entry's limit is the base until it fills.
    check_in(resting, open, "1 limit=90", near);
    check_in(resting, open, "1 limit=95.09", near);
    check_in(resting, open, "1 limit=95.1", "1 replaced\n2 new");
    check_in(resting, open, "1b stop=99.91", near);
    check_in(resting, open, "1b stop=99.9", "1b replaced");
    // Then it is the market.
    let active = format!("{resting}\nquote A 99 500 100 500\ntrade A 100");
    let filled = format!("{open}1 fill 10@100\n1a new\n");
    check_in(&active, &filled, "1b stop=109", near);
    check_in(&format!("{active}\ntrade A 104"), &filled, "1b stop=103", "1b replaced");
    // An OCO has two bases.
    let oco = "at 10:00\nquote A 99 500 100 500\nbuy A 10 market\ntrade A 100\nsell A 10 105 oco sl 95";
    let held = "1 pending_new\n1 new\n1 fill 10@100\n2 pending_new\n2 new\n";
    check_in(oco, held, "2 limit=95.05", near);
    check_in(oco, held, "2a stop=99.95", near);
    check_in(oco, held, "2a stop=99.9", "2a replaced");
    // A stop that stays is not looked at again.
    check_in(&format!("{oco}\nquote A 94 500 95.1 500\ntrade A 95.05"), held, "2a id=again", "2a replaced");
}

#[test]
fn an_immediate_replacement_meets_the_first_quote_of_its_session() {
    for tif in ["ioc", "fok", "opg"] {
        check(
            &format!(
                "at 10:00
                 quote A 99 500 100 500
                 buy A 10 98 gtc
                 at 20:00
                 replace 1 tif={tif}
                 order 2
                 at 1d 9:30
                 quote A 97 500 98 500",
            ),
            "1 pending_new
             1 new
             1 replaced
             accepted buy_to_open 0/10 until 2013-10-08T20:00:00Z
             2 new
             2 fill 10@98",
        );
    }
    // One that waits for its first quote waits on.
    check(
        "at 8:00
         buy A 10 98 opg
         at 9:30
         replace 1 limit=97
         quote A 97.5 500 98 500",
        "1 new
         1 replaced
         2 new
         2 canceled",
    );
}
