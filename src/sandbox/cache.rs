//! The prompt cache of an account.

use std::{collections::HashMap, time::Duration};

use crate::sandbox::prompt::{Caching, Prefix, Prompt};

/// The cached prefixes of an account, by their hashes.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<u64, Entry>,
    /// The number of entries at which expired ones are removed.
    purge_at: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// When the answer starts that created this entry. It cannot be read before.
    from: Duration,
    until: Duration,
    lifetime: Duration,
}

/// How a prompt uses the cache, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CacheUse {
    pub(super) read: u64,
    /// Written for five minutes.
    pub(super) write: u64,
    /// Written for an hour.
    pub(super) write_1h: u64,
}

/// Shorter prefixes are not cached, in tokens.
const MIN_TOKENS: u64 = 1_024;
/// How long an automatic cache keeps a prefix after its last use.
const LIFETIME: Duration = Duration::from_secs(300);
/// How many blocks before a mark are searched for a prefix that an earlier request marked.
const LOOK_BACK: usize = 20;

impl Cache {
    /// What a prompt reads from the cache and what it will write.
    pub(super) fn look_up(&self, now: Duration, prompt: &Prompt) -> CacheUse {
        match &prompt.caching {
            Caching::None => CacheUse::default(),
            Caching::Automatic => {
                let cached = prompt.prefixes.iter().take_while(|prefix| self.has(now, prefix));
                let read = cached.last().map_or(0, |last| last.tokens);
                CacheUse { read: if read >= MIN_TOKENS { read } else { 0 }, ..CacheUse::default() }
            }
            Caching::Marked(marks) => self.look_up_marks(now, prompt, marks),
        }
    }

    fn look_up_marks(
        &self,
        now: Duration,
        prompt: &Prompt,
        marks: &[(usize, Duration)],
    ) -> CacheUse {
        let found = marks.iter().filter_map(|(mark, _)| self.longest_at(now, prompt, *mark));
        let mut cache_use = CacheUse { read: found.max().unwrap_or(0), ..CacheUse::default() };
        let mut from = cache_use.read;
        for (mark, lifetime) in marks {
            let tokens = prompt.prefixes.get(*mark).map_or(0, |marked| marked.tokens);
            if tokens < MIN_TOKENS {
                continue;
            }
            let written = tokens.saturating_sub(from);
            from = from.max(tokens);
            if *lifetime > LIFETIME {
                cache_use.write_1h += written;
            } else {
                cache_use.write += written;
            }
        }
        cache_use
    }

    /// The tokens of the longest cached prefix at a mark or shortly before it.
    fn longest_at(&self, now: Duration, prompt: &Prompt, mark: usize) -> Option<u64> {
        let near = prompt.prefixes.get(mark.saturating_sub(LOOK_BACK)..=mark)?;
        near.iter().rev().find(|prefix| self.has(now, prefix)).map(|prefix| prefix.tokens)
    }

    fn has(&self, now: Duration, prefix: &Prefix) -> bool {
        let entry = self.entries.get(&prefix.hash);
        entry.is_some_and(|entry| entry.from <= now && now < entry.until)
    }

    /// Stores a prompt whose answer starts at `from`. Prefixes that were read live longer; the others can
    /// be read from then on.
    pub(super) fn store(&mut self, now: Duration, from: Duration, prompt: &Prompt) {
        match &prompt.caching {
            Caching::None => {}
            Caching::Automatic => {
                if prompt.tokens >= MIN_TOKENS {
                    prompt.prefixes.iter().for_each(|it| self.put(now, from, it.hash, LIFETIME));
                }
            }
            Caching::Marked(marks) => {
                for (mark, lifetime) in marks {
                    let near = prompt.prefixes.get(mark.saturating_sub(LOOK_BACK)..=*mark);
                    for prefix in near.unwrap_or_default() {
                        if self.has(now, prefix) {
                            self.put(now, from, prefix.hash, Duration::ZERO);
                        }
                    }
                    let marked = prompt.prefixes.get(*mark).filter(|it| it.tokens >= MIN_TOKENS);
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
