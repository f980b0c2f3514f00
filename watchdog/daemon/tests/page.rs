//! The page with the panic button in a real browser: headless Chromium, driven over WebDriver. Debian has
//! both in the packages `chromium` and `chromium-driver`; without them the test says that it is skipped.

mod bench;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    time::Duration,
};

use bench::{Bench, bound, fake_host_main};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);
const TOKEN: &str = "a-token-of-the-page's-tests";
/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Not a test: the process that the watchdog starts as its host.
#[test]
#[ignore = "it is the host of the other tests"]
fn fake_host() {
    fake_host_main();
}

/// One window.
struct Browser {
    driver: Child,
    session: String,
    agent: ureq::Agent,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None` where there is no driver.
    fn start() -> Option<Self> {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().ok()?;
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let words = "was started successfully on port ";
        let line = lines.find(|line| line.contains(words)).expect("it says where it listens");
        let port = line.split(words).nth(1).expect("just found").trim_end_matches('.').to_owned();
        // Its further words go nowhere, but it must be able to say them.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().expect("a directory");
        let mut browser = Self {
            driver,
            session: format!("http://127.0.0.1:{port}"),
            agent: ureq::Agent::config_builder().http_status_as_error(false).build().into(),
            _profile: profile,
        };
        let folder = browser._profile.path().display();
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=390,844",
            &format!("--user-data-dir={folder}"),
        ];
        let wanted =
            json!({ "goog:chromeOptions": { "args": arguments }, "goog:loggingPrefs": { "browser": "ALL" } });
        let session = browser.post("/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        let id = session["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {session}"));
        browser.session += &format!("/session/{id}");
        Some(browser)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let request =
            self.agent.post(format!("{}{path}", self.session)).header("Content-Type", "application/json");
        let mut answer = request.send(body.to_string()).expect("the driver answers");
        let text = answer.body_mut().read_to_string().expect("text");
        let mut answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(answer["value"]["error"], Value::Null, "{path}: {answer}");
        answer["value"].take()
    }

    fn element(&self, id: &str) -> Value {
        self.post("/element", &json!({ "using": "css selector", "value": format!("#{id}") }))
    }

    fn fill(&self, id: &str, text: &str) {
        let element = self.element(id)[ELEMENT].as_str().expect("an id").to_owned();
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Presses the button for so long.
    fn hold(&self, ms: u64) {
        let element = self.element("stop");
        let steps = json!([
            { "type": "pointerMove", "duration": 0, "origin": element, "x": 0, "y": 0 },
            { "type": "pointerDown", "button": 0 },
            { "type": "pause", "duration": ms },
            { "type": "pointerUp", "button": 0 },
        ]);
        let touch = json!({ "pointerType": "touch" });
        let finger = json!({ "type": "pointer", "id": "finger", "parameters": touch, "actions": steps });
        self.post("/actions", &json!({ "actions": [finger] }));
    }

    fn script(&self, text: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": text, "args": [] }))
    }

    fn text(&self, id: &str) -> String {
        let text = self.script(&format!("return document.getElementById({id:?}).textContent"));
        text.as_str().expect("text").to_owned()
    }

    fn shows(&self, id: &str, words: &str) {
        let mut last = String::new();
        let is_late = bound(10 * SECOND, || {
            last = self.text(id);
            last.contains(words)
        });
        assert!(!is_late, "{id} says {last:?}, not {words:?}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser when its session ends.
        let _: Result<_, ureq::Error> = self.agent.delete(&self.session).call();
        let _: std::io::Result<()> = self.driver.kill();
        let _: std::io::Result<std::process::ExitStatus> = self.driver.wait();
    }
}

#[test]
fn the_button_kills_from_a_browser() {
    let Some(browser) = Browser::start() else {
        // Past the capture of tests' output.
        let _: std::io::Result<()> = writeln!(
            std::io::stderr(),
            "SKIPPED the_button_kills_from_a_browser: there is no chromedriver; install chromium-driver"
        );
        return;
    };
    let bench = Bench::new("spawn");
    bench.write_config(&bench.config_text().replace("\"off\"", "\"127.0.0.1:0\""));
    bench.broker.open(2);
    bench.arm();
    let dog = bench.run_with(&[("PANIC_TOKEN", TOKEN)]);
    let line = dog.line("admin port at http://", 5 * SECOND);
    let url = format!("http://{}/", line.split("http://").nth(1).expect("an address"));
    let pid = bench.leased(10 * SECOND).host_pid.expect("a host");
    browser.post("/url", &json!({ "url": url }));

    // A wrong token is refused, once.
    browser.fill("token", "not-the-token-of-this-test");
    browser.hold(1800);
    browser.shows("said", "refused (401)");
    // The right one shows the state.
    browser.fill("token", TOKEN);
    browser.script("document.getElementById('token').blur()");
    browser.shows("state", "leased");
    browser.shows("host", &format!("process {pid}, lease "));
    browser.shows("meaning", "there is no kill");
    // A touch by mistake is no press.
    browser.hold(300);
    browser.shows("said", "let go too early: nothing was sent");
    assert_eq!(bench.leased(SECOND).host_pid, Some(pid));
    // A press.
    browser.fill("reason", "from the browser");
    browser.hold(1800);
    dog.line("[KILL] layer=panic reason=from the browser", 5 * SECOND);
    browser.shows("said", "taken: nothing may trade; watch the proof");
    browser.shows("state", "killed");
    browser.shows("kill", "panic: from the browser");
    browser.shows("proof", "CONFIRMED_ZERO");
    browser.shows("host", "none");
    assert!(!bench::is_alive(pid));

    // Nothing is kept, nothing is in the address, and the policy stopped nothing of the page's own.
    assert_eq!(browser.script("return location.href"), url);
    assert_eq!(
        browser.script("return localStorage.length + sessionStorage.length + document.cookie.length"),
        0
    );
    assert_eq!(browser.script("return document.documentElement.scrollWidth <= innerWidth"), true);
    let log = browser.post("/se/log", &json!({ "type": "browser" }));
    let lines: Vec<_> =
        log.as_array().expect("lines").iter().map(|line| line["message"].to_string()).collect();
    let is_expected = |line: &String| line.contains("401 (Unauthorized)") || line.contains("favicon.ico");
    assert!(lines.iter().all(is_expected), "{lines:?}");
    // What is not the page's own does not run.
    browser.script(
        "const more = document.createElement('script'); more.textContent = 'window.ran = true'; \
         document.head.append(more)",
    );
    assert_eq!(browser.script("return window.ran === undefined"), true);
}
