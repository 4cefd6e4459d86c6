//! Tasks that send items: how they are let go on, and how they are ended.

use std::sync::Arc;

use crate::crew::{Aftermath, Cancelled, Crew};
use crate::hand::Hand;
use crate::job::{Cargo, Job, Place};
use crate::pool::{Pool, lock};

impl<C: Cargo> Pool<C> {
    /// So many items of a task have been taken: as many more may come.
    pub fn grant(&self, job: &Job<C>, items: u32) {
        if let Place::Sent(worker, seq) = job.place()
            && let Some(hand) = lock(&self.crew).hand(worker)
        {
            hand.grant(seq, items);
        }
    }

    /// Nobody wants more items of a task: one that has not begun is cancelled, one that runs is told to end.
    pub fn stop(&self, job: &Job<C>) -> (Cancelled, Aftermath<C>) {
        let mut after = Aftermath::default();
        let mut crew = lock(&self.crew);
        let outcome = crew.cancel(job, false, &mut after);
        if let (Cancelled::Running, Place::Sent(worker, seq)) = (outcome, job.place())
            && let Some(hand) = crew.hand(worker)
        {
            hand.stop(seq);
        }
        (outcome, after)
    }

    /// The same for every task that sends items. Those that have not begun are returned, and no one's any more.
    pub fn stop_streams(&self) -> Vec<Arc<Job<C>>> {
        let mut crew = lock(&self.crew);
        let Crew { queue, hands, .. } = &mut *crew;
        let mut all: Vec<_> = queue.iter().filter(|job| job.is_pending() && job.cargo.window() > 0).cloned().collect();
        all.extend(hands.iter_mut().filter_map(Hand::stop_stream));
        all.iter().for_each(|job| job.put(Place::Ended));
        all
    }
}
