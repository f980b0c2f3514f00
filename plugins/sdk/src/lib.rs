//! What a strategy author in Rust uses.
//!
//! Implement [`Strategy`], hand the type to [`export!`], build for `wasm32-unknown-unknown` and drop the
//! `.wasm` file into the host's plugins folder. The same type runs natively in a [`Harness`], so that a
//! strategy is unit-tested without WASM:
//!
//! ```
//! use sandpit_sdk::{Bar, Ctx, Description, EventKinds, Harness, Qty, Strategy};
//!
//! /// Buys one share on the first bar.
//! struct First(bool);
//!
//! impl Strategy for First {
//!     fn describe() -> Description {
//!         let wants = EventKinds { bar: true, ..EventKinds::NONE };
//!         Description { name: "first", version: "1", wants, ..Description::DEFAULT }
//!     }
//!
//!     fn init(_parameters: &str, _instruments: &[String]) -> Result<Self, String> {
//!         Ok(Self(false))
//!     }
//!
//!     fn on_bar(&mut self, ctx: &mut Ctx<'_>, bar: &Bar) {
//!         if !std::mem::replace(&mut self.0, true) {
//!             ctx.buy(bar.instrument, Qty::shares(1)).send();
//!         }
//!     }
//! }
//!
//! sandpit_sdk::export!(First);
//!
//! let mut desk = Harness::<First>::new("{}", &["SPY"]).expect("it takes any parameters");
//! desk.close(0, 167.41);
//! assert_eq!(desk.position(0).quantity, Qty::shares(1));
//! ```
//!
//! [`Parameters`] reads and checks what the operator set, [`Session`] knows whether it is late,
//! [`indicators`] work in constant time, and [`Harness::befall`] lets a property test go wrong around a
//! strategy: partial fills, refusals, restarts, stale data.
//!
//! A strategy is a deterministic function of what it is told: it has no clock, sockets, files or chance but
//! what [`Ctx`] hands it.

mod ctx;
mod host;
pub mod indicators;
mod kinds;
mod market;
mod money;
mod orders;
mod parameters;
mod runner;
mod session;
mod strategy;
mod tick;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
#[cfg(not(target_arch = "wasm32"))]
mod harness;

pub use ctx::{Ctx, OrderTicket, ReplaceTicket};
#[cfg(not(target_arch = "wasm32"))]
pub use harness::{Fate, Harness, START_EQUITY};
pub use host::{Host, Level};
pub use kinds::{Amount, Leg, OrderClass, OrderKind, Side, StopLoss, TimeInForce, Trail};
pub use market::{Bar, Bars, Instrument, News, Quote, StreamHealth, Time, Trade};
pub use money::{Percent, Price, Qty, Usd};
pub use orders::{
    Account, Fill, Intent, OpenOrder, OrderId, OrderStatus, OrderUpdate, Position, Refusal, Replace, Submit,
};
pub use parameters::Parameters;
#[cfg(not(target_arch = "wasm32"))]
pub use parameters::{assert_page_fits, assert_schema_fits};
pub use runner::{Event, Runner, UNHEARD_FOR};
pub use session::{Hours, Session};
pub use strategy::{Description, EventKinds, Strategy};

/// Makes a [`Strategy`] the strategy of this plugin. Once per crate; natively it does nothing.
#[macro_export]
macro_rules! export {
    ($strategy:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "the exports of a component are generated")]
        const _: () = {
            struct Plugin;

            ::std::thread_local! {
                static RUNNER: ::std::cell::RefCell<$crate::Runner<$strategy>> =
                    const { ::std::cell::RefCell::new($crate::Runner::new()) };
            }

            impl $crate::guest::Plugin for Plugin {
                type Strategy = $strategy;

                fn with<R>(act: impl FnOnce(&mut $crate::Runner<$strategy>) -> R) -> R {
                    RUNNER.with_borrow_mut(act)
                }
            }

    $crate::guest::bindings::export_component!(Plugin with_types_in $crate::guest::bindings);
        };
    };
}
