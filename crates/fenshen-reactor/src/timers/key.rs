/// A deadline and a sequence number as one unsigned number: a total order, compared in two instructions without a branch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// The deadline's bits, mapped so that their unsigned order is the numbers' order.
    when: u64,
    /// Which push it was: what makes equal deadlines first in, first out.
    seq: u64,
}

const SIGN: u64 = 1 << 63;

impl Key {
    #[inline]
    pub(super) fn new(when: f64, seq: u64) -> Self {
        // Adding zero makes -0.0 equal to 0.0, as it is for whoever compares floats.
        let when = if when.is_nan() { f64::NEG_INFINITY } else { when + 0.0 };
        let bits = when.to_bits();
        // Below zero a larger magnitude comes first, so all bits flip; the rest goes above what is below zero.
        let flip = ((bits as i64) >> 63) as u64 | SIGN;
        Self { when: bits ^ flip, seq }
    }

    #[inline]
    pub(super) fn when(self) -> f64 {
        let flip = if self.when & SIGN == 0 { u64::MAX } else { SIGN };
        f64::from_bits(self.when ^ flip)
    }

    #[inline]
    pub(super) fn before(self, other: Self) -> bool {
        self.order() < other.order()
    }

    #[inline]
    fn order(self) -> u128 {
        u128::from(self.when) << 64 | u128::from(self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_of_numbers() {
        let rising = [f64::NEG_INFINITY, f64::MIN, -1.0, -1e-300, 0.0, 1e-300, 1.0, 1.5, f64::MAX, f64::INFINITY];
        for (i, a) in rising.into_iter().enumerate() {
            assert_eq!(Key::new(a, 0).when(), a);
            for (j, b) in rising.into_iter().enumerate() {
                assert_eq!(Key::new(a, 9).before(Key::new(b, 0)), i < j, "{a} {b}");
            }
        }
    }

    #[test]
    fn equal_deadlines_are_in_order_of_arrival() {
        assert!(Key::new(1.0, 0).before(Key::new(1.0, 1)));
        assert!(!Key::new(1.0, 1).before(Key::new(1.0, 0)));
        assert!(Key::new(0.0, 0).before(Key::new(-0.0, 1)));
        assert!(Key::new(-0.0, 0).before(Key::new(0.0, 1)));
    }

    #[test]
    fn nan_is_due_at_once() {
        for nan in [f64::NAN, -f64::NAN] {
            assert_eq!(Key::new(nan, 0).when(), f64::NEG_INFINITY);
        }
    }
}
