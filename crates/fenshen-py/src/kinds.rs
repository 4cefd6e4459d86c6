//! The types of this module, made once, and the keyword tuples that calls need.

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::{self, PyTypeObject};

use crate::names::{asyncio, names};
use crate::object::{Obj, Res, done};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident, $slot:ident;)*) => {
        $(
            static $slot: AtomicPtr<PyTypeObject> = AtomicPtr::new(std::ptr::null_mut());
            $(#[$doc])*
            #[inline(always)]
            pub(crate) fn $name() -> *mut pyo3::ffi::PyTypeObject {
                $slot.load(Ordering::Relaxed)
            }
        )*
    };
}

pub(crate) use kinds;

kinds! {
    /// `fenshen.Future`.
    future, FUTURE;
    /// `fenshen.Task`.
    task, TASK;
    /// What awaiting a future runs on.
    future_iter, FUTURE_ITER;
    /// `fenshen.Handle`.
    handle, HANDLE;
    /// `fenshen.TimerHandle`.
    timer_handle, TIMER_HANDLE;
    /// `fenshen.LoopCore`.
    event_loop, EVENT_LOOP;
    /// What `gather` returns.
    gathering, GATHERING;
    /// `GroupCore`.
    group, GROUP;
    /// The coroutine of every operation that is awaited.
    operation, OPERATION;
    /// What returns one.
    coroutine_function, COROUTINE_FUNCTION;
    /// `fenshen.Queue`.
    queue, QUEUE;
    /// `fenshen.LifoQueue`.
    lifo_queue, LIFO_QUEUE;
    /// `fenshen.PriorityQueue`.
    priority_queue, PRIORITY_QUEUE;
    /// `fenshen.Lock`.
    lock, LOCK;
    /// `fenshen.Event`.
    event, EVENT;
    /// `fenshen.Condition`.
    condition, CONDITION;
    /// `fenshen.Semaphore`.
    semaphore, SEMAPHORE;
    /// `fenshen.BoundedSemaphore`.
    bounded_semaphore, BOUNDED_SEMAPHORE;
    /// `fenshen.Barrier`.
    barrier, BARRIER;
    /// `fenshen.StreamReader`.
    stream_reader, STREAM_READER;
    /// `fenshen.StreamReaderProtocol`.
    stream_reader_protocol, STREAM_READER_PROTOCOL;
    /// `fenshen.StreamWriter`.
    stream_writer, STREAM_WRITER;
    /// `SocketTransport`.
    socket_transport, SOCKET_TRANSPORT;
    /// `Acceptor`.
    acceptor, ACCEPTOR;
    /// `ReadPipeTransport`.
    read_pipe_transport, READ_PIPE_TRANSPORT;
    /// `WritePipeTransport`.
    write_pipe_transport, WRITE_PIPE_TRANSPORT;
    /// `DatagramTransport`.
    datagram_transport, DATAGRAM_TRANSPORT;
    /// The protocol of a TLS connection.
    ssl_protocol, SSL_PROTOCOL;
    /// Its transport.
    ssl_transport, SSL_TRANSPORT;
}

static CONTEXT_KEYWORD: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
static MSG_KEYWORD: std::sync::OnceLock<usize> = std::sync::OnceLock::new();

unsafe fn keyword(cell: &'static std::sync::OnceLock<usize>, name: &Obj) -> &'static Obj {
    // The address of a leaked `Obj`: a `OnceLock` of a pointer would have to be `Sync`.
    let address = *cell.get_or_init(|| {
        let tuple = Obj::steal(ffi::PyTuple_Pack(1, name.ptr()));
        std::ptr::from_mut(Box::leak(Box::new(tuple))) as usize
    });
    &*(address as *const Obj)
}

/// `("context",)`.
pub(crate) unsafe fn context_keyword() -> &'static Obj {
    keyword(&CONTEXT_KEYWORD, &names().context)
}

/// `("msg",)`.
pub(crate) unsafe fn msg_keyword() -> &'static Obj {
    keyword(&MSG_KEYWORD, &names().msg)
}

