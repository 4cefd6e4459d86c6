//! The Python face of [`Loop`]: `fenshen.LoopCore`, from which `fenshen.EventLoop` derives.

use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::ptr;

use fenshen_reactor::clock;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::files::Way;
use super::schedule::When;
use super::{Loop, os_error};
use crate::args::{Args, Signature};
use crate::errors::{entry, raise, type_error, wall};
use crate::handle::{self, Handle};
use crate::kinds;
use crate::methods::{fast, getter, no_args, one_arg, setter};
use crate::names::{asyncio, support};
use crate::object::{Obj, Raised, Res, boolean, clear, done, none, not_none, ptr_or_null, repr, set, text, visit};
use crate::task::{self, Start, Task};
use crate::types::{TypeBuilder, free};

const CREATE_TASK: Signature<4> = Signature {
    func: "BaseEventLoop.create_task",
    names: [c"coro", c"name", c"context", c"eager_start"],
    positional: 1,
    required: 1,
};

/// Whether instances of `ty` have the `call_soon` of this module.
pub(super) unsafe fn leaves_call_soon_alone(ty: *mut PyTypeObject) -> Res<bool> {
    let name = &crate::names::names().call_soon;
    let (mine, theirs) =
        (crate::object::attr(kinds::event_loop().cast(), name)?, crate::object::attr(ty.cast(), name)?);
    Ok(mine.ptr() == theirs.ptr())
}

unsafe extern "C" fn new(ty: *mut PyTypeObject, _args: *mut PyObject, _kw: *mut PyObject) -> *mut PyObject {
    entry(|| Ok(Obj::steal(Loop::allocate(ty)?.cast())))
}

unsafe fn seconds(o: *mut PyObject) -> Res<f64> {
    let value = ffi::PyFloat_AsDouble(o);
    if value == -1.0 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    Ok(value)
}

fast!(call_soon, |l: Loop, args| {
    let ([func], rest, context) = args.callback("BaseEventLoop.call_soon", [c"callback"])?;
    Loop::call_soon(l, func, rest, context)
});
fast!(call_soon_threadsafe, |l: Loop, args| {
    let ([func], rest, context) = args.callback("BaseEventLoop.call_soon_threadsafe", [c"callback"])?;
    Loop::call_soon_threadsafe(l, func, rest, context)
});
fast!(call_later, |l: Loop, args| {
    let ([delay, func], rest, context) = args.callback("BaseEventLoop.call_later", [c"delay", c"callback"])?;
    if delay == ffi::Py_None() {
        return type_error("delay must not be None");
    }
    Loop::call_at(l, When::Seconds(clock::now() + seconds(delay)?), func, rest, context)
});
fast!(call_at, |l: Loop, args| {
    let ([when, func], rest, context) = args.callback("BaseEventLoop.call_at", [c"when", c"callback"])?;
    if when == ffi::Py_None() {
        return type_error("when cannot be None");
    }
    Loop::call_at(l, When::Given(when), func, rest, context)
});
no_args!(time, |_l: Loop| Obj::new(ffi::PyFloat_FromDouble(clock::now())));
no_args!(create_future, |l: Loop| Loop::create_future(l));
fast!(create_task, |l: Loop, args| {
    Loop::check_closed(l)?;
    if let Some(factory) = Obj::from_opt(ptr_or_null(&(*l).task_factory)) {
        return by_factory(l, &factory, &args);
    }
    let [coro, name, context, eager] = args.sort(&CREATE_TASK)?;
    let given = |o: *mut PyObject| if o.is_null() { o } else { not_none(o) };
    let eager = if given(eager).is_null() { 0 } else { ffi::PyObject_IsTrue(eager) };
    done(eager)?;
    let t: *mut Task = crate::future::allocate(kinds::task())?.cast();
    let made = Obj::steal(t.cast());
    let start = Start { coro, event_loop: l.cast(), name: given(name), context: given(context), eager: eager != 0 };
    task::initialise(t, &start)?;
    Ok(made)
});

/// `create_task` where the program has set a task factory: asyncio's own way of calling it.
#[cold]
unsafe fn by_factory(l: *mut Loop, factory: &Obj, args: &Args<'_>) -> Res<Obj> {
    let kwargs = args.keywords()?;
    let [coro] = args.positional() else {
        return type_error(&format!(
            "create_task() takes exactly 1 positional argument ({} given)",
            args.positional().len()
        ));
    };
    support(c"create_task_by_factory", &[l.cast(), factory.ptr(), *coro, kwargs.ptr()])
}

