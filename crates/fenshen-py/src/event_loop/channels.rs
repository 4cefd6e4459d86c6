//! The files that belong to native objects (transports, listening sockets), watched without a handle.
//!
//! A channel has a place here from the time its object opens its file until it closes it. While the kernel watches the
//! file, the loop holds a reference to the object, as asyncio's loop does through the handle of a reader. Readiness is
//! noted in the object, and the object is put on the ring once: what it does then is its own ([`Ops`]).
//!
//! Stopping to read is not told to the kernel before the file is ready once more, so that a reader which pauses and
//! goes on again costs no system call.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::RawFd;
use std::ptr;

use fenshen_reactor::{Epoll, Event, Interest};
use pyo3::ffi::{self, PyObject};

use super::Loop;
use super::word::{Kind, Word};
use crate::object::{Obj, Res};
use crate::transports::Head;

/// The bit by which an epoll token is known as a channel's.
pub(super) const CHANNEL_BIT: u64 = 1 << 63;

/// What a native object does with its file.
pub(crate) struct Ops {
    /// Its file is ready, as `Channel::take_ready` says. An error is what must end the loop.
    pub(crate) ready: unsafe fn(*mut PyObject, Ready) -> Res<()>,
    /// Its turn has come after [`Loop::push_lost`]. An error is what must end the loop.
    pub(crate) lost: unsafe fn(*mut PyObject) -> Res<()>,
    /// Sends what was written in this turn. An error is what must end the loop.
    pub(crate) flush: unsafe fn(*mut PyObject) -> Res<()>,
    /// Drops what it has not sent.
    pub(crate) discard: unsafe fn(*mut PyObject),
    /// Its file is closed: it tells whom that concerns.
    pub(crate) closed: unsafe fn(*mut PyObject) -> Res<()>,
}

/// Which ways a file is ready.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ready {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

/// A native object's side of it.
pub(crate) struct Channel {
    ops: &'static Ops,
    pub(crate) fd: RawFd,
    /// Its place, once it has one.
    place: Option<u32>,
    /// What the object wants to know of.
    wanted: Interest,
    /// What the kernel watches for.
    armed: Interest,
    ready: Ready,
    /// It is on the ring.
    queued: bool,
    /// It is among those that are to be flushed.
    flushing: bool,
}

impl Channel {
    /// Of a file that nobody watches yet.
    pub(crate) fn new(ops: &'static Ops, fd: RawFd) -> Channel {
        Channel {
            ops,
            fd,
            place: None,
            wanted: Interest::NONE,
            armed: Interest::NONE,
            ready: Ready::default(),
            queued: false,
            flushing: false,
        }
    }

    /// What its object does.
    pub(crate) fn ops(&self) -> &'static Ops {
        self.ops
    }

    /// Whether it is told when its file can be read.
    pub(crate) fn wants_read(&self) -> bool {
        self.wanted.contains(Interest::READABLE)
    }

    /// Whether it is told when its file can be written.
    pub(crate) fn wants_write(&self) -> bool {
        self.wanted.contains(Interest::WRITABLE)
    }

    /// Whether its object is to be flushed at the end of this turn.
    pub(crate) fn is_flushing(&self) -> bool {
        self.flushing
    }

    fn token(place: u32, generation: u32) -> u64 {
        CHANNEL_BIT | u64::from(generation) << 32 | u64::from(place)
    }
}

struct Place {
    /// Of every use of the place another one, so that an old event is known.
    generation: u32,
    /// Borrowed, or owned while the kernel watches the file; null of a free place.
    owner: *mut PyObject,
    channel: *mut Channel,
}

/// Every channel of a loop.
#[derive(Default)]
pub(crate) struct Channels {
    places: Vec<Place>,
    free: Vec<u32>,
    /// By descriptor: the place and one, or zero.
    by_fd: Vec<u32>,
    /// How many the kernel watches for.
    watched: usize,
}

impl Channels {
    /// How many are watched.
    pub(crate) fn watched(&self) -> usize {
        self.watched
    }

