//! Arguments of methods that are called by CPython's fast calling convention.

use std::slice;

use pyo3::ffi::{self, PyObject};

use crate::errors::type_error;
use crate::object::{Res, utf8};

/// The names that a function takes.
pub(crate) struct Signature<const N: usize> {
    /// The function's name, for messages. One with a dot is that of a method which the standard library has in Python:
    /// then the interpreter's own words for such a one are ours.
    pub(crate) func: &'static str,
    /// Every parameter, in order.
    pub(crate) names: [&'static std::ffi::CStr; N],
    /// How many of them may be given by position.
    pub(crate) positional: usize,
    /// How many of them must be given.
    pub(crate) required: usize,
}

impl<const N: usize> Signature<N> {
    fn is_pythons(&self) -> bool {
        self.func.contains('.')
    }

    #[cold]
    fn too_many(&self, given: usize) -> String {
        let (func, most) = (self.func, self.positional);
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        if !self.is_pythons() {
            let exactly = if self.required == most { "exactly" } else { "at most" };
            return format!("{func}() takes {exactly} {most} positional argument{} ({given} given)", plural(most));
        }
        // A method made in Python counts the object itself.
        let (least, most, given) = (self.required.min(most) + 1, most + 1, given + 1);
        if least == most {
            format!("{func}() takes {most} positional argument{} but {given} were given", plural(most))
        } else {
            format!("{func}() takes from {least} to {most} positional arguments but {given} were given")
        }
    }

    #[cold]
    fn missing(&self, given: &[*mut PyObject; N]) -> String {
        let absent: Vec<usize> = (0..self.required).filter(|&k| given[k].is_null()).collect();
        match absent.as_slice() {
            [k, ..] if !self.is_pythons() => {
                let name = self.names[*k].to_string_lossy();
                format!("{}() missing required argument '{name}' (pos {})", self.func, k + 1)
            }
            absent => missing(self.func, &absent.iter().map(|&k| self.names[k]).collect::<Vec<_>>()),
        }
    }
}

/// The interpreter's words for parameters that a function made in Python was not given.
#[cold]
fn missing(func: &str, names: &[&'static std::ffi::CStr]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{}'", name.to_string_lossy())).collect();
    let (plural, listed) = match quoted.as_slice() {
        [one] => ("", one.clone()),
        [first, second] => ("s", format!("{first} and {second}")),
        [others @ .., last] => ("s", format!("{}, and {last}", others.join(", "))),
        [] => ("s", String::new()),
    };
    format!("{func}() missing {} required positional argument{plural}: {listed}", quoted.len())
}

/// Positional and keyword arguments as the fast calling convention hands them over.
#[derive(Clone, Copy)]
pub(crate) struct Args<'a> {
    /// The positional ones, then the keywords' values.
    all: &'a [*mut PyObject],
    /// How many are positional.
    positional: usize,
    /// The keywords' names: a tuple, or null.
    names: *mut PyObject,
}

impl<'a> Args<'a> {
    /// From the four arguments of a `METH_FASTCALL | METH_KEYWORDS` method.
    #[inline(always)]
    pub(crate) unsafe fn new(args: *const *mut PyObject, n: ffi::Py_ssize_t, names: *mut PyObject) -> Args<'a> {
        let positional = (n as usize) & !(1 << (usize::BITS - 1));
        let keywords = if names.is_null() { 0 } else { ffi::PyTuple_GET_SIZE(names) as usize };
        let total = positional + keywords;
        let all = if total == 0 { &[] } else { slice::from_raw_parts(args, total) };
        Args { all, positional, names }
    }

