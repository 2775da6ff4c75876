//! The cache of prompts that each account has.

use std::{collections::HashMap, time::Duration};

use crate::sandbox::prompt::{Beginning, Caching, Prompt};

/// Shorter beginnings are not kept, in tokens.
const LEAST: u64 = 1_024;
/// How long an automatic cache keeps a beginning after its last use.
const LIFETIME: Duration = Duration::from_secs(300);
/// So many blocks before a mark are looked for what an earlier request has marked.
const LOOK_BACK: usize = 20;

/// The beginnings that are known to an account, by their hashes.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<u64, Entry>,
    /// At so many entries those that are over are thrown away.
    purge_at: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// It is there when the answer begins that it was made for.
    from: Duration,
    until: Duration,
    lifetime: Duration,
}

/// What a prompt has to do with a cache, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cached {
    pub(super) read: u64,
    /// For five minutes.
    pub(super) write: u64,
    pub(super) write_1h: u64,
}

impl Cache {
    /// What of a prompt is in the cache, and what will be put there.
    pub(super) fn look(&self, now: Duration, prompt: &Prompt) -> Cached {
        match &prompt.caching {
            Caching::None => Cached::default(),
            Caching::Automatic => {
                let known = prompt.beginnings.iter().take_while(|known| self.knows(now, known));
                let read = known.last().map_or(0, |last| last.tokens);
                Cached { read: if read >= LEAST { read } else { 0 }, ..Cached::default() }
            }
            Caching::Marked(marks) => self.look_at_marks(now, prompt, marks),
        }
    }

    fn look_at_marks(&self, now: Duration, prompt: &Prompt, marks: &[(usize, Duration)]) -> Cached {
        let known = marks.iter().filter_map(|(mark, _)| self.before(now, prompt, *mark));
        let mut cached = Cached { read: known.max().unwrap_or(0), ..Cached::default() };
        let mut from = cached.read;
        for (mark, lifetime) in marks {
            let tokens = prompt.beginnings.get(*mark).map_or(0, |marked| marked.tokens);
            if tokens < LEAST {
                continue;
            }
            let written = tokens.saturating_sub(from);
            from = from.max(tokens);
            if *lifetime > LIFETIME {
                cached.write_1h += written;
            } else {
                cached.write += written;
            }
        }
        cached
    }

    /// The longest beginning that is known, at a mark or not far before it.
    fn before(&self, now: Duration, prompt: &Prompt, mark: usize) -> Option<u64> {
        let near = prompt.beginnings.get(mark.saturating_sub(LOOK_BACK)..=mark)?;
        near.iter().rev().find(|beginning| self.knows(now, beginning)).map(|known| known.tokens)
    }

    fn knows(&self, now: Duration, beginning: &Beginning) -> bool {
        let entry = self.entries.get(&beginning.hash);
        entry.is_some_and(|entry| entry.from <= now && now < entry.until)
    }

    /// A prompt is answered: its answer begins at `from`. What was read stays for longer, and the rest
    /// of it is there from then on.
    pub(super) fn keep(&mut self, now: Duration, from: Duration, prompt: &Prompt) {
        match &prompt.caching {
            Caching::None => {}
            Caching::Automatic => {
                if prompt.tokens >= LEAST {
                    prompt.beginnings.iter().for_each(|it| self.put(now, from, it.hash, LIFETIME));
                }
            }
            Caching::Marked(marks) => {
                for (mark, lifetime) in marks {
                    let near = prompt.beginnings.get(mark.saturating_sub(LOOK_BACK)..=*mark);
                    for beginning in near.unwrap_or_default() {
                        if self.knows(now, beginning) {
                            self.put(now, from, beginning.hash, Duration::ZERO);
                        }
                    }
                    let marked = prompt.beginnings.get(*mark).filter(|it| it.tokens >= LEAST);
                    marked.into_iter().for_each(|it| self.put(now, from, it.hash, *lifetime));
                }
            }
        }
        self.purge(now);
    }

    fn put(&mut self, now: Duration, from: Duration, hash: u64, lifetime: Duration) {
        let new = Entry { from, until: from, lifetime };
        let entry = self.entries.entry(hash).or_insert(new);
        if entry.until <= now {
            *entry = new;
        }
        entry.from = entry.from.min(from);
        entry.lifetime = entry.lifetime.max(lifetime);
        entry.until = entry.until.max(from.saturating_add(entry.lifetime));
    }

    fn purge(&mut self, now: Duration) {
        if self.entries.len() > self.purge_at {
            self.entries.retain(|_, entry| now < entry.until);
            self.purge_at = 2 * self.entries.len() + 1_024;
        }
    }
}
