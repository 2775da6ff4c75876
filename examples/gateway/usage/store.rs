//! The ledger on disk: an SQLite file, written twice a second by a thread of its own.
//!
//! Requests never wait for it. The thread takes the changes of the ledger and of the pools, and writes them
//! in one transaction. Each row replaces an older one. With `journal_mode = WAL` and `synchronous = NORMAL`,
//! written data survives if the process is killed. A power failure may lose some more seconds, but does not
//! damage the file.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::{Connection, Row, Transaction, params_from_iter, types::Value};
use tower_key_rotation::{
    KeyId, KeyPool,
    pool::Saved,
    usage::{Dimensions, Interval, Ledger, Totals, UsageRow},
};

use super::super::access::log;

/// The interval of writes: half of the time that may be lost.
const PAUSE: Duration = Duration::from_millis(500);
/// The version of the tables.
const VERSION: i64 = 1;
/// The time that rows are kept, in seconds: as long as the ledger keeps them.
const RETENTION: [(Interval, u64); 3] =
    [(Interval::Minute, 3 * 3_600), (Interval::Hour, 7 * 86_400), (Interval::Day, 400 * 86_400)];

/// An open database, with the saved state of the pools.
pub(crate) struct Database {
    path: PathBuf,
    connection: Connection,
    saved: HashMap<String, Saved>,
}

impl Database {
    /// Opens a database, creates it if necessary, and loads its rows into a ledger.
    pub(crate) fn open(path: &Path, ledger: &Ledger) -> Result<Self, String> {
        let name = path.display();
        let problem = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy) => {
                format!("database {name}: another process uses it; give each gateway its own file")
            }
            _ => format!("database {name}: {error}"),
        };
        let connection = Connection::open(path).map_err(problem)?;
        prepare(&connection).map_err(problem)?;
        let version: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(problem)?;
        match version {
            0 => create(&connection).map_err(problem)?,
            VERSION => {}
            _ => {
                return Err(format!(
                    "database {name}: it was written by another version; choose another file"
                ));
            }
        }
        ledger.load(rows(&connection).map_err(problem)?);
        let saved = saved(&connection, &name.to_string()).map_err(problem)?;
        Ok(Self { path: path.to_owned(), connection, saved })
    }

    /// The saved state of a pool.
    pub(crate) fn saved(&mut self, pool: &str) -> Option<Saved> {
        self.saved.remove(pool)
    }
}

/// The thread that writes. It writes once more, and ends, when this is dropped.
pub(crate) struct Store {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    ledger: Arc<Ledger>,
    state: Arc<State>,
}

/// The state of the thread.
#[derive(Default)]
struct State {
    is_writing: AtomicBool,
    problem: Mutex<Option<String>>,
}

impl Store {
    pub(crate) fn start(database: Database, ledger: Arc<Ledger>, pools: Vec<KeyPool>) -> Self {
        let (stop, stopped) = channel();
        let state = Arc::default();
        let writer = Writer {
            name: database.path.display().to_string(),
            connection: database.connection,
            written: pools.iter().map(|_| Saved::default()).collect(),
            ledger: Arc::clone(&ledger),
            pools,
            state: Arc::clone(&state),
        };
        let thread = std::thread::spawn(move || writer.run(&stopped));
        Self { stop: Some(stop), thread: Some(thread), ledger, state }
    }

    /// Whether some changes are not written yet.
    pub(crate) fn is_behind(&self) -> bool {
        // The order matters: changes that were taken from the ledger are being written.
        self.ledger.has_changed() || self.state.is_writing.load(Ordering::SeqCst)
    }

    /// Why usage is not kept now, if it is not.
    pub(crate) fn problem(&self) -> Option<String> {
        self.state.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop = None;
        // The thread has logged its problems itself.
        self.thread.take().map(JoinHandle::join);
    }
}

struct Writer {
    name: String,
    connection: Connection,
    ledger: Arc<Ledger>,
    pools: Vec<KeyPool>,
    /// The state of each pool that was last written.
    written: Vec<Saved>,
    state: Arc<State>,
}

impl Writer {
    fn run(mut self, stopped: &Receiver<()>) {
        loop {
            let is_last = stopped.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout);
            self.state.is_writing.store(true, Ordering::SeqCst);
            self.write();
            self.state.is_writing.store(false, Ordering::SeqCst);
            if is_last {
                return;
            }
        }
    }

    fn write(&mut self) {
        let rows = self.ledger.take_changed();
        let saved: Vec<_> = self.pools.iter().map(KeyPool::save).collect();
        if rows.is_empty() && saved == self.written {
            return;
        }
        let result = self.commit(&rows, &saved);
        match &result {
            Ok(()) => self.written = saved,
            Err(_) => self.ledger.mark_changed(&rows),
        }
        self.report(result.err().map(|error| error.to_string()));
    }

    fn commit(&mut self, rows: &[UsageRow], saved: &[Saved]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        write_rows(&transaction, rows)?;
        for ((pool, saved), written) in self.pools.iter().zip(saved).zip(&self.written) {
            if saved != written {
                let text = serde_json::to_string(saved).unwrap_or_default();
                let sql = "INSERT OR REPLACE INTO pools (pool, saved) VALUES (?1, ?2)";
                transaction.prepare(sql)?.execute([pool.name(), &text])?;
            }
        }
        transaction.commit()
    }

    /// Logs a problem when it changes.
    fn report(&self, problem: Option<String>) {
        let mut known = self.state.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != problem {
            match &problem {
                Some(problem) => {
                    log(format_args!("USAGE IS NOT KEPT: database {}: {problem}", self.name));
                }
                None => log(format_args!("database {}: usage is kept again", self.name)),
            }
            *known = problem;
        }
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(2))?;
    // Two processes would overwrite the rows of each other.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")
}

