//! Interned names, and what we need of Python's own modules, looked up once when the module is made.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use pyo3::ffi::{self, PyObject};

use crate::object::{Obj, Raised, Res};

macro_rules! interned {
    ($(#[$about:meta])* $vis:vis struct $Names:ident { $($(#[$doc:meta])* $field:ident = $text:literal,)* }) => {
        $(#[$about])*
        $vis struct $Names { $($(#[$doc])* $vis $field: $crate::object::Obj,)* }
        impl $Names {
            unsafe fn new() -> $crate::object::Res<$Names> {
                let intern = |text: &std::ffi::CStr| {
                    $crate::object::Obj::new(pyo3::ffi::PyUnicode_InternFromString(text.as_ptr()))
                };
                Ok($Names { $($field: intern($text)?,)* })
            }
        }
    };
}
pub(crate) use interned;

interned! {
    /// Every interned name.
    pub(crate) struct Names {
        blocking = c"_asyncio_future_blocking",
        add_done_callback = c"add_done_callback",
        call_exception_handler = c"call_exception_handler",
        call_soon = c"call_soon",
        cancel = c"cancel",
        context = c"context",
        exception = c"exception",
        future = c"future",
        get_debug = c"get_debug",
        get_loop = c"get_loop",
        is_running = c"is_running",
        message = c"message",
        msg = c"msg",
        private_loop = c"_loop",
        result = c"result",
        source_traceback = c"source_traceback",
        task = c"task",
        throw = c"throw",
        value = c"value",
        name = c"__name__",
        timer_handle_cancelled = c"_timer_handle_cancelled",
        close = c"close",
        create_future = c"create_future",
        acquire = c"acquire",
        call_later = c"call_later",
        cancel_message = c"_cancel_message",
        create_task = c"create_task",
        log_destroy_pending = c"_log_destroy_pending",
        make_cancelled_error = c"_make_cancelled_error",
        append = c"append",
        cancelled = c"cancelled",
        done = c"done",
        empty = c"empty",
        extend = c"extend",
        full = c"full",
        get_nowait = c"get_nowait",
        locked = c"locked",
        notify = c"notify",
        pop = c"pop",
        popleft = c"popleft",
        private_format = c"_format",
        private_get = c"_get",
        private_init = c"_init",
        private_put = c"_put",
        put_nowait = c"put_nowait",
        qsize = c"qsize",
        release = c"release",
        remove = c"remove",
        set_result = c"set_result",
        wait = c"wait",
        pause_writing = c"pause_writing",
        resume_writing = c"resume_writing",
        connection_made = c"connection_made",
        connection_lost = c"connection_lost",
        data_received = c"data_received",
        eof_received = c"eof_received",
        get_buffer = c"get_buffer",
        buffer_updated = c"buffer_updated",
        attach = c"_attach",
        detach = c"_detach",
        datagram_received = c"datagram_received",
        errno = c"errno",
        error_received = c"error_received",
        fileno = c"fileno",
        pipe = c"pipe",
        sendto = c"sendto",
    }
}

/// What we need of asyncio, found once.
pub(crate) struct Asyncio {
    /// The C types of the interpreter, which `__class__` of ours names.
    pub(crate) future_class: Obj,
    pub(crate) task_class: Obj,
    pub(crate) handle_class: Obj,
    pub(crate) timer_handle_class: Obj,
    /// `_ThreadSafeHandle`, from 3.14 on.
    pub(crate) threadsafe_handle_class: Option<Obj>,
    pub(crate) cancelled_error: Obj,
    pub(crate) invalid_state_error: Obj,
    pub(crate) get_event_loop: Obj,
    pub(crate) get_running_loop: Obj,
    /// What futures and tasks take in debug mode: the whole stack,
    pub(crate) extract_stack: Obj,
    /// and what handles do.
    pub(crate) extract_short_stack: Obj,
    pub(crate) is_coroutine: Obj,
    pub(crate) task_get_stack: Obj,
    pub(crate) task_print_stack: Obj,
    /// `_current_tasks` up to 3.13; later it lives in the thread's state and only `swap_current_task` reaches it.
    pub(crate) current_tasks: Option<Obj>,
    /// `_swap_current_task`, from 3.12 on.
    pub(crate) swap_current_task: Option<Obj>,
    /// `_register_eager_task` and `_unregister_eager_task`, from 3.12 on.
    pub(crate) eager: Option<(Obj, Obj)>,
    /// Our Python half: what is done once in a loop's life, or when something went wrong.
    pub(crate) support: Obj,
    /// The same for transports.
    pub(crate) transport_support: Obj,
    /// The standard library's primitives, which `__class__` of ours names.
    pub(crate) queue_class: Obj,
    pub(crate) lifo_queue_class: Obj,
    pub(crate) priority_queue_class: Obj,
    pub(crate) lock_class: Obj,
    pub(crate) event_class: Obj,
    pub(crate) condition_class: Obj,
    pub(crate) semaphore_class: Obj,
    pub(crate) bounded_semaphore_class: Obj,
    /// From 3.11 on.
    pub(crate) barrier_class: Option<Obj>,
    pub(crate) barrier_state: Option<Obj>,
    /// Ours before 3.11.
    pub(crate) broken_barrier_error: Obj,
    pub(crate) queue_empty: Obj,
    pub(crate) queue_full: Obj,
    /// Ours before 3.13.
    pub(crate) queue_shut_down: Obj,
    pub(crate) coroutine_class: Obj,
    pub(crate) warn_unawaited: Obj,
    pub(crate) sleep: Obj,
    pub(crate) gather: Obj,
    pub(crate) gathering_class: Obj,
    /// `TaskGroup`, from 3.11 on.
    pub(crate) task_group_class: Option<Obj>,
    pub(crate) current_task: Obj,
    pub(crate) allocate_lock: Obj,
    /// What ends a sleep: a callable of ours.
    pub(crate) end_sleep: Obj,
    pub(crate) deque: Obj,
    pub(crate) heappush: Obj,
    pub(crate) heappop: Obj,
    /// The bases of our transports.
    pub(crate) flow_control_mixin: Obj,
    pub(crate) read_transport: Obj,
    pub(crate) datagram_transport: Obj,
    pub(crate) buffered_protocol: Obj,
}

struct Global<T>(UnsafeCell<MaybeUninit<T>>);
// SAFETY: written once, by the module's initialisation, before anything else of this crate can run; read-only after.
unsafe impl<T> Sync for Global<T> {}

static NAMES: Global<Names> = Global(UnsafeCell::new(MaybeUninit::uninit()));
static ASYNCIO: Global<Asyncio> = Global(UnsafeCell::new(MaybeUninit::uninit()));

/// The interned names.
#[inline(always)]
pub(crate) fn names() -> &'static Names {
    // SAFETY: `init` ran before any type of this module could be reached.
    unsafe { (*NAMES.0.get()).assume_init_ref() }
}

/// asyncio's own things.
#[inline(always)]
pub(crate) fn asyncio() -> &'static Asyncio {
    // SAFETY: as above.
    unsafe { (*ASYNCIO.0.get()).assume_init_ref() }
}

unsafe fn import(module: &std::ffi::CStr) -> Res<Obj> {
    Obj::new(ffi::PyImport_ImportModule(module.as_ptr()))
}

unsafe fn get(module: &Obj, name: &std::ffi::CStr) -> Res<Obj> {
    Obj::new(ffi::PyObject_GetAttrString(module.ptr(), name.as_ptr()))
}

unsafe fn get_opt(module: &Obj, name: &std::ffi::CStr) -> Option<Obj> {
    let found = get(module, name).ok();
    if found.is_none() {
        ffi::PyErr_Clear();
    }
    found
}

/// The first of `names` that `module` has.
unsafe fn first(module: &Obj, names: &[&std::ffi::CStr]) -> Res<Obj> {
    for name in names {
        if let Some(found) = get_opt(module, name) {
            return Ok(found);
        }
    }
    Err(Raised)
}

/// An exception class of `module`, or one of our own where this version has none.
unsafe fn own_error(
    module: &Obj,
    theirs: &std::ffi::CStr,
    ours: &std::ffi::CStr,
    doc: &std::ffi::CStr,
    base: *mut PyObject,
) -> Res<Obj> {
    match get_opt(module, theirs) {
        Some(found) => Ok(found),
        None => Obj::new(ffi::PyErr_NewExceptionWithDoc(ours.as_ptr(), doc.as_ptr(), base, std::ptr::null_mut())),
    }
}

/// Looks everything up. Runs once, when the module is made.
pub(crate) unsafe fn init() -> Res<()> {
    (*NAMES.0.get()).write(Names::new()?);
    let tasks = import(c"asyncio.tasks")?;
    let futures = import(c"asyncio.futures")?;
    let events = import(c"asyncio.events")?;
    let exceptions = import(c"asyncio.exceptions")?;
    let base_tasks = import(c"asyncio.base_tasks")?;
    let queues = import(c"asyncio.queues")?;
    let locks = import(c"asyncio.locks")?;
    let heapq = import(c"heapq")?;
    let found = Asyncio {
        future_class: first(&futures, &[c"_CFuture", c"Future"])?,
        task_class: first(&tasks, &[c"_CTask", c"Task"])?,
        handle_class: get(&events, c"Handle")?,
        timer_handle_class: get(&events, c"TimerHandle")?,
        threadsafe_handle_class: get_opt(&events, c"_ThreadSafeHandle"),
        cancelled_error: get(&exceptions, c"CancelledError")?,
        invalid_state_error: get(&exceptions, c"InvalidStateError")?,
        get_event_loop: first(&events, &[c"_get_event_loop", c"get_event_loop"])?,
        get_running_loop: get(&events, c"_get_running_loop")?,
        extract_stack: get(&import(c"traceback")?, c"extract_stack")?,
        extract_short_stack: get(&import(c"asyncio.format_helpers")?, c"extract_stack")?,
        is_coroutine: get(&import(c"asyncio.coroutines")?, c"iscoroutine")?,
        task_get_stack: get(&base_tasks, c"_task_get_stack")?,
        task_print_stack: get(&base_tasks, c"_task_print_stack")?,
        current_tasks: if cfg!(Py_3_14) { None } else { get_opt(&tasks, c"_current_tasks") },
        swap_current_task: get_opt(&tasks, c"_swap_current_task"),
        eager: get_opt(&tasks, c"_register_eager_task").zip(get_opt(&tasks, c"_unregister_eager_task")),
        support: import(c"fenshen._support")?,
        transport_support: import(c"fenshen._transports")?,
        queue_class: get(&queues, c"Queue")?,
        lifo_queue_class: get(&queues, c"LifoQueue")?,
        priority_queue_class: get(&queues, c"PriorityQueue")?,
        lock_class: get(&locks, c"Lock")?,
        event_class: get(&locks, c"Event")?,
        condition_class: get(&locks, c"Condition")?,
        semaphore_class: get(&locks, c"Semaphore")?,
        bounded_semaphore_class: get(&locks, c"BoundedSemaphore")?,
        barrier_class: get_opt(&locks, c"Barrier"),
        barrier_state: get_opt(&locks, c"_BarrierState"),
        broken_barrier_error: own_error(
            &exceptions,
            c"BrokenBarrierError",
            c"fenshen.BrokenBarrierError",
            c"Barrier is broken by barrier.abort() call.",
            ffi::PyExc_RuntimeError,
        )?,
        queue_empty: get(&queues, c"QueueEmpty")?,
        queue_full: get(&queues, c"QueueFull")?,
        queue_shut_down: own_error(
            &queues,
            c"QueueShutDown",
            c"fenshen.QueueShutDown",
            c"Raised when putting on to or getting from a shut-down Queue.",
            ffi::PyExc_Exception,
        )?,
        coroutine_class: get(&import(c"types")?, c"CoroutineType")?,
        warn_unawaited: get(&import(c"warnings")?, c"_warn_unawaited_coroutine")?,
        sleep: get(&tasks, c"sleep")?,
        gather: get(&tasks, c"gather")?,
        gathering_class: get(&tasks, c"_GatheringFuture")?,
        task_group_class: get_opt(&import(c"asyncio")?, c"TaskGroup"),
        current_task: get(&tasks, c"current_task")?,
        allocate_lock: get(&import(c"_thread")?, c"allocate_lock")?,
        end_sleep: crate::sleep::end_function()?,
        deque: get(&import(c"collections")?, c"deque")?,
        heappush: get(&heapq, c"heappush")?,
        heappop: get(&heapq, c"heappop")?,
        flow_control_mixin: get(&import(c"asyncio.transports")?, c"_FlowControlMixin")?,
        read_transport: get(&import(c"asyncio.transports")?, c"ReadTransport")?,
        datagram_transport: get(&import(c"asyncio.transports")?, c"DatagramTransport")?,
        buffered_protocol: get(&import(c"asyncio.protocols")?, c"BufferedProtocol")?,
    };
    (*ASYNCIO.0.get()).write(found);
    Ok(())
}

/// Calls a function of `fenshen._support` by name.
#[cold]
pub(crate) unsafe fn support(name: &std::ffi::CStr, args: &[*mut PyObject]) -> Res<Obj> {
    let function = get(&asyncio().support, name)?;
    crate::object::call(function.ptr(), args)
}

/// Calls a function of `fenshen._transports` by name.
#[cold]
pub(crate) unsafe fn transport_support(name: &std::ffi::CStr, args: &[*mut PyObject]) -> Res<Obj> {
    let function = get(&asyncio().transport_support, name)?;
    crate::object::call(function.ptr(), args)
}
