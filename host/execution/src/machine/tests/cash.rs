//! Cash and activities against a broker whose stream loses events and whose account others use, too.

use std::collections::BTreeSet;

use sandpit_cores::reconcile::{Claim, Standing};
use sandpit_types::{ClientOrderId, HostEpoch, Refusal, Side, Symbol, Usd};

use super::{
    world::{Post, World, name, qty, secs, spy},
    *,
};

/// Bought once and sold in part; the cash of the account has been agreed upon.
pub(super) fn settled() -> World {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.venue.fill(0, 10);
    world.hear_all();
    world.calm_for(secs(60));
    assert!(world.machine.cash.agreed().is_some(), "agreed at the first quiet reading");
    world
}

/// How the newest reading that the review was told of stands.
fn standing(world: &World) -> Standing {
    world.machine.review.accounts.last().expect("it was told of one").1
}

/// What the monitor is shown of cash that nothing explains.
fn shown(world: &World) -> Option<Usd> {
    world.machine.stats.read().quality.unexplained
}

fn is_frozen(world: &World) -> bool {
    world.machine.books.frozen().is_some()
}

#[test]
fn fills_fees_and_transfers_explain_cash() {
    let mut world = settled();
    world.submit(2, Side::Sell, 4);
    world.calm();
    world.venue.fill(1, 3);
    world.hear_all();
    world.calm_for(secs(7));
    world.venue.move_cash("FEE", -500);
    world.venue.fill(1, 1);
    world.hear_all();
    world.calm_for(secs(45));
    world.venue.move_cash("CSD", 20_000);
    world.calm_for(secs(300));
    assert!(!is_frozen(&world));
    assert_eq!(alerts(&world), 0);
    assert_eq!(world.machine.review.transferred, Usd::new(20_000.into()), "the breakers are told, once");
    let agreed = world.machine.cash.agreed().expect("agreed");
    assert_eq!(agreed.residual, Usd::ZERO);
    assert_eq!((world.disk.notices("cash").len(), world.disk.notices("transfer").len()), (1, 1));
}

#[test]
fn cash_that_nothing_explains_is_in_doubt_at_once_and_freezes_after_minutes() {
    let mut world = settled();
    world.venue.unexplained = Usd::new((-101).into());
    world.calm_for(secs(11));
    assert_eq!(standing(&world), Standing::Doubtful(Usd::new(101.into())), "entries wait");
    assert_eq!(shown(&world), None, "nobody else freezes for what may be a fill");
    world.calm_for(secs(280));
    let stays = Standing::Unexplained(Usd::new((-101).into()));
    assert_eq!(standing(&world), stays, "it stood over two readings");
    assert!(!is_frozen(&world), "its row may be late");
    assert_eq!(shown(&world), Some(Usd::new((-101).into())));
    world.network_works = false;
    world.calm_for(secs(15));
    assert_eq!(shown(&world), None, "an old reading says nothing");
    world.network_works = true;
    world.calm_for(secs(31));
    assert!(is_frozen(&world));
    assert_eq!(shown(&world), Some(Usd::new((-101).into())));
    assert_eq!(alerts(&world), 1);
    assert_eq!(world.disk.notices("freeze").len(), 1);
    let facts = world.disk.facts();
    assert!(facts["freeze"].contains("-101 USD are not explained"), "{facts:?}");
    world.calm_for(secs(600));
    assert_eq!(alerts(&world), 1, "told once");
    // It lets exits through and nothing else, in this life and in the next ones.
    for life in 0..3 {
        world.submit(100 + life, Side::Buy, 1);
        world.submit(200 + life, Side::Sell, 1);
        world.calm();
        let refused = world
            .told
            .iter()
            .filter(|told| matches!(told, DeskOutput::Refused { refusal: Refusal::Frozen, .. }));
        assert_eq!((refused.count(), world.venue.posts.len()), (1, 2 + usize::try_from(life).expect("few")));
        world.told.clear();
        world.crash();
    }
    assert!(is_frozen(&world));
}

#[test]
fn a_difference_below_the_tolerance_never_freezes() {
    let mut world = settled();
    // 0.1 % of the equity.
    world.venue.unexplained = Usd::new(99.into());
    world.calm_for(secs(600));
    assert!(!is_frozen(&world));
    assert_eq!(alerts(&world), 0);
}

