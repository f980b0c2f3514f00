//! The deeds.

use std::{hint::black_box, time::Duration};

use sandpit_sdk::{Ctx, Instrument, Level, OrderId, Percent, Price, Qty, Side, Time, TimeInForce, Usd};
use serde::Deserialize;

/// One way to do harm.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Deed {
    /// None: one signal for each quote.
    Echo,
    /// Goes on for ever.
    Loop,
    /// Takes all the memory there is.
    Memory,
    /// Calls itself for ever.
    Recursion,
    /// The same with much on the stack that compilers keep in memory.
    DeepFrames,
    /// Runs into an instruction that traps.
    Trap,
    /// Panics in its own words.
    Panic,
    /// Panics with a megabyte of words, over many lines.
    LongPanic,
    /// Logs for ever.
    Logs,
    /// Logs a hundred kibibytes, and returns.
    Chatter,
    /// Logs one line that is larger than all it may have copied.
    HugeLine,
    /// Wants one thing more than one event may cause.
    Intents,
    /// Wants so much that it is larger than all it may have copied.
    ManyIntents,
    /// Wants as much as one event may cause, at each.
    Flood,
    /// One signal larger than all it may have copied.
    HugeSignal,
    /// Sets more timers than there may be.
    Timers,
    /// Answers each refusal with an order that is refused.
    Refused,
    /// Orders with quantities and prices from the ends of the range, nothing, and what is no number.
    Absurd,
    /// Cancels, replaces and closes what is not its own.
    Strangers,
    /// Reads of an instrument that it was not granted.
    Foreign,
    /// Reads the history for ever.
    Reads,
    /// More state than may be saved.
    GiantState,
    /// Takes long, but not for ever.
    Slow,
    /// One after the other; see [`Turns`].
    All,
}

/// Shares and prices that no order can have, and some that it should not.
const ABSURD: [i64; 8] =
    [i64::MIN, -1_000_000_000, -1, 0, 1, 999_999_999, 9_000_000_000_000_000_000, i64::MAX];
/// Ids that might be those of others: small ones, and those that an SDK makes of a time.
const STRANGERS: std::ops::Range<u64> = 0..40;
/// Bytes of what is huge.
const HUGE: usize = 2 << 20;

impl Deed {
    /// Does it with what a strategy holds while it handles an event.
    pub(crate) fn with(self, ctx: &mut Ctx<'_>, turns: &mut Turns) {
        match self {
            Self::Echo => ctx.signal(None, "here"),
            Self::Logs => loop {
                ctx.log(Level::Error, &"flood ".repeat(200));
            },
            Self::Chatter => (0..100).for_each(|_| ctx.log(Level::Warn, &"chatter\n".repeat(128))),
            Self::HugeLine => ctx.log(Level::Info, &"x".repeat(HUGE)),
            Self::Intents => (0..257).for_each(|_| ctx.cancel_all()),
            Self::ManyIntents => (0..20_000).for_each(|_| ctx.cancel_all()),
            Self::Flood => flood(ctx),
            Self::HugeSignal => ctx.signal(None, "s".repeat(HUGE)),
            Self::Timers => (0..200).for_each(|_| {
                let id = ctx.random();
                ctx.set_timer(id, Time::from_nanos(i64::MAX));
            }),
            Self::Refused => drop(ctx.buy(Instrument(1_000_000), Qty::shares(1)).send()),
            Self::Absurd => absurd(ctx),
            Self::Strangers => strangers(ctx),
            Self::Foreign => drop(black_box(ctx.position(Instrument(1_000_000)))),
            Self::Reads => loop {
                black_box(ctx.history(Instrument(0), u32::MAX));
                black_box(ctx.open_orders());
            },
            Self::All => turns.take(ctx),
            Self::Loop
            | Self::Memory
            | Self::Recursion
            | Self::DeepFrames
            | Self::Trap
            | Self::Panic
            | Self::LongPanic
            | Self::GiantState
            | Self::Slow => self.alone(),
        }
    }

    /// Does it with nothing but itself, where it can.
    pub(crate) fn alone(self) {
        match self {
            Self::Loop => loop {
                black_box(());
            },
            Self::Memory => {
                let mut hoard = Vec::new();
                loop {
                    // It writes to none of it: only what is granted counts.
                    hoard.push(Vec::<u8>::with_capacity(4 << 20));
                    black_box(&mut hoard);
                }
            }
            Self::Recursion => drop(black_box(deeper(0))),
            Self::DeepFrames => drop(black_box(deeper_with_frames(0))),
            Self::Trap => std::process::abort(),
            Self::Panic => panic!("the deed of a hostile strategy"),
            Self::LongPanic => panic!("{}", "the deed\n".repeat(HUGE / 8)),
            Self::Slow => drop(black_box((0..50_000_000_u64).fold(1_u64, |sum, n| black_box(sum ^ n)))),
            _ => {}
        }
    }

