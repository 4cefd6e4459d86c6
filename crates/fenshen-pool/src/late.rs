//! Tasks that run too long, and what waits behind a slow one: what the clock makes of a pool.

use std::time::Duration;

use crate::clock::now;
use crate::crew::PATIENCE;
use crate::event::Event;
use crate::hand::Hand;
use crate::job::{Cargo, Place};
use crate::pool::{Pool, lock};

impl<C: Cargo> Pool<C> {
    /// How long may be waited before the clock makes a turn necessary; `None` for ever.
    pub fn due(&self) -> Option<Duration> {
        let crew = lock(&self.crew);
        let now = now();
        let ends = crew.hands.iter().filter_map(|hand| {
            let first = hand.flying.front()?;
            let limit = first.job.as_ref()?.cargo.timeout()?.as_nanos() as u64;
            Some(hand.leases().claimed(first.seq).unwrap_or(now).saturating_add(limit))
        });
        let end = ends.min().map(|end| Duration::from_nanos(end.saturating_sub(now)));
        let moves = self.many.is_none();
        let idle = moves && crew.hands.iter().any(Hand::is_idle) && crew.hands.iter().any(|h| h.flying.len() > 1);
        end.into_iter().chain(idle.then_some(PATIENCE)).min()
    }

    /// Ends what runs too long.
    pub(crate) fn look_at_clock(&self, each: &mut dyn FnMut(Event<C>)) {
        let (mut late, mut returned) = (Vec::new(), Vec::new());
        let mut crew = lock(&self.crew);
        let now = now();
        for hand in &mut crew.hands {
            let Some(first) = hand.flying.front() else { continue };
            let Some(limit) = first.job.as_ref().and_then(|j| j.cargo.timeout()) else { continue };
            let began = hand.leases().claimed(first.seq);
            if began.is_none_or(|began| now.saturating_sub(began) < limit.as_nanos() as u64) {
                continue;
            }
            let (back, alone) = hand.isolate(first.seq);
            returned.push(back);
            if !alone {
                continue; // it has ended just now
            }
            if let Some(job) = hand.flying.front_mut().and_then(|f| f.job.take()) {
                job.put(Place::Ended);
                late.push(job);
            }
            hand.kill();
        }
        returned.into_iter().for_each(|back| crew.take_back(back));
        drop(crew);
        late.into_iter().for_each(|job| each(Event::TimedOut(job)));
    }
}
