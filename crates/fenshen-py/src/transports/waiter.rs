//! Whoever waits for a transport to begin.

use crate::future::{self, Future, State};
use crate::names::transport_support;
use crate::object::{Obj, Res, none};

/// Ends the future of whoever made the transport, unless it is cancelled.
pub(crate) unsafe fn wake(waiter: &mut Option<Obj>) -> Res<()> {
    let Some(waiter) = waiter.take() else {
        return Ok(());
    };
    if future::is_exact(waiter.ptr()) {
        let f: *mut Future = waiter.ptr().cast();
        return if (*f).state == State::Pending { future::set_result(f, none()) } else { Ok(()) };
    }
    transport_support(c"set_result_unless_cancelled", &[waiter.ptr()]).map(drop)
}
