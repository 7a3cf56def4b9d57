//! This test binary once more, as another process that is spoken to line by line.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Where the process finds what it is told at its start.
const TOLD: &str = "PORTCULLIS_TEST_PROCESS";
const MARK: &str = "process: ";

/// One that runs an ignored test of this program; it ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts the test of this path, and waits until it says that it is ready.
    pub(crate) async fn start(test: &str, told: &impl Serialize) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
            .env(TOLD, serde_json::to_string(told).expect("writes"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("starts");
        let output = BufReader::new(child.stdout.take().expect("piped")).lines();
        let input = child.stdin.take().expect("piped");
        let mut process = Self { child, input, output };
        assert_eq!(process.line().await.as_deref(), Some("ready"));
        process
    }

    /// The next line that it says; `None` if it has ended.
    pub(crate) async fn line(&mut self) -> Option<String> {
        while let Some(line) = self.output.next_line().await.expect("reads") {
            // The test harness may have begun the line.
            if let Some((_, text)) = line.split_once(MARK) {
                return Some(text.to_owned());
            }
        }
        None
    }

    pub(crate) async fn tell(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.expect("writes");
        self.input.flush().await.expect("writes");
    }

    /// What it has to say next; `None` if it was killed instead (SIGKILL).
    pub(crate) async fn outcome<T: DeserializeOwned>(&mut self) -> Option<T> {
        if let Some(text) = self.line().await {
            return Some(serde_json::from_str(&text).expect("an outcome"));
        }
        let status = self.child.wait().await.expect("ends");
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "{status}");
        None
    }

    /// Lets it go on after it has stopped itself.
    pub(crate) fn wake(&self) {
        let id = i32::try_from(self.child.id().expect("it lives")).expect("a process id");
        kill(Pid::from_raw(id), Signal::SIGCONT).expect("it wakes up");
    }
}

/// In the process: what it was told at its start; `None` if it is none of ours.
pub(crate) fn told<T: DeserializeOwned>() -> Option<T> {
    let text = std::env::var(TOLD).ok()?;
    Some(serde_json::from_str(&text).expect("what a process is told"))
}

/// In the process: the next line that it is told; `None` when nobody is there any more.
pub(crate) async fn next_line() -> Option<String> {
    let line = tokio::task::spawn_blocking(|| std::io::stdin().lines().next());
    line.await.expect("no panic").map(|line| line.expect("reads"))
}

/// In the process: says a line.
pub(crate) fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{MARK}{text}").and_then(|()| output.flush()).expect("writes");
}

/// In the process: dies on the spot.
pub(crate) fn die() -> ! {
    kill(Pid::this(), Signal::SIGKILL).expect("dies");
    // Nothing more happens in this process.
    loop {
        std::thread::park();
    }
}
