//! From a thread's answer to one line on stderr: who holds the loop, and where.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

/// The same culprit is named again after this time at the earliest.
const AGAIN: Duration = Duration::from_secs(10);
/// So many lines may come in a row; after that one in each `REFILL`.
const BURST: u32 = 10;
const REFILL: Duration = Duration::from_secs(5);
/// So many lines of one function count as different culprits.
const LINES: usize = 4;
/// So many callers are listed.
const CALLERS: usize = 5;
/// Lines stay below what a pipe takes in one piece.
const LONGEST: usize = 3000;
/// A stack with one of these in it stands in a debugger, where a person holds the loop.
const DEBUGGERS: [&str; 7] = ["/pdb.py", "/bdb.py", "/pydevd", "/debugpy/", "/pudb/", "/ipdb/", "/IPython/"];

/// What descriptor 2 was when the watchdog began.
static STDERR: AtomicU64 = AtomicU64::new(0);

/// One frame of a Python stack.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Frame {
    file: String,
    line: String,
    function: String,
}

impl Frame {
    /// From `  File "app.py", line 41 in parse`.
    fn read(line: &str) -> Option<Frame> {
        let rest = line.trim_start().strip_prefix("File ")?;
        let (file, rest) = rest.rsplit_once(", line ")?;
        let (line, function) = rest.split_once(" in ")?;
        if line == "???" {
            return None; // a step of the interpreter's own, before a class's `__init__`
        }
        let file = unescape(file.trim_matches('"'));
        Some(Frame { file, line: line.into(), function: unescape(function) })
    }

    fn shown(&self, cwd: &str) -> String {
        let file = self.file.strip_prefix(cwd).map_or(self.file.as_str(), |inside| inside.trim_start_matches('/'));
        format!("{file}:{} in {}", self.line, self.function)
    }
}

/// `faulthandler` writes what is not ASCII as `\xe9`, `\u5206` or `\U0001f600`.
fn unescape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        let digits = match rest.as_bytes().get(1) {
            Some(b'x') => 2,
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => 0,
        };
        let code = rest.get(2..2 + digits).filter(|_| digits > 0).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let (c, length) = match code.and_then(char::from_u32).filter(|c| !c.is_ascii() && !c.is_control()) {
            Some(c) => (c, 2 + digits),
            None => ('\\', 1),
        };
        shown.push(c);
        rest = &rest[length..];
    }
    shown + rest
}

/// What a thread said of itself.
struct Answer {
    who: String,
    /// The step's own frames, innermost first.
    frames: Vec<Frame>,
    /// All of them are there: none were cut off.
    whole: bool,
}

impl Answer {
    fn read(bytes: &[u8]) -> Option<Answer> {
        let text = String::from_utf8_lossy(bytes);
        let (who, stack) = text.trim_end_matches('\0').split_once('\n')?;
        let (kind, name) = who.split_at_checked(1)?;
        let who = match kind {
            "n" => format!("Task-{name}"),
            "s" => name.into(),
            "d" => "a done-callback".into(),
            "h" => "a callback".into(),
            _ => "a step".into(),
        };
        let all: Vec<Frame> = stack.lines().filter_map(Frame::read).collect();
        let outside = all.iter().position(|f| f.function == "run_forever" && f.file.ends_with("/fenshen/loop.py"));
        let whole = outside.is_some();
        Some(Answer { who, frames: all[..outside.unwrap_or(all.len())].to_vec(), whole })
    }

    fn debugged(&self) -> bool {
        self.frames.iter().any(|f| DEBUGGERS.iter().any(|mark| f.file.contains(mark)))
    }

    /// Whether it only waits for a thread that it starts to get a processor: the machine is busy, the step is not.
    fn starts_a_thread(&self) -> bool {
        let mut frames = self.frames.iter().filter(|f| f.function != "wait");
        frames.next().is_some_and(|f| f.function == "start" && f.file.ends_with("/threading.py"))
    }

    /// What is one culprit: where the step began and the function that it is in, with the way there. The line within
    /// that function says little (a loop has many), and which task it is says nothing.
    fn culprit(&self) -> String {
        let mut mark = String::new();
        for (i, f) in self.frames.iter().enumerate().take(3) {
            let line = if i == 0 { "" } else { &f.line };
            let _ = writeln!(mark, "{} {} {line}", f.file, f.function);
        }
        if let Some(began) = self.frames.last().filter(|_| self.whole) {
            let _ = writeln!(mark, "{} {}", began.file, began.function);
        }
        mark
    }

    /// The line that it is on, where that alone tells one culprit from another: the step's own function.
    fn own_line(&self) -> &str {
        match &self.frames[..] {
            [only] if self.whole => &only.line,
            _ => "",
        }
    }

