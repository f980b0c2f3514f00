//! What is to be set up: from the flags, from what is there, from the human.

use std::{fs, path::Path};

use sandpit_contract::Exit;

use super::{Human, SetupArgs, say};
use crate::{
    Failure, World,
    files::{Settings, trading_url},
    keys::{KeyPair, Secret},
    place::{HOST_KEY, WATCHDOG_KEY},
};

/// Symbols that one strategy may be given here.
const MAX_SYMBOLS: usize = 100;
/// The longest symbol.
const MAX_SYMBOL_CHARS: usize = 16;

/// How often a key is asked for.
const MAX_TRIES: u32 = 3;

/// What is to be.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) mode: String,
    pub(super) broker: String,
    pub(super) url: Option<String>,
    /// The address that follows from the three.
    pub(super) trading_url: String,
    pub(super) symbols: Vec<String>,
    /// `None` when there are none yet and none were given: a dry run at the sim can do without.
    pub(super) host_keys: Option<KeyPair>,
    pub(super) watchdog_keys: Option<KeyPair>,
}

impl Answers {
    /// Gathers them; asks only where flags and files say nothing.
    ///
    /// # Errors
    /// [`Exit::Usage`] and [`Exit::Config`] when they cannot be.
    pub(super) fn gather(args: &SetupArgs, world: &World, human: &mut Human) -> Result<Self, Failure> {
        let there = Settings::read(&args.place);
        let current = there.host(&["broker", "name"]).unwrap_or("sim");
        let broker = match args.broker {
            Some(broker) => broker.word().to_owned(),
            None if human.asks() => one_of(human, "Broker", &["sim", "alpaca"], current)?,
            None => current.to_owned(),
        };
        let mode = match args.mode {
            Some(mode) => mode.word().to_owned(),
            None if human.asks() => one_of(human, "Mode", &["dry-run", "paper", "live"], there.mode())?,
            None => there.mode().to_owned(),
        };
        // Another broker has another address.
        let kept = there.host(&["broker", "url"]).filter(|_| broker == current);
        let url = args.url.clone().or_else(|| kept.map(str::to_owned));
        if let Some(url) = url.as_ref().filter(|url| !is_address(url)) {
            let what = format!("--url {url:?} is no address: http:// or https:// and a host, no path");
            return Err(Failure::new(Exit::Usage, what));
        }
        let symbols = symbols(args, human, has_strategies(&there))?;
        let host_keys = host_keys(args, world, human, &mode)?;
        let watchdog_keys = match &args.watchdog_key_file {
            Some(path) => Some(KeyPair::of_two_lines(path)?),
            // One that was the host's stays the host's.
            None => (args.place.key_files(WATCHDOG_KEY))
                .filter(|there| args.place.key_files(HOST_KEY).as_ref() != Some(there))
                .or_else(|| host_keys.clone()),
        };
        let trading_url = trading_url(&broker, url.as_deref(), &mode);
        let answers = Self { mode, broker, url, trading_url, symbols, host_keys, watchdog_keys };
        answers.refuse_the_other_kind()?;
        Ok(answers)
    }

    /// Alpaca's paper keys begin with PK, its live keys with AK (2026-03): a mix-up is found before it is
    /// asked.
    fn refuse_the_other_kind(&self) -> Result<(), Failure> {
        if self.broker != "alpaca" || self.url.is_some() {
            return Ok(());
        }
        let (wrong, kind) = if self.mode == "live" { ("PK", "paper") } else { ("AK", "live") };
        for (whose, keys) in [("host", &self.host_keys), ("watchdog", &self.watchdog_keys)] {
            if keys.as_ref().is_some_and(|keys| keys.id.expose().starts_with(wrong)) {
                let mode = &self.mode;
                let what = format!(
                    "the key of the {whose} is one of a {kind} account, and the mode is {mode}: its keys are \
                     made on another page of the broker's"
                );
                return Err(Failure::new(Exit::Config, what));
            }
        }
        Ok(())
    }
}

