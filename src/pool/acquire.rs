//! The future that waits in the queue.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    Exhausted,
    engine::{Ask, Time, WaiterId},
    pool::{
        core::{Core, Granted, Slot},
        credentials::Credential,
        lease::Lease,
        shared::Shared,
    },
};

pin_project! {
    /// A request in the queue of a pool; see [`KeyPool::acquire`](crate::KeyPool::acquire).
    ///
    /// It does nothing until it is polled. It can be dropped at any point.
    #[must_use = "futures do nothing unless polled"]
    pub struct Acquire {
        shared: Arc<Shared>,
        ask: Box<Ask>,
        began: Instant,
        place: Place,
        #[pin]
        timer: Option<Sleep>,
    }

    impl PinnedDrop for Acquire {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Place::InLine(id) = *this.place {
                // A grant that it may hold is dropped outside the lock.
                drop(this.shared.with(|core, now| core.leave(now, id, this.ask)));
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Outside,
    InLine(WaiterId),
    Done,
}

/// What one look at the pool gives a request in the queue.
enum Look {
    Done(Result<Granted, Exhausted>),
    /// Look again at this time, if nothing happens before.
    Wait(Time),
}

impl Acquire {
    pub(crate) fn new(shared: Arc<Shared>, ask: Box<Ask>) -> Self {
        Self { shared, ask, began: Instant::now(), place: Place::Outside, timer: None }
    }
}

impl Future for Acquire {
    type Output = Result<Lease, Exhausted>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let look = this.shared.with(|core, now| match *this.place {
                Place::Outside => core.join(now, this.ask, this.place, cx.waker()),
                Place::InLine(id) => core.look(now, this.ask, id, cx.waker()),
                // It was polled again after it was ready.
                Place::Done => Look::Wait(this.ask.deadline),
            });
            let until = match look {
                Look::Done(outcome) => {
                    *this.place = Place::Done;
                    this.timer.set(None);
                    let waited = this.began.elapsed();
                    let lease = |granted| Lease::new(Arc::clone(this.shared), granted, waited);
                    return Poll::Ready(outcome.map(lease));
                }
                Look::Wait(until) => this.shared.clock.instant(until),
            };
            match this.timer.as_mut().as_pin_mut() {
                Some(timer) if timer.deadline() == until => {}
                Some(timer) => timer.reset(until),
                None => this.timer.set(Some(sleep_until(until))),
            }
            if let Some(timer) = this.timer.as_mut().as_pin_mut()
                && timer.poll(cx).is_pending()
            {
                return Poll::Pending;
            }
        }
    }
}

impl Core {
    fn join(&mut self, now: Time, ask: &Ask, place: &mut Place, waker: &Waker) -> Look {
        if let Some(granted) = self.admit(now, ask) {
            return Look::Done(Ok(granted));
        }
        let slot = self.waiters.vacant_entry();
        let id = WaiterId(slot.key());
        if let Err(exhausted) = self.engine.line_up(now, ask.clone(), id) {
            return Look::Done(Err(exhausted));
        }
        slot.insert(Slot { waker: waker.clone(), outcome: None });
        *place = Place::InLine(id);
        self.look(now, ask, id, waker)
    }

    fn look(&mut self, now: Time, ask: &Ask, id: WaiterId, waker: &Waker) -> Look {
        self.serve(now, Some(id));
        let Some(slot) = self.waiters.get_mut(id.0) else { return Look::Wait(ask.deadline) };
        if let Some(outcome) = slot.outcome.take() {
            self.waiters.remove(id.0);
            return Look::Done(outcome);
        }
        if ask.deadline <= now {
            self.leave(now, id, ask);
            return Look::Done(Err(self.engine.busy(now, ask)));
        }
        slot.waker.clone_from(waker);
        // Each request waits until its own deadline. One of them, the driver, also waits for the next time at
        // which a request can be served.
        let until = match self.driver {
            Some((driver, Some(wake_at))) if driver == id => wake_at.min(ask.deadline),
            _ => ask.deadline,
        };
        Look::Wait(until)
    }

    fn leave(&mut self, now: Time, id: WaiterId, ask: &Ask) -> Option<Arc<Credential>> {
        if self.driver.is_some_and(|(driver, _)| driver == id) {
            self.driver = None;
        }
        match self.waiters.try_remove(id.0).and_then(|slot| slot.outcome) {
            Some(Ok(Granted { grant, credential })) => {
                self.engine.refund(now, grant);
                return Some(credential);
            }
            Some(Err(_)) => {}
            None => self.engine.leave(ask, id),
        }
        None
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("place", &self.place).finish_non_exhaustive()
    }
}