    /// The positional ones.
    #[inline(always)]
    pub(crate) fn positional(&self) -> &'a [*mut PyObject] {
        &self.all[..self.positional]
    }

    /// Whether there are none.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All values: the positional ones, then the keywords'.
    pub(crate) fn values(&self) -> &'a [*mut PyObject] {
        self.all
    }

    /// The keywords' names, as a tuple.
    pub(crate) fn names(&self) -> Option<*mut PyObject> {
        (!self.names.is_null()).then_some(self.names)
    }

    /// Every argument with its keyword, null for a positional one.
    pub(crate) unsafe fn each(&self) -> impl Iterator<Item = (*mut PyObject, *mut PyObject)> {
        self.all.iter().enumerate().map(|(i, &value)| match i.checked_sub(self.positional) {
            Some(k) => (ffi::PyTuple_GET_ITEM(self.names, k as ffi::Py_ssize_t), value),
            None => (std::ptr::null_mut(), value),
        })
    }

    /// The only argument there is, given by position.
    #[inline(always)]
    pub(crate) fn only(&self) -> Option<*mut PyObject> {
        match self.all {
            [only] if self.names.is_null() => Some(*only),
            _ => None,
        }
    }

    /// The keyword ones, as a dict.
    pub(crate) unsafe fn keywords(&self) -> Res<crate::object::Obj> {
        let dict = crate::object::Obj::new(ffi::PyDict_New())?;
        for (i, &value) in self.all[self.positional..].iter().enumerate() {
            let name = ffi::PyTuple_GET_ITEM(self.names, i as ffi::Py_ssize_t);
            crate::object::done(ffi::PyDict_SetItem(dict.ptr(), name, value))?;
        }
        Ok(dict)
    }

    /// What `call_soon` and its kin take: `N` parameters, which may be given by keyword, the callback's arguments, and
    /// the keyword `context`, null where it is not given or `None`.
    #[inline(always)]
    pub(crate) unsafe fn callback<const N: usize>(
        &self,
        func: &str,
        parameters: [&'static std::ffi::CStr; N],
    ) -> Res<([*mut PyObject; N], &'a [*mut PyObject], *mut PyObject)> {
        let positional = self.positional();
        match positional.first_chunk::<N>() {
            Some(first) if self.names.is_null() => Ok((*first, &positional[N..], std::ptr::null_mut())),
            _ => self.callback_by_keyword(func, parameters),
        }
    }

    unsafe fn callback_by_keyword<const N: usize>(
        &self,
        func: &str,
        parameters: [&'static std::ffi::CStr; N],
    ) -> Res<([*mut PyObject; N], &'a [*mut PyObject], *mut PyObject)> {
        let positional = self.positional();
        let given = positional.len().min(N);
        let (mut out, mut context) = ([std::ptr::null_mut(); N], std::ptr::null_mut());
        out[..given].copy_from_slice(&positional[..given]);
        for (i, &value) in self.all[self.positional..].iter().enumerate() {
            let name = ffi::PyTuple_GET_ITEM(self.names, i as ffi::Py_ssize_t);
            let is = |known: &std::ffi::CStr| ffi::PyUnicode_CompareWithASCIIString(name, known.as_ptr()) == 0;
            match parameters.iter().position(|known| is(known)) {
                Some(k) if out[k].is_null() => out[k] = value,
                Some(k) => {
                    let name = parameters[k].to_string_lossy();
                    return type_error(&format!("{func}() got multiple values for argument '{name}'"));
                }
                None if is(c"context") => context = crate::object::not_none(value),
                None => return unexpected(func, name),
            }
        }
        let absent: Vec<_> = (0..N).filter(|&k| out[k].is_null()).map(|k| parameters[k]).collect();
        if !absent.is_empty() {
            return type_error(&missing(func, &absent));
        }
        Ok((out, &positional[given..], context))
    }

    /// The truth of `name`, the only keyword that `func` takes; false where it is not given.
    pub(crate) unsafe fn flag_only(&self, name: &str, func: &str) -> Res<bool> {
        let mut flag = false;
        for (i, &value) in self.all[self.positional..].iter().enumerate() {
            let given = ffi::PyTuple_GET_ITEM(self.names, i as ffi::Py_ssize_t);
            if utf8(given)? != name {
                return unexpected(func, given);
            }
            let truth = ffi::PyObject_IsTrue(value);
            crate::object::done(truth)?;
            flag = truth != 0;
        }
        Ok(flag)
    }

    /// Raises unless there are none.
    #[inline(always)]
    pub(crate) unsafe fn none(&self, func: &str) -> Res<()> {
        if self.all.is_empty() {
            return Ok(());
        }
        type_error(&format!("{func}() takes no arguments ({} given)", self.all.len()))
    }

    /// Sorts the arguments by `signature`; a missing optional one is null.
    pub(crate) unsafe fn sort<const N: usize>(&self, signature: &Signature<N>) -> Res<[*mut PyObject; N]> {
        let mut out = [std::ptr::null_mut(); N];
        if self.positional > signature.positional {
            return type_error(&signature.too_many(self.positional));
        }
        out[..self.positional].copy_from_slice(self.positional());
        for (i, &value) in self.all[self.positional..].iter().enumerate() {
            let name = ffi::PyTuple_GET_ITEM(self.names, i as ffi::Py_ssize_t);
            let place = signature
                .names
                .iter()
                .position(|known| ffi::PyUnicode_CompareWithASCIIString(name, known.as_ptr()) == 0);
            match place {
                None => return unexpected(signature.func, name),
                Some(k) if !out[k].is_null() => {
                    let name = utf8(name)?;
                    return type_error(&format!("{}() got multiple values for argument '{name}'", signature.func));
                }
                Some(k) => out[k] = value,
            }
        }
        if out[..signature.required].iter().any(|value| value.is_null()) {
            return type_error(&signature.missing(&out));
        }
        Ok(out)
    }
}

#[cold]
unsafe fn unexpected<T>(func: &str, name: *mut PyObject) -> Res<T> {
    let name = utf8(name)?;
    type_error(&format!("{func}() got an unexpected keyword argument '{name}'"))
}

/// Sorts the tuple and dict that a `tp_new` or `tp_init` gets, like [`Args::sort`].
pub(crate) unsafe fn sort_call<const N: usize>(
    signature: &Signature<N>,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> Res<[*mut PyObject; N]> {
    let positional = ffi::PyTuple_GET_SIZE(args) as usize;
    let mut all: Vec<*mut PyObject> = (0..positional).map(|i| ffi::PyTuple_GET_ITEM(args, i as isize)).collect();
    let mut names = Vec::new();
    if !kwargs.is_null() {
        let (mut pos, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
        while ffi::PyDict_Next(kwargs, &mut pos, &mut key, &mut value) != 0 {
            names.push(key);
            all.push(value);
        }
    }
    let tuple = crate::object::Obj::new(ffi::PyTuple_New(names.len() as isize))?;
    for (i, &name) in names.iter().enumerate() {
        ffi::Py_INCREF(name);
        ffi::PyTuple_SetItem(tuple.ptr(), i as isize, name);
    }
    Args { all: &all, positional, names: tuple.ptr() }.sort(signature)
}
