//! Cancels under way, stuck ones, events from outside, and requests that take their time.

use std::time::Duration;

use sandpit_venue::{Realism, VenueConfig};

use crate::common::{check, check_with};

fn slow() -> VenueConfig {
    let latency = Duration::from_millis(50);
    let realism = Realism { latency_min: latency, latency_max: latency, ..Realism::exact() };
    VenueConfig { realism, ..VenueConfig::default() }
}

#[test]
fn stuck_cancels_do_not_end() {
    check(
        "at 10:00
         quote A 99 500 100 60
         stick
         buy A 10 98
         buy A 10 97
         buy A 10 96
         cancel 1
         cancel 1
         cancel 2
         order 2
         replace 1 limit=90
         quote A 97 500 98 60
         unstick
         cancel 3",
        "1 pending_new
         1 new
         2 pending_new
         2 new
         3 pending_new
         3 new
         1 pending_cancel
         2 pending_cancel
         pending_cancel buy_to_open 0/10 until 2013-10-07T20:00:00Z
         reject 422: cannot replace order in pending_cancel status
         1 fill 10@98
         2 canceled
         3 canceled",
    );
}

#[test]
fn an_order_set_aside_does_not_fill_under_a_stuck_cancel() {
    check(
        "at 10:00
         quote A 99 500 100 60
         stick
         buy A 10 98
         force 1 suspended
         cancel 1
         quote A 97 500 98 60
         unstick",
        "1 pending_new
         1 new
         1 suspended
         1 pending_cancel
         1 canceled",
    );
}

#[test]
fn an_order_that_comes_back_meets_the_standing_quote() {
    let config = VenueConfig { always_open: true, ..VenueConfig::default() };
    check_with(
        config,
        "at 10:00
         quote A 99 500 100 60
         buy A 10 98 gtc
         force 1 done_for_day
         quote A 97 500 98 60
         at 1d 0:00",
        "1 pending_new
         1 new
         1 done_for_day
         1 new
         1 fill 10@98",
    );
}

#[test]
fn requests_take_their_time() {
    check_with(
        slow(),
        "at 10:00
         quote A 99 500 100 60
         buy A 10 100
         order 1
         at 10:00:00.049
         cancel 1
         quote A 99 500 100.5 60
         at 10:00:00.05
         order 1
         at 10:00:00.06
         quote A 99 500 100 4
         at 10:00:01
         cancel 1
         position A",
        "1 pending_new
         pending_new buy_to_open 0/10 until 2013-10-07T20:00:00Z
         1 pending_cancel
         1 new
         pending_cancel buy_to_open 0/10 until 2013-10-07T20:00:00Z
         1 partial_fill 4@100
         1 canceled
         reject 422: order is already in \"canceled\" state
         4 (4 free) at 100",
    );
    // The fill comes first.
    check_with(
        slow(),
        "at 10:00
         quote A 99 500 100 60
         buy A 10 99.5
         at 10:00:01
         cancel 1
         quote A 99 500 99.5 60
         at 10:00:02",
        "1 pending_new
         1 new
         1 pending_cancel
         1 fill 10@99.5
         1 order_cancel_rejected",
    );
    // It arrives when its session is over: a day order has ended, another one waits.
    check_with(
        slow(),
        "at 15:59:59.98
         quote A 99 500 100 60
         buy A 10 99.5
         buy A 10 99.5 gtc
         at 16:01
         order 2
         cancel 2",
        "1 pending_new
         2 pending_new
         1 expired
         accepted buy_to_open 0/10 until 2014-01-05T21:15:00Z
         2 canceled",
    );
}

#[test]
fn events_from_outside() {
    check(
        "at 10:00
         quote A 99 500 100 60
         buy A 10 98
         force 1 suspended
         quote A 97 500 98 60
         force 1 new
         buy A 10 97 gtc
         force 2 done_for_day
         quote A 96 500 97 60
         at 1d 9:30
         quote A 96 500 97 4
         force 2 rejected
         force 2 calculated
         force 2 fill
         force 2 expired
         buy A 1 90
         force 3 stopped
         force 3 rejected
         force 3 canceled
         force 3 canceled
         buy A 1 91
         force 4 rejected
         order 4
         account held",
        "1 pending_new
         1 new
         1 suspended
         1 new
         1 fill 10@98
         2 pending_new
         2 new
         2 done_for_day
         2 new
         2 partial_fill 4@97
         reject: an order that is PartiallyFilled cannot have the event Rejected
         2 calculated
         reject: an order that is Calculated cannot have the event Fill
         2 expired
         3 pending_new
         3 new
         3 stopped
         reject: an order that is Stopped cannot have the event Rejected
         3 canceled
         reject: an order that is Canceled cannot have the event Canceled
         4 pending_new
         4 new
         4 rejected
         rejected buy_to_open 0/1 until 2013-10-08T20:00:00Z
         held 0",
    );
}

#[test]
fn nothing_is_on_its_way_while_the_exchange_sleeps() {
    check_with(
        slow(),
        "at 10:00
         quote A 99 500 100 60
         buy A 10 90 gtc
         at 20:00
         replace 1 limit=91
         cancel 2",
        "1 pending_new
         1 new
         1 replaced
         2 new
         2 canceled",
    );
}

#[test]
fn an_immediate_order_that_comes_back_has_one_try() {
    let waits = "at 8:00\nbuy A 10 98 ioc\nat 9:30\nforce 1 suspended";
    let aside = "1 new\n1 suspended\n";
    check(
        &format!("{waits}\nquote A 98 500 99 60\nforce 1 new\nquote A 97 500 98 60"),
        &format!("{aside}1 new\n1 canceled"),
    );
    check(&format!("{waits}\nquote A 97 500 98 60\nforce 1 new"), &format!("{aside}1 new\n1 fill 10@98"));
}

#[test]
fn what_has_filled_cannot_be_rejected() {
    check(
        "at 10:00
         quote A 99 500 100 60
         stick
         buy A 100 100
         cancel 1
         force 1 rejected
         buy A 10 90
         cancel 2
         force 2 rejected",
        "1 pending_new
         1 new
         1 partial_fill 60@100
         1 pending_cancel
         reject: an order that is PendingCancel cannot have the event Rejected
         2 pending_new
         2 new
         2 pending_cancel
         2 rejected",
    );
}
