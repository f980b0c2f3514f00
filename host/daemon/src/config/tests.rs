use sandpit_types::Symbol;

use super::{market_data::Encoding, *};

const GOOD: &str = "state_dir = \"s\"\nplugins_dir = \"p\"\n";

fn load(text: &str, env: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("sandpit.toml");
    std::fs::write(&path, text).expect("written");
    let keys = [("APCA_API_KEY_ID", "k"), ("APCA_API_SECRET_KEY", "s")];
    let env = keys.iter().chain(env).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Config::load(&path, &env).map_err(|error| error.to_string())
}

#[test]
fn a_bad_file_is_one_sentence_with_its_line() {
    let check = |text: &str, expected: &str| {
        let error = load(text, &[]).expect_err(text);
        assert!(error.ends_with(expected), "{text:?} gave {error:?}");
    };
    check("plugins_dir = \"p\"\n", "missing field `state_dir`");
    check(
        &format!("{GOOD}plugin_dir = \"x\"\n"),
        ":3: unknown key `plugin_dir`; did you mean `plugins_dir`?",
    );
    check(
        &format!("{GOOD}[broker]\nclock_sped = 2\n"),
        ":4: unknown key `clock_sped`; did you mean `clock_speed`?",
    );
    check(
        &format!("{GOOD}[broker]\nclock_speed = 0.5\n"),
        "broker.clock_speed is 0.5, it must be 1 to 10000",
    );
    check(&format!("mode = \"live\"\n{GOOD}[broker]\nclock_speed = 2\n"), "a real market is not compressed");
    for mode in ["paper", "dry-run"] {
        let text = format!("mode = \"{mode}\"\n{GOOD}[broker]\nclock_speed = 60\n");
        check(
            &format!("{text}name = \"alpaca\"\n"),
            "broker.clock_speed must be 1 with the broker's own addresses: a real market is not compressed",
        );
        for compressed in ["name = \"sim\"", "name = \"alpaca\"\nurl = \"http://127.0.0.1:8090\""] {
            let config = load(&format!("{text}{compressed}\n"), &[]).expect(compressed);
            assert_eq!(config.clock_speed, 60.0);
        }
    }
    check(
        &format!("{GOOD}[broker]\nfeed = \"iex/../sip\"\n"),
        "broker.feed is \"iex/../sip\", it must be a name such as \"iex\"",
    );
    let strategies = |line: &str| format!("{GOOD}[strategies]\n{line}\n");
    check(&strategies("memory_mb = 17592186044416"), "is 17592186044416, it must be 1 to 4096");
    check(&strategies("require_signature = true"), "strategies: require_signature = true needs trusted_keys");
    check(&strategies("trusted_keys = [\"d75a\"]"), "is no ed25519 public key: 32 bytes in base64");
    check(&strategies("memory_mb = 0"), "strategies.memory_mb is 0, it must be 1 to 4096");
    check(
        &strategies("event_deadline_ms = 60000"),
        "strategies.event_deadline_ms is 60000, it must be 1 to 10000",
    );
    let journal = |line: &str| format!("{GOOD}[journal]\n{line}\n");
    check(&journal("max_mb = 1"), "journal.max_mb is 1, it must be 128 to 1000000000");
    check(&journal("keep_days = 0"), "journal.keep_days is 0, it must be 1 to 36500");
    check(&journal("keep = 3"), ":4: unknown key `keep`; did you mean `keep_days`?");
    check(
        &format!("{GOOD}[limits]\nnav_usd = -1\n"),
        "must be above zero; leave it out for the built-in value",
    );
    check(&format!("{GOOD}[limits]\nposition_percent = 50\n"), "set it to 10 or less");
}

#[test]
fn budgets_can_only_be_tightened_and_sources_added() {
    let check = |text: &str, expected: &str| {
        let error = load(&format!("{GOOD}{text}"), &[]).expect_err(text);
        assert!(error.ends_with(expected), "{text:?} gave {error:?}");
    };
    check("[budget]\ntrading_per_minute = 200\n", "budget.trading_per_minute is 200, it must be 1 to 160");
    check("[budget]\ndata_per_minute = 9501\n", "budget.data_per_minute is 9501, it must be 1 to 9500");
    check("[budget]\ndata_per_minute = 0\n", "it must be 1 to 9500");
    check("[budget]\ndata_per_minut = 1\n", "did you mean `data_per_minute`?");
    let source = |rest: &str| format!("[[sources]]\nname = \"llm\"\n{rest}\n");
    check(
        &source(""),
        "the source \"llm\" has no limit; give it at least one of requests_per_minute, requests_per_day, \
         tokens_per_minute, tokens_per_day",
    );
    check(
        &source("tokens_per_day = 0"),
        "sources.tokens_per_day of \"llm\" is 0, it must be 1 to 1000000000000",
    );
    check(&source("token_per_day = 1"), "did you mean `tokens_per_day`?");
    let one = source("requests_per_day = 5");
    check(&format!("{one}{one}"), "sources.name \"llm\" is taken; give each source another name");
    check(&one.replace("llm", "data"), "sources.name \"data\" is taken; give each source another name");
    check(&one.replace("llm", "L L M"), "must be 1 to 32 of a-z, 0-9 and _");
    let many: String = (0..17).map(|n| one.replace("llm", &format!("s{n}"))).collect();
    check(&many, "there are 17 [[sources]], at most 16 are allowed");

    let text = format!(
        "{GOOD}[budget]\ndata_per_minute = 9500\n{}",
        source("requests_per_minute = 50\ntokens_per_day = 1000000")
    );
    let budgets = load(&text, &[]).expect("valid").quotas;
    assert_eq!(budgets.trading, sandpit_cores::Quota::default());
    assert_eq!(budgets.data.bounds[0].limit, 9_500);
    let (name, quota) = &budgets.sources[0];
    let bounds: Vec<_> = quota.bounds.iter().map(|b| (b.unit.as_str(), b.span.as_secs(), b.limit)).collect();
    assert_eq!((name.as_str(), bounds), ("llm", vec![("requests", 62, 50), ("tokens", 86_402, 1_000_000)]));
}

