//! The hands against a watchdog of the test's own.

use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept, bind, listen, recv, send, socket,
};
use sandpit_contract::{MAX_MESSAGE_BYTES, ToObserver, ToWatchdog, decode, encode};

use super::*;

#[test]
fn a_panic_is_an_operators_kill_and_its_reason_arrives() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s");
    let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None);
    let listener = listener.expect("a socket");
    bind(listener.as_raw_fd(), &UnixAddr::new(&path).expect("short")).expect("bound");
    listen(&listener, Backlog::new(1).expect("small")).expect("listens");
    let heard = std::thread::spawn(move || {
        let peer = accept(listener.as_raw_fd()).expect("it comes");
        let mut packet = vec![0; MAX_MESSAGE_BYTES];
        let bytes = recv(peer, &mut packet, MsgFlags::empty()).expect("it speaks");
        let answer = encode(&ToObserver::KillTaken).expect("short");
        send(peer, &answer, MsgFlags::empty()).expect("it listens");
        decode::<ToWatchdog>(&packet[..bytes]).expect("a message")
    });
    let (steps, mut told) = mpsc::channel(PANIC_STEPS);
    let killing = std::thread::spawn(move || watchdog::kill(&path, "panel: test", &steps));
    assert_eq!(told.blocking_recv(), Some(PanicStep::Taken));
    drop(told);
    assert!(killing.join().expect("no panic"));
    assert_eq!(heard.join().expect("no panic"), ToWatchdog::Kill { reason: "panel: test".into() });
}

#[test]
fn without_a_watchdog_the_flag_is_there_and_the_host_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let (steps, mut told) = mpsc::channel(PANIC_STEPS);
    let check = |file: &std::path::Path| {
        let (endings, mut reasons) = Endings::new(Arc::default());
        assert!(!watchdog::kill(&folder.path().join("nobody"), "panel: test", &steps));
        by_flag(file, Some(endings), "panel: test", &steps);
        assert_eq!(reasons.try_recv().ok(), Some(Ending::Kill { reason: "panel: test".into() }));
    };
    let file = folder.path().join("kill");
    check(&file);
    assert_eq!(std::fs::read_to_string(&file).expect("raised"), "panel: test\n");
    assert!(
        matches!(told.try_recv(), Ok(PanicStep::Flag { sentence }) if sentence.contains("does not answer"))
    );
    check(&folder.path().join("no-folder/kill"));
    assert!(
        matches!(told.try_recv(), Ok(PanicStep::Failed { sentence }) if sentence.contains("at the broker"))
    );
}
