//! Programs that run beside the tests and never outlive them.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How long a program may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);
/// How much of a log is shown when something fails.
const TAIL_LINES: usize = 60;

/// What to start.
#[derive(Debug)]
pub struct Program {
    /// Names it in messages and names its log file.
    pub name: &'static str,
    pub path: PathBuf,
    pub arguments: Vec<OsString>,
    /// Added to a nearly empty environment: `PATH`, `HOME` and the library path only.
    pub environment: Vec<(String, String)>,
}

/// A running program with its own process group and its output in a file. Dropping it ends it and all its children.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; its output goes to `<directory>/<name>.log`.
    pub fn start(program: &Program, directory: &Path) -> io::Result<Self> {
        let log = directory.join(format!("{}.log", program.name));
        let child = spawn(command(program, &log)?)?;
        Ok(Self { name: program.name, child, log })
    }

    /// Starts a `program` that is spoken to: only what it writes to standard error goes to the log.
    pub fn start_talking(program: &Program, directory: &Path) -> io::Result<(Self, ChildStdin, ChildStdout)> {
        let log = directory.join(format!("{}.log", program.name));
        let mut command = command(program, &log)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn(command)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a program without pipes"));
        };
        Ok((Self { name: program.name, child, log }, stdin, stdout))
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Of the program itself: `setpriv` has become it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that the program has written.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map_or_else(
            |error| format!("{}: {error}", self.log.display()),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// The last lines that the program has written.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default();
        format!("--- {} ({}) ---\n{}\n", self.name, self.log.display(), tail.join("\n"))
    }

    /// How the program ended, if it has.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Stops the program where it stands (SIGSTOP), as a machine that hangs would.
    pub fn freeze(&self) -> io::Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on.
    pub fn thaw(&self) -> io::Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Ends the program: SIGTERM to its group, and SIGKILL if that is not enough.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        self.signal(Signal::SIGTERM)?;
        self.signal(Signal::SIGCONT)?;
        let mut waited = Duration::ZERO;
        while waited < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(POLL);
            waited += POLL;
        }
        self.kill()
    }

    /// Ends the program as a crash would: SIGKILL to its group.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        if self.child.try_wait()?.is_none() {
            self.signal(Signal::SIGKILL)?;
        }
        self.child.wait()
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let group = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        killpg(Pid::from_raw(group), signal).map_err(io::Error::from)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(program = self.name, %error, "could not be stopped");
        }
    }
}

/// `setpriv --pdeathsig` (util-linux) has the kernel kill the program when we die, even by SIGKILL, when no code of
/// ours runs any more.
fn command(program: &Program, log: &Path) -> io::Result<Command> {
    let output = File::create(log)?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(&program.path).args(&program.arguments);
    command.env_clear();
    for name in ["PATH", "HOME", "LD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(program.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
    Ok(command)
}

/// The kernel's "parent" is the thread that spawned, not the process, so all spawning is done by one thread that
/// never ends.
fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                let name = command.get_program().to_owned();
                let result = command.spawn().map_err(|error| {
                    io::Error::new(error.kind(), format!("cannot start {}: {error}", name.display()))
                });
                // Nobody waiting for the answer means that the child is dropped with it.
                let _ = reply.send(result);
            }
        });
        orders
    });
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program {
            name: "shell",
            path: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: Vec::new(),
        }
    }

    #[test]
    fn a_group_ends_with_its_handle() {
        let directory = tempfile::tempdir().expect("a directory");
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        // The grandchild holds the pipe's other end, so reading it to its end proves that the grandchild is gone.
        let script = format!("(echo started; exec sleep 1000) > {} & wait", pipe.display());
        let process = Process::start(&shell(&script), directory.path()).expect("starts");
        let mut reader = io::BufReader::new(File::open(&pipe).expect("opens"));
        let mut line = String::new();
        io::BufRead::read_line(&mut reader, &mut line).expect("reads");
        assert_eq!(line, "started\n");
        drop(process);
        assert_eq!(io::Read::read_to_end(&mut reader, &mut Vec::new()).expect("reads"), 0);
    }

    #[test]
    fn output_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut process = Process::start(&shell("echo out; echo err >&2"), directory.path()).expect("starts");
        assert!(process.child.wait().expect("ends").success());
        assert_eq!(process.log(), "out\nerr\n");
        assert!(process.log_tail().contains("shell.log"));
    }
}
