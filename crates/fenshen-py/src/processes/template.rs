//! `Template`: a process of this interpreter's state from which workers are copied.

use std::os::fd::{BorrowedFd, IntoRawFd};

use fenshen_pool::template::{Around, Order, Seat, Template, Told};
use fenshen_reactor::Owner;
use pyo3::ffi::{self, PyObject, PyTypeObject};
use pyo3::prelude::*;

use super::segment::os_error;
use crate::errors::{entry, raise, take, type_error};
use crate::methods::{getter, no_args, one_arg};
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

/// What `os.fork` would have the interpreter do.
struct Interpreter;

impl Around for Interpreter {
    fn before(&mut self) {
        // SAFETY: the thread is attached, and is the only one.
        unsafe { ffi::PyOS_BeforeFork() }
    }

    fn in_template(&mut self) {
        // SAFETY: as above.
        unsafe { ffi::PyOS_AfterFork_Parent() }
    }

    fn in_worker(&mut self) {
        Owner::forked();
        // SAFETY: as above.
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
    let numbers = Obj::new(ffi::PySequence_Tuple(ffi::PyTuple_GET_ITEM(pair, 1)))?;
    let mut files = Vec::new();
    for at in 0..ffi::PyTuple_GET_SIZE(numbers.ptr()) {
        let fd = ffi::PyLong_AsLong(ffi::PyTuple_GET_ITEM(numbers.ptr(), at)) as i32;
        if !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        if fd < 0 {
            return raise(ffi::PyExc_ValueError, "a descriptor is not negative");
        }
        files.push(BorrowedFd::borrow_raw(fd));
    }
    Ok((bytes, files))
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
    crate::exit::arm();
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

unsafe fn serve(t: *mut PyTemplate) -> Res<Obj> {
    let Some(seat) = (*t).seat.take() else {
        return raise(ffi::PyExc_RuntimeError, "the template serves already, or was forked");
    };
    drop((*t).program.take());
    match seat.serve(&mut Interpreter) {
        Ok(Some(told)) => pair(told),
        Ok(None) => Ok(none()),
        Err(error) => os_error(&error),
    }
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
no_args!(py_serve, |t: PyTemplate| serve(t));
no_args!(py_close, |t: PyTemplate| close(t));
no_args!(py_forked, |t: PyTemplate| {
    drop((*t).seat.take());
    Ok(none())
});
getter!(get_untold, |t: PyTemplate| {
    match (*t).program.as_ref().and_then(Template::untold) {
        Some(pid) => Obj::new(ffi::PyLong_FromLong(pid.into())),
        None => Ok(none()),
    }
});

/// Fork a child process, as `os.fork()`, without a look at how many threads there are.
///
/// Returns 0 in the child, and its process number in the parent. Raises OSError if there can be no more processes.
#[pyfunction]
pub(crate) fn fork(py: Python<'_>) -> PyResult<i32> {
    py.import("sys")?.call_method1("audit", ("os.fork",))?;
    // SAFETY: the thread is attached; the interpreter is told before and after, on either side.
    unsafe {
        ffi::PyOS_BeforeFork();
        let pid = libc::fork();
        let error = std::io::Error::last_os_error();
        match pid {
            0 => ffi::PyOS_AfterFork_Child(),
            _ => ffi::PyOS_AfterFork_Parent(),
        }
        if pid < 0 { Err(error.into()) } else { Ok(pid) }
    }
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<PyTemplate>(c"fenshen._processes.Template")
        .doc(c"Template()\n--\n\nBoth sides of a process that is to be forked, and from which workers are then copied. The forked child calls\n`serve()`, the program `forked()`.\n\nRaises OSError if too many files are open.")
        .slot(ffi::Py_tp_new, new as *mut _)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut _)
        .one_arg(c"start", py_start, c"start($self, orders, /)\n--\n\nHave a worker made for each of `orders`, tuples of bytes and of the descriptors that the worker gets copies of.\n\nReturns a list of their process numbers, or of the OSErrors that there are instead, in the order of the orders.\nIt is shorter than they are if the template has ended: the rest have no worker.")
        .no_args(c"serve", py_serve, c"serve($self, /)\n--\n\nIn the template, whose only thread this is: make workers as the program asks, each as `os.fork()` makes a child,\nbut as children of the program.\n\nReturns in each worker, with a tuple of the bytes that it is told and the list of its descriptors; and in the\ntemplate None, when the program has closed its side.")
        .no_args(c"forked", py_forked, c"forked($self, /)\n--\n\nIn the program, when the template was forked: drop what is the template's.")
        .no_args(c"close", py_close, c"close($self, /)\n--\n\nHave the template end.")
        .property(c"untold", get_untold, None)
        .build(None)
}
