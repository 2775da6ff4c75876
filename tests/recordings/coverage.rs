//! What was looked at, and what was wrong.

use std::{collections::BTreeMap, fmt};

/// What one check found: how much it compared, or what is wrong.
pub(crate) type Found = Result<usize, String>;

#[derive(Default)]
pub(crate) struct Coverage {
    providers: BTreeMap<String, Counts>,
    pub(crate) problems: Vec<String>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    files: usize,
    verdicts: usize,
    headers: usize,
    requests: usize,
    usage: usize,
}

/// The findings on one recording.
pub(crate) struct Seen<'c> {
    name: &'c str,
    counts: Counts,
    problems: Vec<String>,
}

impl Coverage {
    pub(crate) fn look(&mut self, provider: &str, name: &str, look: impl FnOnce(&mut Seen<'_>)) {
        let mut seen = Seen { name, counts: Counts::default(), problems: Vec::new() };
        look(&mut seen);
        let Seen { counts, problems, .. } = seen;
        let all = self.providers.entry(provider.to_owned()).or_default();
        all.files += 1;
        all.verdicts += counts.verdicts;
        all.headers += counts.headers;
        all.requests += counts.requests;
        all.usage += counts.usage;
        self.problems.extend(problems);
    }
}

impl Seen<'_> {
    pub(crate) fn verdict(&mut self, found: Found) {
        self.counts.verdicts += self.count(found);
    }

    pub(crate) fn headers(&mut self, found: Found) {
        self.counts.headers += self.count(found);
    }

    pub(crate) fn request(&mut self, found: Found) {
        self.counts.requests += self.count(found);
    }

    pub(crate) fn usage(&mut self, found: Found) {
        self.counts.usage += self.count(found);
    }

    fn count(&mut self, found: Found) -> usize {
        found.unwrap_or_else(|problem| {
            self.problems.push(format!("{}: {problem}", self.name));
            0
        })
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = ["files", "verdicts", "limits", "requests", "usage"];
        write!(f, "{:<12}", "")?;
        columns.iter().try_for_each(|column| write!(f, "{column:>10}"))?;
        for (provider, counts) in &self.providers {
            let Counts { files, verdicts, headers, requests, usage } = counts;
            write!(f, "\n{provider:<12}")?;
            let numbers = [files, verdicts, headers, requests, usage];
            numbers.iter().try_for_each(|number| write!(f, "{number:>10}"))?;
        }
        Ok(())
    }
}
