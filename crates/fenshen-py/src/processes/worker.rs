//! What `Worker` does: runs the calls that its pool sends, and sends back what they return or raise.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use fenshen_pool::{Growth, Order, Worker};
use fenshen_shm::Message;
use fenshen_sync::Slept;
use pyo3::ffi;

use super::cargo::{NOT_LOADED, RAISED, RETURNED};
use super::known::known;
use super::pickling::{self, Pickle, body};
use super::stream::send_all;
use super::translator::{self, Translator};
pub(crate) use super::worker_head::inner;
use super::worker_head::{Holder, checked};
use crate::advise::remote::{self, Gauge};
use crate::errors;
use crate::object::{Obj, Raised, Res, call_method};

/// How often this process has been the child of a fork.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// In a forked child: what its parent served is not its own.
pub(crate) fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Pickles.
type Notes = Mutex<Vec<Vec<u8>>>;

/// The layout of `Worker`.
pub(crate) type PyWorker = Holder<Inner>;

/// What a worker holds.
pub(crate) struct Inner {
    pub(crate) worker: Worker,
    translator: Translator,
    /// What other threads have to say, until this one sends it.
    notes: Notes,
    /// Segments that were sent, until the pool has them.
    pins: Vec<Pickle>,
    forks: u32,
    /// Where a worker that has gathered too much memory is to be replaced.
    growth: Option<Growth>,
}

impl Inner {
    pub(crate) fn new(worker: Worker, helper: Obj, growth: Option<Growth>) -> Inner {
        Inner {
            worker,
            translator: Translator::new(helper),
            notes: Mutex::default(),
            pins: Vec::new(),
            forks: FORKS.load(Ordering::Relaxed),
            growth,
        }
    }
}

unsafe fn translator(w: *mut PyWorker) -> Res<*mut Translator> {
    Ok(&raw mut inner(w)?.translator)
}

/// Raises SystemExit in a child that a task has forked and that came back from it: it is no worker.
unsafe fn check_own(w: *mut PyWorker) -> Res<()> {
    if inner(w)?.forks == FORKS.load(Ordering::Relaxed) {
        return Ok(());
    }
    ffi::PyErr_SetNone(ffi::PyExc_SystemExit);
    Err(Raised)
}

/// Runs what comes until the pool says that it is enough.
pub(crate) unsafe fn serve(w: *mut PyWorker) -> Res<()> {
    let _alive = Obj::from(w.cast());
    checked(inner(w)?.worker.ready())?;
    loop {
        send_notes(w)?;
        match checked(inner(w)?.worker.order())? {
            Order::Task(message) => {
                run(w, message)?;
                look_at_memory(w)?;
            }
            Order::Prelude(message) => learn(w, message)?,
            Order::Forget => forget(w)?,
            Order::Stop => return see_off(w),
            Order::Nothing => sleep(w, idle)?,
        }
    }
}

/// Until there is something to do, or to say.
fn idle(worker: &mut Worker, notes: &Notes) -> Slept {
    worker.sleep_unless(|| !notes.lock().unwrap_or_else(PoisonError::into_inner).is_empty())
}

/// Until there is room for a result.
fn crowded(worker: &mut Worker, _: &Notes) -> Slept {
    worker.sleep_crowded()
}

/// Stays until the pool has what lies here.
unsafe fn see_off(w: *mut PyWorker) -> Res<()> {
    while !inner(w)?.pins.is_empty() && !inner(w)?.worker.is_drained() {
        sleep(w, crowded)?;
    }
    Ok(())
}

unsafe fn forget(w: *mut PyWorker) -> Res<()> {
    inner(w)?.worker.pass();
    translator::forget(translator(w)?);
    Ok(())
}

