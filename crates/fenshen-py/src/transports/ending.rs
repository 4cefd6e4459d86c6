//! How a connection ends: errors, `connection_lost`, and the closing of the file.

use std::mem;

use pyo3::ffi;

use super::Head;
use crate::errors::{ends_loop, is, restore, take};
use crate::event_loop::Loop;
use crate::names::{names, transport_support};
use crate::object::{Obj, Raised, Res, call_method, clear, none, not_none, ptr_or_null, set, text};

/// Tells the loop's exception handler of what was raised. An error is what must end the loop.
#[cold]
pub(crate) unsafe fn report_raised(t: *mut Head, message: &str) -> Res<()> {
    let exc = take();
    if ends_loop(&exc) {
        restore(exc);
        return Err(Raised);
    }
    report(t, message, &exc)
}

unsafe fn report(t: *mut Head, message: &str, exc: &Obj) -> Res<()> {
    let message = text(message)?;
    let event_loop = Obj::from_opt(ptr_or_null(&(*t).event_loop)).unwrap_or_else(|| none());
    let protocol = Obj::from_opt(ptr_or_null(&(*t).protocol)).unwrap_or_else(|| none());
    transport_support(c"transport_failed", &[event_loop.ptr(), t.cast(), protocol.ptr(), message.ptr(), exc.ptr()])?;
    Ok(())
}

/// Ends the connection because of what was raised. An error is what must end the loop.
#[cold]
pub(crate) unsafe fn fatal_raised(t: *mut Head, message: &str) -> Res<()> {
    let exc = take();
    if ends_loop(&exc) {
        restore(exc);
        return Err(Raised);
    }
    fatal(t, exc, message)
}

/// Ends the connection because of `exc`. The exception handler is told, unless it is the network's failure.
#[cold]
pub(crate) unsafe fn fatal(t: *mut Head, exc: Obj, message: &str) -> Res<()> {
    if !is(&exc, ffi::PyExc_OSError) {
        report(t, message, &exc)?;
    } else if (*t).event_loop.is_some() && (*Head::event_loop(t)).debug {
        let message = text(message)?;
        transport_support(c"transport_error_logged", &[t.cast(), message.ptr(), exc.ptr()])?;
    }
    force_close(t, Some(exc))
}

/// Ends the connection without sending what still waits.
pub(crate) unsafe fn force_close(t: *mut Head, reason: Option<Obj>) -> Res<()> {
    if (*t).lost > 0 {
        return Ok(());
    }
    let l = Head::event_loop(t);
    ((*t).channel.ops().discard)(t.cast());
    if (*t).lost > 0 || l.is_null() {
        return Ok(());
    }
    (*t).closing = true;
    Loop::forget(l, &raw mut (*t).channel);
    end_soon(t, reason)
}

/// Has `connection_lost` called at the next turn.
pub(crate) unsafe fn end_soon(t: *mut Head, reason: Option<Obj>) -> Res<()> {
    let l = Head::event_loop(t);
    (*t).lost += 1;
    Loop::check_closed(l)?;
    set(&mut (*t).reason, reason);
    Loop::push_lost(l, Obj::from(t.cast()));
    Ok(())
}

/// Tells the protocol that the connection is over, and closes the file. An error is what must end the loop.
pub(crate) unsafe fn lost(t: *mut Head) -> Res<()> {
    let reason = (*t).reason.take().unwrap_or_else(|| none());
    let outcome = Head::in_context(t, || match Obj::from_opt(not_none(ptr_or_null(&(*t).protocol))) {
        Some(protocol) => call_method(&names().connection_lost, &[protocol.ptr(), reason.ptr()]).map(drop),
        None => Ok(()),
    });
    let mut failed = if outcome.is_err() { Some(take()) } else { None };
    // Whatever fails, all of it is done.
    if close_file(t).is_err() {
        failed.get_or_insert(take());
    }
    let event_loop = (*t).event_loop.take();
    clear(&mut (*t).protocol);
    if ((*t).channel.ops().closed)(t.cast()).is_err() {
        failed.get_or_insert(take());
    }
    match (failed, event_loop) {
        (Some(exc), _) if ends_loop(&exc) => {
            restore(exc);
            Err(Raised)
        }
        (Some(exc), Some(event_loop)) => {
            transport_support(c"connection_lost_failed", &[event_loop.ptr(), t.cast(), reason.ptr(), exc.ptr()])
                .map(drop)
        }
        _ => Ok(()),
    }
}

/// Closes the file, if it is open.
pub(crate) unsafe fn close_file(t: *mut Head) -> Res<()> {
    if (*t).event_loop.is_some() {
        Loop::close_channel(Head::event_loop(t), &raw mut (*t).channel);
    }
    let fd = mem::replace(&mut (*t).channel.fd, -1);
    match (*t).file.take() {
        Some(file) => call_method(&names().close, &[file.ptr()]).map(drop),
        None => {
            if fd >= 0 {
                libc::close(fd);
            }
            Ok(())
        }
    }
}

/// For a finaliser: warns of a file that was left open, and closes it.
pub(crate) unsafe fn finalize(t: *mut Head) {
    if (*t).channel.fd < 0 {
        return;
    }
    let pending = if ffi::PyErr_Occurred().is_null() { None } else { Some(take()) };
    let told = |outcome: Res<()>| {
        if outcome.is_err() {
            ffi::PyErr_WriteUnraisable(t.cast());
        }
    };
    // One after the other: nothing may be called while an error is set.
    told(transport_support(c"unclosed_transport", &[t.cast()]).map(drop));
    told(close_file(t));
    told(((*t).channel.ops().closed)(t.cast()));
    if let Some(exc) = pending {
        restore(exc);
    }
}