#[test]
fn a_fill_that_only_cash_and_activities_show_is_found_and_freezes_nothing() {
    let mut world = settled();
    world.submit(2, Side::Buy, 100);
    world.calm();
    world.venue.fill(1, 40);
    world.venue.stream.clear();
    world.calm_for(secs(21));
    assert_eq!(world.machine.books.position(&spy()), qty(50), "sooner than the list would have shown it");
    assert!(!is_frozen(&world));
    // The stream tells late: counted once.
    world.venue.fill(1, 60);
    world.hear_all();
    world.calm_for(secs(300));
    assert_eq!(world.machine.books.position(&spy()), qty(110));
    assert!(!is_frozen(&world));
}

/// lumibot#395, nautilus_trader#3176: whatever happened between two lives is found, and counted once.
#[test]
fn what_happened_between_two_lives_is_no_reason_to_freeze() {
    let mut world = settled();
    world.submit(2, Side::Buy, 100);
    world.next_post = Post::AnswerLost;
    world.submit(3, Side::Buy, 100);
    world.calm();
    for life in 0..4 {
        world.venue.fill(1, 20);
        world.venue.fill(2, 25);
        world.venue.stream.clear();
        world.venue.move_cash("DIV", 300 + life);
        world.crash();
        world.calm_for(secs(120));
        assert!(!is_frozen(&world), "life {life}: {:?}", world.machine.books.frozen());
    }
    assert_eq!(world.machine.books.position(&spy()), qty(10 + 80 + 100));
    assert_eq!(world.disk.notices("cash").len(), 4, "each row once");
    assert_eq!(alerts(&world), 0);
}

#[test]
fn the_fill_of_an_order_that_only_the_store_has_is_not_counted_again() {
    let mut world = settled();
    world.submit(2, Side::Buy, 100);
    world.calm();
    world.venue.fill(1, 100);
    world.hear_all();
    // Dies before the row was read; the order is over, so the next life does not load it.
    world.calm();
    world.crash();
    world.calm_for(secs(120));
    assert_eq!(world.machine.books.position(&spy()), qty(110));
    assert!(!is_frozen(&world), "{:?}", world.machine.books.frozen());
}

/// hummingbot#3214: what a person does is not ours to undo; it explains the cash and is disputed by symbol.
#[test]
fn trades_by_hand_are_reported_disputed_and_left_alone() {
    let mut world = settled();
    world.venue.place_by_hand();
    world.venue.fill(1, 1);
    world.venue.place_by_hand();
    world.venue.stream.clear();
    world.calm_for(secs(200));
    assert!(!is_frozen(&world), "its row explains the cash");
    assert_eq!(world.machine.books.disputed(&spy()), Some(qty(11)));
    assert_eq!(world.machine.books.position(&spy()), qty(10), "the books are ours alone");
    assert_eq!(world.disk.notices("foreign-order").len(), 2, "each once");
    world.submit(2, Side::Buy, 1);
    world.intent(sandpit_types::Intent::CancelAll);
    world.calm_for(secs(60));
    assert!(world.venue.open().contains(&2), "not cancelled by us");
}

fn claim(symbol: &str) -> Claim {
    let symbols = BTreeSet::from([Symbol::new(symbol)]);
    Claim { client_id_prefix: "by-h".into(), strategy: name(), symbols }
}

#[test]
fn an_order_in_a_symbol_that_its_claimant_does_not_trade_is_left_alone() {
    let mut world = settled();
    world.machine.config.claims = vec![claim("QQQ")];
    world.venue.place_by_hand_of(2);
    world.venue.fill(1, 1);
    world.venue.stream.clear();
    for life in 0..2 {
        world.calm_for(secs(700));
        assert_eq!(world.machine.books.open_count(), 0, "life {life}");
        assert_eq!(world.machine.books.position(&spy()), qty(10), "life {life}");
        assert!(!is_frozen(&world), "its fill explains the cash");
        world.crash();
        world.machine.config.claims = vec![claim("QQQ")];
    }
    assert!(world.disk.notices("claim").is_empty());
    let told = world.disk.notices("foreign-order");
    assert!(told[0].contains("for sma, which does not trade SPY: it is left alone"), "{told:?}");
}