    fn place(&mut self, owner: *mut PyObject, channel: *mut Channel, fd: RawFd) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, owner: ptr::null_mut(), channel: ptr::null_mut() });
            (self.places.len() - 1) as u32
        });
        let p = &mut self.places[place as usize];
        (p.owner, p.channel) = (owner, channel);
        let fd = fd as usize;
        if fd >= self.by_fd.len() {
            self.by_fd.resize(fd + 1, 0);
        }
        self.by_fd[fd] = place + 1;
        place
    }

    fn vacate(&mut self, place: u32, fd: RawFd) {
        let p = &mut self.places[place as usize];
        p.generation = p.generation.wrapping_add(1) & 0x7fff_ffff;
        (p.owner, p.channel) = (ptr::null_mut(), ptr::null_mut());
        self.free.push(place);
        if let Some(known) = self.by_fd.get_mut(fd as usize)
            && *known == place + 1
        {
            *known = 0;
        }
    }

    /// Who has a place, and by what token the kernel is to report it.
    fn token(&self, place: u32) -> (*mut PyObject, u64) {
        let p = &self.places[place as usize];
        (p.owner, Channel::token(place, p.generation))
    }

    /// Who has a place in this use of it.
    fn find(&self, place: u32, generation: u32) -> Option<(*mut PyObject, *mut Channel)> {
        let p = self.places.get(place as usize)?;
        (p.generation == generation && !p.owner.is_null()).then_some((p.owner, p.channel))
    }

    /// Every object with its channel.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (*mut PyObject, *mut Channel)> {
        self.places.iter().filter(|p| !p.owner.is_null()).map(|p| (p.owner, p.channel))
    }

    /// The object that has this descriptor.
    pub(crate) fn owner_of(&self, fd: RawFd) -> Option<*mut PyObject> {
        let place = self.by_fd.get(usize::try_from(fd).ok()?)?.checked_sub(1)?;
        Some(self.places[place as usize].owner)
    }

    /// Shows the garbage collector the objects that are held.
    pub(crate) unsafe fn traverse(&self, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        for (owner, channel) in self.iter() {
            if !(*channel).armed.is_empty() {
                let status = visitor(owner, arg);
                if status != 0 {
                    return status;
                }
            }
        }
        0
    }

    /// Tells a new epoll instance of every file that was watched by the old one.
    pub(crate) unsafe fn again(&self, epoll: &Epoll) {
        for (i, p) in self.places.iter().enumerate() {
            if !p.owner.is_null() && !(*p.channel).armed.is_empty() {
                let c = p.channel;
                let _ = epoll.add((*c).fd, (*c).armed, Channel::token(i as u32, p.generation));
            }
        }
    }
}

impl Loop {
    /// Gives an object's channel its place: from now on its file is known as a native object's.
    pub(crate) unsafe fn open_channel(l: *mut Loop, owner: *mut PyObject, channel: *mut Channel) {
        (*channel).place = Some((*l).channels.place(owner, channel, (*channel).fd));
    }

    /// Takes it away again, before the file is closed.
    pub(crate) unsafe fn close_channel(l: *mut Loop, channel: *mut Channel) {
        let Some(place) = (*channel).place.take() else {
            return;
        };
        (*channel).wanted = Interest::NONE;
        let held = Loop::arm(l, channel, place, Interest::NONE);
        (*channel).ready = Ready::default();
        (*l).channels.vacate(place, (*channel).fd);
        drop(held);
    }

    /// Has the object told when its file can be read, or not any more.
    pub(crate) unsafe fn watch_read(l: *mut Loop, channel: *mut Channel, wanted: bool) -> io::Result<()> {
        if wanted {
            return Loop::want(l, channel, (*channel).wanted | Interest::READABLE);
        }
        // The kernel is told when it reports the file again.
        (*channel).wanted = (*channel).wanted.without(Interest::READABLE);
        (*channel).ready.readable = false;
        Ok(())
    }

    /// Has the object told when its file can be written, or not any more.
    pub(crate) unsafe fn watch_write(l: *mut Loop, channel: *mut Channel, wanted: bool) -> io::Result<()> {
        if wanted {
            return Loop::want(l, channel, (*channel).wanted | Interest::WRITABLE);
        }
        (*channel).ready.writable = false;
        if !(*channel).wants_write() {
            return Ok(());
        }
        let left = (*channel).wanted.without(Interest::WRITABLE);
        Loop::want(l, channel, left)
    }

    /// Has the kernel forget the file at once, because it is over or somebody else is to watch it.
    pub(crate) unsafe fn forget(l: *mut Loop, channel: *mut Channel) {
        (*channel).wanted = Interest::NONE;
        (*channel).ready = Ready::default();
        if let Some(place) = (*channel).place {
            drop(Loop::arm(l, channel, place, Interest::NONE));
        }
    }

    unsafe fn want(l: *mut Loop, channel: *mut Channel, wanted: Interest) -> io::Result<()> {
        let before = std::mem::replace(&mut (*channel).wanted, wanted);
        let Some(place) = (*channel).place else {
            return Ok(());
        };
        let idle = (*channel).armed.without(wanted);
        if (*channel).armed.contains(wanted) && !idle.contains(Interest::WRITABLE) {
            return Ok(());
        }
        match Loop::arm(l, channel, place, wanted) {
            Ok(_held) => Ok(()),
            Err(e) => {
                (*channel).wanted = before;
                Err(e)
            }
        }
    }

    /// Has the kernel watch for `interest`. Returns the reference that the loop holds no more.
    unsafe fn arm(l: *mut Loop, channel: *mut Channel, place: u32, interest: Interest) -> io::Result<Option<Obj>> {
        let (before, fd) = ((*channel).armed, (*channel).fd);
        if before == interest {
            return Ok(None);
        }
        let (owner, token) = (*l).channels.token(place);
        if !(*l).owner.is_this_process() {
            // In a forked child, which shares the kernel's set with its parent: there the file is watched as before.
        } else if let Some(kernel) = (*l).kernel.as_ref() {
            if interest.is_empty() {
                // An error means that the kernel has forgotten the file already.
                let _ = kernel.epoll.remove(fd);
            } else if before.is_empty() {
                add(&kernel.epoll, fd, interest, token)?;
            } else {
                kernel.epoll.modify(fd, interest, token)?;
            }
        } else if !interest.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        (*channel).armed = interest;
        if before.is_empty() {
            ffi::Py_INCREF(owner);
            (*l).channels.watched += 1;
        } else if interest.is_empty() {
            (*l).channels.watched -= 1;
            return Ok(Some(Obj::steal(owner)));
        }
        Ok(None)
    }

