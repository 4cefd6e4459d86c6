//! Values that pickle the same whoever pickles them: numbers, text, bytes, and a few of these in a container.

use pyo3::ffi::{self, PyObject};

/// How many objects are looked at before a container counts as not plain.
const MOST: usize = 64;
/// How deep containers may lie in each other.
const DEPTH: usize = 4;

/// Whether nobody's reducer has a say in how `o` is pickled.
pub(crate) unsafe fn is_plain(o: *mut PyObject) -> bool {
    is_plain_within(o, &mut { MOST }, DEPTH)
}

unsafe fn is_plain_within(o: *mut PyObject, left: &mut usize, depth: usize) -> bool {
    let Some(rest) = left.checked_sub(1) else {
        return false;
    };
    *left = rest;
    let ty = ffi::Py_TYPE(o);
    if is_atom(o, ty) {
        return true;
    }
    if depth == 0 {
        return false;
    }
    if ty == &raw mut ffi::PyTuple_Type {
        return (0..ffi::PyTuple_GET_SIZE(o)).all(|i| is_plain_within(ffi::PyTuple_GET_ITEM(o, i), left, depth - 1));
    }
    if ty == &raw mut ffi::PyList_Type {
        return (0..ffi::PyList_GET_SIZE(o)).all(|i| is_plain_within(ffi::PyList_GET_ITEM(o, i), left, depth - 1));
    }
    if ty == &raw mut ffi::PyDict_Type {
        let (mut at, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
        while ffi::PyDict_Next(o, &mut at, &mut key, &mut value) != 0 {
            if !is_plain_within(key, left, depth - 1) || !is_plain_within(value, left, depth - 1) {
                return false;
            }
        }
        return true;
    }
    false
}

unsafe fn is_atom(o: *mut PyObject, ty: *mut ffi::PyTypeObject) -> bool {
    ty == &raw mut ffi::PyUnicode_Type
        || ty == &raw mut ffi::PyLong_Type
        || o == ffi::Py_None()
        || ty == &raw mut ffi::PyFloat_Type
        || ty == &raw mut ffi::PyBool_Type
        || ty == &raw mut ffi::PyBytes_Type
}
