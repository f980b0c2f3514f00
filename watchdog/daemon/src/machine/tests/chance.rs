//! Whatever happens in whatever order: what holds all the same.

use super::*;

#[derive(Clone, Debug)]
enum Move {
    Run(u64),
    Files(Files),
    Alive(bool),
    Join(u32),
    End(Option<i32>),
    Latch(bool),
    Trip,
    Bye,
    Left,
    Memory(u32),
    Read(usize),
    Account(u8),
    Fail,
    Stop,
    Pause(u64),
    Disk(bool),
    Answer(bool),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let presence = || prop_oneof![Just(Presence::Absent), Just(Presence::Present), Just(Presence::Unknown)];
    let files =
        (presence(), presence(), presence()).prop_map(|(flag, armed, latch)| Files { flag, armed, latch });
    let code = prop_oneof![Just(0), Just(10), Just(13), Just(15), Just(20), Just(30), Just(101)];
    let one = prop_oneof![
        6 => (1u64..60).prop_map(|turns| Move::Run(turns * 50)),
        3 => Just(Move::Files(ARMED)),
        1 => files.prop_map(Move::Files),
        2 => any::<bool>().prop_map(Move::Alive),
        4 => (0u32..2).prop_map(Move::Join),
        2 => proptest::option::of(code).prop_map(Move::End),
        2 => any::<bool>().prop_map(Move::Latch),
        1 => Just(Move::Trip),
        1 => Just(Move::Bye),
        1 => Just(Move::Left),
        1 => (70u32..100).prop_map(Move::Memory),
        2 => (0usize..3).prop_map(Move::Read),
        1 => (0u8..4).prop_map(Move::Account),
        1 => Just(Move::Fail),
        1 => Just(Move::Stop),
        1 => (0u64..20_000).prop_map(Move::Pause),
        2 => any::<bool>().prop_map(Move::Disk),
        2 => any::<bool>().prop_map(Move::Answer),
    ];
    proptest::collection::vec(one, 1..60)
}

fn make(bench: &mut Bench, one: &Move) {
    match one {
        Move::Run(ms) => bench.run(*ms),
        Move::Files(files) => {
            bench.files = *files;
            bench.tell(Input::Files(*files));
        }
        Move::Alive(is_alive) => bench.is_alive = *is_alive,
        Move::Join(offset) => {
            bench.epoch += 1;
            bench.tell(Input::HostJoined {
                pid: bench.pid + offset,
                epoch: bench.epoch,
                mode: "paper".into(),
            });
        }
        Move::End(code) if bench.machine.host.is_some() => {
            let signal = code.is_none().then_some(9);
            bench.tell(Input::HostEnded(Ending { code: *code, signal }));
        }
        Move::End(_) => {}
        Move::Latch(true) => bench.tell(Input::LatchWritten(Ok(()))),
        Move::Latch(false) => bench.tell(Input::LatchWritten(Err("no".into()))),
        Move::Trip => bench.tell(Input::Trip { reason: "t".into() }),
        Move::Bye => bench.tell(Input::Bye { reason: "b".into() }),
        Move::Left => bench.tell(Input::HostLeft),
        Move::Memory(percent) => bench.sample(*percent),
        Move::Read(open) => {
            let sighting = Sighting::of_orders(*open);
            let started = bench.now().boot;
            bench.tell(Input::Broker(Report::Read { started, result: Ok(sighting) }));
        }
        Move::Account(kind) => {
            bench.account = match kind {
                0 => Err(Unread::KeyRefused("403".into())),
                1 => Err(Unread::Other("down".into())),
                _ => Ok(false),
            };
        }
        Move::Fail => bench.tell(Input::Broker(Report::Cancelled(Err("5xx".into())))),
        Move::Stop => bench.tell(Input::Stop),
        Move::Pause(ms) => bench.ms += ms,
        Move::Disk(is_stuck) => bench.is_disk_stuck = *is_stuck,
        Move::Answer(true) if bench.machine.is_spawning => bench.spawned(),
        Move::Answer(false) if bench.machine.is_spawning => {
            bench.tell(Input::SpawnFailed { cause: "no such file".into() });
        }
        Move::Answer(_) => {}
    }
}

proptest! {
    /// The promises of the fence, over anything that may happen in any order.
    #[test]
    fn the_fence_holds(script in moves(), is_spawn in any::<bool>()) {
        let mut bench = Bench::new(if is_spawn { HostMode::Spawn } else { HostMode::Attach }, None);
        for one in &script {
            let was_killed = bench.machine.kill.is_some();
            // The key may be refused behind the last grant of one move.
            let was_read = bench.machine.account == Account::Read;
            let was_spawning = bench.machine.is_spawning;
            bench.seen.clear();
            make(&mut bench, one);
            let granted = bench.saw("Grant {");
            let re_armed = bench.saw("re-armed by an operator");
            prop_assert!(!bench.saw("impossible"), "{:?}", bench.seen);
            if granted {
                prop_assert!(bench.files == ARMED, "a lease while {:?}", bench.files);
                let account = bench.machine.account;
                let is_read = was_read || account == Account::Read;
                prop_assert!(is_read, "a lease with an account that is {account:?}");
                prop_assert!(!was_killed || re_armed, "a lease after a kill");
            }
            if was_killed && !re_armed {
                prop_assert!(bench.machine.kill.is_some(), "un-killed by nobody");
                prop_assert!(!bench.saw("StartHost"), "a host started while killed");
            }
            if re_armed {
                prop_assert!(bench.files == ARMED);
            }
            let count = |word: &str| bench.seen.iter().filter(|o| format!("{o:?}").contains(word)).count();
            let answered = matches!(one, Move::Answer(_)) || count("could not be started") > 0;
            prop_assert!(!was_spawning || answered || !bench.saw("StartHost"), "two starts at a time");
            let may_appear = bench.machine.is_spawning || bench.machine.host.is_some();
            prop_assert!(!(bench.machine.state == State::Killed && bench.machine.is_spawning));
            if matches!(one, Move::Answer(true)) && was_spawning && was_killed {
                prop_assert!(may_appear && bench.saw("SignalKill"), "a host outlived the kill");
            }
            let state = bench.machine.state;
            prop_assert_eq!(bench.machine.kill.is_some(), matches!(state, State::Killing | State::Killed));
            prop_assert!(state != State::Armed || bench.machine.host.is_none());
            // A loop that stands still for long has no lease, whatever came between.
            let loops = bench.machine.status(None, bench.now().boot).loops;
            let is_stuck = loops.iter().any(|one| one.age_ms > 2100);
            bench.seen.clear();
            bench.tell(Input::Tick);
            let is_granted = bench.saw("Grant {") && !bench.saw("stood still");
            prop_assert!(!(is_stuck && is_granted), "a lease for a stuck loop");
        }
    }
}
