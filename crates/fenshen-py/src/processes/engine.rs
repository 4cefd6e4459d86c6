//! What `Engine` does: the pool of `fenshen_pool` with Python calls for tasks.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fenshen_pool::{Aftermath, Cancelled, Event, Gone, Opening, Pool, Prelude};
use fenshen_shm::Message;
use fenshen_sync::Late;
use pyo3::ffi::{self, PyObject};

use super::cargo::{CANCELLED, CLOSED, Call, NOT_LOADED, PyJob, RAISED_AT_CLOSE, RETURNED, SWALLOWED};
use super::known::known;
use super::pickling::{Dumpers, Pickle, body, unpack};
use super::segment::os_error;
use super::stream::{End, flow_of};
use crate::advise;
use crate::advise::remote::{self, Measures};
use crate::errors;
use crate::object::{Obj, Raised, Res, boolean, call, call_method, done, none, text};
use crate::threads::future::{self, Keeper, Stopped, Turn};

/// How many functions are remembered.
const FUNCTIONS: usize = 256;

/// The layout of `Engine`.
#[repr(C)]
pub(crate) struct Engine {
    ob_base: PyObject,
    pub(crate) weakrefs: *mut PyObject,
    pub(crate) inner: Option<Box<Inner>>,
}

/// What an engine holds.
pub(crate) struct Inner {
    pub(crate) pool: Arc<Pool<Call>>,
    /// Who is told what happens to workers.
    pub(crate) owner: Option<Obj>,
    /// Whether cancelling a task that runs ends it.
    pub(crate) kill: bool,
    /// The process whose pool this is; in a forked child it must not touch what the workers share.
    owner_id: u32,
    pub(crate) stopped: AtomicBool,
    pub(crate) paused: AtomicBool,
    dumpers: Dumpers,
    functions: HashMap<usize, (Obj, Arc<Prelude>)>,
}

impl Inner {
    pub(crate) fn new(pool: Pool<Call>, owner: Obj, kill: bool) -> Inner {
        Inner {
            pool: Arc::new(pool),
            owner: Some(owner),
            kill,
            owner_id: std::process::id(),
            stopped: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            dumpers: Dumpers::default(),
            functions: HashMap::new(),
        }
    }
}

/// What the engine holds; raises if it was never set up.
pub(crate) unsafe fn inner<'a>(e: *mut Engine) -> Res<&'a mut Inner> {
    match &mut (*e).inner {
        Some(inner) => Ok(inner),
        None => errors::runtime_error("the engine was not set up"),
    }
}

/// Whether this is the process that made the pool.
pub(crate) unsafe fn is_own(e: *mut Engine) -> Res<bool> {
    Ok(inner(e)?.owner_id == std::process::id())
}

/// Raises RuntimeError in a process that a fork has given a copy of the pool.
pub(crate) unsafe fn own<'a>(e: *mut Engine) -> Res<&'a mut Inner> {
    if !is_own(e)? {
        return errors::runtime_error("this pool belongs to the process that this one was forked from");
    }
    inner(e)
}

/// How a future finds its task.
struct Kept {
    owner_id: u32,
    pool: Arc<Pool<Call>>,
    job: Arc<PyJob>,
    kill: bool,
}

impl Keeper for Kept {
    unsafe fn cancel(&self) -> Stopped {
        if self.owner_id != std::process::id() {
            return Stopped::Yes; // a copy, whose task nobody here will ever tell of
        }
        // Before it is: its result may come at any moment.
        self.job.cargo.cancelled.store(true, Ordering::Release);
        match self.pool.cancel(&self.job, self.kill) {
            (Cancelled::Yes | Cancelled::Killed, after) => {
                self.pool.ring();
                drop(after);
                Stopped::Yes
            }
            (Cancelled::Asked, _) => Stopped::Asked,
            (Cancelled::Running | Cancelled::Ended, _) => Stopped::No,
        }
    }

    fn is_running(&self) -> bool {
        // What another thread of that process did with the pool is half done for ever in a copy.
        self.owner_id == std::process::id() && self.pool.is_running(&self.job)
    }
}

fn is_future(o: &Obj) -> bool {
    // SAFETY: the object is alive.
    unsafe { ffi::Py_TYPE(o.ptr()) == crate::threads::kinds::future() }
}

