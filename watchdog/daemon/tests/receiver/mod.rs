//! A service on loopback that receives: it answers as told and remembers what came.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use serde_json::Value;

/// A request that never comes is waited for so long.
const LONGEST: Duration = Duration::from_secs(20);

/// What came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Method and path.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A status, further header lines (each with its line end), and a body.
    Now(u16, &'static str, String),
    /// Nothing, for ever.
    Never,
}

#[derive(Default)]
struct Shared {
    /// Each for a request whose line holds the words.
    replies: VecDeque<(&'static str, Reply)>,
    requests: Vec<Request>,
}

/// The service. After its replies it answers 200 and `{"ok":true,"result":[]}`.
pub(crate) struct Receiver {
    pub(crate) url: String,
    shared: Arc<(Mutex<Shared>, Condvar)>,
}

impl Receiver {
    pub(crate) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let replies = replies.into_iter().map(|reply| ("", reply)).collect();
        let shared = Shared { replies, requests: Vec::new() };
        let shared = Arc::new((Mutex::new(shared), Condvar::new()));
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let ours = Arc::clone(&ours);
                std::thread::spawn(move || serve(&stream, &ours));
            }
        });
        Self { url, shared }
    }

    /// One more reply, for the next request whose line holds `words`.
    pub(crate) fn reply(&self, words: &'static str, reply: Reply) {
        self.shared.0.lock().expect("no test panics with it").replies.push_back((words, reply));
    }

    /// The first request that is wanted, waited for.
    pub(crate) fn request(&self, is_wanted: impl Fn(&Request) -> bool) -> Request {
        let (lock, came) = &*self.shared;
        let shared = lock.lock().expect("no test panics with it");
        let is_absent = |shared: &mut Shared| !shared.requests.iter().any(&is_wanted);
        let (shared, late) = came.wait_timeout_while(shared, LONGEST, is_absent).expect("as above");
        assert!(!late.timed_out(), "it did not come; there are {:#?}", shared.requests);
        shared.requests.iter().find(|request| is_wanted(request)).expect("just seen").clone()
    }

    /// What came so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.0.lock().expect("no test panics with it").requests.clone()
    }
}

fn serve(stream: &TcpStream, shared: &(Mutex<Shared>, Condvar)) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let (lock, came) = shared;
        let mut shared = lock.lock().expect("no test panics with it");
        let at = shared.replies.iter().position(|(words, _)| request.line.contains(words));
        let reply = at.and_then(|at| shared.replies.remove(at)).map(|(_, reply)| reply);
        let reply = reply.unwrap_or_else(|| Reply::Now(200, "", r#"{"ok":true,"result":[]}"#.into()));
        shared.requests.push(request);
        came.notify_all();
        drop(shared);
        match reply {
            Reply::Now(status, headers, text) => {
                let length = text.len();
                let text = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{text}");
                let mut stream = stream;
                if stream.write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
            // Until the other side gives up.
            Reply::Never => {
                let _: std::io::Result<usize> = reader.read(&mut [0]);
                return;
            }
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse());
    let mut body = vec![0; length.map_or(0, |length| length.expect("a number"))];
    reader.read_exact(&mut body).ok()?;
    let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    Some(Request { line, headers, text: String::from_utf8(body).expect("text") })
}
