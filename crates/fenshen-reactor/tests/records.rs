//! `Records` against a reading of the whole stream at once, for arbitrary streams cut at arbitrary places.

use fenshen_reactor::Records;
use proptest::prelude::*;

fn record() -> impl Strategy<Value = Vec<u8>> {
    (20..=23u8, 0..=4u8, prop_oneof![0..40usize, 0..=18_432usize]).prop_map(|(kind, minor, length)| {
        let mut record = vec![kind, 3, minor];
        record.extend(u16::try_from(length).expect("a record's length").to_be_bytes());
        record.extend((0..length).map(|i| u8::try_from(i % 251).expect("less than 251")));
        record
    })
}

fn pieces<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}

/// How many records are whole after so many bytes.
fn whole_at(records: &[Vec<u8>], bytes: usize) -> usize {
    let ends = records.iter().scan(0, |end, record| {
        *end += record.len();
        Some(*end)
    });
    ends.take_while(|end| *end <= bytes).count()
}

proptest! {
    #[test]
    fn every_cut_counts_the_same(
        made in prop::collection::vec(record(), 0..8),
        tail in 0..4usize,
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let mut stream = made.concat();
        stream.extend([23, 3, 3, 1, 0].iter().take(tail));
        let (mut records, mut fed) = (Records::default(), 0);
        for piece in pieces(&stream, &cuts) {
            records.feed(piece);
            fed += piece.len();
            prop_assert_eq!(records.whole(), whole_at(&made, fed));
        }
        prop_assert!(!records.is_foreign());
        if let Some(last) = made.last() {
            prop_assert_eq!(records.last(), last.len() - 5);
        }
    }

    #[test]
    fn using_up_in_between_changes_nothing(
        made in prop::collection::vec(record(), 1..8),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
        eager in any::<bool>(),
    ) {
        let stream = made.concat();
        let (mut records, mut used) = (Records::default(), 0);
        for piece in pieces(&stream, &cuts) {
            records.feed(piece);
            if eager {
                used += records.whole();
                records.used_all();
            } else if records.whole() > 0 {
                records.used();
                used += 1;
            }
        }
        prop_assert_eq!(used + records.whole(), made.len());
    }

    #[test]
    fn arbitrary_bytes_never_panic(stream in prop::collection::vec(any::<u8>(), 0..2000), cuts in prop::collection::vec(any::<usize>(), 0..20)) {
        let mut whole = Records::default();
        whole.feed(&stream);
        let mut records = Records::default();
        for piece in pieces(&stream, &cuts) {
            records.feed(piece);
        }
        prop_assert_eq!(records.is_foreign(), whole.is_foreign());
        prop_assert_eq!(records.whole(), whole.whole());
    }
}

#[test]
fn what_is_no_record_is_foreign() {
    for stream in
        [&b"GET / HTTP/1.1\r\n"[..], &[23, 2, 0, 0, 1], &[23, 3, 3, 0xff, 0xff], &[19, 3, 3, 0, 1], &[24, 3, 3, 0, 1]]
    {
        let mut records = Records::default();
        records.feed(&stream[..4]);
        assert!(!records.is_foreign());
        records.feed(&stream[4..]);
        assert!(records.is_foreign());
        records.feed(&[23, 3, 3, 0, 0]);
        assert_eq!(records.whole(), 0);
    }
}

#[test]
fn empty_records_count() {
    let mut records = Records::default();
    records.feed(&[23, 3, 3, 0, 0, 23, 3, 3, 0, 0]);
    assert_eq!((records.whole(), records.last()), (2, 0));
    records.used_all();
    records.used();
    assert_eq!(records.whole(), 0);
}
