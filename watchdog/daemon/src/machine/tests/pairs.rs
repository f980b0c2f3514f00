//! Every pair of state and event in virtual time: where it leads, and that the fence holds on the way there.

use super::*;
use crate::machine::table::Event as E;

pub(super) const EVENTS: [E; 16] = [
    E::Armed,
    E::Disarmed,
    E::Rearmed,
    E::Kill(Layer::Flag),
    E::Joined,
    E::Advancing,
    E::Stalled,
    E::Hung,
    E::Leaking,
    E::Overweight,
    E::EndedToRestart,
    E::EndedForGood,
    E::Sealed,
    E::Overdue,
    E::Stop,
    E::Bye,
];

/// A machine that came into `state` by what a daemon may observe.
fn in_state(state: State) -> Bench {
    let mut bench = match state {
        State::Disarmed => Bench::new(HostMode::Spawn, None),
        State::Armed => Bench::new(HostMode::Attach, None),
        State::Starting => Bench::new(HostMode::Spawn, None),
        State::Killed => Bench::killed(),
        State::Leased
        | State::Suspect
        | State::Draining
        | State::Restarting
        | State::Stopping
        | State::Killing => Bench::leased(HostMode::Spawn),
    };
    match state {
        State::Disarmed => bench.run(50),
        State::Armed | State::Starting => {
            bench.files = ARMED;
            bench.run(50);
        }
        State::Leased | State::Killed => {}
        State::Suspect => {
            bench.is_alive = false;
            bench.run(2100);
        }
        State::Draining => bench.tell(Input::Bye { reason: "as asked".into() }),
        State::Restarting => {
            bench.is_alive = false;
            bench.run(3600);
        }
        State::Stopping => bench.tell(Input::Stop),
        State::Killing => bench.tell(Input::Trip { reason: "limit".into() }),
    }
    assert_eq!(bench.machine.state, state);
    bench.seen.clear();
    bench
}

fn letter(state: State) -> char {
    match state {
        State::Disarmed => 'D',
        State::Armed => 'A',
        State::Starting => 'S',
        State::Leased => 'L',
        State::Suspect => 'U',
        State::Draining => 'G',
        State::Restarting => 'R',
        State::Stopping => 'T',
        State::Killing => 'K',
        State::Killed => 'X',
    }
}

/// Takes the event, checks the fence at once and over the time after it; answers where it led.
fn lead(from: State, event: E) -> char {
    let mut bench = in_state(from);
    match event {
        E::Armed | E::Rearmed => bench.machine.is_armed = true,
        E::Disarmed => bench.machine.is_armed = false,
        E::EndedToRestart | E::EndedForGood => bench.machine.host = None,
        E::Kill(_) | E::Joined | E::Advancing | E::Stalled | E::Hung | E::Leaking | E::Overweight => {}
        E::Sealed | E::Overdue | E::Stop | E::Bye => {}
    }
    bench.machine.step(event, "the test", bench.now());
    let outputs = std::mem::take(&mut bench.machine.out);
    let to = bench.machine.state;
    let pair = format!("{from:?} {event:?} -> {to:?}: {outputs:?}");
    let first = |wanted: fn(&Output) -> bool| outputs.iter().position(wanted);
    let grant = first(|output| matches!(output, Output::Grant { .. }));
    let withhold = first(|output| matches!(output, Output::Withhold { .. }));
    let act = first(|output| {
        matches!(output, Output::SignalKill | Output::StartHost | Output::WriteLatch(_) | Output::Broker(_))
    });
    assert!(grant.is_none() || to == State::Leased, "a lease outside of `Leased`: {pair}");
    if from == State::Leased && to != State::Leased && bench.machine.host.is_some() {
        let withheld = withhold.expect(&pair);
        assert!(act.is_none_or(|act| withheld < act), "something was done before the fence: {pair}");
    }
    if decide(from, event) == A::Impossible {
        assert_eq!(to, from, "{pair}");
        assert!(
            matches!(&outputs[..], [Output::Log(Level::Error, text)] if text.contains("impossible")),
            "{pair}"
        );
    }
    let was_killed = matches!(from, State::Killing | State::Killed);
    assert!(!was_killed || event == E::Rearmed || bench.machine.kill.is_some(), "{pair}");
    // What follows without anybody's word: a loop that moved less than `stall` ago may hold its lease so
    // long, after that nobody does.
    bench.is_alive = false;
    bench.files = if bench.machine.kill.is_some() { LATCHED } else { bench.files };
    bench.run(2100);
    let is_killed = bench.machine.kill.is_some() && !bench.saw("re-armed");
    assert!(!is_killed || !bench.saw("Grant {"), "a lease while killed: {pair}");
    bench.seen.clear();
    bench.run(20_000);
    assert!(!bench.saw("Grant {"), "a lease for a host that is silent: {pair}");
    letter(to)
}

#[test]
fn every_pair_leads_where_it_should_and_the_fence_holds() {
    // Columns as in `EVENTS`; each letter is the state it leads to, as in `letter`.
    let table = [
        (State::Disarmed, "SDDKDDDDDDDDDDDD"),
        (State::Armed, "ADAKSAAAAAAAAAAA"),
        (State::Starting, "SDSKSLSRSRRASRTG"),
        (State::Leased, "LDLKSLURGRRALLTG"),
        (State::Suspect, "UDUKSLURGRRAUUTG"),
        (State::Draining, "GGGKGGGGGRRAGRTG"),
        (State::Restarting, "RRRKRRRRRRRARRTR"),
        (State::Stopping, "TTTKTTTTTTTTTTTT"),
        (State::Killing, "KKKKKKKKKKKKXKKK"),
        (State::Killed, "XXSKKXXXXXXXXXXX"),
    ];
    let lines: Vec<(State, String)> = table
        .iter()
        .map(|(from, _)| (*from, EVENTS.map(|event| lead(*from, event)).iter().collect()))
        .collect();
    let expected: Vec<_> = table.iter().map(|(from, row)| (*from, (*row).to_owned())).collect();
    assert_eq!(lines, expected);
}