no_args!(stop, |l: Loop| {
    (*l).stopping = true;
    Ok(none())
});
no_args!(is_running, |l: Loop| Ok(boolean((*l).thread_id != 0)));
no_args!(is_closed, |l: Loop| Ok(boolean((*l).closed)));
no_args!(has_work, |l: Loop| Ok(boolean(Loop::patience(l).is_some())));
no_args!(get_debug, |l: Loop| Ok(boolean((*l).debug)));
no_args!(check_closed, |l: Loop| Loop::check_closed(l).map(|()| none()));
no_args!(run, |l: Loop| Loop::run(l).map(|()| none()));
no_args!(close_core, |l: Loop| {
    Loop::close(l);
    Ok(none())
});
no_args!(write_to_self, |l: Loop| {
    Loop::wake(l)?;
    Ok(none())
});
one_arg!(timer_handle_cancelled, |_l: Loop, _handle| Ok(none()));
one_arg!(add_callback, |l: Loop, foreign| {
    schedule_foreign(l, foreign, false)?;
    Ok(none())
});
one_arg!(add_callback_signalsafe, |l: Loop, foreign| {
    schedule_foreign(l, foreign, true)?;
    Ok(none())
});

/// Has a handle that asyncio's own code made run on this loop.
unsafe fn schedule_foreign(l: *mut Loop, foreign: *mut PyObject, threadsafe: bool) -> Res<()> {
    if ffi::Py_TYPE(foreign) == kinds::handle() {
        Loop::push_handle(l, Obj::from(foreign));
        return if threadsafe { Loop::wake(l) } else { Ok(()) };
    }
    let run = Obj::new(ffi::PyObject_GetAttrString(foreign, c"_run".as_ptr()))?;
    let cancelled = Obj::new(ffi::PyObject_GetAttrString(foreign, c"_cancelled".as_ptr()))?;
    if cancelled.ptr() == ffi::Py_True() {
        return Ok(());
    }
    let h = Obj::steal(handle::new(kinds::handle(), l, run.ptr(), &[], ptr::null_mut())?.cast());
    if threadsafe {
        return Loop::post(l, h);
    }
    Loop::push_handle(l, h);
    Ok(())
}

/// A file's descriptor, from the number or from an object with `fileno()`, as the `selectors` module finds it.
unsafe fn descriptor(o: *mut PyObject) -> Res<RawFd> {
    let number = match number_of(o) {
        Ok(number) => number,
        Err(Raised) => {
            for kind in [ffi::PyExc_AttributeError, ffi::PyExc_TypeError, ffi::PyExc_ValueError] {
                if ffi::PyErr_ExceptionMatches(kind) != 0 {
                    ffi::PyErr_Clear();
                    return raise(ffi::PyExc_ValueError, &format!("Invalid file object: {}", repr(o)));
                }
            }
            return Err(Raised);
        }
    };
    RawFd::try_from(number)
        .ok()
        .filter(|fd| *fd >= 0)
        .map_or_else(|| raise(ffi::PyExc_ValueError, &format!("Invalid file descriptor: {number}")), Ok)
}

unsafe fn number_of(o: *mut PyObject) -> Res<std::ffi::c_long> {
    let number = if ffi::PyLong_Check(o) != 0 {
        Obj::from(o)
    } else {
        let fileno = Obj::new(ffi::PyObject_GetAttrString(o, c"fileno".as_ptr()))?;
        let answer = crate::object::call(fileno.ptr(), &[])?;
        Obj::new(ffi::PyNumber_Long(answer.ptr()))?
    };
    let value = ffi::PyLong_AsLong(number.ptr());
    if value == -1 && !ffi::PyErr_Occurred().is_null() { Err(Raised) } else { Ok(value) }
}

unsafe fn add(l: *mut Loop, args: &Args<'_>, way: Way, func: &str) -> Res<Obj> {
    Loop::check_closed(l)?;
    let ([file, target], rest, context) = args.callback(func, [c"fd", c"callback"])?;
    Loop::check_owner(l)?;
    let fd = descriptor(file)?;
    let h = handle::new(kinds::handle(), l, target, rest, context)?;
    let made = Obj::steal(h.cast());
    (*h).repeats = true;
    let Some(kernel) = (*l).kernel.as_ref() else {
        return Loop::check_closed(l).map(|()| none());
    };
    match (*l).files.set(&kernel.epoll, fd, way, made.again()) {
        Ok(Some(replaced)) => handle::cancel(replaced.ptr().cast::<Handle>()),
        Ok(None) => {}
        Err(e) => return os_error(&e),
    }
    if ffi::PyLong_Check(file) == 0 {
        (*l).files.note_object(fd, Obj::from(file));
    }
    Ok(made)
}