    /// Notes an event; whether it is of a file that is not watched any more.
    pub(super) unsafe fn channel_event(l: *mut Loop, event: Event) -> bool {
        let (place, generation) = (event.token as u32, (event.token >> 32) as u32 & 0x7fff_ffff);
        let Some((owner, channel)) = (*l).channels.find(place, generation) else {
            return true;
        };
        let wanted = (*channel).wanted;
        let readable = event.readable && wanted.contains(Interest::READABLE);
        let writable = event.writable && wanted.contains(Interest::WRITABLE);
        if event.readable != readable || event.writable != writable {
            // What nobody wants to know of any more; a file that has failed is reported whatever it is watched for.
            let held = Loop::arm(l, channel, place, wanted);
            if wanted.is_empty() {
                drop(held);
                return false;
            }
        }
        (*channel).ready.readable |= readable;
        (*channel).ready.writable |= writable;
        if (readable || writable) && !(*channel).queued {
            (*channel).queued = true;
            (*l).ready.push_back(Word::new(Kind::Ready, Obj::from(owner)));
        }
        false
    }

    /// Runs what a channel's object does when its file is ready.
    #[inline]
    pub(super) unsafe fn run_ready(owner: &Obj) -> Res<()> {
        let channel = channel_of(owner.ptr());
        (*channel).queued = false;
        let ready = std::mem::take(&mut (*channel).ready);
        ((*channel).ops.ready)(owner.ptr(), ready)
    }

    /// Puts an object on the ring that is to begin: its `ready` is called with nothing ready.
    pub(crate) unsafe fn push_begin(l: *mut Loop, owner: Obj) {
        (*channel_of(owner.ptr())).queued = true;
        (*l).ready.push_back(Word::new(Kind::Ready, owner));
    }

    /// Puts an object on the ring whose connection is over.
    pub(crate) unsafe fn push_lost(l: *mut Loop, owner: Obj) {
        (*l).ready.push_back(Word::new(Kind::Lost, owner));
    }

    pub(super) unsafe fn run_lost(owner: &Obj) -> Res<()> {
        let channel = channel_of(owner.ptr());
        ((*channel).ops.lost)(owner.ptr())
    }

    /// How long the ring is, by which an object knows whether what it called has put something there.
    #[inline(always)]
    pub(crate) unsafe fn ready_len(l: *mut Loop) -> usize {
        (*l).ready.len()
    }

    /// Has the object's `flush` called at the end of this turn.
    #[inline]
    pub(crate) unsafe fn flush_later(l: *mut Loop, owner: *mut PyObject, channel: *mut Channel) {
        if !std::mem::replace(&mut (*channel).flushing, true) {
            (*l).flushes.push_back(Obj::from(owner));
        }
    }

    /// Sends what was written in this turn.
    #[inline]
    pub(super) unsafe fn flush(l: *mut Loop) -> Res<()> {
        if (*l).flushes.is_empty() { Ok(()) } else { Loop::flush_all(l) }
    }

    unsafe fn flush_all(l: *mut Loop) -> Res<()> {
        let mut outcome = Ok(());
        // What is written meanwhile belongs to the next turn.
        for _ in 0..(*l).flushes.len() {
            let Some(owner) = (*l).flushes.pop_front() else {
                break;
            };
            let channel = channel_of(owner.ptr());
            (*channel).flushing = false;
            if outcome.is_ok() {
                outcome = ((*channel).ops.flush)(owner.ptr());
            } else {
                Loop::flush_later(l, owner.ptr(), channel);
            }
        }
        outcome
    }

    /// Lets go of every channel, because the loop closes.
    pub(super) unsafe fn close_channels(l: *mut Loop) {
        let all: Vec<(Obj, *mut Channel)> = (*l).channels.iter().map(|(o, c)| (Obj::from(o), c)).collect();
        for (_, channel) in &all {
            Loop::close_channel(l, *channel);
        }
        drop(std::mem::take(&mut (*l).flushes));
    }
}

/// The channel of a native object.
unsafe fn channel_of(owner: *mut PyObject) -> *mut Channel {
    &raw mut (*owner.cast::<Head>()).channel
}

/// A descriptor may have been left in the set by an earlier file of its number that lives on elsewhere.
fn add(epoll: &Epoll, fd: RawFd, interest: Interest, token: u64) -> io::Result<()> {
    match epoll.add(fd, interest, token) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => epoll.modify(fd, interest, token),
        other => other,
    }
}
