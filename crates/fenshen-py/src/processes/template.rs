//! `Template`: a process of this interpreter's state from which workers are copied.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};

use fenshen_pool::template::{Around, Order, Seat, Template, Told};
use fenshen_pool::tie;
use fenshen_reactor::Owner;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::lifeline;
use super::segment::os_error;
use crate::args::{Args, Signature};
use crate::errors::{entry, raise, take, type_error};
use crate::methods::{fast, getter, no_args, one_arg};
use crate::object::{Obj, Raised, Res, done, none};
use crate::types::{TypeBuilder, free};

/// The layout of `Template`.
#[repr(C)]
pub(crate) struct PyTemplate {
    ob_base: PyObject,
    /// The program's side; none once it is closed, and in the template itself.
    program: Option<Template>,
    /// The template's own side, until one of the two processes drops it.
    seat: Option<Seat>,
    /// Whether a thread is waiting for answers, without the interpreter.
    starting: bool,
}

/// What `os.fork` would have the interpreter do in the child.
struct Interpreter;

impl Around for Interpreter {
    fn in_worker(&mut self) {
        Owner::forked();
        // SAFETY: the thread is attached, and is the only one; the program has called `PyOS_BeforeFork`.
        unsafe { ffi::PyOS_AfterFork_Child() }
    }
}

unsafe extern "C" fn new(ty: *mut PyTypeObject, _: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let (program, seat) = match Template::new() {
            Ok(made) => made,
            Err(error) => return os_error(&error),
        };
        let o = Obj::new(ffi::PyType_GenericAlloc(ty, 0))?;
        let t = o.ptr().cast::<PyTemplate>();
        std::ptr::write(&raw mut (*t).program, Some(program));
        std::ptr::write(&raw mut (*t).seat, Some(seat));
        Ok(o)
    })
}

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    let t: *mut PyTemplate = o.cast();
    drop((*t).program.take());
    drop((*t).seat.take());
    free(o);
}

/// One order as Python gives it. The bytes are alive as long as the sequence that it came from.
unsafe fn order<'a>(pair: *mut PyObject) -> Res<(&'a [u8], Vec<BorrowedFd<'a>>)> {
    if ffi::PyTuple_Check(pair) == 0 || ffi::PyTuple_GET_SIZE(pair) != 2 {
        return type_error("an order is a tuple of bytes and a sequence of descriptors");
    }
    let bytes = ffi::PyTuple_GET_ITEM(pair, 0);
    if ffi::PyBytes_Check(bytes) == 0 {
        return type_error("an order is a tuple of bytes and a sequence of descriptors");
    }
    let size = ffi::PyBytes_Size(bytes) as usize;
    let bytes = std::slice::from_raw_parts(ffi::PyBytes_AsString(bytes).cast::<u8>(), size);
    Ok((bytes, descriptors(ffi::PyTuple_GET_ITEM(pair, 1))?))
}

unsafe fn descriptor(number: *mut PyObject) -> Res<i32> {
    let fd = ffi::PyLong_AsLong(number) as i32;
    if !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    if fd < 0 {
        return raise(ffi::PyExc_ValueError, "a descriptor is not negative");
    }
    Ok(fd)
}

/// Those of a sequence of numbers.
unsafe fn descriptors<'a>(numbers: *mut PyObject) -> Res<Vec<BorrowedFd<'a>>> {
    let numbers = Obj::new(ffi::PySequence_Tuple(numbers))?;
    (0..ffi::PyTuple_GET_SIZE(numbers.ptr()))
        .map(|at| Ok(BorrowedFd::borrow_raw(descriptor(ffi::PyTuple_GET_ITEM(numbers.ptr(), at))?)))
        .collect()
}

unsafe fn start(t: *mut PyTemplate, orders: *mut PyObject) -> Res<Obj> {
    let sequence = Obj::new(ffi::PySequence_Tuple(orders))?;
    let parts: Vec<_> = (0..ffi::PyTuple_GET_SIZE(sequence.ptr()))
        .map(|at| order(ffi::PyTuple_GET_ITEM(sequence.ptr(), at)))
        .collect::<Res<_>>()?;
    let orders: Vec<_> = parts.iter().map(|(bytes, files)| Order { bytes, files }).collect();
    if (*t).starting {
        return raise(ffi::PyExc_RuntimeError, "another thread is starting workers");
    }
    let Some(program) = &(*t).program else {
        return raise(ffi::PyExc_ValueError, "the template is closed");
    };
    (*t).starting = true;
    let state = ffi::PyEval_SaveThread();
    let answers = program.start(&orders);
    crate::exit::restore_thread(state);
    (*t).starting = false;
    let list = Obj::new(ffi::PyList_New(0))?;
    for answer in answers {
        let answer = match answer {
            Ok(pid) => Obj::new(ffi::PyLong_FromLong(pid.into()))?,
            Err(error) => {
                let _: Res<()> = os_error(&error);
                take()
            }
        };
        done(ffi::PyList_Append(list.ptr(), answer.ptr()))?;
    }
    Ok(list)
}

