//! Shorthand for the functions that CPython's tables point to: each stands behind the wall of `errors.rs`.

/// A method without arguments.
macro_rules! no_args {
    ($name:ident, |$this:ident: $ty:ty| $body:expr) => {
        unsafe extern "C" fn $name(
            this: *mut pyo3::ffi::PyObject,
            _: *mut pyo3::ffi::PyObject,
        ) -> *mut pyo3::ffi::PyObject {
            let $this: *mut $ty = this.cast();
            $crate::errors::entry(|| $body)
        }
    };
}

/// A method with one positional argument.
macro_rules! one_arg {
    ($name:ident, |$this:ident: $ty:ty, $arg:ident| $body:expr) => {
        unsafe extern "C" fn $name(
            this: *mut pyo3::ffi::PyObject,
            $arg: *mut pyo3::ffi::PyObject,
        ) -> *mut pyo3::ffi::PyObject {
            let $this: *mut $ty = this.cast();
            $crate::errors::entry(|| $body)
        }
    };
}

/// A method with positional and keyword arguments.
macro_rules! fast {
    ($name:ident, |$this:ident: $ty:ty, $args:ident| $body:expr) => {
        unsafe extern "C" fn $name(
            this: *mut pyo3::ffi::PyObject,
            args: *const *mut pyo3::ffi::PyObject,
            n: pyo3::ffi::Py_ssize_t,
            names: *mut pyo3::ffi::PyObject,
        ) -> *mut pyo3::ffi::PyObject {
            let $this: *mut $ty = this.cast();
            let $args = $crate::args::Args::new(args, n, names);
            $crate::errors::entry(|| $body)
        }
    };
}

/// A computed attribute.
macro_rules! getter {
    ($name:ident, |$this:ident: $ty:ty| $body:expr) => {
        unsafe extern "C" fn $name(
            this: *mut pyo3::ffi::PyObject,
            _: *mut std::ffi::c_void,
        ) -> *mut pyo3::ffi::PyObject {
            let $this: *mut $ty = this.cast();
            $crate::errors::entry(|| $body)
        }
    };
}

/// The setting of an attribute; deleting it is refused.
macro_rules! setter {
    ($name:ident, |$this:ident: $ty:ty, $value:ident| $body:expr) => {
        unsafe extern "C" fn $name(
            this: *mut pyo3::ffi::PyObject,
            $value: *mut pyo3::ffi::PyObject,
            _: *mut std::ffi::c_void,
        ) -> std::ffi::c_int {
            let $this: *mut $ty = this.cast();
            $crate::errors::status(|| {
                if $value.is_null() {
                    return $crate::errors::raise(pyo3::ffi::PyExc_AttributeError, "cannot delete attribute");
                }
                $body
            })
        }
    };
}

pub(crate) use {fast, getter, no_args, one_arg, setter};