/// Sleeps without the interpreter. The interrupt of the keyboard is the program's to deal with, not an idle worker's.
unsafe fn sleep(w: *mut PyWorker, how: fn(&mut Worker, &Notes) -> Slept) -> Res<()> {
    match sleep_in_task(w, how) {
        Err(Raised) if was_interrupted(w)? => {
            ffi::PyErr_Clear();
            Ok(())
        }
        outcome => outcome,
    }
}

/// The same for a task that runs, which every signal is for.
pub(crate) unsafe fn sleep_in_task(w: *mut PyWorker, how: fn(&mut Worker, &Notes) -> Slept) -> Res<()> {
    let Inner { worker, notes, .. } = inner(w)?;
    let state = ffi::PyEval_SaveThread();
    let slept = how(worker, notes);
    ffi::PyEval_RestoreThread(state);
    if slept == Slept::Interrupted && ffi::PyErr_CheckSignals() < 0 { Err(Raised) } else { Ok(()) }
}

/// Whether what was raised is the interrupt of the keyboard, which the pool then knows to have come.
unsafe fn was_interrupted(w: *mut PyWorker) -> Res<bool> {
    let it_is = ffi::PyErr_ExceptionMatches(ffi::PyExc_KeyboardInterrupt) != 0;
    if it_is {
        inner(w)?.worker.interrupted();
    }
    Ok(it_is)
}

/// Does it again if it was interrupted, as what it does is no task's.
unsafe fn insist<T>(w: *mut PyWorker, mut what: impl FnMut() -> Res<T>) -> Res<T> {
    loop {
        let outcome = what();
        if outcome.is_err() && was_interrupted(w)? {
            ffi::PyErr_Clear();
            continue;
        }
        return outcome;
    }
}

unsafe fn learn(w: *mut PyWorker, message: Message) -> Res<()> {
    let name = message.tag;
    let loaded = insist(w, || pickling::load(body(&message, 0), &[])).map_err(|Raised| errors::take());
    drop(message);
    inner(w)?.worker.pass();
    translator::learn(translator(w)?, name, loaded);
    Ok(())
}

unsafe fn run(w: *mut PyWorker, message: Message) -> Res<()> {
    let (name, head, mut gauge) = Gauge::read(body(&message, 0));
    let loaded = translator::load(translator(w)?, message, name, head);
    inner(w)?.worker.pass();
    if let Some(gauge) = &mut gauge {
        gauge.loaded();
    }
    let outcome = match loaded {
        Err(Raised) if was_interrupted(w)? => Err((RAISED, errors::take())),
        Ok([function, args, kwargs]) if inner(w)?.worker.is_stream() => send_all(w, &function, &args, &kwargs),
        Ok([function, args, kwargs]) => {
            let returned = Obj::new(ffi::PyObject_Call(function.ptr(), args.ptr(), kwargs.ptr()));
            if let Some(gauge) = &mut gauge {
                gauge.called();
            }
            match returned {
                Ok(value) => pickled(w, &value).map(|pickle| (RETURNED, pickle)),
                Err(Raised) => Err((RAISED, errors::take())),
            }
        }
        Err(Raised) => Err((NOT_LOADED, errors::take())),
    };
    let (flavour, pickle) = match outcome {
        Ok(sent) => sent,
        Err((flavour, exc)) => {
            if ffi::PyErr_GivenExceptionMatches(exc.ptr(), ffi::PyExc_KeyboardInterrupt) != 0 {
                inner(w)?.worker.interrupted();
            }
            (flavour, insist(w, || translator::dump_raised(translator(w)?, &exc))?)
        }
    };
    let_go(w)?;
    send_notes(w)?;
    match gauge {
        None => finish(w, flavour, &[], pickle),
        Some(gauge) => finish_measured(w, flavour, pickle, gauge),
    }
}

