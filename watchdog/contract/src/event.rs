//! What an operator acts on, by names that never change: journald finds such a line by its `MESSAGE_ID`, and
//! `systemd/catalog/sandpit.catalog` explains it.

/// Something an operator acts on, or looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// The program is up: the host trades, the watchdog watches.
    Started,
    /// The program ends in good order.
    Stopped,
    /// The host could not start.
    NotStarted,
    /// A part of the program ended that never should.
    Broken,
    /// Everything is stopped until an operator arms again.
    Killed,
    /// The kill holds over restarts: no host, and the latch is on the disk.
    KillSealed,
    /// Orders may still be open at the broker.
    KillPending,
    /// The broker's own answers prove the end of the orders.
    KillProved,
    /// The disk does not take the kill.
    LatchNotWritten,
    /// An operator allows trading.
    Armed,
    /// The permission to trade is gone.
    Disarmed,
    /// The host has the right to trade.
    LeaseGranted,
    /// The host has lost the right to trade.
    LeaseLost,
    /// A host has come to the watchdog.
    HostConnected,
    /// The host is gone.
    HostEnded,
    /// The watchdog ends or drains the host, so that a fresh one takes over.
    HostReplaced,
    /// A stream of the broker's has broken.
    StreamDown,
    /// A stream of the broker's is open.
    StreamUp,
    /// The books agree with the broker.
    Reconciled,
    /// The broker holds another quantity than the books.
    Difference,
    /// Only orders that reduce are sent.
    Frozen,
    /// A strategy is stopped for good.
    Quarantined,
    /// A strategy failed and rests.
    StrategyRests,
    /// An operator has paused a strategy.
    StrategyPaused,
    /// An operator has lifted the pause of a strategy.
    StrategyResumed,
    /// A plugin is not used.
    PluginRefused,
    /// An order goes to the broker.
    OrderSent,
    /// An order filled, in part or wholly.
    OrderFilled,
    /// A risk gate refused an intent.
    OrderRefused,
    /// The broker rejected an order.
    OrderRejected,
    /// An order is over by a cancel; it may have filled in part.
    OrderCancelled,
    /// The time of an order ran out.
    OrderExpired,
    /// Another order took its place.
    OrderReplaced,
    /// An order of unknown outcome never came to the broker.
    OrderNeverArrived,
    /// Nobody knows whether an order arrived.
    OrderUnknown,
    /// The database or its disk takes no records.
    RecordsRefused,
    /// A disk has no room.
    DiskFull,
    /// The watchdog cannot judge the account: the lease is withheld.
    LimitsUnread,
    /// The host's memory or the machine's runs out.
    MemoryShort,
    /// A rehearsal of the kill held its bounds.
    DrillPassed,
    /// A rehearsal of the kill did not hold its bounds.
    DrillFailed,
    /// A human is told.
    Alert,
    /// A signal of the host's rules began to fire.
    Alarm,
    /// A signal of the host's rules is over.
    AlarmOver,
    /// Nobody read the log in time.
    LinesDropped,
}

