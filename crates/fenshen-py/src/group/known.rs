//! The methods of the Python half that the native one calls.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use crate::names::interned;
use crate::object::Res;

interned! {
    /// Their names.
    pub(super) struct Known {
        /// Cancel every child.
        abort = c"_abort",
        /// Begin what is watched while the block lasts.
        begin = c"_begin",
        /// End that.
        close = c"_close",
        /// Start a child that is no task of the running loop.
        create_elsewhere = c"_create_elsewhere",
        /// A child has failed: all is to end.
        fail = c"_fail",
        /// A child has failed whose parent is done.
        report = c"_report",
        /// Raise if there can be no more children.
        admit = c"_admit",
        /// Leave a block that did not go well.
        settle = c"_settle",
    }
}

struct Global(UnsafeCell<MaybeUninit<Known>>);
// SAFETY: written once, by the module's initialisation, before anything else of this crate can run; read-only after.
unsafe impl Sync for Global {}
static KNOWN: Global = Global(UnsafeCell::new(MaybeUninit::uninit()));

/// The names.
#[inline(always)]
pub(super) fn known() -> &'static Known {
    // SAFETY: `init` ran before any type of this module could be reached.
    unsafe { (*KNOWN.0.get()).assume_init_ref() }
}

/// Interns them. Runs once, when the module is made.
pub(crate) unsafe fn init() -> Res<()> {
    (*KNOWN.0.get()).write(Known::new()?);
    Ok(())
}
