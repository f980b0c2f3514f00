//! Strategies come, change and go while the host runs: whoever puts a file into the plugins folder, changes
//! or removes it, changes what trades.
//!
//! | what lies there | what happens |
//! |---|---|
//! | a new plugin | it is started; it waits where another strategy has a symbol of its |
//! | another one of the same name and symbols | it takes over at an event boundary |
//! | another one of the same name, other symbols | the old one is stopped, the new one started |
//! | none any more | it is stopped, its orders cancelled or kept by its `on_removal` |
//!
//! Whatever goes wrong with the new one, the old one goes on, and one sentence says why, in the log and in
//! `/status`. `folder` decides what changed, `listing` looks, `workshop` loads, `keeper` acts, on a thread of
//! its own; `quarantined` keeps for the next host who is: nothing that trades waits for a compiler, and
//! neither does the end of a plugin that is removed.

mod again;
mod check;
mod crew;
mod folder;
mod keeper;
mod late;
mod listing;
mod looks;
mod quarantined;
mod refusals;
mod snapshots;
mod wanted;
mod workshop;

pub(crate) use self::{
    again::{Again, Hope},
    check::check,
    crew::{Crew, join_all},
    folder::{Change, Folder},
    keeper::{Keeper, KeeperParts},
    listing::{list, place},
    looks::{Looks, Said},
    quarantined::{Quarantines, Version},
    refusals::Refusals,
    snapshots::{Kept, Snapshots, World},
    wanted::{news as wanted_news, subscription as wanted_data},
    workshop::Workshop,
};
