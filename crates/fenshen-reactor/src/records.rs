//! Where TLS records end in a stream of bytes that comes in arbitrary pieces (RFC 8446, section 5.1).
//!
//! Whoever decrypts a stream must know whether a whole record is there: to ask for a part of one costs an error each
//! time. Only the headers are looked at.

const HEADER: usize = 5;
/// What a record may hold at most: 16 KiB, and what compression and encryption may add (RFC 5246, section 6.2.3).
const LONGEST: usize = (1 << 14) + 2048;

/// How many whole records of a stream have come and are not used up yet.
///
/// ```
/// use fenshen_reactor::Records;
///
/// let mut records = Records::default();
/// records.feed(&[23, 3, 3, 0, 2, b'a']);
/// assert_eq!(records.whole(), 0);
/// records.feed(b"b");
/// assert_eq!((records.whole(), records.last()), (1, 2));
/// records.used();
/// assert_eq!(records.whole(), 0);
/// ```
#[derive(Debug, Default)]
pub struct Records {
    header: [u8; HEADER],
    /// How much of a header has come.
    have: usize,
    /// How much of the present record is still to come.
    left: usize,
    whole: usize,
    last: usize,
    foreign: bool,
}

impl Records {
    /// More of the stream has come.
    #[inline]
    pub fn feed(&mut self, mut data: &[u8]) {
        while !data.is_empty() && !self.foreign {
            let taken = if self.left > 0 { self.feed_body(data) } else { self.feed_header(data) };
            data = &data[taken..];
        }
    }

    fn feed_body(&mut self, data: &[u8]) -> usize {
        let taken = self.left.min(data.len());
        self.left -= taken;
        if self.left == 0 {
            self.whole += 1;
        }
        taken
    }

    fn feed_header(&mut self, data: &[u8]) -> usize {
        let taken = (HEADER - self.have).min(data.len());
        self.header[self.have..self.have + taken].copy_from_slice(&data[..taken]);
        self.have += taken;
        if self.have == HEADER {
            self.have = 0;
            self.begin();
        }
        taken
    }

    fn begin(&mut self) {
        let [kind, major, _, high, low] = self.header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        // Change of cipher, alert, handshake and data, of any version since SSL 3.
        if !(20..=23).contains(&kind) || major != 3 || length > LONGEST {
            self.foreign = true;
            return;
        }
        self.left = length;
        self.last = length;
        if length == 0 {
            self.whole += 1;
        }
    }

    /// How many whole records are there.
    #[inline]
    pub fn whole(&self) -> usize {
        self.whole
    }

    /// How many bytes follow the header of the record that began last.
    #[inline]
    pub fn last(&self) -> usize {
        self.last
    }

    /// Whether something came that is no record; nothing is known of what comes after it.
    #[inline]
    pub fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// One whole record is used up.
    #[inline]
    pub fn used(&mut self) {
        self.whole = self.whole.saturating_sub(1);
    }

    /// Every whole record is used up.
    #[inline]
    pub fn used_all(&mut self) {
        self.whole = 0;
    }
}
