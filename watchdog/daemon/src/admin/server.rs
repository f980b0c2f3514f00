//! The edge: connections, bounded in number, size and time. One connection carries one request.

use std::{collections::VecDeque, convert::Infallible, io, os::fd::OwnedFd, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustix::event::{EventfdFlags, eventfd};
use sandpit_contract::BootTime;
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::{sleep, timeout},
};

use crate::ambient;

/// Connections at a time; a further one takes the place of the oldest.
const MAX_CONNECTIONS: usize = 64;
/// But each has so long for itself: what comes while all are younger waits in the kernel's queue.
const MIN_LIFE: Duration = Duration::from_millis(500);
/// Head, body and answer together take no longer.
const MAX_LIFE: Duration = Duration::from_secs(10);
/// Of a request's head; hyper's smallest.
const MAX_HEAD_BYTES: usize = 8192;
/// Headers of a request; hyper answers 431 to more.
const MAX_HEADERS: usize = 64;
/// Connections taken within [`PACE`], so that a flood cannot have the processor to itself.
const MAX_ACCEPTS: usize = 50;
/// See [`MAX_ACCEPTS`].
const PACE: Duration = Duration::from_millis(100);
/// After a connection could not be taken, and between two looks for a place.
const PAUSE: Duration = Duration::from_millis(20);

/// Who is connected, and the descriptor that is kept back for when none is left.
pub(super) struct Places {
    taken: VecDeque<(BootTime, AbortHandle)>,
    reserve: Option<OwnedFd>,
    /// The last try to take a connection found no descriptor.
    is_short: bool,
    pace_from: BootTime,
    accepts: usize,
}

impl Places {
    /// Nobody is there.
    ///
    /// # Errors
    /// When no descriptor is left to keep back.
    pub(super) fn new() -> io::Result<Self> {
        let reserve = Some(spare()?);
        let taken = VecDeque::with_capacity(MAX_CONNECTIONS);
        Ok(Self { taken, reserve, is_short: false, pace_from: BootTime::default(), accepts: 0 })
    }

    /// Waits until another connection may be taken.
    async fn await_one(&mut self) {
        loop {
            let now = ambient::boot_time();
            if PACE <= now.since(self.pace_from) {
                (self.pace_from, self.accepts) = (now, 0);
            }
            self.taken.retain(|(_, connection)| !connection.is_finished());
            let has_place = self.taken.len() < MAX_CONNECTIONS || self.evict(now);
            if has_place && self.accepts < MAX_ACCEPTS {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// The oldest goes, if it has had its time.
    fn evict(&mut self, now: BootTime) -> bool {
        let is_old = self.taken.front().is_some_and(|(since, _)| MIN_LIFE <= now.since(*since));
        if is_old && let Some((_, connection)) = self.taken.pop_front() {
            connection.abort();
        }
        is_old
    }

    fn take(&mut self, connection: AbortHandle) {
        self.accepts += 1;
        self.taken.push_back((ambient::boot_time(), connection));
    }

    /// A connection could not be taken. With no descriptor left the reserve is given up for it; when that is
    /// gone too, the oldest connection is.
    fn make_room(&mut self, error: &io::Error) {
        use rustix::io::Errno;
        let is = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
        self.is_short = is(Errno::MFILE) || is(Errno::NFILE);
        if self.is_short && self.reserve.take().is_none() {
            self.evict(ambient::boot_time());
        }
    }

    /// Whether the reserve is there. What was given up for a connection is not taken back before it.
    fn refill(&mut self) -> bool {
        if !self.is_short {
            self.reserve = self.reserve.take().or_else(|| spare().ok());
        }
        self.reserve.is_some()
    }
}

fn spare() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC)?)
}

/// Answers for ever.
pub(super) async fn serve<A, F>(listener: &TcpListener, places: &mut Places, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static,
{
    loop {
        places.await_one().await;
        let next = if places.refill() {
            Ok(listener.accept().await)
        } else {
            timeout(PAUSE, listener.accept()).await
        };
        match next {
            Ok(Err(error)) => {
                places.make_room(&error);
                sleep(PAUSE).await;
                continue;
            }
            Ok(Ok((stream, _))) => {
                let connection = tokio::spawn(timeout(MAX_LIFE, converse(stream, answer.clone())));
                places.take(connection.abort_handle());
            }
            // Nobody came: time to look for the reserve again.
            Err(_) => {}
        }
        places.is_short = false;
    }
}

/// One request, one answer, the end.
async fn converse<A, F>(stream: TcpStream, answer: A)
where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Response<Full<Bytes>>, Infallible>>,
{
    let mut http = http1::Builder::new();
    http.keep_alive(false).half_close(true).header_read_timeout(None);
    http.max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS);
    // Whatever was wrong with it, it has had its answer or is gone.
    let _: hyper::Result<()> = http.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// Status line of the answer to `head`, empty when there is none.
    fn ask(address: std::net::SocketAddr, head: &str) -> String {
        let mut stream = std::net::TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        stream.write_all(head.as_bytes()).expect("sent");
        let mut text = String::new();
        let _: io::Result<usize> = stream.read_to_string(&mut text);
        text.lines().next().unwrap_or_default().into()
    }

    #[test]
    fn a_request_that_panics_ends_alone() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("loopback");
        let address = listener.local_addr().expect("bound");
        std::thread::spawn(move || {
            let mut places = Places::new().expect("descriptors");
            runtime.block_on(serve(&listener, &mut places, async |request: Request<Incoming>| {
                assert_ne!(request.uri().path(), "/boom", "asked for");
                Ok(Response::new(Full::new(Bytes::from_static(b"x"))))
            }));
        });
        for _ in 0..3 {
            assert_eq!(ask(address, "GET /boom HTTP/1.1\r\nHost: x\r\n\r\n"), "");
            assert_eq!(ask(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 200 OK");
        }
        let long = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS + 1));
        assert!(ask(address, &long).contains(" 431 "));
    }
}
