//! A way to the server that breaks where a test wants it: it counts what the host asks, and cuts before or
//! after.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never sees what is asked.
    BeforeTheServer,
    /// The server does it, and its answer is lost.
    BeforeTheAnswer,
    /// The server does it, and nothing more is heard of it: the connection does not end.
    Silent,
}

/// No cut at all, for [`Proxy::cut_after`].
pub(crate) const NEVER: i64 = -1;

/// One switch for all connections through it.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    switch: Arc<Switch>,
}

#[derive(Debug)]
struct Switch {
    cut: Cut,
    /// Requests until the cut; below zero there is none.
    left: AtomicI64,
    cuts: AtomicU64,
}

impl Proxy {
    pub(crate) async fn new(server: u16, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("has one").port();
        let switch = Arc::new(Switch { cut, left: AtomicI64::new(NEVER), cuts: AtomicU64::new(0) });
        let shared = switch.clone();
        tokio::spawn(async move {
            while let Ok((host, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await {
                    host.set_nodelay(true).expect("a socket");
                    server.set_nodelay(true).expect("a socket");
                    tokio::spawn(pass(host, server, shared.clone()));
                }
            }
        });
        Self { port, switch }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the connection that makes the request after so many.
    pub(crate) fn cut_after(&self, requests: i64) {
        self.switch.left.store(requests, Ordering::SeqCst);
    }

    /// Whether it has cut since the last call of [`Proxy::cut_after`].
    pub(crate) fn has_cut(&self) -> bool {
        self.switch.left.load(Ordering::SeqCst) < 0
    }

    pub(crate) fn cuts(&self) -> u64 {
        self.switch.cuts.load(Ordering::SeqCst)
    }
}

/// A request of the driver is one write, which arrives as one read over loopback; then it waits for the
/// answer.
async fn pass(host: TcpStream, server: TcpStream, switch: Arc<Switch>) {
    let (from_host, to_host) = host.into_split();
    let (mut from_server, to_server) = server.into_split();
    let muted = Arc::new(AtomicBool::new(false));
    let answers = tokio::spawn({
        let muted = muted.clone();
        async move { back(&mut from_server, to_host, &muted).await }
    });
    if let Some((mut to_server, request)) = forward(from_host, to_server, &switch).await {
        if switch.cut == Cut::Silent {
            switch.cuts.fetch_add(1, Ordering::SeqCst);
            muted.store(true, Ordering::SeqCst);
            to_server.write_all(&request).await.ok();
            answers.await.ok();
            return;
        }
        // No answer gets through any more; the host's side closes when the task that held it is gone.
        answers.abort();
        answers.await.ok();
        switch.cuts.fetch_add(1, Ordering::SeqCst);
        if switch.cut == Cut::BeforeTheAnswer {
            // It is done before the connection ends: the server reads what has arrived before the end.
            to_server.write_all(&request).await.ok();
            to_server.shutdown().await.ok();
        }
    }
}

async fn forward(
    mut from_host: OwnedReadHalf,
    mut to_server: OwnedWriteHalf,
    switch: &Switch,
) -> Option<(OwnedWriteHalf, Vec<u8>)> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = from_host.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        if switch.left.load(Ordering::SeqCst) >= 0 && switch.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            buffer.truncate(count);
            return Some((to_server, buffer));
        }
        to_server.write_all(&buffer[..count]).await.ok()?;
    }
}

async fn back(
    from_server: &mut OwnedReadHalf,
    mut to_host: OwnedWriteHalf,
    muted: &AtomicBool,
) -> Option<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = from_server.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        if !muted.load(Ordering::SeqCst) {
            to_host.write_all(&buffer[..count]).await.ok()?;
        }
    }
}
