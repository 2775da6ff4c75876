//! The price file: read at the start, and again whenever it changes.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tower_key_rotation::usage::Prices;

use super::super::access::log;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(3);

/// Takes the prices of a file. Entries that are left out are logged.
pub(crate) fn load(prices: &Prices, file: &Path) -> Result<(), String> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("prices {name} cannot be read: {}", error.kind()))?;
    let problems = prices.load(&text).map_err(|error| format!("prices {name}: {error}"))?;
    for problem in problems {
        log(format_args!("prices {name}: {problem}: left out"));
    }
    Ok(())
}

/// Reads the file again when its time or length has changed, or when the process is told to (SIGHUP). What
/// cannot be read leaves all as it was.
pub(crate) async fn watch(file: PathBuf, prices: Prices) {
    let mut told = Told::new();
    let mut seen = stamp(&file);
    loop {
        let is_told = tokio::select! {
            () = tokio::time::sleep(LOOK) => false,
            () = told.wait() => true,
        };
        let now = stamp(&file);
        if !is_told && now == seen {
            continue;
        }
        seen = now;
        match load(&prices, &file) {
            Ok(()) => log(format_args!("prices {} are read anew", file.display())),
            Err(problem) => log(format_args!("{problem}; the old ones stay")),
        }
    }
}

fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let about = std::fs::metadata(file).ok()?;
    Some((about.modified().ok()?, about.len()))
}

/// Told by SIGHUP, where there is such a thing.
struct Told {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Told {
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
