//! The broker's end of the data stream: greets one client, then sends what it is told to, from a thread of
//! its own.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use sandpit_alpaca::Encoding;
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

use crate::{
    frames::{self, Frames, ROUND_QUOTES},
    world,
};

/// The quote that says to a client that the run is over.
pub(crate) const END: &str = "END";
/// Quotes that a paced run sends: one round, each known by its stamp.
pub(crate) const PACED: usize = 30_000;
/// The round of the first quotes, which prove that the stream delivers; the run begins with the next.
const FIRST_ROUND: u32 = 0;

/// What to send.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    /// As much as the client takes, in whole rounds, for so long.
    Blast(Duration),
    /// [`PACED`] frames of one quote, so many a second.
    Pace(u32),
}

/// What was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Quotes of the run.
    pub(crate) quotes: u64,
    /// When it began, nanoseconds of the machine's steady clock.
    pub(crate) began: u64,
    /// When each frame of a paced run was handed to the socket, likewise.
    pub(crate) at: Arc<Vec<AtomicU64>>,
}

/// The thread and the ways to it.
pub(crate) struct Generator {
    /// Where the client connects to.
    pub(crate) address: SocketAddr,
    runs: Sender<Run>,
    sent: Receiver<Sent>,
}

impl Generator {
    /// A listener with frames of `batch` messages, encoded already.
    pub(crate) fn start(encoding: Encoding, batch: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (runs, told) = channel();
        let (tell, sent) = channel();
        let mut frames = Frames::new(encoding, batch);
        thread::spawn(move || {
            world::pin(world::OTHER_CORE);
            let (socket, _) = listener.accept().expect("a client");
            socket.set_nodelay(true).expect("TCP_NODELAY");
            let mut client = greet(socket, encoding);
            for symbol in frames::symbols() {
                let quote = frames::single(encoding, symbol.as_str(), FIRST_ROUND, 0);
                client.send(quote).expect("the client reads");
            }
            while let Ok(run) = told.recv() {
                let result = match run {
                    Run::Blast(span) => blast(client.get_mut(), &mut frames, span),
                    Run::Pace(per_second) => pace(client.get_mut(), &mut frames, per_second),
                };
                client.send(frames::single(encoding, END, FIRST_ROUND, 0)).expect("the client reads");
                if tell.send(result).is_err() {
                    break;
                }
            }
        });
        Self { address, runs, sent }
    }

    /// Sends that; returns when the last byte is with the socket.
    pub(crate) fn run(&self, run: Run) -> Sent {
        self.runs.send(run).expect("the generator lives");
        self.sent.recv().expect("the client reads to the end")
    }
}

/// Welcome, auth, subscribe: as Alpaca does it.
fn greet(socket: TcpStream, encoding: Encoding) -> WebSocket<TcpStream> {
    let mut client = accept(socket).expect("a handshake");
    let say = |client: &mut WebSocket<TcpStream>, text: &str| {
        client.send(frames::control(encoding, text)).expect("the client reads");
    };
    say(&mut client, r#"[{"T":"success","msg":"connected"}]"#);
    heard(&mut client);
    say(&mut client, r#"[{"T":"success","msg":"authenticated"}]"#);
    heard(&mut client);
    let names = frames::symbols();
    let mut names: Vec<_> = names.iter().map(|symbol| format!("\"{symbol}\"")).collect();
    names.push(format!("\"{END}\""));
    let names = names.join(",");
    let lists = ["bars", "updatedBars", "quotes", "trades", "dailyBars", "statuses", "lulds", "corrections"];
    let lists: Vec<_> = lists.iter().map(|list| format!("\"{list}\":[{names}]")).collect();
    say(&mut client, &format!(r#"[{{"T":"subscription",{}}}]"#, lists.join(",")));
    client
}

fn heard(client: &mut WebSocket<TcpStream>) {
    while !matches!(client.read().expect("the client speaks"), Message::Text(_) | Message::Binary(_)) {}
}

fn blast(socket: &mut TcpStream, frames: &mut Frames, span: Duration) -> Sent {
    let began = world::nanos();
    let end = began + span.as_nanos() as u64;
    let mut quotes = 0;
    for round in FIRST_ROUND + 1.. {
        socket.write_all(frames.round(round)).expect("the client reads");
        quotes += ROUND_QUOTES as u64;
        if world::nanos() >= end {
            break;
        }
    }
    Sent { quotes, began, at: Arc::default() }
}

fn pace(socket: &mut TcpStream, frames: &mut Frames, per_second: u32) -> Sent {
    let at = (0..PACED).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
    let began = world::nanos();
    frames.round(FIRST_ROUND + 1);
    for ((sent, frame), index) in at.iter().zip(frames.each()).zip(0_u64..) {
        let due = began + index * 1_000_000_000 / u64::from(per_second);
        world::sleep_until(due);
        sent.store(world::nanos(), Ordering::Relaxed);
        socket.write_all(frame).expect("the client reads");
    }
    Sent { quotes: PACED as u64, began, at: Arc::new(at) }
}
