//! How many tasks a worker is sent ahead: enough that it never waits for the pool, and so few that little is held up
//! behind a slow one.

use std::time::Duration;

use crate::lease::LEASES;

/// How much work a worker has ahead.
const AHEAD: Duration = Duration::from_millis(2);
/// From this on a task is so long that the way to the worker does not matter.
const LONG: Duration = Duration::from_millis(20);

/// What is known of a worker's tasks: an exponential moving average of how long they run.
#[derive(Debug, Default)]
pub(crate) struct Credit {
    /// In microseconds; none before the first result.
    mean: Option<f32>,
}

impl Credit {
    /// A task has run for so many microseconds.
    pub(crate) fn ran(&mut self, micros: u32) {
        let micros = micros as f32;
        self.mean = Some(self.mean.map_or(micros, |mean| mean + (micros - mean) / 8.0));
    }

    /// How many tasks the worker may have.
    pub(crate) fn tasks(&self) -> usize {
        match self.mean {
            None => 2,
            Some(mean) if mean >= LONG.as_micros() as f32 => 1,
            Some(mean) => ((AHEAD.as_micros() as f32 / mean.max(1.0)) as usize).clamp(2, LEASES),
        }
    }

    /// Whether tasks are so short that moving one costs more than it saves.
    pub(crate) fn is_short(&self) -> bool {
        self.mean.is_some_and(|mean| mean < 200.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Credit;
    use crate::lease::LEASES;

    fn after(micros: u32) -> usize {
        let mut credit = Credit::default();
        (0..50).for_each(|_| credit.ran(micros));
        credit.tasks()
    }

    #[test]
    fn short_tasks_get_much_and_long_ones_little() {
        assert_eq!(Credit::default().tasks(), 2);
        assert_eq!(after(1), LEASES);
        assert_eq!(after(100), 20);
        assert_eq!(after(5_000), 2);
        assert_eq!(after(1_000_000), 1);
    }
}