/// What a task is made of.
pub(crate) struct Asked {
    pub(crate) sink: Obj,
    pub(crate) function: Obj,
    pub(crate) args: Obj,
    pub(crate) kwargs: Obj,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: u32,
    /// How many items may be sent ahead; 0 for a call that returns one result.
    pub(crate) window: u32,
}

/// Makes a task of a call, and hands it to the pool. What cannot be pickled fails by itself.
pub(crate) unsafe fn submit(e: *mut Engine, asked: Asked) -> Res<()> {
    own(e)?;
    // What a stream waits for is whoever takes its items, which would tell nothing of the function.
    // What a loop's worker does meanwhile is no work of one function's.
    let measured = advise::on() && asked.window == 0 && !inner(e)?.pool.is_of_loops();
    let ticket = if measured { advise::ticket(&owner(e)?, &asked.function, &asked.args) } else { None };
    let function = known_function(e, &asked.function)?;
    let shown = if function.is_some() { none() } else { asked.function.again() };
    let tuple = Obj::new(ffi::PyTuple_Pack(3, shown.ptr(), asked.args.ptr(), asked.kwargs.ptr()))?;
    let pickled = Dumpers::dump(&raw mut inner(e)?.dumpers, tuple.ptr());
    let what = match &function {
        None => tuple,
        Some(_) => Obj::new(ffi::PyTuple_Pack(3, asked.function.ptr(), asked.args.ptr(), asked.kwargs.ptr()))?,
    };
    let (pickle, function, by_value) = match pickled {
        Ok(pickle) => (pickle, function, false),
        Err(Raised) if ffi::PyErr_ExceptionMatches(ffi::PyExc_Exception) == 0 => return Err(Raised),
        Err(Raised) => match pickled_by_value(e, &what)? {
            Ok(pickle) => (pickle, None, true),
            Err(exc) => return fail(&asked.sink, &exc),
        },
    };
    if let Some(ticket) = &ticket {
        ticket.pickled(pickle.bytes());
    }
    let Asked { sink, timeout, retries, window, .. } = asked;
    push(
        e,
        Call {
            pickle,
            function,
            timeout,
            retries,
            window,
            sink,
            what,
            by_value,
            ticket,
            cancelled: AtomicBool::default(),
        },
    )
}

/// What is raised is the pickler's; the other pickle, or the exception to fail with.
unsafe fn pickled_by_value(e: *mut Engine, what: &Obj) -> Res<Result<Pickle, Obj>> {
    let exc = errors::take();
    let owner = owner(e)?;
    let found = call_method(&known().by_value, &[owner.ptr(), what.ptr()])?;
    if found.ptr() != ffi::Py_None() {
        return Ok(Ok(pickle_of(&found)?));
    }
    let explained = call_method(&known().not_pickled, &[owner.ptr(), exc.ptr(), what.ptr()])?;
    Ok(Err(explained))
}

unsafe fn pickle_of(bytes: &Obj) -> Res<Pickle> {
    let (mut start, mut len) = (std::ptr::null_mut(), 0);
    done(ffi::PyBytes_AsStringAndSize(bytes.ptr(), &mut start, &mut len))?;
    Ok(Pickle::ready(std::slice::from_raw_parts(start.cast::<u8>(), len as usize).to_vec()))
}

unsafe fn push(e: *mut Engine, call: Call) -> Res<()> {
    let this = inner(e)?;
    let job = PyJob::new(call);
    if is_future(&job.cargo.sink) {
        let keeper = Kept { owner_id: this.owner_id, pool: this.pool.clone(), job: job.clone(), kill: this.kill };
        future::keep(job.cargo.sink.ptr().cast(), Arc::new(keeper));
    } else if let Some(flow) = flow_of(&job.cargo.sink) {
        flow.attach(&job)?;
    }
    let after = this.pool.push(job);
    refuse(after)
}

/// Fails what could not be sent.
pub(crate) unsafe fn refuse(after: Aftermath<Call>) -> Res<()> {
    let mut outcome = Ok(());
    for (job, error) in &after.refused {
        if refuse_one(job, error).is_err() {
            let earlier = std::mem::replace(&mut outcome, Err(errors::take()));
            drop(earlier);
        }
    }
    outcome.or_else(|exc| errors::raise_object(&exc))
}

