use super::now_ns;
use std::time::Duration;

/// Ticks a nanosecond that are assumed before anything is measured: less than any current processor makes, so that an
/// early bound is too short rather than too long.
const GUESS: f64 = 0.5;
/// No counter is believed to be slower or faster than this, in ticks a nanosecond.
const BELIEVABLE: (f64, f64) = (0.001, 10.0);
/// The first measurement is made over this many nanoseconds, each later one over twice as many as the one before,
const FIRST_WINDOW: i64 = 200_000;
/// up to this many.
const LONGEST_WINDOW: i64 = 1_000_000_000;

/// Turns durations into ticks of the processor's own counter, which is read in a few nanoseconds (in some virtual
/// machines 20, so a loop of very short steps had better look at every fourth or eighth).
///
/// The counter is `rdtsc` on x86-64, `cntvct_el0` on aarch64 and `CLOCK_MONOTONIC` elsewhere. Its rate is not known at
/// the start and costs nothing to learn: each [`ticks_per`](Self::ticks_per) may compare the two clocks since the last
/// one, over windows that grow from 200 us to 1 s. Until the first window has passed, the rate is guessed low. Where the
/// counter's rate changes (a processor without an invariant counter, a suspended machine), a window that disagrees with
/// the last by more than a factor of two counts only downwards, and the next one settles it. So a bound in ticks is for
/// fairness, never for correctness: count steps beside it.
///
/// ```
/// use fenshen_reactor::Ticks;
/// use std::time::Duration;
///
/// let mut ticks = Ticks::new();
/// let start = Ticks::read();
/// let limit = ticks.ticks_per(Duration::from_micros(250));
/// let mut steps = 0;
/// while Ticks::since(start) < limit && steps < 64 {
///     steps += 1;
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Ticks {
    /// Ticks a nanosecond, as far as known.
    rate: f64,
    /// What the last window measured.
    measured: Option<f64>,
    /// Both clocks where the present window began.
    start_ticks: u64,
    start_ns: i64,
    /// The length of the present window in nanoseconds, and in ticks at the present rate.
    window_ns: i64,
    window_ticks: u64,
}

impl Ticks {
    /// Begins to measure. One reading of each clock.
    #[must_use]
    pub fn new() -> Self {
        Self {
            rate: GUESS,
            measured: None,
            start_ticks: Self::read(),
            start_ns: now_ns(),
            window_ns: FIRST_WINDOW,
            window_ticks: (FIRST_WINDOW as f64 * GUESS) as u64,
        }
    }

    /// The counter.
    #[inline]
    #[must_use]
    pub fn read() -> u64 {
        read_counter()
    }

    /// Ticks since an earlier reading. If the counter went backwards, a huge number: the bound is reached.
    #[inline]
    #[must_use]
    pub fn since(start: u64) -> u64 {
        Self::read().wrapping_sub(start)
    }

    /// About how many ticks `duration` takes; at least one.
    #[inline]
    pub fn ticks_per(&mut self, duration: Duration) -> u64 {
        if Self::since(self.start_ticks) >= self.window_ticks {
            self.end_window(Self::read(), now_ns());
        }
        ((duration.as_nanos() as f64 * self.rate) as u64).max(1)
    }

    /// Measures the rate over the window, if it was long enough, and begins the next.
    #[cold]
    fn end_window(&mut self, ticks: u64, ns: i64) {
        let elapsed = ns - self.start_ns;
        if elapsed >= self.window_ns {
            let rate = ticks.wrapping_sub(self.start_ticks) as f64 / elapsed as f64;
            let rate = rate.clamp(BELIEVABLE.0, BELIEVABLE.1);
            let last = self.measured.replace(rate).unwrap_or(rate);
            let steady = (last / 2.0..=last * 2.0).contains(&rate);
            self.rate = if steady { rate } else { rate.min(last) };
            self.start_ticks = ticks;
            self.start_ns = ns;
            self.window_ns = (self.window_ns * 2).min(LONGEST_WINDOW);
            self.window_ticks = 0;
        }
        let rest = self.window_ns - (ns - self.start_ns);
        self.window_ticks = ticks.wrapping_sub(self.start_ticks) + (rest as f64 * self.rate) as u64;
    }
}