fn one_of(human: &mut Human, question: &str, words: &[&str], default: &str) -> Result<String, Failure> {
    loop {
        let answer = human.text(&format!("{question} ({})", words.join(", ")), Some(default))?;
        if words.contains(&answer.as_str()) {
            return Ok(answer);
        }
    }
}

fn is_address(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        let rest = rest.trim_end_matches('/');
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b'@')
    })
}

/// Whether a strategy has its symbols already.
fn has_strategies(there: &Settings) -> bool {
    let folder = Settings::path(there.host(&["plugins_dir"]), "/etc/sandpit/plugins");
    let is_manifest = |path: &Path| path.extension().is_some_and(|ending| ending == "toml");
    fs::read_dir(folder).is_ok_and(|mut all| all.any(|entry| entry.is_ok_and(|one| is_manifest(&one.path()))))
}

fn symbols(args: &SetupArgs, human: &mut Human, has_strategies: bool) -> Result<Vec<String>, Failure> {
    if !args.symbols.is_empty() {
        let odd = |why| Failure::new(Exit::Usage, format!("--symbols: {why}"));
        return parsed_symbols(&args.symbols.join(",")).map_err(odd);
    }
    if !human.asks() || has_strategies {
        return Ok(Vec::new());
    }
    loop {
        match parsed_symbols(&human.text("Symbols, with commas between them", Some("SPY"))?) {
            Ok(symbols) => return Ok(symbols),
            Err(why) => say(&why),
        }
    }
}

/// Symbols with commas between them; why not, in words.
fn parsed_symbols(text: &str) -> Result<Vec<String>, String> {
    let symbols: Vec<String> = text.split(',').map(|symbol| symbol.trim().to_uppercase()).collect();
    let plain = |symbol: &String| {
        let fits = (1..=MAX_SYMBOL_CHARS).contains(&symbol.len());
        fits && symbol.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'.')
    };
    match symbols.iter().find(|symbol| !plain(symbol)) {
        Some(odd) => Err(format!("{odd:?} is no symbol such as SPY")),
        None if symbols.len() > MAX_SYMBOLS => Err(format!("more than {MAX_SYMBOLS} symbols are named")),
        None => Ok(symbols),
    }
}

/// Of the flag, of an earlier run, of the environment, of the human: a key that is there is kept unless
/// another one is given.
fn host_keys(
    args: &SetupArgs,
    world: &World,
    human: &mut Human,
    mode: &str,
) -> Result<Option<KeyPair>, Failure> {
    if let Some(path) = &args.key_file {
        return KeyPair::of_two_lines(path).map(Some);
    }
    let files = || args.place.key_files(HOST_KEY);
    if let Some(keys) = KeyPair::of_environment(&world.environment).or_else(files) {
        let keep = !human.asks() || human.yes(&format!("Keep the key {}?", hint(&keys.id)), true)?;
        if keep {
            return Ok(Some(keys));
        }
    }
    if !human.asks() {
        let what = "no key is given: --key-file FILE, or APCA_API_KEY_ID and APCA_API_SECRET_KEY; the sim \
                    takes any";
        return Err(Failure::new(Exit::Usage, what));
    }
    let mut word = |question: &str| -> Result<Secret, Failure> {
        // Bounded: a terminal that has gone answers with nothing, for ever.
        for _ in 0..MAX_TRIES {
            match Secret::new(&human.hidden(question)?) {
                Some(secret) => return Ok(secret),
                None => say("that is no key: one word is expected"),
            }
        }
        Err(Failure::new(Exit::Usage, format!("{question}: no key was given; nothing was written")))
    };
    let id = word(&format!("Key id of the {mode} account"))?;
    Ok(Some(KeyPair { id, secret: word("Secret key")? }))
}

/// Enough to know it again, too little to use.
fn hint(id: &Secret) -> String {
    let text = id.expose();
    if text.len() < 12 { "that is there".into() } else { format!("{}…", &text[..4]) }
}

/// Whether a strategy's name can be a file's.
pub(super) fn is_strategy(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    plain && (1..=32).contains(&name.len()) && Path::new(name).components().count() == 1
}