unsafe fn remove(l: *mut Loop, file: *mut PyObject, way: Way) -> Res<Obj> {
    if (*l).closed {
        return Ok(boolean(false));
    }
    let fd = match descriptor(file) {
        Ok(fd) => fd,
        // A file that has been closed since is known by its object.
        Err(Raised) => match (*l).files.descriptor_of(file) {
            Some(fd) => {
                ffi::PyErr_Clear();
                fd
            }
            None => return Err(Raised),
        },
    };
    Loop::check_owner(l)?;
    let Some(kernel) = (*l).kernel.as_ref() else {
        return Ok(boolean(false));
    };
    match (*l).files.unset(&kernel.epoll, fd, way) {
        Some(h) => {
            handle::cancel(h.ptr().cast::<Handle>());
            Ok(boolean(true))
        }
        None => Ok(boolean(false)),
    }
}

fast!(add_reader, |l: Loop, args| add(l, &args, Way::Read, "add_reader"));
fast!(add_writer, |l: Loop, args| add(l, &args, Way::Write, "add_writer"));
one_arg!(remove_reader, |l: Loop, file| remove(l, file, Way::Read));
one_arg!(remove_writer, |l: Loop, file| remove(l, file, Way::Write));
one_arg!(mark_internal, |l: Loop, file| {
    (*l).files.mark_internal(descriptor(file)?);
    Ok(none())
});
no_args!(watched, |l: Loop| {
    let list = Obj::new(ffi::PyList_New(0))?;
    for (fd, watch) in (*l).files.iter() {
        append_watched(&list, fd, [!watch.reader.is_empty(), !watch.writer.is_empty(), watch.internal])?;
    }
    for (_, channel) in (*l).channels.iter() {
        let (reads, writes) = ((*channel).wants_read(), (*channel).wants_write());
        if reads || writes {
            append_watched(&list, (*channel).fd, [reads, writes, false])?;
        }
    }
    Ok(list)
});

unsafe fn append_watched(list: &Obj, fd: RawFd, [reads, writes, internal]: [bool; 3]) -> Res<()> {
    let fd = Obj::new(ffi::PyLong_FromLong(fd.into()))?;
    let (reads, writes, internal) = (boolean(reads), boolean(writes), boolean(internal));
    let entry = Obj::new(ffi::PyTuple_Pack(4, fd.ptr(), reads.ptr(), writes.ptr(), internal.ptr()))?;
    done(ffi::PyList_Append(list.ptr(), entry.ptr()))
}

one_arg!(ensure_fd_no_transport, |l: Loop, file| {
    // A closed file has no number, and no transport either.
    let Ok(fd) = descriptor(file) else {
        ffi::PyErr_Clear();
        return Ok(none());
    };
    match (*l).channels.owner_of(fd) {
        Some(owner) if crate::transports::is_open(owner) => crate::errors::runtime_error(&format!(
            "File descriptor {} is used by transport {}",
            repr(file),
            repr(owner)
        )),
        _ => crate::names::transport_support(c"ensure_fd_no_transport", &[l.cast(), file]),
    }
});

macro_rules! flag {
    ($get:ident, $set:ident, $field:ident) => {
        getter!($get, |l: Loop| Ok(boolean((*l).$field)));
        setter!($set, |l: Loop, value| {
            let truth = ffi::PyObject_IsTrue(value);
            done(truth)?;
            (*l).$field = truth != 0;
            Ok(())
        });
    };
}
flag!(get_debug_flag, set_debug_flag, debug);
flag!(get_stopping, set_stopping, stopping);
getter!(get_slow, |l: Loop| Obj::new(ffi::PyFloat_FromDouble((*l).slow_callback_duration)));
setter!(set_slow, |l: Loop, value| {
    Loop::set_slow(l, seconds(value)?);
    Ok(())
});
getter!(get_closed, |l: Loop| Ok(boolean((*l).closed)));
getter!(get_thread_id, |l: Loop| match (*l).thread_id {
    0 => Ok(none()),
    id => Obj::new(ffi::PyLong_FromUnsignedLongLong(id)),
});
setter!(set_thread_id, |l: Loop, value| {
    (*l).thread_id = if value == ffi::Py_None() { 0 } else { ffi::PyLong_AsUnsignedLongLong(value) };
    if ffi::PyErr_Occurred().is_null() { Ok(()) } else { Err(Raised) }
});
getter!(get_resolution, |_l: Loop| Obj::new(ffi::PyFloat_FromDouble(1e-9)));
setter!(set_resolution, |_l: Loop, _value| Ok(()));