impl Default for Ticks {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn read_counter() -> u64 {
    // SAFETY: every x86-64 processor has `rdtsc`, and it touches no memory.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "aarch64")]
#[inline]
fn read_counter() -> u64 {
    let ticks: u64;
    // SAFETY: Linux lets user space read the virtual counter; it touches no memory.
    unsafe { std::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags)) };
    ticks
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline]
fn read_counter() -> u64 {
    now_ns() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// Lets `nanos` pass on a counter of `rate` ticks a nanosecond, and has the clocks compared.
    fn pass(ticks: &mut Ticks, nanos: i64, rate: f64) {
        let counter = ticks.start_ticks.wrapping_add((nanos as f64 * rate) as u64);
        ticks.end_window(counter, ticks.start_ns + nanos);
    }

    /// What a millisecond is taken for, without a look at the real counter.
    fn ticks_of_a_milli(ticks: &Ticks) -> u64 {
        (MILLI.as_nanos() as f64 * ticks.rate) as u64
    }

    #[test]
    fn guesses_low_until_a_window_has_passed() {
        let mut ticks = Ticks::new();
        pass(&mut ticks, FIRST_WINDOW - 1, 3.0);
        assert_eq!(ticks_of_a_milli(&ticks), 500_000);
        pass(&mut ticks, FIRST_WINDOW, 3.0);
        assert_eq!(ticks_of_a_milli(&ticks), 3_000_000);
    }

    #[test]
    fn windows_grow_to_a_second() {
        let mut ticks = Ticks::new();
        for _ in 0..40 {
            let window = ticks.window_ns;
            pass(&mut ticks, window, 2.0);
            assert!(ticks.window_ns >= window);
            assert_eq!(ticks.window_ticks, ticks.window_ns as u64 * 2);
        }
        assert_eq!(ticks.window_ns, LONGEST_WINDOW);
    }

    #[test]
    fn a_jump_counts_downwards_at_once_and_upwards_when_it_lasts() {
        let mut ticks = Ticks::new();
        pass(&mut ticks, LONGEST_WINDOW, 2.0);
        pass(&mut ticks, LONGEST_WINDOW, 0.2);
        assert_eq!(ticks_of_a_milli(&ticks), 200_000);
        pass(&mut ticks, LONGEST_WINDOW, 2.0);
        assert_eq!(ticks_of_a_milli(&ticks), 200_000);
        pass(&mut ticks, LONGEST_WINDOW, 2.0);
        assert_eq!(ticks_of_a_milli(&ticks), 2_000_000);
    }

    #[test]
    fn a_mad_counter_gives_a_sane_rate() {
        for counter in [0, 1, u64::MAX / 2, u64::MAX] {
            let mut ticks = Ticks::new();
            ticks.start_ticks = 5;
            ticks.end_window(counter, ticks.start_ns + LONGEST_WINDOW);
            assert!((BELIEVABLE.0..=BELIEVABLE.1).contains(&ticks.rate), "{counter}: {}", ticks.rate);
            assert!(ticks.ticks_per(MILLI) >= 1);
        }
    }

    #[test]
    fn the_real_counter_agrees_with_the_clock() {
        let mut ticks = Ticks::new();
        std::thread::sleep(Duration::from_millis(20));
        ticks.ticks_per(MILLI);
        let (before, start) = (Ticks::read(), now_ns());
        std::thread::sleep(Duration::from_millis(20));
        let (passed, nanos) = (Ticks::since(before), now_ns() - start);
        let expected = ticks.ticks_per(Duration::from_nanos(nanos as u64));
        let ratio = passed as f64 / expected as f64;
        assert!((0.5..2.0).contains(&ratio), "{ratio}");
    }

    #[test]
    fn no_duration_is_no_ticks() {
        assert_eq!(Ticks::new().ticks_per(Duration::ZERO), 1);
    }
}
