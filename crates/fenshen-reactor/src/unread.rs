//! Bytes that have arrived and that nobody has taken yet.

use memchr::{memchr, memmem};

/// How much room an emptied queue keeps for what comes next, in bytes.
const KEPT: usize = 64 * 1024;

/// A queue of bytes whose content is one slice: added at the end, taken from the front.
///
/// Taking costs nothing but a step of the front; what lies before it is used again before more memory is asked for.
/// ```
/// use fenshen_reactor::Unread;
///
/// let mut unread = Unread::new();
/// unread.push(b"GET / HTT");
/// unread.push(b"P/1.1\r\nHost:");
/// let (_, end) = unread.find(&[b"\r\n"], 0).unwrap();
/// assert_eq!(&unread.as_slice()[..end], b"GET / HTTP/1.1\r\n");
/// unread.discard(end);
/// assert_eq!(unread.as_slice(), b"Host:");
/// ```
#[derive(Debug, Default)]
pub struct Unread {
    bytes: Vec<u8>,
    front: usize,
}

impl Unread {
    /// An empty queue, which holds no memory.
    pub const fn new() -> Unread {
        Unread { bytes: Vec::new(), front: 0 }
    }

    /// What is in it.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.front..]
    }

    /// How many bytes are in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.front
    }

    /// Whether nothing is in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds bytes at the end.
    #[inline]
    pub fn push(&mut self, data: &[u8]) {
        // Moving what is left to the front is cheap only where that is no more than what was taken.
        if self.bytes.capacity() - self.bytes.len() < data.len() && self.front >= self.len() {
            self.bytes.copy_within(self.front.., 0);
            self.bytes.truncate(self.bytes.len() - self.front);
            self.front = 0;
        }
        self.bytes.extend_from_slice(data);
    }

    /// Puts bytes before all others, as if they had never been taken.
    pub fn put_back(&mut self, data: &[u8]) {
        if data.len() <= self.front {
            self.front -= data.len();
            self.bytes[self.front..self.front + data.len()].copy_from_slice(data);
        } else {
            self.bytes.splice(..self.front, data.iter().copied());
            self.front = 0;
        }
    }

    /// Lets go of the first `n` bytes, or of all where there are fewer.
    #[inline]
    pub fn discard(&mut self, n: usize) {
        if n < self.len() {
            self.front += n;
        } else {
            self.clear();
        }
    }

    /// Lets go of all.
    #[inline]
    pub fn clear(&mut self) {
        self.front = 0;
        if self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        } else {
            self.bytes.clear();
        }
    }

    /// See [`find`].
    #[inline]
    pub fn find(&self, separators: &[&[u8]], from: usize) -> Option<(usize, usize)> {
        find(self.as_slice(), separators, from)
    }
}

/// Where the first occurrence of any of the separators, looked for from `from` on, begins and ends: the one that ends
/// first, and of several that end there the one that is named first.
pub fn find(bytes: &[u8], separators: &[&[u8]], from: usize) -> Option<(usize, usize)> {
    let rest = bytes.get(from..)?;
    let mut found: Option<(usize, usize)> = None;
    for separator in separators {
        // Nothing that ends later than what is known is of interest.
        let within = found.map_or(rest, |(_, end)| &rest[..end]);
        let at = match separator {
            [byte] => memchr(*byte, within),
            _ => memmem::find(within, separator),
        };
        if let Some(at) = at
            && found.is_none_or(|(_, end)| at + separator.len() < end)
        {
            found = Some((at, at + separator.len()));
        }
    }
    found.map(|(start, end)| (from + start, from + end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn emptied_memory_is_used_again() {
        let mut unread = Unread::new();
        unread.push(&[1; 1000]);
        let room = unread.bytes.capacity();
        for _ in 0..1000 {
            unread.discard(1000);
            unread.push(&[2; 1000]);
        }
        assert_eq!(unread.bytes.capacity(), room);
    }

    #[test]
    fn what_lies_before_the_front_is_used_again() {
        let mut unread = Unread::new();
        unread.push(&[0; 4096]);
        for _ in 0..10_000 {
            unread.discard(3000);
            unread.push(&[0; 3000]);
        }
        assert!(unread.bytes.capacity() <= 16 * 1024, "{}", unread.bytes.capacity());
    }

    #[test]
    fn a_big_emptied_queue_keeps_nothing() {
        let mut unread = Unread::new();
        unread.push(&vec![0; 2 * KEPT]);
        unread.discard(2 * KEPT);
        assert_eq!(unread.bytes.capacity(), 0);
    }

    #[test]
    fn of_separators_the_one_that_ends_first_is_found() {
        assert_eq!(find(b"one\r\ntwo\n", &[b"\n", b"\r\n"], 0), Some((4, 5)));
        assert_eq!(find(b"xxabcd", &[b"d", b"abc"], 0), Some((2, 5)));
        assert_eq!(find(b"abcabc", &[b"abc"], 1), Some((3, 6)));
        assert_eq!(find(b"abc", &[b"x"], 0), None);
        assert_eq!(find(b"abc", &[b"a"], 7), None);
    }

    /// The same by trying every place.
    fn find_slowly(bytes: &[u8], separators: &[&[u8]], from: usize) -> Option<(usize, usize)> {
        let mut found: Option<(usize, usize)> = None;
        for separator in separators {
            let at = (from..bytes.len()).find(|at| bytes[*at..].starts_with(separator));
            if let Some(at) = at
                && found.is_none_or(|(_, end)| at + separator.len() < end)
            {
                found = Some((at, at + separator.len()));
            }
        }
        found
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(Vec<u8>),
        PutBack(Vec<u8>),
        Discard(usize),
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..300);
        let step = prop_oneof![
            4 => bytes().prop_map(Step::Push),
            1 => bytes().prop_map(Step::PutBack),
            4 => (0usize..400).prop_map(Step::Discard),
            1 => Just(Step::Clear),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn it_holds_what_a_vec_would(steps in steps()) {
            let (mut unread, mut model) = (Unread::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Push(data) => {
                        unread.push(&data);
                        model.extend_from_slice(&data);
                    }
                    Step::PutBack(data) => {
                        unread.put_back(&data);
                        model.splice(..0, data);
                    }
                    Step::Discard(n) => {
                        unread.discard(n);
                        model.drain(..n.min(model.len()));
                    }
                    Step::Clear => {
                        unread.clear();
                        model.clear();
                    }
                }
                prop_assert_eq!(unread.as_slice(), &model[..]);
                prop_assert_eq!(unread.len(), model.len());
                prop_assert_eq!(unread.is_empty(), model.is_empty());
            }
        }

        #[test]
        fn it_finds_what_a_slow_search_finds(
            bytes in prop::collection::vec(0u8..3, 0..40),
            separators in prop::collection::vec(prop::collection::vec(0u8..3, 1..4), 1..4),
            from in 0usize..45,
        ) {
            let mut separators: Vec<&[u8]> = separators.iter().map(Vec::as_slice).collect();
            separators.sort_by_key(|s| s.len());
            prop_assert_eq!(find(&bytes, &separators, from), find_slowly(&bytes, &separators, from));
        }
    }
}