    /// What it saves.
    pub(crate) fn state(self) -> Vec<u8> {
        if self == Self::GiantState {
            return vec![7; 5 << 20];
        }
        self.alone();
        Vec::new()
    }
}

#[expect(unconditional_recursion, reason = "that is the deed")]
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    // Not the last thing it does, and not the same each time: no loop can be made of it.
    deeper(depth ^ 0x55).rotate_left(7) ^ depth.wrapping_mul(3)
}

#[expect(unconditional_recursion, reason = "that is the deed")]
#[inline(never)]
fn deeper_with_frames(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    deeper_with_frames(depth + 1).wrapping_add(frame[usize::from(frame[1] > 7)])
}

fn flood(ctx: &mut Ctx<'_>) {
    for _ in 0..128 {
        ctx.signal(None, "flood ".repeat(160));
        ctx.buy(Instrument(0), Qty::shares(1)).limit(Price::from_nanos(10_000_000)).send();
    }
}

fn absurd(ctx: &mut Ctx<'_>) {
    let it = Instrument(0);
    // What is no number becomes no price; a strategy that goes on regardless has the end of the range.
    let none = Price::from_f64(f64::NAN).or(Price::from_f64(f64::INFINITY));
    for nanos in ABSURD {
        let (shares, price) = (Qty::from_nanos(nanos), Price::from_nanos(nanos));
        let one = Qty::shares(1);
        ctx.buy(it, shares).send();
        ctx.sell(it, shares).limit(price).time_in_force(TimeInForce::Ioc).send();
        ctx.buy(it, one).limit(none.unwrap_or(price)).send();
        ctx.buy(it, Usd::from_nanos(nanos)).extended_hours().send();
        ctx.buy(it, one).stop(price).limit(price).time_in_force(TimeInForce::Gtc).send();
        ctx.sell(it, one).trailing_stop(Percent::from_nanos(nanos)).send();
        ctx.sell(it, one).trailing_stop(price).time_to_live(Duration::MAX).send();
        ctx.buy(it, one).limit(price).reprice(price).bracket(price, price).send();
        ctx.sell(it, shares).limit(price).oco(price).send();
        let working = ctx.order(it, Side::Buy, shares).limit(price).oto_stop_loss(price).send();
        ctx.replace(working).quantity(shares).limit(price).stop(price).send();
        ctx.set_timer(nanos.cast_unsigned(), Time::from_nanos(nanos.min(1)));
    }
    (0..ABSURD.len()).for_each(|n| ctx.cancel_timer(ABSURD[n].cast_unsigned()));
}

fn strangers(ctx: &mut Ctx<'_>) {
    let now = ctx.now().nanos().cast_unsigned();
    for id in STRANGERS.chain([u64::MAX, now, now - 1, now + 1]) {
        ctx.cancel(OrderId(id));
        ctx.replace(OrderId(id)).quantity(Qty::shares(1)).send();
    }
    ctx.buy(Instrument(1), Qty::shares(1)).send();
    ctx.sell(Instrument(u32::MAX), Qty::shares(1)).send();
}

/// One deed after the other, each at its time of market time, so that a life that knows nothing of the one
/// before goes on where that ended.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    harmless: usize,
}

/// What it can do again and again.
const HARMLESS: [Deed; 7] =
    [Deed::Absurd, Deed::Strangers, Deed::Chatter, Deed::Flood, Deed::Refused, Deed::Echo, Deed::Strangers];
/// What ends a life.
const FATAL: [Deed; 14] = [
    Deed::Loop,
    Deed::Memory,
    Deed::Recursion,
    Deed::DeepFrames,
    Deed::Trap,
    Deed::Panic,
    Deed::LongPanic,
    Deed::Logs,
    Deed::HugeLine,
    Deed::Intents,
    Deed::ManyIntents,
    Deed::HugeSignal,
    Deed::Foreign,
    Deed::Reads,
];
/// A third strike within an hour is the last, so deeds that cost one lie further apart than half of it.
const TURN_S: i64 = 31 * 60;
/// The part of a turn in which its deed is done: shorter than the rest after it.
const DUE_S: i64 = 4;

impl Turns {
    fn take(&mut self, ctx: &mut Ctx<'_>) {
        let secs = ctx.now().nanos().div_euclid(1_000_000_000);
        let (turn, into) = (secs.div_euclid(TURN_S), secs.rem_euclid(TURN_S));
        let deed = if into < DUE_S {
            FATAL[usize::try_from(turn).unwrap_or(0) % FATAL.len()]
        } else {
            self.harmless += 1;
            HARMLESS[self.harmless % HARMLESS.len()]
        };
        deed.with(ctx, &mut Self::default());
    }
}
