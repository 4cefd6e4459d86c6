//! A number in shared memory whose C type ctypes calls by a letter: what ctypes would read and write, without asking it.

use std::ptr::NonNull;

use pyo3::ffi::{self, PyObject};

use crate::object::{Obj, Raised, Res};

/// Where it lies and what it is.
#[derive(Clone, Copy)]
pub(super) struct Number {
    start: NonNull<u8>,
    code: u8,
}

impl Number {
    /// A number of the type `code` in `len` bytes; none if it is no such type, or does not fit.
    pub(super) fn new(code: u8, start: NonNull<u8>, len: usize) -> Option<Number> {
        let size = match code {
            b'b' | b'B' => 1,
            b'h' | b'H' => 2,
            b'i' | b'I' | b'f' => 4,
            b'l' | b'L' | b'q' | b'Q' | b'd' => 8,
            _ => return None,
        };
        let aligned = start.as_ptr().addr().is_multiple_of(size);
        (size <= len && aligned && cfg!(target_pointer_width = "64")).then_some(Number { start, code })
    }

    unsafe fn read<T: Copy>(self) -> T {
        self.start.cast::<T>().as_ptr().read_volatile()
    }

    /// Writes it if it is of the size of `T`.
    unsafe fn write<T>(self, value: T) {
        self.start.cast::<T>().as_ptr().write_volatile(value);
    }

    /// What it is now.
    #[inline]
    pub(super) unsafe fn get(self) -> Res<Obj> {
        Obj::new(match self.code {
            b'b' => ffi::PyLong_FromLong(self.read::<i8>().into()),
            b'B' => ffi::PyLong_FromLong(self.read::<u8>().into()),
            b'h' => ffi::PyLong_FromLong(self.read::<i16>().into()),
            b'H' => ffi::PyLong_FromLong(self.read::<u16>().into()),
            b'i' => ffi::PyLong_FromLong(self.read::<i32>().into()),
            b'I' => ffi::PyLong_FromLong(self.read::<u32>().into()),
            b'l' | b'q' => ffi::PyLong_FromLong(self.read::<i64>()),
            b'L' | b'Q' => ffi::PyLong_FromUnsignedLong(self.read::<u64>()),
            b'f' => ffi::PyFloat_FromDouble(self.read::<f32>().into()),
            _ => ffi::PyFloat_FromDouble(self.read::<f64>()),
        })
    }

    /// Sets it if that is simple: to an `int`, of which it keeps the lowest bits, or a `float`. Returns whether it was.
    #[inline]
    pub(super) unsafe fn set(self, value: *mut PyObject) -> Res<bool> {
        if matches!(self.code, b'f' | b'd') {
            return Ok(self.set_float(value));
        }
        if ffi::PyLong_CheckExact(value) == 0 {
            return Ok(false);
        }
        let mut overflow = 0;
        let number = ffi::PyLong_AsLongAndOverflow(value, &mut overflow);
        if overflow != 0 {
            return Ok(false);
        }
        if number == -1 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        match self.code {
            b'b' | b'B' => self.write(number as i8),
            b'h' | b'H' => self.write(number as i16),
            b'i' | b'I' => self.write(number as i32),
            _ => self.write(number),
        }
        Ok(true)
    }

    unsafe fn set_float(self, value: *mut PyObject) -> bool {
        if ffi::PyFloat_CheckExact(value) == 0 {
            return false;
        }
        let number = ffi::PyFloat_AS_DOUBLE(value);
        if self.code == b'd' {
            self.write(number);
        } else {
            self.write(number as f32);
        }
        true
    }
}