unsafe fn finish_measured(w: *mut PyWorker, flavour: u32, pickle: Pickle, mut gauge: Gauge) -> Res<()> {
    let bytes = pickle.bytes();
    let measures = gauge.pickled().to_bytes();
    finish(w, remote::measured(flavour), &measures, pickle)?;
    if let Some(late) = gauge.sent(bytes) {
        while !checked(inner(w)?.worker.note(remote::measured(0), &[&late.to_bytes()]))? {
            sleep(w, crowded)?;
        }
    }
    Ok(())
}

/// The pickle of a result, or why there is none.
pub(crate) unsafe fn pickled(w: *mut PyWorker, value: &Obj) -> Result<Pickle, (u32, Obj)> {
    let raised = |Raised| (RAISED, errors::take());
    let t = translator(w).map_err(raised)?;
    let exc = match translator::dump(t, value) {
        Ok(pickle) => return Ok(pickle),
        Err(Raised) if was_interrupted(w).map_err(raised)? => return Err((RAISED, errors::take())),
        Err(Raised) => errors::take(),
    };
    if let Some(pickle) = translator::dump_by_value(t, value).map_err(raised)? {
        return Ok(pickle);
    }
    let helper = (*t).helper();
    call_method(&known().refused, &[helper.ptr(), exc.ptr(), value.ptr()]).map_err(raised)?;
    Err((RAISED, exc))
}

unsafe fn finish(w: *mut PyWorker, flavour: u32, head: &[u8], pickle: Pickle) -> Res<()> {
    check_own(w)?;
    loop {
        let worker = &raw mut inner(w)?.worker;
        let sent = pickle.with(head, |body, parts| (*worker).finish(flavour, body, parts));
        if checked(sent)? {
            break;
        }
        sleep(w, crowded)?;
    }
    keep(w, pickle)
}

/// Keeps what the pool opens from here until it has it.
unsafe fn keep(w: *mut PyWorker, pickle: Pickle) -> Res<()> {
    if pickle.has_pins() {
        inner(w)?.pins.push(pickle);
    }
    Ok(())
}

/// Lets go of what the pool has.
unsafe fn let_go(w: *mut PyWorker) -> Res<()> {
    if !inner(w)?.pins.is_empty() && inner(w)?.worker.is_drained() {
        let pins = std::mem::take(&mut inner(w)?.pins);
        drop(pins);
    }
    Ok(())
}

/// Has the pool replace this worker if its tasks have left too much behind that is not mere garbage.
unsafe fn look_at_memory(w: *mut PyWorker) -> Res<()> {
    if !inner(w)?.growth.as_mut().is_some_and(Growth::is_over) {
        return Ok(());
    }
    let helper = inner(w)?.translator.helper();
    drop(call_method(&known().collect, &[helper.ptr()])?);
    if !inner(w)?.growth.as_mut().is_some_and(Growth::is_over_now) {
        return Ok(());
    }
    while !checked(inner(w)?.worker.leave())? {
        sleep(w, crowded)?;
    }
    Ok(())
}

/// Keeps what a thread has to say until the one that serves can send it.
pub(crate) unsafe fn note(w: *mut PyWorker, bytes: &[u8]) -> Res<()> {
    let this = inner(w)?;
    this.notes.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.to_vec());
    this.worker.rouse();
    Ok(())
}

/// A part of the running task's result.
pub(crate) unsafe fn send_item(w: *mut PyWorker, pickle: Pickle) -> Res<()> {
    check_own(w)?;
    loop {
        let worker = &raw mut inner(w)?.worker;
        let sent = pickle.with(&[], |body, parts| (*worker).item(0, body, parts));
        if checked(sent)? {
            break;
        }
        sleep(w, crowded)?;
    }
    keep(w, pickle)
}

pub(crate) unsafe fn send_notes(w: *mut PyWorker) -> Res<()> {
    let notes = std::mem::take(&mut *inner(w)?.notes.lock().unwrap_or_else(PoisonError::into_inner));
    for note in notes {
        while !checked(inner(w)?.worker.note(0, &[&note]))? {
            sleep(w, crowded)?;
        }
    }
    Ok(())
}