unsafe fn refuse_one(job: &PyJob, error: &io::Error) -> Res<()> {
    if error.kind() == io::ErrorKind::OutOfMemory {
        ffi::PyErr_NoMemory();
    } else {
        let _ = os_error::<()>(error);
    }
    fail(&job.cargo.sink, &errors::take())
}

/// The prelude of a function that is pickled by its name, so that it is pickled once; `None` for any other callable.
unsafe fn known_function(e: *mut Engine, function: &Obj) -> Res<Option<Arc<Prelude>>> {
    let kind = ffi::Py_TYPE(function.ptr());
    if kind != &raw mut ffi::PyFunction_Type && !(kind == &raw mut ffi::PyCFunction_Type && is_plain(function)) {
        return Ok(None);
    }
    let key = function.ptr() as usize;
    if let Some((_, prelude)) = inner(e)?.functions.get(&key) {
        return Ok(Some(prelude.clone()));
    }
    let prelude = match Dumpers::dump(&raw mut inner(e)?.dumpers, function.ptr()) {
        Ok(pickle) if pickle.buffers.is_empty() => Arc::new(Prelude::new(pickle.into_bytes())),
        Ok(_) => return Ok(None),
        Err(Raised) if ffi::PyErr_ExceptionMatches(ffi::PyExc_Exception) == 0 => return Err(Raised),
        Err(Raised) => {
            // It is not kept either, with all that a closure holds.
            ffi::PyErr_Clear();
            return Ok(None);
        }
    };
    let this = inner(e)?;
    let old = if this.functions.len() >= FUNCTIONS { std::mem::take(&mut this.functions) } else { HashMap::new() };
    // Its address may be another's tomorrow, so it is kept.
    let again = this.functions.insert(key, (function.again(), prelude.clone()));
    drop((old, again));
    Ok(Some(prelude))
}

/// Whether a builtin function is a module's: a method that is bound to an object is made anew at every look.
unsafe fn is_plain(function: &Obj) -> bool {
    let of = ffi::PyCFunction_GetSelf(function.ptr());
    of.is_null() || ffi::PyModule_Check(of) != 0
}

unsafe fn owner(e: *mut Engine) -> Res<Obj> {
    match &inner(e)?.owner {
        Some(owner) => Ok(owner.again()),
        None => errors::runtime_error("the engine was closed"),
    }
}

/// Sets a result or an exception, unless that was cancelled meanwhile.
unsafe fn settle(sink: &Obj, outcome: Turn) -> Res<()> {
    if is_future(sink) {
        let f = sink.ptr().cast();
        if let Turn::Cancel = outcome {
            return future::end(f).map(drop);
        }
        let mut late = Late::default();
        let finished =
            if future::is_done(future::state(f)) { Ok(()) } else { future::finish_late(f, outcome, &mut late) };
        late.wake();
        return finished;
    }
    if let Some(flow) = flow_of(sink) {
        return match outcome {
            Turn::Return(value) => flow.end(End::Returned(value)),
            Turn::Raise(exc) => flow.end(End::Raised(exc)),
            Turn::Cancel | Turn::End | Turn::Run => Ok(()),
        };
    }
    let (well, value) = match outcome {
        Turn::Return(value) => (true, value),
        Turn::Raise(exc) => (false, exc),
        Turn::Cancel | Turn::End | Turn::Run => return Ok(()),
    };
    call(sink.ptr(), &[boolean(well).ptr(), value.ptr()]).map(drop)
}

/// Fails a task.
pub(crate) unsafe fn fail(sink: &Obj, exc: &Obj) -> Res<()> {
    settle(sink, Turn::Raise(exc.again()))
}

/// Takes what has come; returns whether this thread may.
pub(crate) unsafe fn turn(e: *mut Engine) -> Res<bool> {
    let _alive = Obj::from(e.cast());
    let pool = own(e)?.pool.clone();
    let took = pool.turn(&mut |event| {
        if handle(e, event).is_err() {
            ffi::PyErr_WriteUnraisable(e.cast());
        }
    });
    Ok(took)
}

/// Waits until something has happened, without the interpreter.
pub(crate) unsafe fn wait(e: *mut Engine, most: Option<Duration>) -> Res<()> {
    let pool = inner(e)?.pool.clone();
    let state = ffi::PyEval_SaveThread();
    let waited = pool.wait(most);
    crate::exit::restore_thread(state);
    waited.or_else(|error| os_error(&error))
}

