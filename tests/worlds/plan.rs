//! What is true in a world, and when: drawn from a seed before anything happens.

use fastrand::Rng;

use super::dialect::Dialect;

/// Seconds since the world began.
pub(crate) type Seconds = f64;

/// When the last trouble is over, for those that come to an end.
pub(crate) const PEACE: Seconds = 2.0 * 3_600.0;
/// When the last request comes.
pub(crate) const END: Seconds = PEACE + 3_600.0 + 300.0;

/// Requests at fault, of all: so few that two second opinions for each are within a twentieth.
pub(crate) const FEW: f64 = 0.025;
/// So many that they are not.
pub(crate) const MANY: f64 = 0.1;

/// The truth of one world.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) dialect: Dialect,
    pub(crate) accounts: Vec<Account>,
    /// The account of each key.
    pub(crate) keys: Vec<usize>,
    pub(crate) troubles: Vec<Trouble>,
    /// Between two requests, on average.
    pub(crate) gap: Seconds,
    /// Requests at fault, of all.
    pub(crate) at_fault: f64,
    pub(crate) faults: Vec<Fault>,
    /// Whether those come under a tag of their own.
    pub(crate) is_tagged: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    /// Requests a minute.
    pub(crate) limit: Option<u32>,
    /// Whether the pool is told.
    pub(crate) is_declared: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    pub(crate) from: Seconds,
    pub(crate) to: Seconds,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Whether the answer names the key, rather than that it is a bare 401.
    Revoked {
        key: usize,
        is_told: bool,
    },
    /// A scope is missing.
    MayNot {
        key: usize,
        task: Task,
    },
    Overloaded {
        task: Task,
        status: u16,
    },
    Outage(Outage),
}

/// What the whole provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    /// A 401 that names the key.
    Keys,
    Failing,
    /// A 403 with a page, by something in between.
    Page,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    LargeChat,
    SmallChat,
    Embedding,
    Files,
}

impl Task {
    pub(crate) const ALL: [Self; 4] =
        [Self::LargeChat, Self::SmallChat, Self::Embedding, Self::Files];

    pub(crate) fn drawn(rng: &mut Rng) -> Self {
        Self::ALL[rng.usize(..Self::ALL.len())]
    }
}

/// Why a request is refused whatever its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A bare 401.
    Unauthorized,
    /// A bare 403.
    Forbidden,
    /// 403, for a model that nobody may use.
    ForbiddenModel,
    /// 404, for a model that nobody has.
    UnknownModel,
    /// 404, for a path.
    UnknownPath,
    /// A bare 429.
    Limited,
}

impl Fault {
    /// Those that say nothing of a limit.
    pub(crate) const PLAIN: [Self; 5] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::ForbiddenModel,
        Self::UnknownModel,
        Self::UnknownPath,
    ];
}

impl Plan {
    /// All that can go wrong.
    pub(crate) fn of_troubles(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut plan = Self::peaceful(seed, &mut rng);
        let are_all_limited = rng.bool();
        for account in &mut plan.accounts {
            if are_all_limited || rng.bool() {
                *account = Account { limit: Some(rng.u32(6..40)), is_declared: rng.bool() };
            }
        }
        for _ in 0..rng.usize(4..14) {
            let what = plan.something(&mut rng);
            let longest = if matches!(what, What::Outage(_)) { 300.0 } else { 1_800.0 };
            let lasts = 20.0 + rng.f64() * rng.f64() * longest;
            let from = rng.f64() * (PEACE - lasts);
            plan.troubles.push(Trouble { from, to: from + lasts, what });
        }
        // Somebody never pays again, or forgets an old key.
        if plan.keys.len() > 2 && rng.bool() {
            let what = What::Revoked { key: 0, is_told: rng.bool() };
            plan.troubles.push(Trouble { from: rng.f64() * PEACE, to: f64::INFINITY, what });
        }
        plan
    }