#[test]
fn market_data_has_a_canary_an_encoding_and_news() {
    let check = |text: &str, expected: &str| {
        let error = load(&format!("{GOOD}[market_data]\n{text}\n"), &[]).expect_err(text);
        assert!(error.contains(expected), "{text:?} gave {error:?}");
    };
    check(
        "canary = \"spy\"",
        "market_data.canary is \"spy\", it must be a symbol such as \"SPY\", or \"off\"",
    );
    check("encoding = \"xml\"", ":4: unknown variant `xml`, expected `msgpack` or `json`");
    check("news = [\"*\", \"SPY\"]", "market_data.news has \"*\", it must be [\"*\"] or a list of symbols");
    check("canari = \"SPY\"", "did you mean `canary`?");
    let read = |text: &str| load(&format!("{GOOD}{text}"), &[]).expect(text).market_data;
    let plain = read("");
    assert_eq!(
        (plain.canary, plain.encoding, plain.news),
        (Some(Symbol::new("SPY")), Encoding::Msgpack, vec![])
    );
    let other = read("[market_data]\ncanary = \"off\"\nencoding = \"json\"\nnews = [\"*\"]\n");
    assert_eq!((other.canary, other.encoding, other.news), (None, Encoding::Json, vec![Symbol::new("*")]));
    assert_eq!(read("[market_data]\nnews = [\"BRK.B\"]\n").news, [Symbol::new("BRK.B")]);
}

#[test]
fn the_environment_goes_over_the_file() {
    let config = load(&format!("mode = \"paper\"\n{GOOD}"), &[("DRY_RUN", "1"), ("NAV_USD", "2500.50")]);
    let config = config.expect("valid");
    assert_eq!(config.mode, Mode::DryRun);
    assert_eq!(config.limits.nav().map(|nav| nav.to_string()).as_deref(), Some("2500.5"));
    let check = |env: &[(&str, &str)], expected: &str| {
        let error = load(GOOD, env).expect_err(expected);
        assert!(error.contains(expected), "{error}");
    };
    check(&[("DRY_RUN", "maybe")], "environment variable DRY_RUN: \"maybe\" is neither 1 nor 0");
    check(&[("NAV_USD", "much")], "environment variable NAV_USD: \"much\" is not an amount");
    check(&[("PANEL_TOKEN", "short")], "PANEL_TOKEN: is shorter than 16 characters");
    check(&[("APCA_API_SECRET_KEY", "")], "APCA_API_SECRET_KEY: is not set");
}

#[test]
fn secrets_are_never_printed() {
    let config =
        load(GOOD, &[("APCA_API_SECRET_KEY", "hunter2hunter2"), ("PANEL_TOKEN", "0123456789abcdef")]);
    let text = format!("{:?}", config.expect("valid"));
    assert!(!text.contains("hunter2") && !text.contains("0123456789abcdef"), "{text}");
}

#[test]
fn alpaca_addresses_follow_the_mode() {
    let text = |mode: &str| format!("mode = \"{mode}\"\n{GOOD}[broker]\nname = \"alpaca\"\n");
    let trading = |mode: &str| load(&text(mode), &[]).expect(mode).endpoints.trading_url;
    assert_eq!(trading("paper"), "https://paper-api.alpaca.markets");
    assert_eq!(trading("dry-run"), "https://paper-api.alpaca.markets");
    assert_eq!(trading("live"), "https://api.alpaca.markets");
    let news = |text: &str| load(text, &[]).expect("valid").endpoints.news_stream_url;
    assert_eq!(news(&text("paper")), "wss://stream.data.alpaca.markets/v1beta1/news");
    assert_eq!(news(GOOD), "ws://127.0.0.1:8090/v1beta1/news");
}

