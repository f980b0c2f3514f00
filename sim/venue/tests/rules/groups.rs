//! Brackets, OCO and OTO.

use crate::common::check;

#[test]
fn a_bracket_that_takes_its_profit() {
    check(
        "at 10:00
         quote A 99 500 100 60
         buy A 100 100 tp 110 sl 95
         order 1a
         order 1b
         position A
         quote A 99 500 100 60
         position A
         order 1b
         quote A 110.5 30 111 500
         order 1b
         quote A 110.5 300 111 500
         position A
         account held",
        "1 pending_new
         1 new
         1 partial_fill 60@100
         held sell_to_close 0/100 until 2013-10-07T20:00:00Z
         held sell_to_close 0/100 stop 95 until 2013-10-07T20:00:00Z
         60 (60 free) at 100
         1 fill 40@100
         1a new
         100 (0 free) at 100
         held sell_to_close 0/100 stop 95 until 2013-10-07T20:00:00Z
         1a partial_fill 30@110.5
         held sell_to_close 0/70 stop 95 until 2013-10-07T20:00:00Z
         1a fill 70@110.5
         1b canceled
         flat
         held 0",
    );
}

#[test]
fn a_bracket_that_is_stopped() {
    check(
        "at 10:00
         quote A 99 500 100 500
         buy A 100 market tp 110 sl 95/94
         quote A 110 25 111 500
         quote A 94.5 50 96 500
         trade A 95
         position A
         quote A 94 500 96 500
         position A",
        "1 pending_new
         1 new
         1 fill 100@100
         1a new
         1a partial_fill 25@110
         1a canceled
         1b new
         1b partial_fill 50@94.5
         25 (0 free) at 100
         1b fill 25@94
         flat",
    );
    // Shorts are mirrored.
    check(
        "at 10:00
         quote A 99 500 100 500
         sell A 100 99 tp 90 sl 105
         quote A 106 500 107 500
         trade A 106
         position A",
        "1 pending_new
         1 new
         1 fill 100@99
         1a new
         1a canceled
         1b new
         1b fill 100@107
         flat",
    );
}

#[test]
fn a_group_ends_together() {
    // The entry ends first, in part or not filled at all.
    check(
        "at 10:00
         quote A 99 500 100 60
         buy A 100 100 tp 110 sl 95
         cancel 1
         position A",
        "1 pending_new
         1 new
         1 partial_fill 60@100
         1 canceled
         1a canceled
         1b canceled
         60 (60 free) at 100",
    );
    check(
        "at 10:00\nquote A 99 500 100 60\nbuy A 10 90 tp 110 sl 85\nat 16:00",
        "1 pending_new\n1 new\n1 expired\n1a canceled\n1b canceled",
    );
    // An exit is cancelled, or its time is over.
    let entered = "at 10:00\nquote A 99 500 100 60\nbuy A 10 market tp 110 sl 85";
    let filled = "1 pending_new\n1 new\n1 fill 10@100\n1a new";
    check(
        &format!("{entered}\ncancel 1a\nposition A"),
        &format!("{filled}\n1a canceled\n1b canceled\n10 (10 free) at 100"),
    );
    check(&format!("{entered}\ncancel 1b"), &format!("{filled}\n1b canceled\n1a canceled"));
    check(&format!("{entered}\nat 16:00"), &format!("{filled}\n1a expired\n1b canceled"));
    check(&format!("{entered}\nforce 1a rejected"), &format!("{filled}\n1a rejected\n1b canceled"));
}

#[test]
fn a_bracket_that_waits_for_its_session() {
    check(
        "at 8:00
         quote A 99 500 100 60
         buy A 10 market tp 110 sl 95 gtc
         order 1
         order 1a
         at 9:30
         quote A 99 500 100 60
         at 1d 9:30
         quote A 94 500 95 60
         trade A 94.5",
        "accepted buy_to_open 0/10 until 2014-01-05T21:15:00Z
         held sell_to_close 0/10 until 2014-01-05T21:15:00Z
         1 new
         1 fill 10@100
         1a new
         1a canceled
         1b new
         1b fill 10@94",
    );
}

#[test]
fn exits_close_what_is_free() {
    check(
        "at 10:00
         quote A 99 500 100 60
         buy A 100 100 tp 110 sl 95
         sell A 10 99
         quote A 99 500 100 60
         position A
         order 1b",
        "1 pending_new
         1 new
         1 partial_fill 60@100
         2 pending_new
         2 new
         2 fill 10@99
         1 fill 40@100
         1a new
         90 (0 free) at 100
         held sell_to_close 0/90 stop 95 until 2013-10-07T20:00:00Z",
    );
    // A stop protects what is left of the position, be it sold in between or spoken for.
    check(
        "at 10:00
         quote A 99 500 100 60
         buy A 100 100 tp 110 sl 95
         close A 60
         quote A 99 500 100 60
         position A
         quote A 94 500 95 60
         trade A 94.5",
        "1 pending_new
         1 new
         1 partial_fill 60@100
         2 pending_new
         2 new
         2 fill 60@99
         1 fill 40@100
         1a new
         40 (0 free) at 100
         1a canceled
         1b new
         1b fill 40@94",
    );
    // Half a share is not for a group.
    check(
        "at 10:00
         quote A 99 500 100 60
         buy A 0.5 market
         buy A 60 99.5 tp 110 sl 95
         sell A 0.25 120
         quote A 98 500 99 50
         sell A 50 120
         quote A 98 500 99 50
         order 2a
         order 2b",
        "1 pending_new
         1 new
         1 fill 0.5@100
         2 pending_new
         2 new
         3 pending_new
         3 new
         2 partial_fill 50@99
         4 pending_new
         4 new
         2 fill 10@99
         2a new
         new sell_to_close 0/10 until 2013-10-07T20:00:00Z
         held sell_to_close 0/10 stop 95 until 2013-10-07T20:00:00Z",
    );
}