const FORK: Signature<2> = Signature { func: "fork", names: [c"end", c"passed"], positional: 2, required: 2 };

/// Forks the template. In between there is no interpreter: the fork that it is told of before is over for the program when
/// it is forked, and for each worker when that is copied.
unsafe fn fork(t: *mut PyTemplate, args: &Args<'_>) -> Res<Obj> {
    let [end, passed] = args.sort(&FORK)?;
    let end = BorrowedFd::borrow_raw(descriptor(end)?);
    let passed = descriptors(passed)?;
    let Some(seat) = (*t).seat.take() else {
        return raise(ffi::PyExc_RuntimeError, "the template was forked");
    };
    ffi::PyOS_BeforeFork();
    let pid = libc::fork();
    if pid == 0 {
        drop((*t).program.take());
        lifeline::leave();
        return match live(seat, end, &passed) {
            Ok(Some(told)) => pair(told),
            Ok(None) => libc::_exit(0),
            Err(error) => {
                eprintln!("fenshen: no more worker processes can be made: {error}");
                libc::_exit(1)
            }
        };
    }
    let error = std::io::Error::last_os_error();
    ffi::PyOS_AfterFork_Parent();
    if pid < 0 { os_error(&error) } else { Obj::new(ffi::PyLong_FromLong(pid.into())) }
}

/// The template's life; returns in each worker too, with what it is told.
unsafe fn live(seat: Seat, end: BorrowedFd<'_>, passed: &[BorrowedFd<'_>]) -> io::Result<Option<Told>> {
    let tied = tie(end)?;
    let_go(passed)?;
    let told = seat.serve(&mut Interpreter)?;
    drop(tied);
    Ok(told)
}

/// Keeps nobody from seeing the end of these files, and the numbers from others: objects here may hold them for theirs.
unsafe fn let_go(files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    for file in files {
        if libc::dup3(nothing.as_raw_fd(), file.as_raw_fd(), libc::O_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

unsafe fn pair(told: Told) -> Res<Obj> {
    let size = told.bytes.len() as ffi::Py_ssize_t;
    let bytes = Obj::new(ffi::PyBytes_FromStringAndSize(told.bytes.as_ptr().cast(), size))?;
    let list = Obj::new(ffi::PyList_New(0))?;
    for file in told.files {
        let fd = Obj::new(ffi::PyLong_FromLong(file.into_raw_fd().into()))?;
        done(ffi::PyList_Append(list.ptr(), fd.ptr()))?;
    }
    Obj::new(ffi::PyTuple_Pack(2, bytes.ptr(), list.ptr()))
}

unsafe fn close(t: *mut PyTemplate) -> Res<Obj> {
    if (*t).starting {
        return raise(ffi::PyExc_RuntimeError, "another thread is starting workers");
    }
    drop((*t).program.take());
    drop((*t).seat.take());
    Ok(none())
}

one_arg!(py_start, |t: PyTemplate, orders| start(t, orders));
fast!(py_fork, |t: PyTemplate, args| fork(t, &args));
no_args!(py_close, |t: PyTemplate| close(t));
getter!(get_untold, |t: PyTemplate| {
    match (*t).program.as_ref().and_then(Template::untold) {
        Some(pid) => Obj::new(ffi::PyLong_FromLong(pid.into())),
        None => Ok(none()),
    }
});

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<PyTemplate>(c"fenshen._processes.Template")
        .doc(c"Template()\n--\n\nBoth sides of a process that is to be forked, and from which workers are then copied.\n\nRaises OSError if too many files are open.")
        .slot(ffi::Py_tp_new, new as *mut _)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut _)
        .one_arg(c"start", py_start, c"start($self, orders, /)\n--\n\nHave a worker made for each of `orders`, tuples of bytes and of the descriptors that the worker gets copies of.\n\nReturns a list of their process numbers, or of the OSErrors that there are instead, in the order of the orders.\nIt is shorter than they are if the template has ended: the rest have no worker.")
        .fast(c"fork", py_fork, c"fork($self, /, end, passed)\n--\n\nFork the template, a child that is tied to the program by the lifeline whose `end` it is given, and lets go of the\ndescriptors that are `passed`. It makes workers as the program asks, each as `os.fork()` makes a child, but as\nchildren of the program.\n\nReturns in the program the template's process number, and in each worker a tuple: the bytes that it is told, and\nthe list of its descriptors. Raises OSError if there can be no more processes.")
        .no_args(c"close", py_close, c"close($self, /)\n--\n\nHave the template end.")
        .property(c"untold", get_untold, None)
        .build(None)
}
