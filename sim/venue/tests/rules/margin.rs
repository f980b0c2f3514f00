//! Buying power, intraday margin, restrictions, and the old day-trade rule.

use sandpit_types::Symbol;
use sandpit_venue::{DayTradeRule, Listing, VenueConfig};

use crate::common::{check, check_listed, check_with};

fn cash(dollars: &str) -> VenueConfig {
    VenueConfig { cash: dollars.parse().expect("money"), ..VenueConfig::default() }
}

#[test]
fn intraday_margin_since_june_2026() {
    let before = "date 2026-06-03\nat 10:00\naccount multiplier\naccount power";
    check(before, "multiplier 2\npower 200000");
    check(
        "date 2026-06-04
         at 8:00
         account multiplier
         account power
         at 10:00
         quote A 99 100000 100 100000
         trade A 100
         buy A 3999 100
         account power
         account regt
         buy A 2 90
         buy A 1 90
         account power
         trade A 90
         account power
         at 16:00
         account power
         margin 2
         at 1d 10:00
         account multiplier",
        "multiplier 4
         power 400000
         1 pending_new
         1 new
         1 fill 3999@100
         power 100
         regt 0
         reject 403: insufficient buying power
         2 pending_new
         2 new
         power 10
         power 0
         2 expired
         power 0
         multiplier 2",
    );
    let limits = "date 2026-06-04\nat 10:00\nquote A 99 9 100 9\nmargin 1\naccount power
         sell A 1 market\nmargin 2\naccount power";
    check(limits, "power 100000\nreject 403: account is not allowed to short\npower 200000");
    check_with(
        cash("1999"),
        "date 2026-06-04\nat 10:00\naccount power\naccount multiplier",
        "power 1999\nmultiplier 1",
    );
}

#[test]
fn a_position_of_yesterday_binds_its_maintenance_margin() {
    check(
        "date 2026-06-08
         at 10:00
         quote A 99 100000 100 100000
         trade A 100
         buy A 1000 100
         at 16:00
         at 1d 10:00
         account power
         close A
         quote A 99 100000 100 100000
         account power",
        "1 pending_new
         1 new
         1 fill 1000@100
         power 280000
         2 pending_new
         2 new
         2 fill 1000@99
         power 280000",
    );
}

#[test]
fn a_deficit_that_stays_restricts_the_account() {
    // 300 000 USD held over night want 150 000 USD of margin.
    let day = "trade A 100\nat";
    let mut script =
        "date 2026-06-08\nat 10:00\nquote A 100 100000 100 100000\ntrade A 100\nbuy A 3000 100".to_owned();
    for close in ["16:00", "1d 16:00", "2d 16:00", "3d 16:00"] {
        script.push_str(&format!("\n{day} {close}"));
    }
    let bought = "1 pending_new\n1 new\n1 fill 3000@100";
    check(&format!("{script}\naccount restricted"), &format!("{bought}\nrestricted false"));
    let fifth =
        format!("{script}\nat 4d 16:00\naccount restricted\nquote B 9 100 10 100\nbuy B 1 10\nclose A 10");
    let restricted = "restricted true\nreject 403: account is restricted to liquidation only";
    check(&fifth, &format!("{bought}\n{restricted}"));
    let closed = "at 7d 10:00\nquote A 100 100000 100 100000\nclose A";
    let later = format!(
        "{script}\nat 4d 16:00\n{closed}\nat 93d 23:59\naccount restricted\nat 94d 0:00\naccount restricted"
    );
    check(
        &later,
        &format!("{bought}\n2 pending_new\n2 new\n2 fill 3000@100\nrestricted true\nrestricted false"),
    );
    // Made good before the fifth close, it counts from the start again.
    let good = format!(
        "{script}\nat 4d 10:00\nquote A 100 100000 100 100000\nsell A 2000 100
         at 4d 16:00\naccount restricted"
    );
    check(&good, &format!("{bought}\n2 pending_new\n2 new\n2 fill 2000@100\nrestricted false"));
}

#[test]
fn positions_above_six_times_the_equity_restrict_the_account() {
    check(
        "date 2026-06-08
         at 10:00
         quote A 100 100000 100 100000
         trade A 100
         buy A 4000 100
         quote A 90 100000 90 100000
         trade A 90
         account restricted
         trade A 89.9
         quote B 9 100 10 100
         buy B 1 10
         account restricted
         trade A 80
         account restricted
         sell A 4000 90
         account restricted",
        "1 pending_new
         1 new
         1 fill 4000@100
         restricted false
         reject 403: account is restricted to liquidation only
         restricted true
         restricted true
         2 pending_new
         2 new
         2 fill 4000@90
         restricted false",
    );
}

