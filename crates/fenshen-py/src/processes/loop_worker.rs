//! What `LoopWorker` does: begins the coroutines that its pool sends as tasks of the running loop, many at once, and sends
//! back what becomes of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use fenshen_pool::{LoopOrder, LoopWorker};
use fenshen_shm::Message;
use pyo3::ffi;

use super::cargo::{CANCELLED, NOT_LOADED, RAISED, RETURNED, SWALLOWED};
use super::known::known;
use super::pickling::{self, Pickle, body};
use super::translator::{self, Translator};
pub(crate) use super::worker_head::inner;
use super::worker_head::{Holder, checked};
use crate::errors;
use crate::object::{Obj, Raised, Res, call, call_method};

/// How many orders are taken before the loop has its turn.
const TURN: usize = 256;

/// The layout of `LoopWorker`.
pub(crate) type PyLoopWorker = Holder<Inner>;

/// What a worker with a loop holds.
pub(crate) struct Inner {
    pub(crate) worker: LoopWorker,
    translator: Translator,
    /// The loop's tasks by number, and whether they were cancelled; and their numbers.
    tasks: HashMap<u32, (Obj, bool)>,
    numbers: HashMap<usize, u32>,
    /// What makes a task of a coroutine, and what is called with it when it is done.
    create_task: Option<Obj>,
    ended: Option<Obj>,
    /// Pickles that other threads may leave here.
    notes: Mutex<Vec<Vec<u8>>>,
    has_notes: AtomicBool,
    /// Segments that were sent, until the pool has them.
    pins: Vec<Pickle>,
    owner_id: u32,
    pub(crate) stopped: bool,
    /// An outcome could not be sent.
    broken: bool,
}

impl Inner {
    pub(crate) fn new(worker: LoopWorker, helper: Obj) -> Inner {
        Inner {
            worker,
            translator: Translator::new(helper),
            tasks: HashMap::new(),
            numbers: HashMap::new(),
            create_task: None,
            ended: None,
            notes: Mutex::default(),
            has_notes: AtomicBool::new(false),
            pins: Vec::new(),
            owner_id: std::process::id(),
            stopped: false,
            broken: false,
        }
    }
}

unsafe fn translator(w: *mut PyLoopWorker) -> Res<*mut Translator> {
    Ok(&raw mut inner(w)?.translator)
}

/// Raises SystemExit in a child that a coroutine has forked: it is no worker.
unsafe fn check_own(w: *mut PyLoopWorker) -> Res<()> {
    if inner(w)?.owner_id == std::process::id() {
        return Ok(());
    }
    ffi::PyErr_SetNone(ffi::PyExc_SystemExit);
    Err(Raised)
}

/// Tells the pool that coroutines can come.
pub(crate) unsafe fn start(w: *mut PyLoopWorker, create_task: Obj, ended: Obj) -> Res<()> {
    let this = inner(w)?;
    (this.create_task, this.ended) = (Some(create_task), Some(ended));
    insist(w, |worker| worker.ready())?;
    this.worker.ring(); // what came before anybody listened
    Ok(())
}

/// Does what cannot be done before the pool has taken something, and sleeps until it has.
unsafe fn insist(w: *mut PyLoopWorker, mut what: impl FnMut(&mut LoopWorker) -> std::io::Result<bool>) -> Res<()> {
    while !checked(what(&mut inner(w)?.worker))? {
        let worker = &mut inner(w)?.worker;
        let state = ffi::PyEval_SaveThread();
        worker.sleep_crowded();
        ffi::PyEval_RestoreThread(state);
        crate::object::done(ffi::PyErr_CheckSignals())?;
    }
    Ok(())
}

/// Takes what has come; the loop calls it when the doorbell has rung.
pub(crate) unsafe fn turn(w: *mut PyLoopWorker) -> Res<()> {
    let _alive = Obj::from(w.cast());
    if inner(w)?.broken {
        return errors::runtime_error("an outcome could not be sent");
    }
    check_own(w)?;
    inner(w)?.worker.answer();
    send_notes(w)?;
    let_go(w)?;
    for _ in 0..TURN {
        match checked(inner(w)?.worker.order())? {
            LoopOrder::Task(number, message) => begin(w, number, message)?,
            LoopOrder::Cancel(number) => cancel(w, number)?,
            LoopOrder::Prelude(message) => learn(w, message)?,
            LoopOrder::Forget => {
                inner(w)?.worker.pass();
                translator::forget(translator(w)?);
            }
            LoopOrder::Stop => {
                inner(w)?.stopped = true;
                return Ok(());
            }
            LoopOrder::Nothing => {
                insist(w, LoopWorker::make_room)?;
                if inner(w)?.worker.listen() {
                    return Ok(());
                }
            }
        }
    }
    inner(w)?.worker.ring();
    Ok(())
}

unsafe fn learn(w: *mut PyLoopWorker, message: Message) -> Res<()> {
    let name = message.tag;
    let loaded = pickling::load(body(&message, 0), &[]).map_err(|Raised| errors::take());
    drop(message);
    inner(w)?.worker.pass();
    translator::learn(translator(w)?, name, loaded);
    Ok(())
}

/// What a task is to call.
unsafe fn load(w: *mut PyLoopWorker, message: Message) -> Res<[Obj; 3]> {
    let name = match body(&message, 0).first_chunk() {
        Some(name) => u64::from_ne_bytes(*name),
        None => return errors::runtime_error("a task without the name of its function"),
    };
    translator::load(translator(w)?, message, name, size_of::<u64>())
}

