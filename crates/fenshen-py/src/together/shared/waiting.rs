//! How a thread waits for what is shared: in the row, asleep on its place there, with an eye on signals, the deadline, and
//! those who died in the row.

use std::time::Duration;

use fenshen_shm::{Place, Row};
use pyo3::ffi::PyObject;

use super::Shared;
use super::wants::Want;
use crate::errors::runtime_error;
use crate::object::{Obj, Res};
use crate::processes::queue::without_interpreter;
use crate::processes::waiting::{Pause, Waiting};
use crate::threads::patience::Patience;
use crate::together::loops::forbid;

/// How long a sleep is at most without a look at who died.
const LONGEST: Duration = Duration::from_secs(1);

/// Tries at once, unless what there is is for those who stand in line.
#[inline]
pub(in super::super) unsafe fn now<W: Want>(shared: &Shared, arg: *mut PyObject) -> Res<Option<Obj>> {
    let standing = shared.row(W::ROW).standing();
    if standing > 0 && W::available(shared) <= standing {
        return Ok(None);
    }
    W::attempt(shared, arg, false)
}

/// Stands in line as long as it lives.
struct Stand<'a>(&'a Row, Place);

impl Drop for Stand<'_> {
    fn drop(&mut self) {
        self.0.leave(&self.1);
    }
}

/// A place at the end of the row.
pub(super) unsafe fn stand(row: &Row, bell: u64) -> Res<Place> {
    match row.stand(bell) {
        Some(place) => Ok(place),
        None => runtime_error("fenshen: too many threads and tasks wait for this at a time"),
    }
}

/// Waits for it; nothing if the time is over. `owner` is the object that it is of.
pub(in super::super) unsafe fn wait<W: Want>(
    owner: *mut PyObject,
    shared: &Shared,
    arg: *mut PyObject,
    patience: Patience,
) -> Res<Option<Obj>> {
    if let Some(got) = now::<W>(shared, arg)? {
        return Ok(Some(got));
    }
    if patience == Patience::None {
        return Ok(None);
    }
    forbid(W::CALL.0, W::CALL.1)?;
    without_interpreter(|| W::look(shared));
    if let Some(got) = now::<W>(shared, arg)? {
        return Ok(Some(got));
    }
    let row = shared.row(W::ROW);
    let stand = Stand(row, stand(row, 0)?);
    let mut waiting = Waiting::new(owner, patience.deadline(), LONGEST);
    let outcome = wait_there::<W>(shared, arg, &mut waiting, &stand);
    drop(stand);
    row.call(W::available(shared));
    outcome
}

unsafe fn wait_there<W: Want>(
    shared: &Shared,
    arg: *mut PyObject,
    waiting: &mut Waiting,
    stand: &Stand<'_>,
) -> Res<Option<Obj>> {
    let Stand(row, place) = stand;
    loop {
        row.call(W::available(shared));
        if row.is_called(place) {
            if let Some(got) = W::attempt(shared, arg, true)? {
                return Ok(Some(got));
            }
            row.stand_on(place);
            continue;
        }
        match waiting.sleep(|until| row.sleep(place, until))? {
            Pause::Perhaps => {}
            Pause::Look => _ = row.mend(),
            Pause::Late if row.is_called(place) => return W::attempt(shared, arg, true),
            Pause::Late => return Ok(None),
        }
    }
}