#[test]
fn the_old_rule_of_day_trades() {
    let legacy = VenueConfig { day_trade_rule: DayTradeRule::Legacy, ..cash("24000") };
    let quotes = "at 10:00\nquote A 100 10000 100 10000\nquote B 100 10000 100 10000";
    let trip = "buy A 1 market\nsell A 1 market";
    let trips = format!("{quotes}\n{trip}\n{trip}\n{trip}");
    let log: String = (1..=6).map(|n| format!("{n} pending_new\n{n} new\n{n} fill 1@100\n")).collect();
    let denied = "reject 403: trade denied due to pattern day trading protection";
    // Two sales of one purchase are one day trade.
    check_with(
        legacy.clone(),
        &format!("{quotes}\nbuy A 2 market\nsell A 1 market\nsell A 1 market\naccount day_trades"),
        "1 pending_new\n1 new\n1 fill 2@100\n2 pending_new\n2 new\n2 fill 1@100
         3 pending_new\n3 new\n3 fill 1@100
         day_trades 1",
    );
    let check = |more: &str, expected: &str| {
        check_with(legacy.clone(), &format!("{trips}\n{more}"), &format!("{log}{expected}"));
    };
    check("account day_trades\nbuy A 1 market", &format!("day_trades 3\n{denied}"));
    let seventh = "7 pending_new\n7 new\n7 fill 1@100";
    check("pdt exit\nbuy A 1 market\nsell A 1 market", &format!("{seventh}\n{denied}"));
    check("pdt both\nbuy A 1 market", denied);
    // What was bought yesterday may be sold.
    let reopened = "at 1d 10:00\nquote A 100 9 100 9";
    let sold = "8 pending_new\n8 new\n8 fill 1@100";
    check(
        &format!("pdt exit\nbuy A 1 market\n{reopened}\nsell A 1 market\naccount day_trades"),
        &format!("{seventh}\n{sold}\nday_trades 3"),
    );
    // Five trading days later they are forgotten: Monday to the next Monday.
    check(
        "at 4d 10:00\naccount day_trades\nat 7d 3:59\naccount day_trades\nat 7d 4:00\naccount day_trades",
        "day_trades 3\nday_trades 3\nday_trades 0",
    );
    // With enough money they make a pattern day trader, who has four times the equity.
    let rich = VenueConfig { day_trade_rule: DayTradeRule::Legacy, ..cash("30000") };
    check_with(
        rich,
        &format!("{trips}\n{trip}\naccount day_trades\naccount power"),
        &format!("{log}{seventh}\n{sold}\nday_trades 4 pattern\npower 120000"),
    );
    // Without the rule nobody counts.
    check_with(
        cash("24000"),
        &format!("{trips}\n{trip}\naccount day_trades"),
        &format!("{log}{seventh}\n{sold}\nday_trades 0"),
    );
}

#[test]
fn what_is_not_marginable_counts_as_often_as_the_power_reaches() {
    let listings = [Listing { marginable: false, ..Listing::open(Symbol::new("X")) }];
    // Over night the power is twice the equity, in the session four times: the order costs the same.
    check_listed(
        VenueConfig::default(),
        &listings,
        "date 2026-06-10
         at 20:30
         account non_marginable
         buy X 600 100 gtc
         account held
         account non_marginable
         account regt
         at 1d 10:00
         account power
         account regt
         buy X 401 100
         buy X 400 100
         account power",
        "non_marginable 100000
         held 60000
         non_marginable 40000
         regt 80000
         1 new
         power 160000
         regt 80000
         reject 403: insufficient buying power
         2 pending_new
         2 new
         power 0",
    );
}

#[test]
fn a_restricted_account_may_not_raise_an_order() {
    check_with(
        cash("10000"),
        "date 2026-06-10
         at 10:00
         quote A 99 9000 100 9000
         trade A 100
         quote B 99 9 100 9
         buy B 1 10 gtc
         buy A 390 100
         trade A 80
         account restricted
         buy B 100 10
         replace 1 qty=800
         replace 1 limit=10.01
         replace 1 limit=9.99",
        "1 pending_new
         1 new
         2 pending_new
         2 new
         2 fill 390@100
         restricted true
         reject 403: account is restricted to liquidation only
         reject 403: account is restricted to liquidation only
         reject 403: account is restricted to liquidation only
         1 replaced
         3 new",
    );
}

#[test]
fn what_orders_hold_does_not_drift() {
    check_with(
        cash("1000000000000"),
        "at 8:00
         quote A 0.123455 500 0.123456 500
         buy A 0.000000001 0.0001
         account held
         buy A 999999999.999999999 900
         buy A 0.111111111 market
         account held
         cancel 2
         cancel 3
         account held
         cancel 1
         account held",
        "held 0.000000001
         held 900000000000.014265128
         2 canceled
         3 canceled
         held 0.000000001
         1 canceled
         held 0",
    );
}
