//! A table of texts and their counts: open addressing with linear probing, texts of up to 16 bytes within the slot.
//!
//! Most words are short and most occurrences are of few words, so an occurrence touches one cache line that is warm. The
//! hash multiplies 16 bytes at a time and folds the 128-bit product, as Wang Yi's wyhash does; it has no seed.

const INLINE: usize = 16;
/// The length that no text has: the slot is free.
const FREE: u32 = u32::MAX;
const LEAST: usize = 1 << 10;
const KEYS: (u64, u64) = (0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93);

#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    len: u32,
    count: i64,
    /// The text itself, padded with zeros, or in the first half where it begins among the long ones.
    text: [u64; 2],
}

const EMPTY: Slot = Slot { hash: 0, len: FREE, count: 0, text: [0; 2] };

/// Texts and their counts.
pub(super) struct Table {
    slots: Vec<Slot>,
    used: usize,
    /// The texts that are longer than a slot holds, one behind the other.
    long: Vec<u8>,
}

fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// Up to 16 bytes, padded with zeros.
#[inline(always)]
fn padded(text: &[u8]) -> [u64; 2] {
    let n = text.len();
    let eight = |at: usize| u64::from_le_bytes(text[at..at + 8].try_into().unwrap_or_default());
    let four = |at: usize| u64::from(u32::from_le_bytes(text[at..at + 4].try_into().unwrap_or_default()));
    match n {
        // The last bytes are read with an overlap, and shifted to their places.
        8..=16 => [eight(0), if n > 8 { eight(n - 8) >> (8 * (16 - n)) } else { 0 }],
        4..=7 => [four(0) | four(n - 4) >> (8 * (8 - n)) << 32, 0],
        _ => [text.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte)), 0],
    }
}

fn hash_of(text: &[u8]) -> u32 {
    let mut state = KEYS.0 ^ text.len() as u64;
    let (chunks, rest) = text.as_chunks::<INLINE>();
    for chunk in chunks {
        let [a, b] = padded(chunk);
        state = folded(a ^ state, b ^ KEYS.1);
    }
    let [a, b] = padded(rest);
    state = folded(a ^ state, b ^ KEYS.1);
    (folded(state, KEYS.0) >> 16) as u32
}

impl Table {
    pub(super) fn new() -> Table {
        Table { slots: Vec::new(), used: 0, long: Vec::new() }
    }

    /// How many texts there are.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// The bytes that all of it takes.
    pub(super) fn weight(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.long.capacity()
    }

    /// Whether a text can be in the table at all.
    pub(super) fn takes(text: &[u8]) -> bool {
        text.len() < FREE as usize
    }

    /// Adds to a text's count; false, and nothing is added, if the sum is too large.
    #[inline]
    pub(super) fn add(&mut self, text: &[u8], count: i64) -> bool {
        if self.used * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let (hash, len) = (hash_of(text), text.len() as u32);
        let packed = if text.len() <= INLINE { padded(text) } else { [0; 2] };
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = &mut self.slots[at];
            if slot.len == FREE {
                let packed = if text.len() <= INLINE { packed } else { [self.long.len() as u64, 0] };
                *slot = Slot { hash, len, count, text: packed };
                if text.len() > INLINE {
                    self.long.extend_from_slice(text);
                }
                self.used += 1;
                return true;
            }
            if slot.hash == hash && slot.len == len {
                let same = match text.len() <= INLINE {
                    true => slot.text == packed,
                    false => self.long[slot.text[0] as usize..][..text.len()] == *text,
                };
                if same {
                    let Some(sum) = slot.count.checked_add(count) else { return false };
                    slot.count = sum;
                    return true;
                }
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let wanted = (self.slots.len() * 2).max(LEAST);
        let mask = wanted - 1;
        let mut slots = vec![EMPTY; wanted];
        for slot in self.slots.iter().filter(|slot| slot.len != FREE) {
            let mut at = slot.hash as usize & mask;
            while slots[at].len != FREE {
                at = (at + 1) & mask;
            }
            slots[at] = *slot;
        }
        self.slots = slots;
    }

    /// Calls `each` with every text and its count, until it fails.
    pub(super) fn for_each<E>(&self, mut each: impl FnMut(&[u8], i64) -> Result<(), E>) -> Result<(), E> {
        for slot in self.slots.iter().filter(|slot| slot.len != FREE) {
            let len = slot.len as usize;
            if len > INLINE {
                each(&self.long[slot.text[0] as usize..][..len], slot.count)?;
            } else {
                let mut bytes = [0; INLINE];
                bytes[..8].copy_from_slice(&slot.text[0].to_le_bytes());
                bytes[8..].copy_from_slice(&slot.text[1].to_le_bytes());
                each(&bytes[..len], slot.count)?;
            }
        }
        Ok(())
    }
}
