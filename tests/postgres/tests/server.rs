//! The server that other tests stand on.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use sandpit_postgres::{Options, PASSWORD, Server, Stop};

#[test]
fn it_keeps_what_is_committed_over_a_crash_and_ends_with_its_owner() {
    let server = Server::with(Options { fsync: false }).unwrap_or_else(|error| panic!("{error}"));
    assert!(server.url().contains(PASSWORD) && server.socket_url().contains("host=/"));
    server.query("CREATE TABLE kept (word TEXT); INSERT INTO kept VALUES ('yes')").expect("writes");
    assert_eq!(server.query("SHOW fsync").expect("reads"), "off");
    server.create_database("beside").expect("makes one");
    let words = server.create_database("beside").expect_err("there is one").to_string();
    assert!(words.contains("already exists"), "{words}");

    server.stop(Stop::Immediate).expect("stops");
    TcpStream::connect(("127.0.0.1", server.port())).expect_err("nobody answers");
    let words = server.query("SELECT 1").expect_err("stopped").to_string();
    assert!(words.contains("psql failed") && !words.contains(PASSWORD), "{words}");
    server.start().expect("starts again");
    assert_eq!(server.query("SELECT word FROM kept").expect("reads"), "yes");
    server.stop(Stop::Fast).expect("stops");
    server.start().expect("starts again");

    server.hold(true).expect("is held");
    let mut silent = TcpStream::connect(("127.0.0.1", server.port())).expect("the kernel takes it");
    silent.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).expect("asks for TLS");
    silent.set_read_timeout(Some(Duration::from_millis(200))).expect("a bound");
    silent.read(&mut [0]).expect_err("and nobody answers");
    server.hold(false).expect("goes on");
    silent.set_read_timeout(Some(Duration::from_secs(20))).expect("a bound");
    assert_eq!(silent.read(&mut [0]).expect("an answer"), 1);

    let port = server.port();
    drop(server);
    TcpStream::connect(("127.0.0.1", port)).expect_err("it is gone");
}
