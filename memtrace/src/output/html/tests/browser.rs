//! A headless Chromium, led by its DevTools protocol over a pipe: no port, no client library.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// As distributions call it; the leanest first.
const NAMES: [&str; 4] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

const FLAGS: [&str; 12] = [
    "--headless",
    "--hide-scrollbars",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
];

/// One tab of a browser of its own.
pub(super) struct Browser {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Of the tab.
    session: Option<String>,
    last_id: u64,
    /// What happened since the page was opened.
    events: Vec<Value>,
    /// Its profile, and the page.
    directory: tempfile::TempDir,
}

impl Browser {
    /// None, loudly, where there is no Chromium: with `MEMTRACE_NO_SKIP=1` a failure.
    pub(super) fn start() -> Option<Self> {
        let Some(program) = NAMES.iter().find_map(|name| which(name)) else {
            let missing = format!(
                "no Chromium: none of {} is installed; `cargo xtask setup` does it",
                NAMES.join(", ")
            );
            assert!(env::var_os("MEMTRACE_NO_SKIP").is_none_or(|value| value != "1"), "{missing}");
            eprintln!("SKIPPED: {missing}");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        // Chromium speaks through its file descriptors 3 and 4; the shell makes them of its own 0 and 1.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"])
            .arg(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", directory.path().join("profile").display()))
            // Fonts' caches and the like stay in there, too.
            .env("HOME", directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut browser =
            Self { process, commands, answers, session: None, last_id: 0, events: Vec::new(), directory };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// How wide the window is, and whether the reader likes it dark.
    pub(super) fn set_window(&mut self, width: u32, height: u32, is_dark: bool) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", features);
    }

    pub(super) fn set_scripts(&mut self, are_run: bool) {
        self.call("Emulation.setScriptExecutionDisabled", json!({ "value": !are_run }));
    }

    /// Opens the page and waits until it is loaded.
    pub(super) fn open(&mut self, page: &str) {
        let file = self.directory.path().join("page.html");
        std::fs::write(&file, page).unwrap();
        self.events.clear();
        self.call("Page.navigate", json!({ "url": url(&file) }));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let message = self.read();
            self.events.push(message);
        }
    }

    /// What the page's console says that is no good, and what it asked the network for.
    pub(super) fn complaints(&self) -> Vec<String> {
        let page = url(&self.directory.path().join("page.html"));
        self.events
            .iter()
            .filter(|event| match event["method"].as_str() {
                Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded") => true,
                Some("Network.requestWillBeSent") => event["params"]["request"]["url"] != page.as_str(),
                _ => false,
            })
            .map(Value::to_string)
            .collect()
    }

    /// What an expression comes to in the page.
    pub(super) fn evaluate(&mut self, expression: &str) -> Value {
        let how = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", how);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer:#}");
        answer["result"]["value"].clone()
    }

    pub(super) fn text(&mut self, selector: &str) -> String {
        let text = self.evaluate(&format!("document.querySelector({selector:?}).textContent"));
        text.as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn number(&mut self, expression: &str) -> f64 {
        self.evaluate(expression).as_f64().unwrap_or_else(|| panic!("{expression} is no number"))
    }

    /// How many elements there are that are shown.
    pub(super) fn shown(&mut self, selector: &str) -> u64 {
        let all = format!(
            "[...document.querySelectorAll({selector:?})].filter((one) => one.checkVisibility()).length"
        );
        self.evaluate(&all).as_u64().unwrap()
    }

    /// The middle of an element, brought into the window. What happened before may have to be drawn first, and with another
    /// element in its place.
    fn middle(&mut self, selector: &str) -> (f64, f64) {
        let middle = self.evaluate(&format!(
            "(async () => {{ for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame); \
             const element = document.querySelector({selector:?}); \
             element.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const box = element.getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2]; }})()"
        ));
        (middle[0].as_f64().unwrap(), middle[1].as_f64().unwrap())
    }

    fn mouse(&mut self, kind: &str, (x, y): (f64, f64), clicks: u32) {
        let buttons = u32::from(kind != "mouseReleased");
        let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": clicks });
        self.call("Input.dispatchMouseEvent", event);
    }

    pub(super) fn click(&mut self, selector: &str) {
        let middle = self.middle(selector);
        self.mouse("mousePressed", middle, 1);
        self.mouse("mouseReleased", middle, 1);
    }

    pub(super) fn double_click(&mut self, selector: &str) {
        self.click(selector);
        let middle = self.middle(selector);
        self.mouse("mousePressed", middle, 2);
        self.mouse("mouseReleased", middle, 2);
    }

    /// Moves over an element, to a share of its width.
    pub(super) fn hover(&mut self, selector: &str, share: f64) {
        let at = self.inside(selector, share);
        let event = json!({ "type": "mouseMoved", "x": at.0, "y": at.1 });
        self.call("Input.dispatchMouseEvent", event);
    }

    /// Drags over an element, from one share of its width to another.
    pub(super) fn drag(&mut self, selector: &str, from: f64, to: f64) {
        let (from, to) = (self.inside(selector, from), self.inside(selector, to));
        self.mouse("mousePressed", from, 1);
        self.mouse("mouseMoved", to, 0);
        self.mouse("mouseReleased", to, 1);
    }

    fn inside(&mut self, selector: &str, share: f64) -> (f64, f64) {
        let (x, y) = self.middle(selector);
        let width =
            self.number(&format!("document.querySelector({selector:?}).getBoundingClientRect().width"));
        (x + (share - 0.5) * width, y)
    }

    /// Presses a key where the focus is.
    pub(super) fn press(&mut self, key: &str) {
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            "Escape" => 27,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        let text = match key {
            "Enter" => "\r",
            _ if key.chars().count() == 1 => key,
            _ => "",
        };
        let down = json!({ "type": "keyDown", "key": key, "text": text, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", down);
        self.call(
            "Input.dispatchKeyEvent",
            json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code }),
        );
    }

    /// Types into what has the focus.
    pub(super) fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    pub(super) fn focus(&mut self, selector: &str) {
        self.evaluate(&format!("document.querySelector({selector:?}).focus()"));
    }

    /// A picture of the whole page as PNG, in base64.
    pub(super) fn picture(&mut self) -> String {
        let size = self.call("Page.getLayoutMetrics", json!({}));
        let size = &size["cssContentSize"];
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        let how = json!({ "captureBeyondViewport": true, "clip": clip });
        self.call("Page.captureScreenshot", how)["data"].as_str().unwrap().to_owned()
    }

    /// A picture of what the window shows.
    pub(super) fn picture_of_window(&mut self) -> String {
        self.call("Page.captureScreenshot", json!({}))["data"].as_str().unwrap().to_owned()
    }

    /// The page as it prints: PDF, in base64.
    pub(super) fn print(&mut self) -> String {
        let how = json!({ "printBackground": false, "paperWidth": 8.27, "paperHeight": 11.69 });
        self.call("Page.printToPDF", how)["data"].as_str().unwrap().to_owned()
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.commands.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut answer = self.read();
            if answer["id"] == self.last_id {
                assert!(answer["error"].is_null(), "{method}: {answer:#}");
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }

    fn read(&mut self) -> Value {
        let mut message = Vec::new();
        self.answers.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "Chromium ended");
        serde_json::from_slice(&message).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to, it ends with its helpers; one that hangs has nothing to lose.
        let _ = self.commands.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        for _ in 0..200 {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(25));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn url(file: &Path) -> String {
    format!("file://{}", file.display())
}

fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}