    /// Nothing goes wrong but requests that are at fault.
    pub(crate) fn of_faults(seed: u64, share: f64, faults: &[Fault]) -> Self {
        let mut rng = Rng::with_seed(seed);
        let plan = Self::peaceful(seed, &mut rng);
        Self { at_fault: share, faults: faults.to_vec(), ..plan }
    }

    fn peaceful(seed: u64, rng: &mut Rng) -> Self {
        let accounts = vec![Account { limit: None, is_declared: false }; rng.usize(1..=6)];
        let keys =
            (0..accounts.len()).flat_map(|account| vec![account; rng.usize(1..=3)]).collect();
        Self {
            seed,
            dialect: Dialect::drawn(rng),
            keys,
            accounts,
            troubles: Vec::new(),
            gap: 4.0 + 8.0 * rng.f64(),
            at_fault: FEW * rng.f64(),
            faults: Fault::PLAIN.into_iter().filter(|_| rng.bool()).collect(),
            is_tagged: rng.bool(),
        }
    }

    fn something(&self, rng: &mut Rng) -> What {
        let key = rng.usize(..self.keys.len());
        match rng.u32(..10) {
            0..4 => What::Revoked { key, is_told: rng.bool() },
            4..6 => What::MayNot { key, task: Task::drawn(rng) },
            6..8 => {
                let status = if rng.bool() { 503 } else { 529 };
                What::Overloaded { task: Task::drawn(rng), status }
            }
            _ => What::Outage([Outage::Keys, Outage::Failing, Outage::Page][rng.usize(..3)]),
        }
    }

    /// Whether there are requests at fault and only one account: then nobody can be asked who is to blame.
    pub(crate) fn is_lone_and_careless(&self) -> bool {
        self.accounts.len() == 1 && !self.faults.is_empty()
    }

    /// What is wrong with a key for a task at a moment.
    pub(crate) fn wrong(&self, now: Seconds, key: usize, task: Task) -> Option<What> {
        let troubles = self.troubles.iter().filter(|trouble| trouble.concerns(key, task));
        let now = troubles.filter(|trouble| (trouble.from..trouble.to).contains(&now));
        now.map(|trouble| trouble.what).max_by_key(What::width)
    }

    /// Whether a key could do a task all the while, and whoever had trouble with it before has had the
    /// time to notice that it is over.
    pub(crate) fn is_good(&self, key: usize, task: Task, from: Seconds, to: Seconds) -> bool {
        let mut troubles = self.troubles.iter().filter(|trouble| trouble.concerns(key, task));
        !troubles.any(|trouble| trouble.from <= to && from <= trouble.noticed_by())
    }
}

impl Trouble {
    fn concerns(&self, of_key: usize, of_task: Task) -> bool {
        match self.what {
            What::Revoked { key, .. } => key == of_key,
            What::MayNot { key, task } => (key, task) == (of_key, of_task),
            What::Overloaded { task, .. } => task == of_task,
            What::Outage(_) => true,
        }
    }

    /// When a pool knows at the latest that it is over. A ladder that doubles has a last rung about as long
    /// as all before it, and a quarter by chance. What was only inferred keeps nobody from a key.
    fn noticed_by(&self) -> Seconds {
        let lasted = self.to - self.from;
        let rung = match self.what {
            What::Revoked { is_told: true, .. } | What::Outage(Outage::Keys) => 1.3 * lasted + 10.0,
            What::Revoked { is_told: false, .. }
            | What::MayNot { .. }
            | What::Outage(Outage::Page) => 0.0,
            What::Overloaded { .. } => 10.0,
            What::Outage(Outage::Failing) => 40.0,
        };
        self.to + rung
    }
}

impl What {
    /// What is wider is met first on the way to a key.
    fn width(&self) -> u8 {
        match self {
            Self::Outage(_) => 3,
            Self::Revoked { .. } => 2,
            Self::MayNot { .. } => 1,
            Self::Overloaded { .. } => 0,
        }
    }
}
