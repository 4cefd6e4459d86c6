//! Counts as bytes: for each text its length, its count, and itself, by which partition they go to.

use super::table::Table;

/// What the first byte says: these are counts.
pub(super) const SIGN: u8 = b't';
const HEAD: usize = 12;

/// The polynomial of zlib's `crc32`, by which partitions are chosen, for a byte of each value.
const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut value, mut bit) = (byte as u32, 0);
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xEDB8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

fn crc32(text: &[u8]) -> u32 {
    !text.iter().fold(!0, |state: u32, &byte| CRC[((state ^ u32::from(byte)) & 0xFF) as usize] ^ state >> 8)
}

/// What is in a table, by partition; empty for a partition that nothing is of.
pub(super) fn pack(table: &Table, partitions: usize) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new(); partitions];
    let Ok(()) = table.for_each(|text, count| {
        let number = if partitions == 1 { 0 } else { crc32(text) as usize % partitions };
        let part: &mut Vec<u8> = &mut parts[number];
        if part.is_empty() {
            part.push(SIGN);
        }
        part.extend_from_slice(&(text.len() as u32).to_le_bytes());
        part.extend_from_slice(&count.to_le_bytes());
        part.extend_from_slice(text);
        Ok::<(), std::convert::Infallible>(())
    });
    parts
}

/// Calls `each` with every text and its count; `None` if these are not such bytes, or `each` says so.
pub(super) fn unpack(packed: &[u8], mut each: impl FnMut(&[u8], i64) -> Option<()>) -> Option<()> {
    let (&sign, mut rest) = packed.split_first()?;
    if sign != SIGN {
        return None;
    }
    while !rest.is_empty() {
        let (head, more) = rest.split_at_checked(HEAD)?;
        let (len, count) = head.split_at(4);
        let len = u32::from_le_bytes(len.try_into().ok()?) as usize;
        let (text, more) = more.split_at_checked(len)?;
        each(text, i64::from_le_bytes(count.try_into().ok()?))?;
        rest = more;
    }
    Some(())
}
