use rustix::event::epoll::EventFlags;
use std::ops::{BitAnd, BitOr, BitOrAssign};

/// What a descriptor is watched for: a small set.
///
/// The empty set is allowed: the kernel still reports hang-ups and errors.
///
/// ```
/// use fenshen_reactor::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.contains(Interest::WRITABLE));
/// assert_eq!(both.without(Interest::READABLE), Interest::WRITABLE);
/// assert!(Interest::NONE.is_empty());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// Nothing but hang-ups and errors.
    pub const NONE: Self = Self(0);
    /// Data to read, a connection to accept, or the end of the stream.
    pub const READABLE: Self = Self(1);
    /// Room to write, or a connection made.
    pub const WRITABLE: Self = Self(2);

    /// Whether all of `other` is in the set.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set is empty.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set less what is in `other`.
    #[inline]
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    #[inline]
    pub(super) fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.contains(Self::READABLE));
        flags.set(EventFlags::OUT, self.contains(Self::WRITABLE));
        flags
    }
}

impl BitOr for Interest {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Interest {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Interest {
    type Output = Self;

    #[inline]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}
