//! A terminal that is not there: a pair of pseudo-terminals, and what a program draws on it.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use nix::{
    pty::{Winsize, openpty},
    sys::termios::{LocalFlags, Termios, tcgetattr},
};

/// A program on a terminal of its own.
pub struct OnTerminal {
    /// The program.
    pub child: Child,
    keys: File,
    own: OwnedFd,
    heard: Arc<Mutex<Heard>>,
    reader: Option<JoinHandle<()>>,
}

/// What came from the program.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    screen: Screen,
}

impl OnTerminal {
    /// Starts a program on a terminal of so many columns and lines.
    ///
    /// # Panics
    /// When there is no pseudo-terminal, or it does not start.
    pub fn start(mut command: Command, columns: u16, lines: u16) -> Self {
        let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).expect("a pseudo-terminal");
        let end = || Stdio::from(pair.slave.try_clone().expect("a descriptor"));
        command.stdin(end()).stdout(end()).stderr(end()).env("TERM", "xterm-256color");
        let child = command.spawn().expect("the program starts");
        let keys = File::from(pair.master.try_clone().expect("a descriptor"));
        let mut from = File::from(pair.master);
        let heard = Arc::new(Mutex::new(Heard { screen: Screen::new(columns, lines), ..Heard::default() }));
        let own = heard.clone();
        let reader = std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut part) {
                let mut heard = own.lock().unwrap_or_else(PoisonError::into_inner);
                heard.bytes.extend(&part[..count]);
                heard.screen.take(&part[..count]);
            }
        });
        Self { child, keys, own: pair.slave, heard, reader: Some(reader) }
    }

    /// Types something.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// What stands on it now.
    pub fn seen(&self) -> String {
        self.heard().screen.text()
    }

    /// Everything that was written on it, as it was.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.heard().bytes).into_owned()
    }

    /// How the terminal is set.
    ///
    /// # Panics
    /// When it is gone.
    pub fn settings(&self) -> Termios {
        tcgetattr(&self.own).expect("the settings of a terminal")
    }

    /// Whether it is as a shell leaves it to a program: lines are edited and echoed.
    pub fn is_usual(&self) -> bool {
        self.settings().local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.seen());
        }
        // The reader ends with the last descriptor of the program's side, which is ours.
        drop(self.reader.take());
    }
}

/// The letters on a screen, as far as a program that draws cell by cell needs one.
#[derive(Default)]
struct Screen {
    rows: Vec<Vec<char>>,
    /// Of the cursor, row and column.
    at: (usize, usize),
    /// The beginning of what has not come wholly.
    rest: Vec<u8>,
}

impl Screen {
    fn new(columns: u16, lines: u16) -> Self {
        Self { rows: vec![vec![' '; columns.into()]; lines.into()], ..Self::default() }
    }

    fn text(&self) -> String {
        let line = |row: &Vec<char>| row.iter().collect::<String>().trim_end().to_owned();
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut all = std::mem::take(&mut self.rest);
        all.extend(bytes);
        let whole = match std::str::from_utf8(&all) {
            Ok(_) => all.len(),
            Err(error) => error.valid_up_to(),
        };
        let text = String::from_utf8_lossy(&all[..whole]).into_owned();
        let mut left = text.as_str();
        while let Some(letter) = left.chars().next() {
            let after = &left[letter.len_utf8()..];
            left = match letter {
                '\u{1b}' => match self.escape(after) {
                    Some(after) => after,
                    None => break,
                },
                '\r' => {
                    self.at.1 = 0;
                    after
                }
                '\n' => {
                    self.at.0 += 1;
                    after
                }
                letter => {
                    let (row, column) = self.at;
                    if let Some(cell) = self.rows.get_mut(row).and_then(|row| row.get_mut(column)) {
                        *cell = letter;
                    }
                    self.at.1 += 1;
                    after
                }
            };
        }
        self.rest = [left.as_bytes(), &all[whole..]].concat();
    }

    /// Does what stands after an escape; what is left, or `None` where it has not come wholly.
    fn escape<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let Some(body) = text.strip_prefix('[') else {
            return text.char_indices().nth(1).map(|(at, _)| &text[at..]).or((text.len() == 1).then_some(""));
        };
        let end = body.find(|letter: char| letter.is_ascii_alphabetic())?;
        let (values, word) = (&body[..end], &body[end..=end]);
        let mut numbers = values.split(';').map(|value| value.parse::<usize>().unwrap_or(1));
        let mut number = || numbers.next().unwrap_or(1).max(1) - 1;
        match word {
            "H" => self.at = (number(), number()),
            "J" => self.rows.iter_mut().flatten().for_each(|cell| *cell = ' '),
            _ => {}
        }
        Some(&body[end + 1..])
    }
}