/// Makes a task of the loop's.
unsafe fn begin(w: *mut PyLoopWorker, number: u32, message: Message) -> Res<()> {
    let loaded = load(w, message);
    inner(w)?.worker.pass();
    let [function, args, kwargs] = match loaded {
        Ok(loaded) => loaded,
        Err(Raised) => return fail(w, number, NOT_LOADED),
    };
    let made = Obj::new(ffi::PyObject_Call(function.ptr(), args.ptr(), kwargs.ptr()));
    match made.and_then(|coroutine| enter(w, number, &coroutine)) {
        Ok(()) => Ok(()),
        Err(Raised) => fail(w, number, RAISED),
    }
}

unsafe fn enter(w: *mut PyLoopWorker, number: u32, coroutine: &Obj) -> Res<()> {
    let this = inner(w)?;
    let (Some(create_task), Some(ended)) = (&this.create_task, &this.ended) else {
        return errors::runtime_error("the worker was not started");
    };
    let (create_task, ended) = (create_task.again(), ended.again());
    let task = call(create_task.ptr(), &[coroutine.ptr()])?;
    let this = inner(w)?;
    this.numbers.insert(task.ptr() as usize, number);
    this.tasks.insert(number, (task.again(), false));
    drop(call_method(&known().add_done_callback, &[task.ptr(), ended.ptr()])?);
    Ok(())
}

unsafe fn cancel(w: *mut PyLoopWorker, number: u32) -> Res<()> {
    let Some(task) = inner(w)?.tasks.get(&number).map(|(task, _)| task.again()) else {
        return Ok(());
    };
    let cancelled = call_method(&known().cancel, &[task.ptr()])?;
    if let Some((_, told)) = inner(w)?.tasks.get_mut(&number) {
        *told |= cancelled.ptr() == ffi::Py_True();
    }
    Ok(())
}

/// A task is done: sends what became of it. If that cannot be, the worker ends, so that nobody waits for it for ever.
pub(crate) unsafe fn ended(w: *mut PyLoopWorker, task: &Obj) -> Res<()> {
    let sent = send(w, task);
    if sent.is_err() {
        let this = inner(w)?;
        this.broken = true;
        this.worker.ring();
    }
    sent
}

unsafe fn send(w: *mut PyLoopWorker, task: &Obj) -> Res<()> {
    let Some(number) = inner(w)?.numbers.remove(&(task.ptr() as usize)) else {
        return Ok(());
    };
    let held = inner(w)?.tasks.remove(&number);
    let flavour = if held.is_some_and(|(_, cancelled)| cancelled) { SWALLOWED } else { RETURNED };
    let_go(w)?;
    match call_method(&known().result, &[task.ptr()]) {
        Ok(value) => match pickled(w, &value) {
            Ok(pickle) => finish(w, number, flavour, pickle),
            Err(Raised) => fail(w, number, RAISED),
        },
        Err(Raised) => {
            let exc = errors::take();
            let cancelled = call_method(&known().cancelled, &[task.ptr()])?;
            if ffi::PyObject_IsTrue(cancelled.ptr()) == 1 {
                return finish(w, number, CANCELLED, Pickle::ready(Vec::new()));
            }
            errors::restore(exc);
            fail(w, number, RAISED)
        }
    }
}

/// Sends what is raised.
unsafe fn fail(w: *mut PyLoopWorker, number: u32, flavour: u32) -> Res<()> {
    let exc = errors::take();
    let pickle = translator::dump_raised(translator(w)?, &exc)?;
    finish(w, number, flavour, pickle)
}

/// The pickle of a result; raises what keeps it from being pickled.
unsafe fn pickled(w: *mut PyLoopWorker, value: &Obj) -> Res<Pickle> {
    let t = translator(w)?;
    let exc = match translator::dump(t, value) {
        Ok(pickle) => return Ok(pickle),
        Err(Raised) => errors::take(),
    };
    match translator::dump_by_value(t, value)? {
        Some(pickle) => Ok(pickle),
        None => errors::raise_object(&exc),
    }
}

unsafe fn finish(w: *mut PyLoopWorker, number: u32, flavour: u32, pickle: Pickle) -> Res<()> {
    check_own(w)?;
    send_notes(w)?;
    insist(w, |worker| pickle.with(&[], |body, parts| worker.finish(number, flavour, body, parts)))?;
    if pickle.has_pins() {
        inner(w)?.pins.push(pickle);
    }
    Ok(())
}

/// Lets go of what the pool has.
unsafe fn let_go(w: *mut PyLoopWorker) -> Res<()> {
    if !inner(w)?.pins.is_empty() && inner(w)?.worker.is_drained() {
        let pins = std::mem::take(&mut inner(w)?.pins);
        drop(pins);
    }
    Ok(())
}

/// Keeps what a thread has to say until the loop's own sends it.
pub(crate) unsafe fn note(w: *mut PyLoopWorker, bytes: &[u8]) -> Res<()> {
    let this = inner(w)?;
    this.notes.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.to_vec());
    if !this.has_notes.swap(true, Ordering::AcqRel) {
        this.worker.ring();
    }
    Ok(())
}

unsafe fn send_notes(w: *mut PyLoopWorker) -> Res<()> {
    if !inner(w)?.has_notes.swap(false, Ordering::AcqRel) {
        return Ok(());
    }
    let notes = std::mem::take(&mut *inner(w)?.notes.lock().unwrap_or_else(PoisonError::into_inner));
    for note in notes {
        insist(w, |worker| worker.note(0, &[&note]))?;
    }
    Ok(())
}

/// Stays until the pool has what lies here.
pub(crate) unsafe fn see_off(w: *mut PyLoopWorker) -> Res<()> {
    send_notes(w)?;
    if !inner(w)?.pins.is_empty() {
        insist(w, |worker| Ok(worker.is_drained()))?;
    }
    Ok(())
}
