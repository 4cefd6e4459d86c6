//! What a worker sends back besides a result.

/// What it measured of one task, in nanoseconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Measures {
    /// The CPU time of loading function and arguments.
    pub(super) load: u64,
    /// The call's, from beginning to end.
    pub(super) wall: u64,
    /// The CPU time of the whole process meanwhile.
    pub(super) cpu: u64,
    /// How long its thread was ready to run meanwhile, and had no processor.
    pub(super) starved: u64,
    /// The CPU time of pickling the result.
    pub(super) dump: u64,
}

impl Measures {
    /// How many bytes they are.
    pub(crate) const LEN: usize = 40;

    pub(crate) fn to_bytes(self) -> [u8; Measures::LEN] {
        join(&[self.load, self.wall, self.cpu, self.starved, self.dump])
    }

    /// From the head of a result; None if that is too short.
    pub(crate) fn read(body: &[u8]) -> Option<Measures> {
        let [load, wall, cpu, starved, dump] = split(body)?;
        Some(Measures { load, wall, cpu, starved, dump })
    }
}

/// What was known only when a result had been sent.
pub(crate) struct Late {
    /// The number of the function's row.
    pub(super) row: u64,
    /// The CPU time of copying the result, in nanoseconds.
    pub(super) send: u64,
}

impl Late {
    pub(crate) fn to_bytes(&self) -> [u8; 16] {
        join(&[self.row, self.send])
    }

    /// From a note; None if that is too short.
    pub(crate) fn read(body: &[u8]) -> Option<Late> {
        let [row, send] = split(body)?;
        Some(Late { row, send })
    }
}

fn join<const N: usize>(words: &[u64]) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

fn split<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let mut words = [0; N];
    for (at, word) in words.iter_mut().enumerate() {
        *word = u64::from_ne_bytes(*bytes.get(8 * at..)?.first_chunk()?);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::{Late, Measures};

    #[test]
    fn what_was_written_is_read() {
        let all = Measures { load: 1, wall: u64::MAX, cpu: 3, starved: 4, dump: 5 };
        let mut bytes = all.to_bytes().to_vec();
        bytes.push(9);
        let again = Measures::read(&bytes).expect("they are all there");
        assert_eq!([again.load, again.wall, again.cpu, again.starved, again.dump], [1, u64::MAX, 3, 4, 5]);
        let late = Late::read(&Late { row: 7, send: 8 }.to_bytes()).expect("both are there");
        assert_eq!((late.row, late.send), (7, 8));
    }

    #[test]
    fn what_is_too_short_is_nothing() {
        assert!(Measures::read(&[0; Measures::LEN - 1]).is_none());
        assert!(Late::read(&[]).is_none());
    }
}
