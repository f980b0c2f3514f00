//! A wire between a host and the simulator that can be cut, held, slowed and refused.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Runtime,
    sync::watch,
    time::sleep,
};

use crate::ambient;

/// Bytes carried in one go.
const CHUNK: usize = 16 * 1024;
/// What the kernel keeps of what the simulator sent, bytes.
const BUFFER: u32 = 64 * 1024;
/// What a slow client is told.
const SLOW_CLIENT: &[u8] = b"slow client";
/// Most requests that are remembered; the oldest stay.
const MAX_REQUESTS: usize = 100_000;

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// With a reset: the peer's next read fails.
    Reset,
    /// With an orderly end, in the middle of whatever was being said.
    End,
}

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is carried.
    Open,
    /// Nothing is carried, nothing is closed, new connections are accepted and never answered: half-open.
    Hole,
    /// New connections are reset at once.
    Refuse,
}

#[derive(Clone, Copy, Debug)]
struct Orders {
    mode: Mode,
    cuts: u64,
    how: Cut,
    delay: Duration,
    /// Bytes a second towards the host.
    rate: Option<u32>,
    /// Each connection is cut after so many bytes towards the host.
    most: Option<u64>,
    /// Whether requests are remembered.
    remembers: bool,
    /// Whether what the host says waits.
    is_gagged: bool,
}

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicU64,
    open: AtomicU64,
    requests: Mutex<Vec<(Instant, String)>>,
    slow_clients: AtomicU64,
}

/// One wire. All wires of a process are carried by one thread of their own.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    orders: watch::Sender<Orders>,
    seen: Arc<Seen>,
}

impl Wire {
    /// A wire to `target`.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn to(target: SocketAddr) -> Self {
        let orders = Orders {
            mode: Mode::Open,
            cuts: 0,
            how: Cut::Reset,
            delay: Duration::ZERO,
            rate: None,
            most: None,
            remembers: true,
            is_gagged: false,
        };
        let (orders, heard) = watch::channel(orders);
        let seen = Arc::<Seen>::default();
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        runtime().spawn(accept(listener, target, heard, seen.clone()));
        Self { address, orders, seen }
    }

    /// Where the host connects.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection; returns the moment.
    pub fn cut(&self, how: Cut) -> Instant {
        let at = ambient::now();
        self.orders.send_modify(|orders| (orders.cuts, orders.how) = (orders.cuts + 1, how));
        at
    }

    /// From now on the wire is so.
    pub fn set(&self, mode: Mode) -> Instant {
        let at = ambient::now();
        self.orders.send_modify(|orders| orders.mode = mode);
        at
    }

    /// What is sent comes so much later, either way.
    pub fn delay(&self, delay: Duration) {
        self.orders.send_modify(|orders| orders.delay = delay);
    }

    /// Towards the host it carries so many bytes a second.
    pub fn throttle(&self, rate: Option<u32>) {
        self.orders.send_modify(|orders| orders.rate = rate);
    }

    /// Each connection is cut once it has carried so many bytes towards the host.
    pub fn cut_after(&self, bytes: Option<u64>) {
        self.orders.send_modify(|orders| orders.most = bytes);
    }

    /// What the host says waits from now on, or goes on. A host that speaks to a broker that has hung up gets
    /// a reset, which takes the last words with it.
    pub fn gag(&self, is_gagged: bool) {
        self.orders.send_modify(|orders| orders.is_gagged = is_gagged);
    }

    /// From now on requests are not remembered: for tests of memory.
    pub fn stop_remembering(&self) {
        self.orders.send_modify(|orders| orders.remembers = false);
    }

    /// Connections that were made, the refused ones included.
    pub fn connections(&self) -> u64 {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub fn open(&self) -> u64 {
        self.seen.open.load(Ordering::SeqCst)
    }

    /// How often the simulator called the host a slow client (code 407, in JSON).
    pub fn slow_clients(&self) -> u64 {
        self.seen.slow_clients.load(Ordering::SeqCst)
    }

    /// Requests that were made from `since` to `to`, by their lines.
    pub fn requests(&self, since: Instant, to: Instant) -> Vec<String> {
        let requests = self.seen.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let within = requests.iter().filter(|(at, _)| (since..to).contains(at));
        within.map(|(_, line)| line.clone()).collect()
    }
}

/// Carries all wires, beside the test and beside the host.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("wires").enable_all().build().expect("a runtime")
    })
}