#[test]
fn orders_of_others_are_claimed_by_rule() {
    let rule = |rule: &str| format!("{GOOD}[orders]\nclaim = [{rule}]\n");
    let config =
        load(&rule("{ client_id_prefix = \"manual-\", strategy = \"sma_cross\" }"), &[]).expect("good");
    let [claim] = config.claims.as_slice() else { panic!("{:?}", config.claims) };
    assert_eq!((claim.client_id_prefix.as_str(), claim.strategy.as_str()), ("manual-", "sma_cross"));
    assert!(load(GOOD, &[]).expect("good").claims.is_empty(), "nothing is claimed unless told");
    let check = |text: &str, expected: &str| {
        let error = load(&rule(text), &[]).expect_err(text);
        assert!(error.contains(expected), "{text:?} gave {error:?}");
    };
    check("{ client_id_prefix = \"\", strategy = \"s\" }", "an empty one would take every order");
    for own in ["s", "sp-", "sp-sma_cross-"] {
        let text = format!("{{ client_id_prefix = {own:?}, strategy = \"s\" }}");
        check(&text, "is how the host's own orders begin");
    }
    check("{ client_id_prefix = \"m\", strategy = \"Not A Name\" }", "is not a strategy name");
    check("{ client_id_prefix = \"m\", strategie = \"s\" }", "did you mean `strategy`?");
    check(&vec!["{ client_id_prefix = \"m\", strategy = \"s\" }"; 33].join(", "), "at most 32 are allowed");
}

#[test]
fn a_database_is_a_server_where_orders_are_real_and_shows_no_password() {
    let folder = std::path::Path::new("s/paper");
    let shown = |text: &str, env: &[(&str, &str)]| {
        let config = load(&format!("{GOOD}{text}"), env).expect(text);
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
        config.records.database(config.mode, folder).to_string()
    };
    let server = "[database]\nurl = \"postgres://u:hunter2@db/books\"\n";
    let paper = |text: &str| format!("mode = \"paper\"\n{text}");
    let of_paper = |text: &str, env: &[(&str, &str)]| {
        let config = load(&paper(&format!("{GOOD}{text}")), env).expect(text);
        config.records.database(config.mode, folder).to_string()
    };
    assert_eq!(of_paper("", &[]), "s/paper/sandpit.db");
    assert_eq!(of_paper(server, &[]), "postgres://db:5432/books");
    let other = [("DATABASE_URL", "postgres://u:hunter2@other:1/x")];
    assert_eq!(of_paper(server, &other), "postgres://other:1/x");
    assert_eq!(shown(server, &other), "s/paper/sandpit.db", "a dry run has its own");
    let check = |text: &str, env: &[(&str, &str)], expected: &str| {
        let error = load(&format!("{GOOD}[database]\n{text}\n"), env).expect_err(text);
        assert!(error.contains(expected) && !error.contains("hunter2"), "{text:?} gave {error:?}");
    };
    check("url = \"mysql://u:hunter2@db/x\"", &[], "database.url: it must be an address such as postgres://");
    check("url = 5", &[], ":4: database.url must be a text in quotes");
    check("", &[("DATABASE_URL", "hunter2")], "environment variable DATABASE_URL: it must be an address");
    check("", &[("DATABASE_URL", " ")], "environment variable DATABASE_URL: is set but empty");
    check(
        "keep_days = \"postgres://u:hunter2@db/x\"",
        &[],
        ":4: this key of [database] must be a whole number",
    );
    check("url = postgres://u:hunter2@db/x", &[], ":4:");
    let slip =
        load(&format!("database = \"postgres://u:hunter2@db/x\"\n{GOOD}"), &[]).expect_err("no section");
    assert!(slip.ends_with("url = \"postgres://...\"") && !slip.contains("hunter2"), "{slip}");
    check("keep_days = 6", &[], "database.keep_days is 6, it must be 7 to 36500");
    check("keep_orders_days = 29", &[], "database.keep_orders_days is 29, it must be 30 to 36500");
    check("keep_day = 9", &[], "did you mean `keep_days`?");
}

#[test]
fn what_happens_to_strategies_is_recorded_unless_it_is_not_wanted() {
    let journal = |line: &str| load(&format!("{GOOD}[journal]\n{line}\n"), &[]).expect(line).journal;
    let kept = |keep_days, max_mb: u64| Some(Retention { keep_days, max_bytes: max_mb << 20 });
    assert_eq!(load(GOOD, &[]).expect("good").journal, kept(30, 4_096));
    assert_eq!(journal("keep_days = 7\nmax_mb = 500"), kept(7, 500));
    assert_eq!(journal("enabled = false"), None);
}

#[test]
fn where_the_state_lies_is_told_without_keys() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("sandpit.toml");
    std::fs::write(&path, format!("mode = \"paper\"\n{GOOD}")).expect("written");
    let place = |env: &[(&str, &str)]| {
        let env = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Config::place(&path, &env).expect("good")
    };
    assert_eq!(place(&[]), (PathBuf::from("s"), Mode::Paper));
    assert_eq!(place(&[("DRY_RUN", "1")]), (PathBuf::from("s"), Mode::DryRun));
}