/// Makes every type, each after those that it derives from.
pub(crate) unsafe fn init() -> Res<()> {
    FUTURE.store(crate::future_type::build()?, Ordering::Relaxed);
    TASK.store(crate::task_type::build()?, Ordering::Relaxed);
    FUTURE_ITER.store(crate::future_iter::build()?, Ordering::Relaxed);
    HANDLE.store(crate::handle_type::build()?, Ordering::Relaxed);
    TIMER_HANDLE.store(crate::handle_type::build_timer()?, Ordering::Relaxed);
    EVENT_LOOP.store(crate::event_loop::build()?, Ordering::Relaxed);
    init_primitives()?;
    init_streams()?;
    crate::group::init()?;
    GROUP.store(crate::group::build()?, Ordering::Relaxed);
    crate::tls::init()?;
    SSL_PROTOCOL.store(crate::tls::build()?, Ordering::Relaxed);
    SSL_TRANSPORT.store(crate::tls::build_transport()?, Ordering::Relaxed);
    // Last: a type that is derived from these natively could not be made any more.
    stand_for(future(), &asyncio().future_class)?;
    stand_for(task(), &asyncio().task_class)
}

/// Has `isinstance` take the standard class' instances for ours, by a metaclass. Only from 3.12 on can a type be made
/// with one; before, as here, it gets it before anyone has seen it.
unsafe fn stand_for(ours: *mut PyTypeObject, standard: &Obj) -> Res<()> {
    done(ffi::PyObject_SetAttrString(ours.cast(), c"__standard__".as_ptr(), standard.ptr()))?;
    let kind = Obj::new(ffi::PyObject_GetAttrString(asyncio().support.ptr(), c"Kind".as_ptr()))?;
    (*ours.cast::<ffi::PyObject>()).ob_type = kind.into_ptr().cast();
    Ok(())
}

unsafe fn init_streams() -> Res<()> {
    use crate::streams;
    streams::init()?;
    STREAM_READER.store(streams::build_reader()?, Ordering::Relaxed);
    STREAM_READER_PROTOCOL.store(streams::build_protocol()?, Ordering::Relaxed);
    STREAM_WRITER.store(streams::build_writer()?, Ordering::Relaxed);
    stand_for(stream_reader(), &streams::known().reader_class)?;
    stand_for(stream_reader_protocol(), &streams::known().protocol_class)?;
    stand_for(stream_writer(), &streams::known().writer_class)
}

unsafe fn init_primitives() -> Res<()> {
    use crate::primitives::{barrier, condition, coroutine_function, event, lock, operation, queue_type, semaphore};
    GATHERING.store(crate::gather::build()?, Ordering::Relaxed);
    OPERATION.store(operation::build()?, Ordering::Relaxed);
    COROUTINE_FUNCTION.store(coroutine_function::build()?, Ordering::Relaxed);
    LOCK.store(lock::build()?, Ordering::Relaxed);
    EVENT.store(event::build()?, Ordering::Relaxed);
    CONDITION.store(condition::build()?, Ordering::Relaxed);
    SEMAPHORE.store(semaphore::build()?, Ordering::Relaxed);
    BOUNDED_SEMAPHORE.store(semaphore::build_bounded()?, Ordering::Relaxed);
    BARRIER.store(barrier::build()?, Ordering::Relaxed);
    QUEUE.store(queue_type::build()?, Ordering::Relaxed);
    LIFO_QUEUE.store(queue_type::build_lifo()?, Ordering::Relaxed);
    PRIORITY_QUEUE.store(queue_type::build_priority()?, Ordering::Relaxed);
    crate::sockets::init()?;
    SOCKET_TRANSPORT.store(crate::transports::stream_type::build()?, Ordering::Relaxed);
    ACCEPTOR.store(crate::transports::acceptor::build()?, Ordering::Relaxed);
    READ_PIPE_TRANSPORT.store(crate::transports::pipe_read::build()?, Ordering::Relaxed);
    WRITE_PIPE_TRANSPORT.store(crate::transports::pipe_write::build()?, Ordering::Relaxed);
    DATAGRAM_TRANSPORT.store(crate::transports::datagram_type::build()?, Ordering::Relaxed);
    Ok(())
}