async fn accept(listener: TcpListener, target: SocketAddr, orders: watch::Receiver<Orders>, seen: Arc<Seen>) {
    while let Ok((host, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let (orders, seen) = (orders.clone(), seen.clone());
        tokio::spawn(async move {
            seen.open.fetch_add(1, Ordering::SeqCst);
            // What went wrong here went wrong on one side, and the other side is told by the end.
            let _ = carry(host, target, orders, &seen).await;
            seen.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn carry(
    host: TcpStream,
    target: SocketAddr,
    mut orders: watch::Receiver<Orders>,
    seen: &Seen,
) -> io::Result<()> {
    let first = *orders.borrow_and_update();
    if first.mode == Mode::Refuse {
        return host.set_zero_linger();
    }
    if is_over(&mut orders, first.cuts, Mode::Hole).await {
        return host.set_zero_linger();
    }
    // A small buffer: a wire that is slow is felt by the simulator.
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(BUFFER)?;
    let sim = socket.connect(target).await?;
    host.set_nodelay(true)?;
    sim.set_nodelay(true)?;
    let (mut host, mut sim) = (host, sim);
    let how = {
        let (mut from_host, mut to_host) = host.split();
        let (mut from_sim, mut to_sim) = sim.split();
        let (up, down) = (orders.clone(), orders.clone());
        tokio::select! {
            _ = pump(&mut from_host, &mut to_sim, up, Way::Up, seen) => Cut::End,
            ended = pump(&mut from_sim, &mut to_host, down, Way::Down, seen) => ended.unwrap_or(Cut::End),
            how = cut(&mut orders, first.cuts) => how,
        }
    };
    if how == Cut::Reset {
        host.set_zero_linger()?;
        sim.set_zero_linger()?;
    }
    Ok(())
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To the simulator.
    Up,
    /// To the host.
    Down,
}

/// Waits while the wire is `mode`; whether the connection was cut meanwhile.
async fn is_over(orders: &mut watch::Receiver<Orders>, cuts: u64, mode: Mode) -> bool {
    match orders.wait_for(|orders| orders.cuts != cuts || orders.mode != mode).await {
        Ok(orders) => orders.cuts != cuts,
        Err(_) => true,
    }
}

/// Waits for the next cut.
async fn cut(orders: &mut watch::Receiver<Orders>, cuts: u64) -> Cut {
    // The wire itself is gone when nobody gives orders any more.
    orders.wait_for(|orders| orders.cuts != cuts).await.map_or(Cut::Reset, |orders| orders.how)
}

/// Carries bytes one way until that way ends. On the way to the simulator requests are seen; on the way to
/// the host the rate and the number of bytes are bounded.
async fn pump(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut orders: watch::Receiver<Orders>,
    way: Way,
    seen: &Seen,
) -> io::Result<Cut> {
    let mut chunk = vec![0; CHUNK];
    let mut carried = 0;
    loop {
        let count = from.read(&mut chunk).await?;
        // In a hole even an end is not heard of.
        let is_open = |orders: &Orders| orders.mode != Mode::Hole && !(way == Way::Up && orders.is_gagged);
        let open = orders.wait_for(is_open).await;
        let now = *open.map_err(io::Error::other)?;
        if count == 0 {
            return Ok(Cut::End);
        }
        if now.remembers {
            seen.note(&chunk[..count], way);
        }
        if !now.delay.is_zero() {
            sleep(now.delay).await;
        }
        to.write_all(&chunk[..count]).await?;
        if way == Way::Up {
            continue;
        }
        carried += count as u64;
        if now.most.is_some_and(|most| carried >= most) {
            return Ok(Cut::Reset);
        }
        if let Some(rate) = now.rate {
            sleep(Duration::from_secs(1).mul_f64(count as f64 / f64::from(rate))).await;
        }
    }
}

impl Seen {
    /// Remembers the line of a request, which clients write in one go, and the words to a slow client.
    fn note(&self, bytes: &[u8], way: Way) {
        if way == Way::Down {
            let is_slow = bytes.windows(SLOW_CLIENT.len()).any(|window| window == SLOW_CLIENT);
            self.slow_clients.fetch_add(u64::from(is_slow), Ordering::SeqCst);
            return;
        }
        let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        if ![&b"GET /"[..], b"POST /", b"DELETE /", b"PATCH /"].iter().any(|start| line.starts_with(start)) {
            return;
        }
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() < MAX_REQUESTS {
            requests.push((ambient::now(), String::from_utf8_lossy(line).into_owned()));
        }
    }
}
