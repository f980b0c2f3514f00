//! Somebody else's page, at a port of its own.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// A request has to come within this, real time.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Serves one page, whatever is asked for.
pub struct Stranger {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Stranger {
    /// Serves `page` until it is dropped.
    ///
    /// # Panics
    /// When no port is to be had.
    pub fn serve(page: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let server = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                // A browser opens connections that it does not use.
                drop(answer(&stream, &page));
            }
        });
        Self { address, is_over, server: Some(server) }
    }

    /// Its page, by this name of the machine.
    pub fn url(&self, name: &str) -> String {
        format!("http://{name}:{}/", self.address.port())
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes it.
        drop(TcpStream::connect(self.address));
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

fn answer(stream: &TcpStream, page: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(READ_WITHIN))?;
    let mut lines = BufReader::new(stream).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n";
    let mut out = stream;
    write!(out, "{head}Content-Length: {}\r\n\r\n{page}", page.len())
}