    fn line(&self, held: Duration) -> String {
        let mut line = String::new();
        let cwd = std::env::current_dir().map(|p| p.to_string_lossy().into_owned() + "/").unwrap_or("/".into());
        let _ = match self.frames.last().filter(|_| self.whole) {
            Some(began) => write!(line, "{} ({})", self.who, began.function),
            None => write!(line, "{}", self.who),
        };
        let _ = write!(line, " has held the loop for {:.2} s", held.as_secs_f64());
        let Some((now, callers)) = self.frames.split_first() else {
            return line + ", in a function that is not written in Python";
        };
        let _ = write!(line, " at {}", now.shown(&cwd));
        if !callers.is_empty() {
            let listed: Vec<String> = callers.iter().take(CALLERS).map(|f| f.shown(&cwd)).collect();
            let more = if callers.len() > CALLERS || !self.whole { ", ..." } else { "" };
            let _ = write!(line, " (called from {}{more})", listed.join(", "));
        }
        line
    }
}

/// When a culprit was named, and how often it was not since.
struct Told {
    when: Instant,
    unsaid: u32,
    /// The lines of its own function that were named since then.
    lines: Vec<String>,
}

/// Sees to it that lines are not too many.
struct Sparing {
    told: HashMap<String, Told>,
    left: u32,
    refilled: Instant,
}

static SPARING: LazyLock<Mutex<Sparing>> =
    LazyLock::new(|| Mutex::new(Sparing { told: HashMap::new(), left: BURST, refilled: Instant::now() }));

/// Names the culprit that `answer` shows; without one, all that is known is that something holds the loop.
pub(super) fn tell(answer: Option<&[u8]>, held: Duration) {
    let answer = answer.and_then(Answer::read);
    if answer.as_ref().is_some_and(|answer| answer.debugged() || answer.starts_a_thread()) {
        return;
    }
    let (culprit, own_line) = answer.as_ref().map_or((String::new(), ""), |a| (a.culprit(), a.own_line()));
    // In a forked child the lock may be held by a thread that isn't there.
    let turn = SPARING.try_lock().ok().and_then(|mut sparing| sparing.turn_of(culprit, own_line));
    let Some(unsaid) = turn else {
        return;
    };
    let mut line = match &answer {
        Some(answer) => answer.line(held),
        None => {
            format!("a step has held the loop for {:.2} s; its thread does not answer where it is", held.as_secs_f64())
        }
    };
    if line.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&i| line.is_char_boundary(i)).unwrap_or(0);
        line.truncate(end);
        line += "...";
    }
    if unsaid > 0 {
        let _ = write!(line, "; {unsaid} more since it was last named");
    }
    print(&format!("fenshen: {line}\n"));
}

impl Sparing {
    /// Whether a culprit may be named now, and how often it was not named since the last time.
    fn turn_of(&mut self, culprit: String, own_line: &str) -> Option<u32> {
        let now = Instant::now();
        while self.left < BURST && now - self.refilled >= REFILL {
            self.left += 1;
            self.refilled += REFILL;
        }
        if self.left == BURST {
            self.refilled = now;
        }
        if self.told.len() > 1000 {
            self.told.clear();
        }
        let told = self.told.entry(culprit).or_insert(Told { when: now, unsaid: 0, lines: Vec::new() });
        if now - told.when >= AGAIN {
            told.lines.clear();
        }
        let known = told.lines.iter().any(|line| line == own_line) || told.lines.len() >= LINES;
        if known || self.left == 0 {
            told.unsaid += 1;
            return None;
        }
        self.left -= 1;
        told.lines.push(own_line.into());
        told.when = now;
        Some(std::mem::take(&mut told.unsaid))
    }
}

fn stderr_kind() -> u64 {
    let mut found = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the call fills `found` in, or fails.
    match unsafe { (libc::fstat(2, found.as_mut_ptr()) == 0).then(|| found.assume_init()) } {
        Some(found) => u64::from(found.st_mode & libc::S_IFMT),
        None => 0,
    }
}

/// Remembers what kind of file stderr is.
pub(super) fn note_stderr() {
    STDERR.store(stderr_kind(), Ordering::Relaxed);
}

/// Writes a line to stderr, if that can be done without waiting and it is not, by now, something else altogether: a
/// program that has closed it may have got its number for a socket.
fn print(line: &str) {
    let kind = stderr_kind();
    let plain = [libc::S_IFREG, libc::S_IFCHR, libc::S_IFIFO].contains(&(kind as libc::mode_t));
    if kind == 0 || (!plain && kind != STDERR.load(Ordering::Relaxed)) {
        return;
    }
    let mut ready = libc::pollfd { fd: 2, events: libc::POLLOUT, revents: 0 };
    // SAFETY: the buffers are alive for the calls and as long as is said.
    unsafe {
        if libc::poll(&raw mut ready, 1, 0) == 1 && ready.revents & libc::POLLOUT != 0 {
            libc::write(2, line.as_ptr().cast(), line.len());
        }
    }
}
