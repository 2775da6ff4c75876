//! The price file: read at the start, and again whenever it changes.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tower_key_rotation::usage::Prices;

use super::super::access::log;

/// How often the file is checked.
const LOOK: Duration = Duration::from_secs(3);

/// Loads the prices of a file. Invalid entries are left out and logged.
pub(crate) fn load(prices: &Prices, file: &Path) -> Result<(), String> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read the prices {name}: {}", error.kind()))?;
    let problems = prices.load(&text).map_err(|error| format!("prices {name}: {error}"))?;
    for problem in problems {
        log(format_args!("prices {name}: {problem}; this price is left out"));
    }
    Ok(())
}

/// Reads the file again when its time or length has changed, or on SIGHUP. A file that cannot be read changes
/// nothing.
pub(crate) async fn watch(file: PathBuf, prices: Prices) {
    let mut hangup = Hangup::new();
    let mut seen = stamp(&file);
    loop {
        let is_asked = tokio::select! {
            () = tokio::time::sleep(LOOK) => false,
            () = hangup.wait() => true,
        };
        let now = stamp(&file);
        if !is_asked && now == seen {
            continue;
        }
        seen = now;
        match load(&prices, &file) {
            Ok(()) => log(format_args!("prices {} were read again", file.display())),
            Err(problem) => log(format_args!("{problem}; the old prices stay in use")),
        }
    }
}

fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let about = std::fs::metadata(file).ok()?;
    Some((about.modified().ok()?, about.len()))
}

/// SIGHUP, on systems that have it.
struct Hangup {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangup {
    fn new() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    async fn wait(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal {
            signal.recv().await;
            return;
        }
        std::future::pending().await
    }
}