#[test]
fn one_cancels_the_other() {
    let held = "at 10:00\nquote A 99 500 100 500\nbuy A 10 market\nsell A 10 105 oco sl 95\nposition A";
    let filled = "1 pending_new\n1 new\n1 fill 10@100\n2 pending_new\n2 new\n10 (0 free) at 100";
    check(&format!("{held}\nquote A 105 500 106 500"), &format!("{filled}\n2 fill 10@105\n2a canceled"));
    check(
        &format!("{held}\nquote A 105 4 106 5\ncancel 2\nposition A"),
        &format!("{filled}\n2 partial_fill 4@105\n2 canceled\n2a canceled\n6 (6 free) at 100"),
    );
    check(
        &format!("{held}\nquote A 105 4 106 5\nquote A 94 500 95 5\ntrade A 94\nposition A"),
        &format!("{filled}\n2 partial_fill 4@105\n2 canceled\n2a new\n2a fill 6@94\nflat"),
    );
    // It needs shares, once.
    check(
        &format!("{held}\nsell A 1 106 oco sl 95"),
        &format!("{filled}\nreject 403: insufficient qty available for order (requested: 1, available: 0)"),
    );
}

#[test]
fn one_triggers_the_other() {
    check(
        "at 10:00
         quote A 99 500 100 500
         buy A 10 market tp 101
         quote A 101 500 102 500
         buy A 10 market sl 99
         order 2a
         position A
         quote A 98 500 99 500
         trade A 98.5",
        "1 pending_new
         1 new
         1 fill 10@100
         1a new
         1a fill 10@101
         2 pending_new
         2 new
         2 fill 10@102
         2a new
         new sell_to_close 0/10 stop 99 until 2013-10-07T20:00:00Z
         10 (0 free) at 102
         2a fill 10@98",
    );
}

#[test]
fn what_a_group_must_look_like() {
    let check = |order: &str, expected: &str| {
        let script = format!("at 10:00\nquote A 99.98 500 100.02 500\n{order}");
        check(&script, &format!("reject 422: {expected}"));
    };
    let above = "take_profit.limit_price must be > stop_loss.stop_price";
    check("buy A 1 100 tp 94 sl 95", above);
    check("buy A 1 100 tp 95 sl 95", above);
    check("sell A 1 100 tp 106 sl 105", "take_profit.limit_price must be < stop_loss.stop_price");
    let near = "stop price must not be greater than base price / 1.001";
    check("buy A 1 100 tp 110 sl 99.91", near);
    check("buy A 1 market tp 110 sl 99.91", near);
    check("buy A 1 1.05 sl 1.05", near);
    check("sell A 1 100 tp 90 sl 100.09", "stop price must not be less than base price * 1.001");
    check("buy A 1 100 tp 110 sl 95 ioc", "bracket orders must be DAY or GTC orders");
    check("buy A 1 100 tp 110 cls", "cls orders must be market or limit orders");
    check("buy A 1 100 tp 110 sl 95 ext", "extended hours order must be DAY or GTC limit orders");
    check("buy A 1.5 100 tp 110 sl 95", "fractional orders must be simple orders");
    check("buy A 1 stop=105 tp 110 sl 95", "bracket orders must be entered with a market or limit order");
    check("buy A 1 trail=1 tp 110 sl 95", "trailing stop orders must be simple orders");
    check("sell A 1 market oco sl 95", "oco orders must be limit orders");
    check("sell A 1 105 oco sl 95", "oco orders must be exit orders");
    let penny = "sub-penny increment does not fulfill minimum pricing criteria";
    check("buy A 1 100 tp 110.001 sl 95", &format!("invalid take_profit.limit_price 110.001. {penny}"));
    check("buy A 1 100 tp 110 sl 95.001", &format!("invalid stop_loss.stop_price 95.001. {penny}"));
    check("buy A 1 100 sl 95/94.001", &format!("invalid stop_loss.limit_price 94.001. {penny}"));
    crate::common::check(
        "at 10:00\nquote A 99 500 100 500\nbuy A 1 market\nsell A 1 100 tp 90 sl 105",
        "1 pending_new\n1 new\n1 fill 1@100\nreject 422: bracket orders must be entry orders",
    );
}

#[test]
fn groups_and_trailing_stops_may_stand_on_both_sides() {
    // With 10 shares held and a resting order, does the second come to it?
    let check = |first: &str, second: &str, meets: bool| {
        let script =
            format!("at 10:00\nquote A 99 100 100 100\nbuy A 10 market\nat 16:00\n{first}\n{second}");
        let rejected =
            if meets { "reject 403: potential wash trade detected. use complex orders" } else { "" };
        crate::common::check(&script, &format!("1 pending_new\n1 new\n1 fill 10@100\n{rejected}"));
    };
    check("sell A 1 stop=90", "buy A 1 80", true);
    check("buy A 1 stop=110", "sell A 1 120", true);
    check("buy A 1 80", "sell A 1 stop=90", true);
    check("sell A 1 stop=90/89", "buy A 1 88.99", false);
    check("sell A 1 stop=90/89", "buy A 1 89", true);
    check("sell A 1 trail=1", "buy A 1 market", false);
    check("buy A 1 market", "sell A 1 trail=1", false);
    check("sell A 1 105 oco sl 95", "buy A 1 market", false);
    check("buy A 1 market", "sell A 1 105 oco sl 95", false);
    check("buy A 1 100 tp 110 sl 95", "sell A 1 100", false);
    check("sell A 1 100", "buy A 1 100 tp 110", false);
}
