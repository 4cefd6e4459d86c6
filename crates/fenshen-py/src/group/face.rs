//! The Python face of [`Group`]: `fenshen._fenshen.GroupCore`.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::{Group, block, children, entered};
use crate::args::Signature;
use crate::errors::entry;
use crate::methods::{fast, getter, no_args, one_arg, setter};
use crate::names::asyncio;
use crate::object::{Obj, Res, boolean, call, clear, done, none, not_none, ptr_or_null, set, visit};
use crate::primitives::coroutine_function::add_methods;
use crate::types::{TypeBuilder, free};

const CANCEL_TASKS: Signature<2> =
    Signature { func: "_cancel_tasks", names: [c"shielded", c"msg"], positional: 2, required: 2 };

unsafe extern "C" fn new(ty: *mut PyTypeObject, _args: *mut PyObject, _kw: *mut PyObject) -> *mut PyObject {
    entry(|| Group::allocate(ty))
}

fast!(create_task, |g: Group, args| children::create_task(g.cast(), &args));
one_arg!(add, |g: Group, child| {
    if (*g).finished {
        return Ok(boolean(false));
    }
    let all = Group::children(g)?;
    done(ffi::PySet_Add(all.ptr(), child))?;
    Ok(boolean(true))
});
one_arg!(forget, |g: Group, child| children::forget(g, &Obj::from(child)).map(|()| none()));
fast!(cancel_tasks, |g: Group, args| {
    let [shielded, message] = args.sort(&CANCEL_TASKS)?;
    children::cancel_tasks(g, not_none(shielded), &Obj::from_opt(not_none(message)))
});
no_args!(finish, |g: Group| Ok(boolean(Group::finish(g))));
no_args!(leave, |g: Group| {
    entered::unlink(g);
    Ok(none())
});
one_arg!(note, |g: Group, error| children::note(g, &Obj::from(error)).map(|()| none()));

macro_rules! object_field {
    ($get:ident, $set:ident, $field:ident) => {
        getter!($get, |g: Group| Ok(Obj::from_opt(ptr_or_null(&(*g).$field)).unwrap_or_else(|| none())));
        setter!($set, |g: Group, value| {
            set(&mut (*g).$field, Obj::from_opt(not_none(value)));
            Ok(())
        });
    };
}
object_field!(get_parent, set_parent, parent);
object_field!(get_base_error, set_base_error, base_error);
getter!(get_loop, |g: Group| Ok(Obj::from_opt(ptr_or_null(&(*g).event_loop)).unwrap_or_else(|| none())));
getter!(get_children, |g: Group| Group::children(g));
getter!(get_errors, |g: Group| children::errors(g));
setter!(set_errors, |g: Group, value| {
    set(&mut (*g).errors, Obj::from_opt(not_none(value)));
    Ok(())
});
getter!(get_lock, |g: Group| {
    if (*g).lock.is_none() {
        let made = call(asyncio().allocate_lock.ptr(), &[])?;
        // Another thread may have come first, while this one was made.
        (*g).lock.get_or_insert(made);
    }
    Ok(Obj::from_opt(ptr_or_null(&(*g).lock)).unwrap_or_else(|| none()))
});

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let g: *mut Group = this.cast();
    let status = visitor(ffi::Py_TYPE(this).cast(), arg);
    if status != 0 {
        return status;
    }
    let fields = [&(*g).event_loop, &(*g).parent, &(*g).waiter, &(*g).children, &(*g).errors, &(*g).base_error];
    fields.into_iter().map(|field| visit(field, visitor, arg)).find(|status| *status != 0).unwrap_or(0)
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    let g: *mut Group = this.cast();
    entered::unlink(g);
    (*g).core = ptr::null_mut();
    clear(&mut (*g).event_loop);
    clear(&mut (*g).parent);
    clear(&mut (*g).waiter);
    clear(&mut (*g).children);
    clear(&mut (*g).errors);
    clear(&mut (*g).base_error);
    0
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(this.cast());
    gc_clear(this);
    clear(&mut (*this.cast::<Group>()).lock);
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let ty = fields(TypeBuilder::new::<Group>(c"fenshen._fenshen.GroupCore"))
        .doc(c"GroupCore()\n--\n\nWhat a task group does for each child, and where its block begins and ends.")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .fast(c"create_task", create_task, c"create_task($self, coro, *, name=None, context=None, **options)\n--\n\nRun a coroutine; returns its task, or its handle where it runs on the loop of another thread.\n\n`context` is what it runs in, by default a copy of the present one. `options` are for the loop's task factory.\nRaises RuntimeError, and from Python 3.13 on closes the coroutine, if the group was not entered, is shutting\ndown or is finished.")
        .one_arg(c"_on_task_done", children::told, c"_on_task_done($self, child, /)\n--\n\nA child has ended; on the loop's thread.")
        .one_arg(c"_add", add, c"_add($self, child, /)\n--\n\nHave that be a child; False if the group is finished.")
        .one_arg(c"_forget", forget, c"_forget($self, child, /)\n--\n\nA child has ended, whose error is somebody else's.")
        .fast(c"_cancel_tasks", cancel_tasks, c"_cancel_tasks($self, shielded, msg)\n--\n\nCancel the native tasks that are not shielded; returns the other children, and the first failure.")
        .no_args(c"_finish", finish, c"_finish($self, /)\n--\n\nFinish the group if no child is left; whether it is.")
        .no_args(c"_leave", leave, c"_leave($self, /)\n--\n\nThe block is left.")
        .one_arg(c"_note", note, c"_note($self, error, /)\n--\n\nKeep an error that the block is to raise.")
        .build(None)?;
    let stands_for = asyncio().task_group_class.as_ref();
    add_methods(ty, stands_for, &[(c"__aenter__", block::aenter), (c"__aexit__", block::aexit)])?;
    Ok(ty)
}

fn fields(builder: TypeBuilder) -> TypeBuilder {
    let flags = [
        (c"_entered", offset_of!(Group, entered)),
        (c"_exiting", offset_of!(Group, exiting)),
        (c"_aborting", offset_of!(Group, aborting)),
        (c"_finished", offset_of!(Group, finished)),
        (c"_stopped", offset_of!(Group, stopped)),
        (c"_timed_out", offset_of!(Group, timed_out)),
        (c"_parent_cancel_requested", offset_of!(Group, parent_cancel_requested)),
        (c"_watched", offset_of!(Group, watched)),
        (c"_held", offset_of!(Group, held)),
    ];
    let builder = flags.into_iter().fold(builder, |b, (name, at)| b.member(name, ffi::Py_T_BOOL, at, false));
    builder
        .property(c"_loop", get_loop, None)
        .property(c"_parent_task", get_parent, Some(set_parent))
        .property(c"_tasks", get_children, None)
        .property(c"_errors", get_errors, Some(set_errors))
        .property(c"_base_error", get_base_error, Some(set_base_error))
        .property(c"_lock", get_lock, None)
}