impl Event {
    /// Every one.
    pub const ALL: [Self; 45] = [
        Self::Started,
        Self::Stopped,
        Self::NotStarted,
        Self::Broken,
        Self::Killed,
        Self::KillSealed,
        Self::KillPending,
        Self::KillProved,
        Self::LatchNotWritten,
        Self::Armed,
        Self::Disarmed,
        Self::LeaseGranted,
        Self::LeaseLost,
        Self::HostConnected,
        Self::HostEnded,
        Self::HostReplaced,
        Self::StreamDown,
        Self::StreamUp,
        Self::Reconciled,
        Self::Difference,
        Self::Frozen,
        Self::Quarantined,
        Self::StrategyRests,
        Self::StrategyPaused,
        Self::StrategyResumed,
        Self::PluginRefused,
        Self::OrderSent,
        Self::OrderFilled,
        Self::OrderRefused,
        Self::OrderRejected,
        Self::OrderCancelled,
        Self::OrderExpired,
        Self::OrderReplaced,
        Self::OrderNeverArrived,
        Self::OrderUnknown,
        Self::RecordsRefused,
        Self::DiskFull,
        Self::LimitsUnread,
        Self::MemoryShort,
        Self::DrillPassed,
        Self::DrillFailed,
        Self::Alert,
        Self::Alarm,
        Self::AlarmOver,
        Self::LinesDropped,
    ];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }

    /// Its name, for `EVENT=`.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Its id, for `MESSAGE_ID=`: 32 hexadecimal digits, chosen once.
    pub const fn message_id(self) -> &'static str {
        self.row().1
    }

    /// Whether it is the daily business, and no change of state.
    pub const fn is_routine(self) -> bool {
        matches!(
            self,
            Self::OrderSent
                | Self::OrderFilled
                | Self::OrderRefused
                | Self::OrderCancelled
                | Self::OrderExpired
                | Self::OrderReplaced
                | Self::OrderNeverArrived
        )
    }

    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Started => ("started", "09c8e0db75ef445ea23d03ee7214d0a9"),
            Self::Stopped => ("stopped", "1cbfb798e5ae4537a95d31d63bd519be"),
            Self::NotStarted => ("not-started", "e6f12d0568e748c6b2e9a18abe061371"),
            Self::Broken => ("broken", "eb2a9d38796043cb977cd5ce0529c68e"),
            Self::Killed => ("killed", "6f1f20c7a7b5417cb05b3f0c8ae64db4"),
            Self::KillSealed => ("kill-sealed", "7422370c725d412ba69d448e4ed4fb65"),
            Self::KillPending => ("kill-pending", "28fed8b13f1c469e9fe7b739a6b49f85"),
            Self::KillProved => ("kill-proved", "9c5072b3bfca4d41a7ec540198a14012"),
            Self::LatchNotWritten => ("latch-not-written", "d974f3a134e94fdc80d81d36a8cbd249"),
            Self::Armed => ("armed", "23887c23d60349269ceb8a5afab5913f"),
            Self::Disarmed => ("disarmed", "f9910c597b5b4bf7b41aded00a423801"),
            Self::LeaseGranted => ("lease-granted", "8bfdd6c8cb084700897d3905c6a1fa25"),
            Self::LeaseLost => ("lease-lost", "264df4b8348141f08c92253dc6257ad0"),
            Self::HostConnected => ("host-connected", "45bb4d37c2424f1a980078791594a90d"),
            Self::HostEnded => ("host-ended", "754ad2d8689a4cd79461cb165036b2c3"),
            Self::HostReplaced => ("host-replaced", "f3c0a126722e4a43b043fb916cfeda0e"),
            Self::StreamDown => ("stream-down", "19cf48caa8c84d8094a5063cd87f69a9"),
            Self::StreamUp => ("stream-up", "f1feb300299d420fac7ed2edf880ff1f"),
            Self::Reconciled => ("reconciled", "26e34bb4f9754638a3be17bb36d541fb"),
            Self::Difference => ("reconciled-with-differences", "0201d4a5fe0a40cf8e7431e4d43be920"),
            Self::Frozen => ("frozen", "c3e0e8f19b5d44ec8bd195178e77962b"),
            Self::Quarantined => ("strategy-quarantined", "8e3c4eda3f374b3ebd331b617e4c805d"),
            Self::StrategyRests => ("strategy-rests", "84aa43cadb754cb593dcc7dd8474cc78"),
            Self::StrategyPaused => ("strategy-paused", "a237cd68a0b14b6b8bd7223a674f732b"),
            Self::StrategyResumed => ("strategy-resumed", "c41a09a3a4524771abf147679d7fc1c7"),
            Self::PluginRefused => ("plugin-refused", "3fd049215976436ebdf44c800a8bb78f"),
            Self::OrderSent => ("order-sent", "a66ea6d731934509bc7acaa5dbd907fb"),
            Self::OrderFilled => ("order-filled", "39b5b6c28fd14b47b388505f946f1a2c"),
            Self::OrderRefused => ("order-refused", "18ae4ecc462e446ea21149f4ea86ecb6"),
            Self::OrderRejected => ("order-rejected", "2d559b94be544e92aee3e8c08c4fe540"),
            Self::OrderCancelled => ("order-cancelled", "dc84f49c245941e3b32b1468a6dafb5c"),
            Self::OrderExpired => ("order-expired", "f3d6bd037356436eb3e2e0dd869159ba"),
            Self::OrderReplaced => ("order-replaced", "242ab6acdfa9444c80348f11bc2f2b05"),
            Self::OrderNeverArrived => ("order-never-arrived", "d951f1b9ccd240f8ba7fe642327fd676"),
            Self::OrderUnknown => ("order-unknown", "e8fe587fd0384697ba9fb28276e21e73"),
            Self::RecordsRefused => ("records-refused", "6f99119e39184241ad9f79497e09298f"),
            Self::DiskFull => ("disk-full", "bdf72a02863c4419a4c8f38d1164f18e"),
            Self::LimitsUnread => ("limits-unread", "2a57f3b146554c2888adf5965fe4b9c6"),
            Self::MemoryShort => ("memory-short", "b4230b9265c04f58bbecd60d992ffe97"),
            Self::DrillPassed => ("drill-passed", "409800bf23174d8bab2be02415654a9d"),
            Self::DrillFailed => ("drill-failed", "0c43720e14ad4665805a605e4864efa5"),
            Self::Alert => ("alert", "56b8f2e1041c4e98a1d8e0187e252990"),
            Self::Alarm => ("alarm", "6aebf7f1875c443d8f1673e9d0193b17"),
            Self::AlarmOver => ("alarm-over", "24f0e28a12b1429a98de688e0bab187b"),
            Self::LinesDropped => ("log-lines-dropped", "a74a05f3780c4337b7233cb34cf88d05"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn names_and_ids_are_different_and_well_formed() {
        let names: BTreeSet<_> = Event::ALL.into_iter().map(Event::name).collect();
        let ids: BTreeSet<_> = Event::ALL.into_iter().map(Event::message_id).collect();
        assert_eq!((names.len(), ids.len()), (Event::ALL.len(), Event::ALL.len()));
        for event in Event::ALL {
            let id = event.message_id();
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            assert!(id.len() == 32 && id.bytes().all(is_hex), "{event:?}: {id}");
            assert_eq!(Event::named(event.name()), Some(event));
        }
        assert_eq!(Event::named("no such event"), None);
    }

    /// The entries of the catalog: id, and whether subject and explanation are there.
    fn entries(catalog: &str) -> BTreeMap<String, bool> {
        let entry = |part: &str| {
            let (id, rest) = part.split_once('\n').expect("a line");
            let mut lines = rest.lines();
            let subject = lines.next().and_then(|line| line.strip_prefix("Subject: "));
            let is_sandpits = lines.next() == Some("Defined-By: sandpit");
            let is_explained = lines.any(|line| line.starts_with("What to do: "));
            let is_whole = subject.is_some_and(|subject| !subject.is_empty()) && is_sandpits && is_explained;
            (id.trim().to_owned(), is_whole)
        };
        let parts: Vec<_> = catalog.split("\n-- ").skip(1).map(entry).collect();
        let entries: BTreeMap<_, _> = parts.iter().cloned().collect();
        assert_eq!(entries.len(), parts.len(), "an id stands twice");
        entries
    }

    #[test]
    fn the_catalog_explains_every_event_and_nothing_else() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../systemd/catalog/sandpit.catalog");
        let entries = entries(&std::fs::read_to_string(path).expect("the catalog is there"));
        for event in Event::ALL {
            let entry = entries.get(event.message_id());
            assert_eq!(entry, Some(&true), "{event:?}: subject, Defined-By and what to do");
        }
        let known: BTreeSet<_> = Event::ALL.into_iter().map(Event::message_id).collect();
        for id in entries.keys() {
            assert!(known.contains(id.as_str()), "{id} is in the catalog and nowhere else");
        }
    }

    /// Every source file of both programs below this folder.
    fn sources(folder: &std::path::Path, into: &mut String) {
        for entry in std::fs::read_dir(folder).expect("the workspace is there") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                into.push_str(&std::fs::read_to_string(&path).expect("text"));
            }
        }
    }

    #[test]
    fn the_code_names_events_that_there_are_and_every_one_of_them() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut code = String::new();
        sources(&root.join("host"), &mut code);
        sources(&root.join("watchdog/daemon/src"), &mut code);
        let mut used: BTreeSet<Event> = BTreeSet::new();
        const FIELD: &str = "event = \"";
        let is_field = |at: &usize| !code[..*at].ends_with('_');
        for at in code.match_indices(FIELD).map(|(at, _)| at).filter(is_field) {
            let name = code[at + FIELD.len()..].split('"').next().expect("a text ends");
            used.insert(Event::named(name).unwrap_or_else(|| panic!("no event is called {name:?}")));
        }
        for event in Event::ALL {
            let typed = [format!("Mark::{event:?},"), format!("Event::{event:?},")];
            let is_typed = typed.iter().any(|typed| code.contains(typed))
                || code.contains(&format!("Mark::{event:?}\n"))
                || code.contains(&format!("Event::{event:?})"));
            assert!(is_typed || used.contains(&event), "{event:?} is in the catalog and nowhere in the code");
        }
    }
}