/// Drives the pool until it is stopped, or another is to drive it; whether it was stopped.
pub(crate) unsafe fn drive(e: *mut Engine) -> Res<bool> {
    while !inner(e)?.stopped.load(Ordering::Acquire) {
        if inner(e)?.paused.swap(false, Ordering::AcqRel) {
            return Ok(false);
        }
        wait(e, None)?;
        turn(e)?;
    }
    Ok(true)
}

unsafe fn handle(e: *mut Engine, event: Event<Call>) -> Res<()> {
    match event {
        Event::Done(job, flavour, message) => or_fail(&job, finished(e, &job, flavour, message)),
        Event::Item(job, _, message) => arrived(e, &job, message),
        Event::Note(_, flavour, message) if remote::split(flavour).1 => {
            if let Some(late) = remote::Late::read(body(&message, 0)) {
                late.count();
            }
            Ok(())
        }
        Event::Note(worker, _, message) => {
            let note = unpack(message, 0)?;
            tell(e, &known().note, &[number(worker)?.ptr(), note.ptr()])
        }
        Event::TimedOut(job) => {
            let seconds = job.cargo.timeout.unwrap_or_default().as_secs_f64();
            let seconds = Obj::new(ffi::PyFloat_FromDouble(seconds))?;
            let exc = call_method(&known().timed_out, &[owner(e)?.ptr(), seconds.ptr()]);
            or_fail(&job, exc.and_then(|exc| fail(&job.cargo.sink, &exc)))
        }
        Event::Ready(worker) => tell(e, &known().ready, &[number(worker)?.ptr()]),
        Event::Retiring(worker) => tell(e, &known().retiring, &[number(worker)?.ptr()]),
        Event::Corrupt(worker, why) => tell(e, &known().corrupt, &[number(worker)?.ptr(), text(&why)?.ptr()]),
        Event::Gone(gone) => buried(e, gone),
        Event::Refused(job, error) => refuse_one(&job, &error),
    }
}

unsafe fn number(n: u32) -> Res<Obj> {
    Obj::new(ffi::PyLong_FromLong(n.into()))
}

unsafe fn tell(e: *mut Engine, method: &Obj, args: &[*mut PyObject]) -> Res<()> {
    let owner = owner(e)?;
    let mut all = vec![owner.ptr()];
    all.extend_from_slice(args);
    call_method(method, &all).map(drop)
}

/// A worker has ended: the owner says what became of the task that went with it.
unsafe fn buried(e: *mut Engine, gone: Gone<Call>) -> Res<()> {
    let has_lost = boolean(!gone.lost.is_empty());
    let args = [number(gone.worker)?, boolean(gone.expected), boolean(gone.was_ready), has_lost];
    let [worker, expected, was_ready, has_lost] = &args;
    let owner = owner(e)?;
    let all = [owner.ptr(), worker.ptr(), expected.ptr(), was_ready.ptr(), has_lost.ptr()];
    let outcome = call_method(&known().gone, &all);
    let exc = match &outcome {
        Ok(exc) => exc.again(),
        Err(Raised) => errors::take(),
    };
    for job in &gone.lost {
        or_fail(job, fail(&job.cargo.sink, &exc)).unwrap_or_else(|Raised| ffi::PyErr_WriteUnraisable(e.cast()));
    }
    if outcome.is_err() { errors::raise_object(&exc) } else { Ok(()) }
}

/// Fails a task with what is raised instead of its outcome: nobody is to wait for it for ever.
unsafe fn or_fail(job: &PyJob, outcome: Res<()>) -> Res<()> {
    match outcome {
        Ok(()) => Ok(()),
        Err(Raised) => fail(&job.cargo.sink, &errors::take()),
    }
}

/// An item of a stream.
unsafe fn arrived(e: *mut Engine, job: &PyJob, message: Message) -> Res<()> {
    let Some(flow) = flow_of(&job.cargo.sink) else {
        return Ok(());
    };
    if let Some(error) = message.missing() {
        refuse_one(job, error)?;
        return flow.stop(job);
    }
    match unpack(message, 0) {
        Ok(item) => flow.push(item),
        Err(Raised) => {
            not_loaded(e, job, "an item")?;
            flow.stop(job)
        }
    }
}

/// Tells every task that sends items to end.
pub(crate) unsafe fn stop_streams(e: *mut Engine) -> Res<()> {
    for job in inner(e)?.pool.clone().stop_streams() {
        if let Some(flow) = flow_of(&job.cargo.sink) {
            flow.end(End::Closed)?;
        }
    }
    Ok(())
}

