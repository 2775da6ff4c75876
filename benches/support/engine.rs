//! The repeated operation: admit, settle and end one request.

use std::{
    hint::black_box,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use governor::{Quota, RateLimiter};
use tokio::time::Instant;
use tower_key_rotation::{Demand, KeyPool, usage::Usage};

use super::pools;

pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) make: Box<dyn Fn() -> Work>,
}

pub(crate) type Work = Box<dyn FnMut()>;

const SIZES: [usize; 4] = [1, 10, 1_000, 100_000];
/// How many of a thousand accounts cool down.
const COOLING: [usize; 3] = [0, 900, 999];

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for keys in SIZES {
        for cooling in COOLING {
            let left = keys - keys * cooling / 1_000;
            // With few accounts the shares are the same.
            if cooling == 0 || keys * (1_000 - cooling) >= 1_000 {
                let percent = cooling as f64 / 10.0;
                let name = format!("pool, {keys} accounts, {percent} % cooling");
                rows.push(row(name, move || settle(&pools::cooling(keys, left))));
            }
        }
    }
    rows.push(row("pool, 10 accounts, 2 threads", || contended(settling(&pools::pool(10)))));
    rows.push(row("governor direct", || single(direct())));
    rows.push(row("governor direct, 2 threads", || contended(direct())));
    rows.push(row("governor keyed, 10 keys", || single(keyed(10))));
    rows.push(row("governor keyed, 10 keys, 2 threads", || contended(keyed(10))));
    for keys in [10, 1_000] {
        rows.push(row(format!("mutex and scan, {keys} keys"), move || single(scan(keys, 1))));
    }
    rows.push(row("mutex and scan, 1000 keys, 99.9 % cooling", || single(scan(1_000, 1_000))));
    rows.push(row("mutex and scan, 10 keys, 2 threads", || contended(scan(10, 1))));
    rows
}

fn row(name: impl Into<String>, make: impl Fn() -> Work + 'static) -> Row {
    Row { name: name.into(), make: Box::new(make) }
}

fn single(work: impl FnMut() + 'static) -> Work {
    Box::new(work)
}

fn settle(pool: &KeyPool) -> Work {
    single(settling(pool))
}

/// Reserves all limits of an account, settles the usage, and ends the request.
fn settling(pool: &KeyPool) -> impl Fn() + Send + Clone + use<> {
    let pool = pool.clone();
    let demand = Demand::new().model("gpt-4o").input_tokens(400).output_tokens(200);
    move || {
        if let Ok(mut lease) = black_box(pool.try_acquire(&demand)) {
            lease.settle(Usage::tokens(380, 120));
        }
    }
}

fn direct() -> impl Fn() + Send + Clone {
    let limiter = Arc::new(RateLimiter::direct(Quota::per_second(NonZeroU32::MAX)));
    move || drop(black_box(limiter.check()))
}

fn keyed(keys: usize) -> impl Fn() + Send + Clone {
    let limiter = Arc::new(RateLimiter::keyed(Quota::per_second(NonZeroU32::MAX)));
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    move || {
        let key = next.fetch_add(1, Ordering::Relaxed) % keys;
        drop(black_box(limiter.check_key(&key)));
    }
}

/// A typical hand-made pool: a round robin behind a mutex, which looks for the next key that does not cool
/// down. Here every `usable`th key is usable.
fn scan(keys: usize, usable: usize) -> impl Fn() + Send + Clone {
    let far = Instant::now() + Duration::from_secs(3_600);
    let until = |key: usize| (!key.is_multiple_of(usable)).then_some(far);
    let state: (usize, Vec<Option<Instant>>) = (0, (0..keys).map(until).collect());
    let state = Arc::new(Mutex::new(state));
    move || {
        let now = Instant::now();
        let mut state = state.lock().unwrap();
        let (next, until) = &mut *state;
        let found = (1..=until.len())
            .map(|step| (*next + step) % until.len())
            .find(|key| until[*key].is_none_or(|until| until <= now));
        *next = black_box(found).unwrap_or(*next);
    }
}

/// The same, while a second thread does it continuously.
fn contended(work: impl Fn() + Send + Clone + 'static) -> Work {
    let other = Other::begin(work.clone());
    Box::new(move || {
        black_box(&other);
        work();
    })
}

struct Other {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Other {
    fn begin(work: impl Fn() + Send + 'static) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                work();
            }
        });
        Self { end, thread: Some(thread) }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
