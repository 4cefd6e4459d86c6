//! A process that is run instruction by instruction, and looked at or killed between any two: ptrace(2).

/// How far a process came.
#[derive(Debug)]
pub(crate) struct Stepped {
    /// How many instructions it ran.
    pub(crate) steps: u64,
    /// Whether it came to its end, and all was well.
    pub(crate) ended: bool,
}

/// Runs `work` in a child, and asks after each of its instructions whether it may go on; if not, it is killed. `None` where
/// processes must not be traced.
pub(crate) fn run(work: impl FnOnce(), may_go_on: impl FnMut(libc::pid_t, u64) -> bool) -> Option<Stepped> {
    // SAFETY: the child runs the work alone, and ends without running anything else of this process's.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // A backtrace takes more instructions than anybody wants to step through.
        std::panic::set_hook(Box::new(|what| eprintln!("in the child: {what}")));
        let traced = trace_me();
        let done = traced && std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_ok();
        // SAFETY: it is the child.
        unsafe { libc::_exit(if traced { i32::from(!done) } else { 2 }) };
    }
    let stepped = follow(child, may_go_on);
    if stepped.is_none() {
        wait(child);
    }
    stepped
}

fn trace_me() -> bool {
    // SAFETY: nothing is pointed to; a process may always stop itself.
    unsafe {
        libc::ptrace(libc::PTRACE_TRACEME, 0, std::ptr::null_mut::<u8>(), std::ptr::null_mut::<u8>()) == 0
            && libc::raise(libc::SIGSTOP) == 0
    }
}

fn wait(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: the status is ours. Only one's own child is waited for.
    while unsafe { libc::waitpid(child, &mut status, 0) } < 0 {}
    status
}

fn follow(child: libc::pid_t, mut may_go_on: impl FnMut(libc::pid_t, u64) -> bool) -> Option<Stepped> {
    let mut status = wait(child);
    if !libc::WIFSTOPPED(status) {
        return if libc::WEXITSTATUS(status) == 2 { None } else { Some(Stepped { steps: 0, ended: false }) };
    }
    let mut steps = 0;
    while libc::WIFSTOPPED(status) && may_go_on(child, steps) {
        // SAFETY: the child has stopped, and is traced by this thread.
        let gone = unsafe {
            libc::ptrace(libc::PTRACE_SINGLESTEP, child, std::ptr::null_mut::<u8>(), std::ptr::null_mut::<u8>())
        } != 0;
        if gone {
            break;
        }
        status = wait(child);
        steps += 1;
    }
    if libc::WIFSTOPPED(status) {
        // SAFETY: it is a child that has not been waited for.
        unsafe { libc::kill(child, libc::SIGKILL) };
        status = wait(child);
    }
    Some(Stepped { steps, ended: libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 })
}