#[test]
fn a_claimed_order_belongs_to_its_strategy_in_every_life() {
    let mut world = settled();
    world.machine.config.claims = vec![claim("SPY")];
    world.venue.place_by_hand();
    world.venue.stream.clear();
    world.calm_for(secs(700));
    assert_eq!(world.machine.books.open_count(), 1, "seen in the list");
    assert_eq!(world.disk.notices("claim").len(), 1);
    // Without its rule and in another life it is still the same order.
    world.crash();
    world.venue.fill(1, 1);
    world.venue.stream.clear();
    world.calm_for(secs(120));
    assert_eq!(world.machine.books.position(&spy()), qty(11));
    assert_eq!(world.machine.books.open_count(), 0, "asked for by the broker's id");
    assert_eq!(world.disk.notices("claim").len(), 1, "taken in once");
    assert!(world.machine.books.disputes().is_empty() && !is_frozen(&world));
    // Placed and filled while nobody listened.
    world.machine.config.claims = vec![claim("SPY")];
    world.venue.place_by_hand();
    world.venue.fill(2, 1);
    world.venue.stream.clear();
    world.calm_for(secs(120));
    assert_eq!(world.machine.books.position(&spy()), qty(12));
    assert!(world.machine.books.disputes().is_empty() && !is_frozen(&world));
}

#[test]
fn without_activities_nothing_is_believed_and_nothing_frozen() {
    let mut world = settled();
    world.activities_work = false;
    world.venue.unexplained = Usd::new(5_000.into());
    world.calm_for(secs(300));
    assert!(!is_frozen(&world), "they might explain it");
    assert_eq!(standing(&world), Standing::Doubtful(Usd::ZERO));
    assert_eq!(alerts(&world), 0);
    world.calm_for(secs(600));
    assert_eq!(shown(&world), None, "however long");
    assert_eq!(alerts(&world), 1, "that they are missing is told once");
    let missed = |world: &World| {
        world.machine.stats.read().activities_missed_since.map(|since| world.now.since(since))
    };
    assert!(
        missed(&world).is_some_and(|span| (secs(830)..secs(900)).contains(&span)),
        "{:?}",
        missed(&world)
    );
    world.activities_work = true;
    world.calm_for(secs(420));
    assert_eq!(missed(&world), None);
    assert!(is_frozen(&world));
}

#[test]
fn a_row_that_comes_minutes_after_its_money_ends_the_doubt() {
    let mut world = settled();
    world.venue.unexplained = Usd::new((-20_000).into());
    world.calm_for(secs(200));
    assert_eq!(standing(&world), Standing::Unexplained(Usd::new((-20_000).into())));
    world.venue.unexplained = Usd::ZERO;
    world.venue.move_cash("CSW", -20_000);
    world.calm_for(secs(13));
    assert_eq!(standing(&world), Standing::Explained);
    assert!(!is_frozen(&world));
    assert_eq!(world.machine.review.transferred, Usd::new((-20_000).into()));
    assert_eq!(alerts(&world), 0);
}

#[test]
fn fills_unheard_whose_rows_are_late_do_not_freeze() {
    let mut world = settled();
    world.submit(2, Side::Buy, 100);
    world.calm();
    world.activities_work = false;
    world.venue.fill(1, 40);
    world.venue.stream.clear();
    world.calm_for(secs(13));
    assert_eq!(world.machine.books.position(&spy()), qty(50), "the list shows it, asked for at once");
    world.activities_work = true;
    world.calm_for(secs(600));
    assert!(!is_frozen(&world));
    assert_eq!(standing(&world), Standing::Explained);
}

#[test]
fn no_account_is_measured_before_the_activities_were_read() {
    let mut world = settled();
    world.crash_with(|world| {
        world.activities_work = false;
        world.venue.move_cash("CSW", -20_000);
    });
    world.calm_for(secs(120));
    assert!(world.machine.review.accounts.is_empty());
    world.activities_work = true;
    world.calm_for(secs(60));
    assert_eq!(world.machine.review.transferred, Usd::new((-20_000).into()));
    assert!(world.machine.review.accounts.iter().all(|(_, cash)| *cash == Standing::Explained));
    assert!(!is_frozen(&world) && !world.machine.review.accounts.is_empty());
}

#[test]
fn an_old_transfer_is_history_to_a_new_account() {
    let mut world = World::bare();
    world.venue.move_cash("CSD", 100_000);
    world.begin();
    world.calm_for(secs(300));
    assert_eq!(world.machine.review.transferred, Usd::ZERO);
    assert!(!is_frozen(&world));
    let id = ClientOrderId { strategy: name(), epoch: HostEpoch(1), sequence: 1 };
    assert!(world.machine.books.order(&id).is_none());
}

