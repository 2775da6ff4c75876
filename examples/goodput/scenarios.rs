//! The list of scenarios.

use std::time::Duration;

use crate::scenario::{Arrivals, Faults, Known, Metered, Scenario, Window};

const PATIENCE: Duration = Duration::from_secs(30);
/// The pool assumes that minutes end this long after their real end.
const UNKNOWN_EDGE: Duration = Duration::from_secs(23);
const HOURS: u64 = 3_600;

/// All scenarios, or one of each kind.
pub(crate) fn all(short: bool) -> Vec<Scenario> {
    let mut all = if short { brief() } else { whole() };
    if short {
        for scenario in &mut all {
            scenario.time = scenario.time.min(Duration::from_secs(300));
        }
    }
    // Each scenario for callers that wait, and for callers that give up.
    all.into_iter()
        .flat_map(|scenario| {
            let hasty = Scenario { patience: Some(PATIENCE), ..scenario.clone() };
            [Some(scenario).filter(|scenario| scenario.patience.is_none()), Some(hasty)]
        })
        .flatten()
        .collect()
}

fn brief() -> Vec<Scenario> {
    vec![
        equal(3, 60).at(1.0),
        equal(10, 60).at(2.0),
        unequal().at(2.0).bursty(),
        equal(10, 60).counted(Window::Minutes(Duration::ZERO)).at(2.0),
        tokens(3, 1.0, 1.0).at(2.0),
        equal(10, 60).with(Faults::Deaths).at(2.0),
        equal(10, 60).known(Known::Reported).at(2.0),
        equal(10, 60).known(Known::Refused).at(2.0),
    ]
}

fn whole() -> Vec<Scenario> {
    let mut all = Vec::new();
    for load in [0.5, 1.0, 2.0, 5.0] {
        all.push(equal(10, 60).at(load));
        all.push(equal(10, 60).at(load).bursty());
    }
    for load in [1.0, 2.0] {
        all.push(equal(3, 60).at(load));
        all.push(Scenario { time: Duration::from_secs(600), ..equal(100, 60).at(load) });
    }
    all.extend([0.5, 1.0, 2.0, 5.0].map(|load| unequal().at(load)));
    all.push(unequal().at(2.0).bursty());
    all.push(equal(10, 60).counted(Window::BucketOfOne).at(2.0));
    all.push(equal(3, 1_200).at(2.0));
    for load in [0.9, 1.0, 2.0] {
        all.push(equal(10, 60).counted(Window::Minutes(Duration::ZERO)).at(load));
    }
    all.push(equal(10, 60).counted(Window::Minutes(Duration::ZERO)).at(1.0).bursty());
    all.push(equal(10, 60).counted(Window::Minutes(UNKNOWN_EDGE)).at(2.0));
    all.push(unequal().counted(Window::Minutes(Duration::ZERO)).at(2.0));
    for load in [1.0, 2.0] {
        all.push(tokens(10, 1.0, 1.0).at(load));
    }
    all.push(tokens(10, 1.0, 1.0).at(2.0).bursty());
    all.push(tokens(10, 1.0, 2.0).at(2.0));
    all.push(tokens(10, 0.5, 2.0).at(2.0));
    all.push(tokens(10, 0.5, 2.0).counted(Window::Minutes(Duration::ZERO)).at(2.0));
    for load in [0.7, 2.0] {
        all.push(equal(10, 60).with(Faults::Deaths).at(load));
        all.push(equal(10, 60).with(Faults::Cooldowns).at(load));
    }
    for known in [Known::Reported, Known::Refused] {
        for load in [0.5, 1.0, 2.0, 5.0] {
            all.push(equal(10, 60).known(known).at(load));
        }
        all.push(equal(3, 1_200).known(known).at(2.0));
        all.push(unequal().known(known).at(2.0));
        all.push(unequal().known(known).at(2.0).bursty());
        all.push(equal(10, 60).known(known).counted(Window::Minutes(Duration::ZERO)).at(2.0));
        all.push(tokens(10, 1.0, 1.0).known(known).at(2.0));
    }
    all.push(midnight());
    all
}

/// From eight in the evening to four in the morning: the amount of each day lasts for two hours.
fn midnight() -> Scenario {
    let evening = Duration::from_secs(20 * HOURS);
    Scenario {
        patience: Some(PATIENCE),
        time: Duration::from_secs(8 * HOURS),
        ..equal(10, 500).counted(Window::Days(evening)).at(2.0)
    }
}

fn equal(number: usize, amount: u64) -> Scenario {
    Scenario {
        accounts: vec![amount; number],
        metered: Metered::Requests,
        window: Window::Bucket,
        known: Known::Declared,
        arrivals: Arrivals::Poisson,
        load: 1.0,
        patience: None,
        faults: Faults::None,
        time: Duration::from_secs(1_800),
    }
}

fn unequal() -> Scenario {
    let accounts = [vec![240; 2], vec![15; 8]].concat();
    Scenario { accounts, ..equal(10, 60) }
}

fn tokens(number: usize, least: f64, most: f64) -> Scenario {
    Scenario { metered: Metered::Tokens(least, most), ..equal(number, 60_000) }
}

impl Scenario {
    fn at(self, load: f64) -> Self {
        Self { load, ..self }
    }

    fn bursty(self) -> Self {
        Self { arrivals: Arrivals::Bursty, ..self }
    }

    fn counted(self, window: Window) -> Self {
        Self { window, ..self }
    }

    fn known(self, known: Known) -> Self {
        Self { known, ..self }
    }

    fn with(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }
}
