//! Interned names of what locks and their wrappers are asked to do.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use crate::names::interned;
use crate::object::Res;

interned! {
    /// The names.
    pub(crate) struct Interned {
        acquire = c"acquire",
        release = c"release",
        enter = c"__enter__",
        exit = c"__exit__",
        semlock = c"_semlock",
        is_mine = c"_is_mine",
        count = c"_count",
    }
}

struct Cell(UnsafeCell<MaybeUninit<Interned>>);

// SAFETY: it is written once, while the module is made, and only read afterwards.
unsafe impl Sync for Cell {}

static NAMES: Cell = Cell(UnsafeCell::new(MaybeUninit::uninit()));

/// The names.
#[inline(always)]
pub(crate) fn names() -> &'static Interned {
    // SAFETY: nothing of the module can be reached before `init` is done.
    unsafe { (*NAMES.0.get()).assume_init_ref() }
}

/// Interns them.
pub(crate) unsafe fn init() -> Res<()> {
    (*NAMES.0.get()).write(Interned::new()?);
    Ok(())
}