#[test]
fn an_order_of_a_life_that_the_store_does_not_know_means_a_restored_store() {
    let mut world = settled();
    world.submit(2, Side::Buy, 100);
    world.calm();
    world.disk.forget_orders();
    world.crash();
    world.calm_for(secs(60));
    assert_eq!(alerts(&world), 0, "the store knows of the life, it only lost the newest orders");
    world.disk.forget_orders();
    world.knows_lives = false;
    world.crash();
    world.calm_for(secs(60));
    let told = |told: &&DeskOutput| matches!(told, DeskOutput::Alert(text) if text.contains("older backup"));
    assert_eq!(world.told.iter().filter(told).count(), 1, "once for all of its orders");
}

#[test]
fn an_order_that_is_claimed_after_it_filled_counts_once() {
    let mut world = settled();
    world.venue.place_by_hand_of(2);
    world.venue.fill(1, 1);
    world.venue.stream.clear();
    world.calm_for(secs(120));
    assert!(!is_frozen(&world));
    world.crash();
    world.machine.config.claims = vec![claim("SPY")];
    world.calm_for(secs(1_500));
    assert!(!is_frozen(&world), "{:?}", world.machine.books.frozen());
    assert_eq!(standing(&world), Standing::Explained);
}

#[test]
fn a_symbol_is_left_with_what_is_there_and_only_when_the_exit_may_leave() {
    let mut world = settled();
    let stop = sandpit_types::OrderKind::Stop { stop_price: sandpit_types::Price::new(90.into()) };
    world.submit_as(2, Side::Sell, 10, stop, sandpit_types::OrderClass::Simple);
    world.calm();
    let leave =
        |id| sandpit_types::Intent::ClosePosition { id: sandpit_types::StrategyOrderId(id), symbol: spy() };
    world.machine.review.leaving = Err(Refusal::SessionClosed);
    world.intent(leave(3));
    world.calm_for(secs(5));
    assert!(world.venue.open().contains(&1), "the stop still protects");
    let refused =
        |told: &&DeskOutput| matches!(told, DeskOutput::Refused { refusal: Refusal::SessionClosed, .. });
    assert_eq!(world.told.iter().filter(refused).count(), 1);
    // Six of the ten were sold by hand.
    world.machine.review.leaving = Ok(());
    world.machine.books.set_disputed(&spy(), Some(qty(4)));
    world.intent(leave(4));
    world.calm_for(secs(5));
    let exit = &world.venue.orders[2].shown;
    assert_eq!((exit.side, exit.qty), (Side::Sell, Some(qty(4))));
    assert!(!world.venue.open().contains(&1));
}

#[test]
fn a_freeze_cancels_what_would_add_and_leaves_exits() {
    let mut world = settled();
    let order =
        |limit: i64| sandpit_types::OrderKind::Limit { limit_price: sandpit_types::Price::new(limit.into()) };
    world.submit_as(2, Side::Buy, 5, order(99), sandpit_types::OrderClass::Simple);
    world.submit_as(3, Side::Sell, 10, order(120), sandpit_types::OrderClass::Simple);
    world.calm();
    assert_eq!(world.venue.open().len(), 2);
    world.venue.unexplained = Usd::new((-5_000).into());
    world.calm_for(secs(360));
    assert!(is_frozen(&world));
    let sides = |world: &World| -> Vec<Side> {
        world.venue.open().iter().map(|index| world.venue.orders[*index].shown.side).collect()
    };
    assert_eq!(sides(&world), [Side::Sell]);
    // The next life leaves it, too.
    world.crash();
    world.calm_for(secs(30));
    assert_eq!(sides(&world), [Side::Sell]);
}

#[test]
fn many_strangers_are_asked_for_a_few_at_a_time() {
    let mut world = settled();
    for index in 1..=200 {
        world.venue.place_by_hand();
        world.venue.fill(index, 1);
    }
    world.venue.stream.clear();
    (world.identified, world.activity_reads) = (0, 0);
    world.calm_for(secs(59));
    let (asked, read) = (world.identified, world.activity_reads);
    assert!(asked <= 24 && read <= 9, "{asked} orders asked about, activities read {read} times in a minute");
    world.calm_for(secs(1_500));
    assert!(!is_frozen(&world), "{:?}", world.machine.books.frozen());
    assert_eq!(world.identified, 200, "each once");
}

