use rustix::event::epoll::{self, EventFlags};
use std::fmt;

/// One ready descriptor.
///
/// A hang-up or an error sets both flags, whatever the interest was, so that whoever waits for either learns of it: a
/// caller that acts on one of them masks the event with the interest it registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The token that the descriptor was added with.
    pub token: u64,
    /// Something other than room to write: data, the end of the stream, an error.
    pub readable: bool,
    /// Something other than data to read: room, a hang-up, an error.
    pub writable: bool,
}

impl From<&epoll::Event> for Event {
    #[inline]
    fn from(raw: &epoll::Event) -> Self {
        let flags = raw.flags;
        let data = raw.data;
        Self {
            token: data.u64(),
            readable: !(flags - EventFlags::OUT).is_empty(),
            writable: !(flags - EventFlags::IN).is_empty(),
        }
    }
}

/// A buffer that [`Epoll::wait`](crate::Epoll::wait) fills, reused from turn to turn.
pub struct Events {
    pub(super) raw: Vec<epoll::Event>,
}

impl Events {
    /// A buffer for up to `capacity` events a wait (at least one).
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { raw: Vec::with_capacity(capacity.max(1)) }
    }

    /// How many events one wait can bring.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.raw.capacity()
    }

    /// How many events the last wait brought.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether the last wait brought none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// The event at `index` of the last wait, for a caller that cannot hold a borrow while it handles one.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Event> {
        self.raw.get(index).map(Event::from)
    }

    /// The events of the last wait.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.raw.iter())
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = Event;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Iterates over [`Events`].
#[derive(Clone)]
pub struct Iter<'a>(std::slice::Iter<'a, epoll::Event>);

impl Iterator for Iter<'_> {
    type Item = Event;

    #[inline]
    fn next(&mut self) -> Option<Event> {
        self.0.next().map(Event::from)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
