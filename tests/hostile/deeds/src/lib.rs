//! A strategy that does harm, for the hostile suite: its parameters say which deed, and where.
//!
//! The deed `echo` is the good neighbour: it answers every quote with one signal, so that the end of its
//! handler shows.

mod deed;

use std::hint::black_box;

use sandpit_sdk::{Bar, Ctx, Description, EventKinds, Quote, Refusal, Strategy, Time, export};
use serde::Deserialize;

use crate::deed::{Deed, Turns};

/// Where a deed is done.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// When it starts.
    Init,
    /// At each quote.
    #[default]
    Quote,
    /// At each bar.
    Bar,
    /// When a timer fires that the quote before has set.
    Timer,
    /// When the host refuses an order that a quote has asked for.
    Refusal,
    /// When its state is asked for.
    Save,
    /// When its state is given back.
    Load,
    /// When it is let go.
    Stop,
}

/// The strategy, and at once what the test sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hostile {
    deed: Deed,
    #[serde(default)]
    at: At,
    /// Quotes during which it still behaves.
    #[serde(default)]
    patience: u64,
    #[serde(skip)]
    quotes: u64,
    #[serde(skip)]
    turns: Turns,
}

export!(Hostile);

impl Hostile {
    fn is_due(&self, at: At) -> bool {
        self.at == at && self.quotes >= self.patience
    }

    fn act(&mut self, ctx: &mut Ctx<'_>, at: At) {
        if self.is_due(at) {
            self.deed.with(ctx, &mut self.turns);
        }
    }
}

impl Strategy for Hostile {
    fn describe() -> Description {
        Description {
            name: "Hostile",
            version: env!("CARGO_PKG_VERSION"),
            instruments: &["SPY"],
            wants: EventKinds { quote: true, bar: true, ..EventKinds::NONE },
            ..Description::DEFAULT
        }
    }

    fn init(parameters: &str, _instruments: &[String]) -> Result<Self, String> {
        let it: Self = serde_json::from_str(parameters).map_err(|error| format!("parameters: {error}"))?;
        if it.is_due(At::Init) {
            it.deed.alone();
        }
        Ok(it)
    }

    fn on_quote(&mut self, ctx: &mut Ctx<'_>, quote: &Quote) {
        match self.at {
            At::Timer => ctx.set_timer(0, ctx.now()),
            At::Refusal => drop(ctx.close_position(quote.instrument)),
            _ => self.act(ctx, At::Quote),
        }
        self.quotes += 1;
    }

    fn on_bar(&mut self, ctx: &mut Ctx<'_>, _bar: &Bar) {
        self.act(ctx, At::Bar);
    }

    fn on_bars_complete(&mut self, _ctx: &mut Ctx<'_>, start: Time) {
        black_box(start);
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, _id: u64) {
        self.act(ctx, At::Timer);
    }

    fn on_refusal(&mut self, ctx: &mut Ctx<'_>, _refusal: &Refusal) {
        self.act(ctx, At::Refusal);
    }

    fn save(&self) -> Vec<u8> {
        if self.is_due(At::Save) {
            return self.deed.state();
        }
        // So that there is something to give back.
        self.quotes.to_le_bytes().to_vec()
    }

    fn load(&mut self, _version: &str, _state: &[u8]) -> Result<(), String> {
        if self.at == At::Load {
            self.deed.alone();
        }
        Ok(())
    }

    fn stop(&mut self, _reason: &str) {
        if self.at == At::Stop {
            self.deed.alone();
        }
    }
}