#[test]
fn a_row_that_is_canceled_later_is_undone_in_every_life() {
    for dies in [false, true] {
        let mut world = settled();
        world.venue.move_cash("CSW", -20_000);
        world.calm_for(secs(120));
        assert_eq!(world.machine.review.transferred, Usd::new((-20_000).into()));
        let cancel = |world: &mut World| world.venue.cancel_row();
        if dies {
            world.crash_with(cancel);
        } else {
            cancel(&mut world);
        }
        world.calm_for(secs(900));
        let told = world.machine.review.transferred;
        assert_eq!(told, Usd::new(if dies { 20_000 } else { 0 }.into()), "dies: {dies}; this life's alone");
        assert!(!is_frozen(&world), "dies: {dies}: {:?}", world.machine.books.frozen());
        assert_eq!(standing(&world), Standing::Explained);
        let lines = world.disk.notices("transfer");
        let undone = "CSW is of 0 USD now, it was of -20000 (a000001)";
        assert_eq!((lines.len(), lines[1]), (2, undone), "dies: {dies}");
        assert_eq!(alerts(&world), 0);
    }
}

#[test]
fn shares_that_move_by_no_order_are_told_with_the_way_out_and_are_no_money() {
    for (kind, shares, each) in
        [("JNLS", 10, Some(100)), ("ACATS", -10, Some(100)), ("ACATS", -10, None), ("SPLIT", 10, None)]
    {
        let mut world = settled();
        world.venue.move_shares(kind, shares, each);
        world.calm_for(secs(900));
        assert_eq!(world.machine.review.transferred, Usd::ZERO, "{kind} {shares}");
        assert!(!is_frozen(&world), "no cash moved");
        let alerts: Vec<&String> = world
            .told
            .iter()
            .filter_map(|told| match told {
                DeskOutput::Alert(text) => Some(text),
                _ => None,
            })
            .collect();
        let [alert] = alerts.as_slice() else { panic!("one alert, not {alerts:?}") };
        let what = format!("{shares} SPY moved by no order ({kind}, a000001)");
        for said in [what.as_str(), "sandpit set-position", "sandpit unfreeze --rebase"] {
            assert!(alert.contains(said), "{alert}");
        }
    }
}

/// Holds 300 shares of 100 USD in an account of 100,000.
fn invested() -> World {
    let mut world = settled();
    world.submit(2, Side::Buy, 290);
    world.calm();
    world.venue.fill(1, 290);
    world.hear_all();
    world.calm_for(secs(120));
    assert_eq!((world.machine.books.position(&spy()), standing(&world)), (qty(300), Standing::Explained));
    world
}

#[test]
fn shares_that_come_or_go_are_no_loss_whenever_their_row_comes_and_a_loss_beside_them_is() {
    // Shares, and whether the account shows them before the row does.
    for (shares, equity_first) in [(20, true), (20, false), (200, true), (-20, true), (-20, false)] {
        let name = format!("{shares} equity first {equity_first}");
        let mut world = invested();
        for moves in [equity_first, !equity_first] {
            if moves {
                world.venue.moved += qty(shares);
            } else {
                world.venue.move_shares("JNLS", shares, Some(100));
            }
            world.calm_for(secs(187));
        }
        assert_eq!(world.machine.review.trip, None, "{name}");
        assert_eq!(standing(&world), Standing::Explained, "{name}");
        // And they go again, or come back.
        world.venue.moved = Qty::ZERO;
        world.calm_for(secs(187));
        assert_eq!(world.machine.review.trip, None, "{name}, back");
        world.venue.gained = Usd::new((-1_100).into());
        world.calm_for(secs(21));
        assert!(world.machine.review.trip.is_some(), "{name}: a fall of 1.1 %");
    }
}

#[test]
fn a_loss_trips_while_shares_go_and_while_positions_cannot_be_had() {
    let mut world = invested();
    world.venue.moved = qty(-20);
    world.venue.gained = Usd::new((-1_100).into());
    world.calm_for(secs(11));
    assert!(world.machine.review.trip.is_some(), "a loss in any case");
    let mut world = invested();
    world.positions_work = false;
    world.venue.gained = Usd::new((-1_100).into());
    world.calm_for(secs(60));
    assert!(world.machine.review.trip.is_some(), "judged without them");
}