macro_rules! object_field {
    ($get:ident, $set:ident, $field:ident) => {
        getter!($get, |l: Loop| Ok(Obj::from_opt(ptr_or_null(&(*l).$field)).unwrap_or_else(|| none())));
        setter!($set, |l: Loop, value| {
            set(&mut (*l).$field, Obj::from_opt(not_none(value)));
            Ok(())
        });
    };
}
object_field!(get_factory, set_factory, task_factory);
object_field!(get_stall_hook, set_stall_hook, stall_hook);
object_field!(get_current_handle, set_current_handle, current_handle);
getter!(get_owner_pid, |l: Loop| Obj::new(ffi::PyLong_FromUnsignedLong((*l).owner.pid().into())));
getter!(get_pending, |l: Loop| {
    let shown = format!(
        "{} ready, {} timers, {} files",
        (*l).ready.len(),
        (*l).timers.len(),
        (*l).files.len() + (*l).channels.watched()
    );
    text(&shown)
});

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let l: *mut Loop = this.cast();
    let status = visitor(ffi::Py_TYPE(this).cast(), arg);
    if status != 0 {
        return status;
    }
    for word in &(*l).ready {
        let status = word.traverse(visitor, arg);
        if status != 0 {
            return status;
        }
    }
    for (_, &h) in (*l).timers.iter() {
        let status = handle::traverse_owned(h, visitor, arg);
        if status != 0 {
            return status;
        }
    }
    for (_, watch) in (*l).files.iter() {
        let status = watch.traverse(visitor, arg);
        if status != 0 {
            return status;
        }
    }
    let status = (*l).channels.traverse(visitor, arg);
    if status != 0 {
        return status;
    }
    for owner in &(*l).flushes {
        let status = visitor(owner.ptr(), arg);
        if status != 0 {
            return status;
        }
    }
    let fields = [&(*l).task_factory, &(*l).stall_hook, &(*l).current_handle];
    fields.into_iter().map(|field| visit(field, visitor, arg)).find(|status| *status != 0).unwrap_or(0)
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    wall(0, || {
        let l: *mut Loop = this.cast();
        clear(&mut (*l).task_factory);
        clear(&mut (*l).stall_hook);
        clear(&mut (*l).current_handle);
        Loop::close(l);
        Ok(0)
    })
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(this.cast());
    gc_clear(this);
    let l: *mut Loop = this.cast();
    (*super::ALL.0.get()).retain(|other| *other != l);
    ptr::drop_in_place(&raw mut (*l).ready);
    ptr::drop_in_place(&raw mut (*l).timers);
    ptr::drop_in_place(&raw mut (*l).inbox);
    ptr::drop_in_place(&raw mut (*l).files);
    ptr::drop_in_place(&raw mut (*l).channels);
    ptr::drop_in_place(&raw mut (*l).flushes);
    ptr::drop_in_place(&raw mut (*l).inflow);
    ptr::drop_in_place(&raw mut (*l).scratch);
    ptr::drop_in_place(&raw mut (*l).kernel);
    ptr::drop_in_place(&raw mut (*l).events);
    ptr::drop_in_place(&raw mut (*l).pulse);
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let _ = asyncio();
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE;
    TypeBuilder::new::<Loop>(c"fenshen._fenshen.LoopCore")
        .doc(c"The native part of fenshen.EventLoop: ready steps, timers, files, and wake-ups from other threads.")
        .flags(flags)
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .fast(c"call_soon", call_soon, c"call_soon($self, callback, *args, context=None)\n--\n\nHave callback(*args) run at the loop's next turn. Returns a Handle.")
        .fast(c"call_soon_threadsafe", call_soon_threadsafe, c"call_soon_threadsafe($self, callback, *args, context=None)\n--\n\nLike call_soon(), from any thread.")
        .fast(c"call_later", call_later, c"call_later($self, delay, callback, *args, context=None)\n--\n\nHave callback(*args) run after `delay` seconds. Returns a TimerHandle.")
        .fast(c"call_at", call_at, c"call_at($self, when, callback, *args, context=None)\n--\n\nHave callback(*args) run at `when`, in seconds of loop.time(). Returns a TimerHandle.")
        .no_args(c"time", time, c"time($self, /)\n--\n\nThe loop's clock, in seconds: time.monotonic().")
        .no_args(c"create_future", create_future, c"create_future($self, /)\n--\n\nA pending future of this loop.")
        .fast(c"create_task", create_task, c"create_task($self, coro, *, name=None, context=None, eager_start=None)\n--\n\nRun a coroutine as a task of this loop.")
        .no_args(c"stop", stop, c"stop($self, /)\n--\n\nEnd run_forever() after the present turn.")
        .no_args(c"is_running", is_running, c"is_running($self, /)\n--\n\nWhether the loop runs.")
        .no_args(c"_has_work", has_work, c"_has_work($self, /)\n--\n\nWhether there is something to run, now or at some time.")
        .no_args(c"is_closed", is_closed, c"is_closed($self, /)\n--\n\nWhether the loop is closed.")
        .no_args(c"get_debug", get_debug, c"get_debug($self, /)\n--\n\nWhether debug mode is on.")
        .no_args(c"_check_closed", check_closed, c"_check_closed($self, /)\n--\n\nRaise RuntimeError if the loop is closed.")
        .no_args(c"_run", run, c"_run($self, /)\n--\n\nRun until stopped.")
        .no_args(c"_close", close_core, c"_close($self, /)\n--\n\nDrop everything that is scheduled and let go of the kernel's side.")
        .no_args(c"_write_to_self", write_to_self, c"_write_to_self($self, /)\n--\n\nEnd the loop's wait, if it waits; from any thread.")
        .one_arg(c"_timer_handle_cancelled", timer_handle_cancelled, c"_timer_handle_cancelled($self, handle, /)\n--\n\nFor asyncio's own handles; ours need no telling.")
        .one_arg(c"_add_callback", add_callback, c"_add_callback($self, handle, /)\n--\n\nHave a handle of asyncio's own code run at the next turn.")
        .one_arg(c"_add_callback_signalsafe", add_callback_signalsafe, c"_add_callback_signalsafe($self, handle, /)\n--\n\nLike _add_callback(), and end the loop's wait.")
        .fast(c"_add_reader", add_reader, c"_add_reader($self, fd, callback, *args)\n--\n\nHave callback(*args) run whenever fd can be read. Returns a Handle.")
        .fast(c"_add_writer", add_writer, c"_add_writer($self, fd, callback, *args)\n--\n\nHave callback(*args) run whenever fd can be written. Returns a Handle.")
        .one_arg(c"_remove_reader", remove_reader, c"_remove_reader($self, fd, /)\n--\n\nStop watching fd for reading; whether it was watched.")
        .one_arg(c"_remove_writer", remove_writer, c"_remove_writer($self, fd, /)\n--\n\nStop watching fd for writing; whether it was watched.")
        .one_arg(c"_mark_internal", mark_internal, c"_mark_internal($self, fd, /)\n--\n\nfd is watched for the loop's own purposes.")
        .one_arg(c"_ensure_fd_no_transport", ensure_fd_no_transport, c"_ensure_fd_no_transport($self, fd, /)\n--\n\nRaise RuntimeError if a transport uses the descriptor.")
        .no_args(c"_watched", watched, c"_watched($self, /)\n--\n\nEvery watched file: (fd, reading, writing, internal).")
        .property(c"_task_factory", get_factory, Some(set_factory))
        .property(c"_stall_hook", get_stall_hook, Some(set_stall_hook))
        .property(c"_current_handle", get_current_handle, Some(set_current_handle))
        .property(c"_debug", get_debug_flag, Some(set_debug_flag))
        .property(c"_stopping", get_stopping, Some(set_stopping))
        .property(c"_closed", get_closed, None)
        .property(c"_thread_id", get_thread_id, Some(set_thread_id))
        .property(c"_clock_resolution", get_resolution, Some(set_resolution))
        .property(c"_owner_pid", get_owner_pid, None)
        .property(c"_pending", get_pending, None)
        .property(c"slow_callback_duration", get_slow, Some(set_slow))
        .build(None)
}