unsafe fn finished(e: *mut Engine, job: &PyJob, flavour: u32, message: Message) -> Res<()> {
    if let Some(error) = message.missing() {
        return refuse_one(job, error);
    }
    // A coroutine that had returned before it could be cancelled is cancelled all the same, as its caller has been told.
    let is_late = || flavour == RETURNED && job.cargo.cancelled.load(Ordering::Acquire);
    if flavour == CANCELLED || (inner(e)?.pool.is_of_loops() && is_late()) {
        return settle(&job.cargo.sink, Turn::Cancel);
    }
    let flavour = if flavour == SWALLOWED { RETURNED } else { flavour };
    let (flavour, loaded) = loaded(job, flavour, message);
    if flavour == RETURNED {
        return match loaded {
            Ok(value) => settle(&job.cargo.sink, Turn::Return(value)),
            Err(Raised) => not_loaded(e, job, "the result"),
        };
    }
    if let (CLOSED, Some(flow)) = (flavour, flow_of(&job.cargo.sink)) {
        return flow.end(End::Closed);
    }
    // `(exception, text)`, or what went wrong when that was loaded.
    let Ok(pair) = loaded else {
        return not_loaded(e, job, "the exception that it raised");
    };
    if flavour == NOT_LOADED && try_by_value(e, job)? {
        return Ok(());
    }
    let exc = call_method(&known().failed, &[owner(e)?.ptr(), pair.ptr()])?;
    if flavour == NOT_LOADED {
        let _ = errors::raise_object::<()>(&exc);
        return not_loaded(e, job, "the task");
    }
    match flow_of(&job.cargo.sink) {
        Some(flow) if flavour == RAISED_AT_CLOSE => flow.end(End::RaisedAtClose(exc)),
        _ => fail(&job.cargo.sink, &exc),
    }
}

/// A result's own flavour, and what it stands for; what was measured is counted.
unsafe fn loaded(job: &PyJob, flavour: u32, message: Message) -> (u32, Res<Obj>) {
    let (flavour, is_measured) = remote::split(flavour);
    if !is_measured {
        return (flavour, unpack(message, 0));
    }
    let measures = Measures::read(body(&message, 0));
    let load = |message| unpack(message, Measures::LEN);
    let (Some(ticket), Some(measures), true) = (&job.cargo.ticket, measures, flavour != NOT_LOADED) else {
        return (flavour, load(message));
    };
    let beside: usize = message.parts().map(|(part, _)| part.len()).sum();
    let bytes = (body(&message, Measures::LEN).len() + beside) as u64;
    (flavour, ticket.loading(&measures, bytes, flavour != RETURNED, || load(message)))
}

/// Fails a task of which something could not be loaded; why is raised.
unsafe fn not_loaded(e: *mut Engine, job: &PyJob, what: &str) -> Res<()> {
    let why = errors::take();
    let exc = call_method(&known().not_loaded, &[owner(e)?.ptr(), text(what)?.ptr(), why.ptr()])?;
    fail(&job.cargo.sink, &exc)
}

/// Sends a call that a worker could not load again, by value; whether that can be.
unsafe fn try_by_value(e: *mut Engine, job: &PyJob) -> Res<bool> {
    let Call { timeout, retries, window, by_value, .. } = job.cargo;
    if by_value {
        return Ok(false);
    }
    let what = job.cargo.what.again();
    let found = call_method(&known().by_value, &[owner(e)?.ptr(), what.ptr()])?;
    if found.ptr() == ffi::Py_None() {
        return Ok(false);
    }
    let (pickle, sink) = (pickle_of(&found)?, job.cargo.sink.again());
    let ticket = job.cargo.ticket.as_ref().and_then(|ticket| ticket.again());
    if let Some(ticket) = &ticket {
        ticket.pickled(pickle.bytes());
    }
    let cancelled = AtomicBool::new(job.cargo.cancelled.load(Ordering::Acquire));
    push(e, Call { pickle, function: None, timeout, retries, window, sink, what, by_value: true, ticket, cancelled })?;
    Ok(true)
}

/// A worker to be, as Python has it.
#[repr(C)]
pub(crate) struct OpeningObject {
    ob_base: PyObject,
    pub(crate) opening: Option<Box<Opening>>,
}