/// A column for each figure, and an empty text where there is no model or tag.
fn create(connection: &Connection) -> rusqlite::Result<()> {
    let figures: Vec<_> =
        Totals::default().figures().map(|(name, _)| format!("{name} INTEGER NOT NULL")).collect();
    connection.execute_batch(&format!(
        "BEGIN;
         CREATE TABLE usage (
             per TEXT NOT NULL, begin INTEGER NOT NULL,
             pool TEXT NOT NULL, account TEXT NOT NULL, key TEXT NOT NULL,
             model TEXT NOT NULL, tag TEXT NOT NULL,
             {},
             PRIMARY KEY (per, begin, pool, account, key, model, tag)
         ) WITHOUT ROWID;
         CREATE TABLE pools (pool TEXT NOT NULL PRIMARY KEY, saved TEXT NOT NULL);
         PRAGMA user_version = {VERSION};
         COMMIT;",
        figures.join(", ")
    ))
}

fn write_rows(transaction: &Transaction<'_>, rows: &[UsageRow]) -> rusqlite::Result<()> {
    let places = vec!["?"; 7 + Totals::default().figures().count()].join(", ");
    let sql = format!("INSERT OR REPLACE INTO usage VALUES ({places})");
    let mut statement = transaction.prepare(&sql)?;
    for UsageRow { interval, begin, dimensions, totals, .. } in rows {
        let Dimensions { pool, account, key, model, tag, .. } = dimensions;
        let [model, tag] = [model, tag].map(|name| name.as_deref().unwrap_or_default());
        let begin = Value::Integer(integer(*begin));
        let names = [&**pool, account, key.as_str(), model, tag].map(|n| Value::Text(n.to_owned()));
        let figures = totals.figures().map(|(_, figure)| Value::Integer(integer(figure)));
        let values = [Value::Text(interval.name().to_owned()), begin].into_iter().chain(names);
        statement.execute(params_from_iter(values.chain(figures)))?;
    }
    for (interval, kept) in RETENTION {
        let of_interval = rows.iter().filter(|row| row.interval == interval);
        if let Some(newest) = of_interval.map(|row| row.begin).max() {
            let sql = "DELETE FROM usage WHERE per = ?1 AND begin <= ?2";
            let oldest = integer(newest.saturating_sub(kept));
            transaction.prepare(sql)?.execute((interval.name(), oldest))?;
        }
    }
    Ok(())
}

fn rows(connection: &Connection) -> rusqlite::Result<Vec<UsageRow>> {
    let mut statement = connection.prepare("SELECT * FROM usage ORDER BY per, begin")?;
    let rows = statement.query_map([], usage_row)?;
    // Intervals that this version does not know are skipped.
    rows.filter_map(Result::transpose).collect()
}

fn usage_row(row: &Row<'_>) -> rusqlite::Result<Option<UsageRow>> {
    let interval: String = row.get(0)?;
    let Some(interval) = Interval::ALL.into_iter().find(|known| known.name() == interval) else {
        return Ok(None);
    };
    let text = |at| row.get::<_, String>(at);
    let number = |at| row.get::<_, i64>(at).map(|number| u64::try_from(number).unwrap_or(0));
    let name = |at| text(at).map(|name| Some(name).filter(|n| !n.is_empty()).map(Into::into));
    let names = Totals::default().figures().map(|(name, _)| name);
    let figures = (7..).zip(names).map(|(at, name)| Ok((name, number(at)?)));
    let totals = figures.collect::<rusqlite::Result<Totals>>()?;
    let mut dimensions = Dimensions::new(text(2)?, text(3)?, KeyId::new(text(4)?));
    (dimensions.model, dimensions.tag) = (name(5)?, name(6)?);
    Ok(Some(UsageRow::new(interval, number(1)?, dimensions, totals)))
}

fn saved(connection: &Connection, name: &str) -> rusqlite::Result<HashMap<String, Saved>> {
    let mut statement = connection.prepare("SELECT pool, saved FROM pools")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut all = HashMap::new();
    for row in rows {
        let (pool, text): (String, String) = row?;
        match serde_json::from_str(&text) {
            Ok(saved) => drop(all.insert(pool, saved)),
            Err(error) => log(format_args!(
                "database {name}: the saved state of pool {pool:?} is invalid, so the pool starts without it: {error}"
            )),
        }
    }
    Ok(all)
}

/// SQLite has only signed integers.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
