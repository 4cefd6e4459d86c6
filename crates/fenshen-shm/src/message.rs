//! How a message lies in a ring or in a slab: a table of its parts, its body, and the parts, each aligned.

use crate::corrupt::Corrupt;

/// Parts begin at multiples of this, as vector instructions like it.
const PART_ALIGN: usize = 64;

/// What stands at the beginning of every message in a ring.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Head {
    pub(crate) kind: u32,
    pub(crate) parts: u32,
    pub(crate) tag: u64,
    pub(crate) body: u64,
    /// Zero if the message lies in the ring; else its slab's slot, plus one.
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

pub(crate) const HEAD: usize = size_of::<Head>();

impl Head {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        // SAFETY: it is plain numbers without gaps.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), HEAD) }
    }
}

/// An entry of the table.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Entry {
    pub(crate) len: u64,
    pub(crate) writable: u64,
}

/// Where everything lies within a message.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) body: std::ops::Range<usize>,
    pub(crate) parts: Vec<(std::ops::Range<usize>, bool)>,
    pub(crate) len: usize,
}

impl Layout {
    /// Of a body and a table.
    pub(crate) fn new(body: u64, table: impl ExactSizeIterator<Item = Entry>) -> Result<Layout, Corrupt> {
        let begin = table.len() * size_of::<Entry>();
        let end = usize::try_from(body).ok().and_then(|b| begin.checked_add(b)).ok_or(Corrupt("a body's length"))?;
        let (mut at, mut parts) = (end, Vec::with_capacity(table.len()));
        for entry in table {
            let begin = at.checked_next_multiple_of(PART_ALIGN);
            let range = begin.and_then(|b| Some(b..b.checked_add(usize::try_from(entry.len).ok()?)?));
            let range = range.ok_or(Corrupt("a part's length"))?;
            at = range.end;
            parts.push((range, entry.writable != 0));
        }
        Ok(Layout { body: begin..end, parts, len: at })
    }

    /// Of a message that was received, of which `bytes` are there. The table is copied once.
    ///
    /// # Safety
    /// The bytes can be read; the other side may still write them.
    pub(crate) unsafe fn read(head: &Head, bytes: *const [u8]) -> Result<Layout, Corrupt> {
        let table = (head.parts as usize).checked_mul(size_of::<Entry>()).filter(|&t| t <= bytes.len());
        if table.is_none() {
            return Err(Corrupt("the number of parts"));
        }
        let first = bytes.cast::<Entry>();
        let entries = (0..head.parts as usize)
            // SAFETY: the table lies within the bytes.
            .map(|i| unsafe { first.add(i).read_unaligned() });
        let layout = Layout::new(head.body, entries)?;
        if layout.len > bytes.len() { Err(Corrupt("a message's parts")) } else { Ok(layout) }
    }
}
