//! Whether a thread's chain of Python frames can be walked at the very instruction where a signal has stopped it.
//!
//! `faulthandler` walks it as it finds it. In the few instructions in which a frame comes or goes the chain may begin
//! with a mark that is no Python frame (3.12, 3.13) or with an address not yet written (3.11, 3.12), and the process
//! would end. So the chain is walked here first, by reads that fail where there is no memory, with every object that
//! will be looked at checked for its type; if it is not whole, the question is put again a moment later.
//!
//! The layouts are CPython's own secret: they are learned, or confirmed, from a frame whose Python face is known.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

use pyo3::ffi;

use crate::object::Obj;

/// So many frames `faulthandler` shows at most.
const DEEPEST: usize = 101;
/// Where a frame object has the interpreter's own frame: the third word of 3.11 and later.
const FRAME_OF_OBJECT: usize = 24;
/// The largest frame header.
const HEADER: usize = 96;
/// Owners from here on are marks between stretches of Python frames.
const MARK: u8 = 3;

/// Offsets in CPython's structures.
#[derive(Clone, Copy)]
struct Layout {
    /// From the thread's state to the current frame, or to the structure that has it (3.11, 3.12).
    state: usize,
    /// In that structure.
    inner: Option<usize>,
    code: usize,
    previous: usize,
    owner: usize,
    filename: usize,
    name: usize,
}

enum Knowledge {
    /// Frames are plain objects, linked only when whole (3.10).
    NotNeeded,
    Known(Layout),
    /// This interpreter is none that we know.
    Unknown,
}

struct Learned(UnsafeCell<Knowledge>);
// SAFETY: written by `learn` alone, with the interpreter held, before the first signal is sent.
unsafe impl Sync for Learned {}
static LEARNED: Learned = Learned(UnsafeCell::new(Knowledge::Unknown));

/// Learns the layout from the frame that runs now. The thread is attached.
pub(super) unsafe fn learn() {
    *LEARNED.0.get() = if cfg!(not(Py_3_11)) {
        Knowledge::NotNeeded
    } else {
        look_at_this_frame().map_or(Knowledge::Unknown, Knowledge::Known)
    };
}

unsafe fn look_at_this_frame() -> Option<Layout> {
    let object = ffi::PyEval_GetFrame();
    if object.is_null() {
        return None;
    }
    let frame = word(object as usize + FRAME_OF_OBJECT)?;
    let state = ffi::PyThreadState_Get() as usize;
    let code = Obj::steal_opt(ffi::PyFrame_GetCode(object).cast())?;
    let (state, inner) = if cfg!(Py_3_13) {
        ((32..160).step_by(8).find(|&at| word(state + at) == Some(frame))?, None)
    } else {
        let inner = if cfg!(Py_3_12) { 0 } else { 8 };
        let at = (32..160)
            .step_by(8)
            .find(|&at| word(state + at).filter(|&p| p != 0).and_then(|p| word(p + inner)) == Some(frame))?;
        (at, Some(inner))
    };
    let layout = Layout {
        state,
        inner,
        code: (0..64).step_by(8).find(|&at| word(frame + at).map(untag) == Some(code.ptr() as usize))?,
        previous: if cfg!(Py_3_12) { 8 } else { 48 },
        owner: if cfg!(Py_3_14) {
            74
        } else if cfg!(Py_3_12) {
            70
        } else {
            69
        },
        filename: offset_of_attribute(&code, c"co_filename")?,
        name: offset_of_attribute(&code, c"co_name")?,
    };
    // The caller's frame, as Python shows it, must be where the chain says.
    let back = Obj::steal_opt(ffi::PyFrame_GetBack(object).cast());
    let expected = match &back {
        Some(back) => word(back.ptr() as usize + FRAME_OF_OBJECT)?,
        None => 0,
    };
    let mut found = word(frame + layout.previous)?;
    if found != 0 && header(found)?[layout.owner] >= MARK {
        found = word(found + layout.previous)?;
    }
    (found == expected && header(frame)?[layout.owner] < MARK && whole(&layout)).then_some(layout)
}

unsafe fn offset_of_attribute(code: &Obj, name: &std::ffi::CStr) -> Option<usize> {
    let value = Obj::new(ffi::PyObject_GetAttrString(code.ptr(), name.as_ptr())).ok();
    if value.is_none() {
        ffi::PyErr_Clear();
    }
    let value = value?.ptr() as usize;
    (16..256).step_by(8).find(|&at| word(code.ptr() as usize + at) == Some(value))
}

/// Whether this thread's frames can be walked now. Async-signal-safe.
pub(super) fn can_be_walked() -> bool {
    // SAFETY: it was written before the first signal.
    match unsafe { &*LEARNED.0.get() } {
        Knowledge::NotNeeded => true,
        Knowledge::Known(layout) => whole(layout),
        Knowledge::Unknown => false,
    }
}

fn whole(layout: &Layout) -> bool {
    walk(layout).is_some()
}

fn walk(layout: &Layout) -> Option<()> {
    // SAFETY: it reads the thread's own variable, as `faulthandler` does in its handler.
    let state = unsafe { ffi::PyGILState_GetThisThreadState() } as usize;
    if state == 0 {
        return None;
    }
    let mut frame = word(state + layout.state)?;
    if let Some(inner) = layout.inner {
        frame = word(frame + inner)?;
    }
    let mut after_mark = true;
    for _ in 0..DEEPEST {
        if frame == 0 {
            return Some(());
        }
        let header = header(frame)?;
        let mark = header[layout.owner] >= MARK;
        if mark && after_mark {
            return None;
        }
        if !mark {
            check_code(untag(field(&header, layout.code)), layout)?;
        }
        after_mark = mark;
        frame = field(&header, layout.previous);
    }
    Some(())
}

fn check_code(code: usize, layout: &Layout) -> Option<()> {
    is_a(code, (&raw const ffi::PyCode_Type) as usize)?;
    for at in [layout.filename, layout.name] {
        is_a(word(code + at)?, (&raw const ffi::PyUnicode_Type) as usize)?;
    }
    Some(())
}

fn is_a(object: usize, kind: usize) -> Option<()> {
    (word(object + 8)? == kind).then_some(())
}

/// References of 3.14 have marks in their low bits.
fn untag(reference: usize) -> usize {
    reference & !7
}

fn field(header: &[u8; HEADER], at: usize) -> usize {
    let mut bytes = [0; size_of::<usize>()];
    bytes.copy_from_slice(&header[at..at + size_of::<usize>()]);
    usize::from_ne_bytes(bytes)
}

fn header(frame: usize) -> Option<[u8; HEADER]> {
    let mut found = [0; HEADER];
    // A frame at the end of its memory may be shorter than the largest header; it never is shorter than this.
    read(frame, &mut found[..80])?;
    Some(found)
}

fn word(address: usize) -> Option<usize> {
    let mut bytes = [0; size_of::<usize>()];
    read(address, &mut bytes)?;
    Some(usize::from_ne_bytes(bytes))
}

/// Copies memory of this process that may not be there: None then, or where the system doesn't allow the call.
fn read(address: usize, into: &mut [u8]) -> Option<()> {
    let mut copied = MaybeUninit::<libc::iovec>::uninit();
    // SAFETY: the kernel writes into `into` alone, and checks the other address itself.
    let n = unsafe {
        copied.write(libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() });
        let wanted = libc::iovec { iov_base: ptr::without_provenance_mut::<c_void>(address), iov_len: into.len() };
        libc::process_vm_readv(libc::getpid(), copied.as_ptr(), 1, &raw const wanted, 1, 0)
    };
    (n == into.len() as isize).then_some(())
}
