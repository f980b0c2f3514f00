//! A headless Chromium, by the few words of `WebDriver` that are needed.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use sandpit_system_tests::{Running, wait_for};
use serde_json::{Value, json};

/// How long the browser may take for a command, real time: its first page on a busy machine.
const COMMAND_WITHIN: Duration = Duration::from_secs(90);
/// How long something may take to appear on a page, real time.
const SOON: Duration = Duration::from_secs(30);
/// The name of an element in what a driver answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How large the window is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// One window.
pub struct Browser {
    driver: String,
    session: String,
    shots: PathBuf,
    _driver: Running,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens one; `None`, said loudly, where there is no Chromium. Its pictures go into `shots`.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn open(shots: &Path) -> Option<Self> {
        let is_there = |path: &&str| Path::new(path).exists();
        let driver = ["/usr/bin/chromedriver", "/usr/local/bin/chromedriver"].into_iter().find(is_there);
        let Some(driver) = driver else {
            eprintln!("\nNOT TESTED: there is no chromedriver: apt-get install chromium chromium-driver\n");
            return None;
        };
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut child = Command::new(driver)
            .arg("--port=0")
            .env("HOME", profile.path())
            .env("TMPDIR", profile.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let child = Running(child);
        let port = lines.map_while(Result::ok).find_map(|line| {
            let port = line.split("started successfully on port ").nth(1)?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let driver = format!("http://127.0.0.1:{}", port.expect("chromedriver says its port"));
        let arguments = json!([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--hide-scrollbars",
            format!("--user-data-dir={}", profile.path().join("profile").display())
        ]);
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": arguments}}}});
        let told = command(&format!("{driver}/session"), Some(&wanted));
        let session = told["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {told}")).to_owned();
        fs::create_dir_all(shots).expect("a folder for pictures");
        Some(Self { driver, session, shots: shots.to_owned(), _driver: child, _profile: profile })
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        command(&format!("{}/session/{}/{path}", self.driver, self.session), Some(body))
    }

    fn devtools(&self, name: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({"cmd": name, "params": parameters}))
    }

    /// Goes to a page.
    pub fn go(&self, url: &str) {
        self.post("url", &json!({"url": url}));
    }

    /// What a script returns.
    pub fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    /// The text of the element with this id; empty when it is not shown.
    pub fn text(&self, id: &str) -> String {
        let text = self.run(&format!("return document.getElementById({id:?})?.innerText ?? ''"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the element with this id shows this text.
    ///
    /// # Panics
    /// When it never does.
    pub fn shows(&self, id: &str, text: &str) {
        let mut last = String::new();
        let look = || {
            last = self.text(id);
            last.contains(text).then_some(())
        };
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wait_for(text, SOON, look)));
        assert!(waited.is_ok(), "#{id} never shows {text:?}, but {last:?}; {:?}", self.complaints());
    }

    /// Waits until a script gives true.
    ///
    /// # Panics
    /// When it never does.
    pub fn holds(&self, script: &str) {
        wait_for(script, SOON, || (self.run(&format!("return Boolean({script})")) == true).then_some(()));
    }

    fn element(&self, selector: &str) -> String {
        let (found, _) = wait_for(selector, SOON, || {
            let found = self.post("elements", &json!({"using": "css selector", "value": selector}));
            found[0][ELEMENT].as_str().map(str::to_owned)
        });
        found
    }

    /// Clicks.
    ///
    /// # Panics
    /// When there is nothing to click.
    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.run(&format!("document.querySelector({selector:?}).scrollIntoView({{block: 'center'}})"));
        self.post(&format!("element/{element}/click"), &json!({}));
    }

    /// Types.
    ///
    /// # Panics
    /// When there is nowhere to type.
    pub fn types(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("element/{element}/value"), &json!({"text": text}));
    }

    /// Presses with a finger, and holds for so long.
    ///
    /// # Panics
    /// When there is nothing to press.
    pub fn holds_down(&self, selector: &str, span: Duration) {
        let element = self.element(selector);
        let actions = json!([
            {"type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": {ELEMENT: element}},
            {"type": "pointerDown", "button": 0}, {"type": "pause", "duration": span.as_millis()},
            {"type": "pointerUp", "button": 0}]);
        let finger = json!([{"type": "pointer", "id": "finger", "parameters": {"pointerType": "touch"},
            "actions": actions}]);
        self.post("actions", &json!({"actions": finger}));
    }

    /// Makes the window so large, and dark or light.
    pub fn looks(&self, size: Size, scheme: &str) {
        let Size { width, height } = size;
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Keeps pictures of what is shown: as on a phone and on a desk, dark and light.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn shoot(&self, name: &str) {
        for size in [Size { width: 1440, height: 900 }, Size { width: 390, height: 844 }] {
            for scheme in ["dark", "light"] {
                self.looks(size, scheme);
                // The plot is drawn anew for its new width.
                self.run("dispatchEvent(new Event('resize')); scrollTo(0, 0)");
                let told = self.devtools("Page.captureScreenshot", &json!({"format": "png"}));
                let picture = STANDARD.decode(told["data"].as_str().expect("a picture")).expect("base64");
                assert!(picture.len() > 5_000, "{name} is an empty picture");
                let file = format!("{name}-{}x{}-{scheme}.png", size.width, size.height);
                fs::write(self.shots.join(file), picture).expect("written");
                let is_wide = self.run("return document.documentElement.scrollWidth > innerWidth");
                assert_eq!(is_wide, false, "{name} has to be scrolled sideways at {} pixels", size.width);
            }
        }
    }

    /// What the console has complained of since the last time: errors, and what the policy forbade.
    pub fn complaints(&self) -> Vec<String> {
        let told = self.post("se/log", &json!({"type": "browser"}));
        let entries = told.as_array().cloned().unwrap_or_default().into_iter();
        let severe = entries.filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        severe.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its session; its driver is ended after it.
        let _ = agent().delete(format!("{}/session/{}", self.driver, self.session)).call();
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder();
    let config = config.timeout_global(Some(COMMAND_WITHIN)).proxy(None).http_status_as_error(false);
    config.build().into()
}

fn command(url: &str, body: Option<&Value>) -> Value {
    let mut answer = agent().post(url).send_json(body).expect("the driver answers");
    let told: Value = answer.body_mut().with_config().limit(64 << 20).read_json().expect("JSON");
    assert!(answer.status().is_success(), "{url} {body:?}: {told}");
    told["value"].clone()
}
