//! The targets of the pool, and whether they are met.

use std::fmt;

use crate::{
    clients::Kind,
    day,
    figures::Figures,
    scenario::{Arrivals, Faults, Known, Metered, Scenario},
};

pub(crate) struct Row {
    pub(crate) scenario: Scenario,
    pub(crate) kind: Kind,
    pub(crate) figures: Figures,
    pub(crate) ideal: Figures,
}

impl Row {
    /// Limits and demands are known.
    fn is_known(&self) -> bool {
        let exact = matches!(self.scenario.metered, Metered::Requests | Metered::Tokens(1.0, 1.0));
        self.scenario.faults == Faults::None && exact && self.scenario.known == Known::Declared
    }

    fn is_learnt(&self, known: Known) -> bool {
        self.scenario.known == known && self.is_at(2.0)
    }

    fn is_at(&self, load: f64) -> bool {
        self.scenario.load == load
    }

    /// A share of the limits, or of the result of the ideal if there are times without callers.
    fn of_possible(&self, figure: f64) -> f64 {
        match self.scenario.arrivals {
            Arrivals::Poisson => figure,
            Arrivals::Bursty => figure / self.ideal.goodput,
        }
    }

    fn is_patient(&self) -> bool {
        self.scenario.patience.is_none()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scenario.fmt(f)
    }
}

/// A target for some rows.
struct Target<R> {
    what: &'static str,
    rows: fn(&R) -> bool,
    figure: fn(&R) -> f64,
    /// The minimum, or otherwise the maximum.
    least: Option<f64>,
    most: Option<f64>,
}

const TARGETS: &[Target<Row>] = &[
    Target {
        what: "2x, known limits: accepted, of the limits",
        rows: |row| row.is_known() && row.is_at(2.0),
        figure: |row| row.of_possible(row.figures.goodput),
        least: Some(0.99),
        most: None,
    },
    Target {
        what: "2x, known limits: refusals by the provider",
        rows: |row| row.is_known() && row.is_at(2.0),
        figure: |row| row.figures.refused as f64,
        least: None,
        most: Some(0.0),
    },
    Target {
        what: "any load, known limits: refusals by the provider",
        rows: Row::is_known,
        figure: |row| row.figures.refused as f64,
        least: None,
        most: Some(0.0),
    },
    Target {
        what: "any load, keys that die and accounts that cool too: errors seen by callers",
        rows: |row| row.is_known() || row.scenario.faults != Faults::None,
        figure: |row| row.figures.errors as f64,
        least: None,
        most: Some(0.0),
    },
    Target {
        what: "2x, callers give up: answers still waited for, of the limits",
        rows: |row| row.is_known() && row.is_at(2.0) && !row.is_patient(),
        figure: |row| row.of_possible(row.figures.useful),
        least: Some(0.98),
        most: None,
    },
    Target {
        what: "callers wait: p99 wait, of the ideal's",
        rows: |row| row.is_known() && row.is_patient(),
        figure: |row| row.figures.beyond(&row.ideal),
        least: None,
        most: Some(1.05),
    },
    Target {
        what: "2x, limits learnt from headers: accepted after a minute, of the limits",
        rows: |row| row.is_learnt(Known::Reported),
        figure: |row| row.of_possible(row.figures.goodput),
        least: Some(0.97),
        most: None,
    },
    Target {
        what: "2x, limits learnt from refusals: accepted after a minute, of the limits",
        rows: |row| row.is_learnt(Known::Refused),
        figure: |row| row.of_possible(row.figures.goodput),
        least: Some(0.90),
        most: None,
    },
    Target {
        what: "equal accounts: Jain's index",
        rows: |row| row.is_known() && row.scenario.is_even(),
        figure: |row| row.figures.jain,
        least: Some(0.999),
        most: None,
    },
];

const OF_DAYS: &[Target<day::Row>] = &[
    Target {
        what: "errors seen by callers that a client can avoid",
        rows: |_| true,
        figure: |row| row.figures.avoidable as f64,
        least: None,
        most: Some(0.0),
    },
    Target {
        what: "calls beyond one for each request, in % of all calls",
        rows: |_| true,
        figure: |row| row.figures.extra,
        least: None,
        most: Some(5.0),
    },
    Target {
        what: "keys that the provider accepts but that stay out of use",
        rows: |_| true,
        figure: |row| row.figures.out as f64,
        least: None,
        most: Some(0.0),
    },
];

pub(crate) fn print(rows: &[Row], days: &[day::Row]) {
    for kind in [Kind::Pool, Kind::PoolDeadline] {
        println!();
        println!("targets: {}", kind.name());
        for target in TARGETS {
            let among = rows.iter().filter(|row| row.kind == kind && (target.rows)(row));
            target.print(&among.collect::<Vec<_>>());
        }
    }
    let days: Vec<_> = days.iter().filter(|row| row.kind == day::Kind::Pool).collect();
    if !days.is_empty() {
        println!();
        println!("targets: pool, a day with faults");
        for target in OF_DAYS {
            target.print(&days);
        }
    }
}

impl<R: fmt::Display> Target<R> {
    fn print(&self, rows: &[&R]) {
        if rows.is_empty() {
            return;
        }
        let missed: Vec<_> = rows.iter().filter(|row| !self.is_met((self.figure)(row))).collect();
        let word = if missed.is_empty() { "met   " } else { "MISSED" };
        let bound = match (self.least, self.most) {
            (Some(least), _) => format!(">= {least}"),
            (None, most) => format!("<= {}", most.unwrap_or_default()),
        };
        println!(
            "{word}  {bound:<8} {} ({} of {} rows)",
            self.what,
            rows.len() - missed.len(),
            rows.len()
        );
        for row in missed {
            println!("          {:>9.4}  {}", (self.figure)(row), row);
        }
    }

    fn is_met(&self, figure: f64) -> bool {
        self.least.is_none_or(|least| figure >= least)
            && self.most.is_none_or(|most| figure <= most)
    }
}
