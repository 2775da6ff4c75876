//! The gateway as a process that is killed.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::{body::Bytes, server::conn::http1};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};
use tower_key_rotation::sandbox::{Dialect, Fault, Sandbox, Script};

use crate::{gateway, start::chat};

const ARGUMENTS: &str = "GATEWAY_TEST_ARGUMENTS";

/// Not a test: the process that the other tests start, which is this program with only this function.
#[test]
#[ignore = "it is started by other tests"]
fn serve() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(gateway::run(arguments.split('\n').map(str::to_owned))).unwrap();
}

/// A gateway in a process of its own.
struct Process {
    child: Child,
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Process {
    fn start(config: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "process::serve", "--nocapture"])
            .env(ARGUMENTS, format!("--config\n{}", config.display()))
            .env_remove("PORT")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let url = lines.find_map(|line| Some(line.split_once("listening on ")?.1.to_owned()));
        let url = url.expect("no line with the address");
        Self { child, url, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    async fn call(&self, request: Request<Full<Bytes>>) -> (u16, String) {
        let response = self.client.request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> String {
        let url = format!("{}{path}", self.url);
        self.call(Request::get(url).body(Full::default()).unwrap()).await.1
    }

    async fn status(&self) -> Value {
        serde_json::from_str(&self.get("/-/status").await).unwrap()
    }

    fn request(&self, stream: bool) -> Request<Full<Bytes>> {
        let url = format!("{}/v1/chat/completions", self.url);
        let body = Full::from(chat("gpt-4o", stream));
        let mut request = Request::post(url).body(body).unwrap();
        let headers = request.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("x-usage-tag", HeaderValue::from_static("team-a"));
        request
    }

    async fn ask(&self, stream: bool) -> u16 {
        self.call(self.request(stream)).await.0
    }

    /// Waits until the gateway reports that everything is on disk.
    async fn written(&self) {
        while self.status().await["usage"]["is_behind"] != false {}
    }

    /// Kills the process as `kill -9` does.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A provider on a port and a configuration for it, in a new folder.
async fn furnish(name: &str, in_account: &str) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::builder(Dialect::OpenAi)
        .account("org", [], ["sk-canary-1", "sk-canary-2"])
        .answer(Script::new().tokens(10))
        .build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let provider = sandbox.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(provider.clone());
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    let config = folder.join("keys.toml");
    let text = format!(
        r#"listen = "127.0.0.1:0"
[usage]
database = "usage.sqlite"
[[pool]]
name = "openai"
provider = "openai"
base_url = "{url}"
max_wait = "1s"
[[pool.account]]
name = "org"
keys = [{{ id = "k1", secret = "sk-canary-1" }}, {{ id = "k2", secret = "sk-canary-2" }}]
{in_account}
"#
    );
    fs::write(&config, text).unwrap();
    (sandbox, config)
}

fn is_whole(config: &Path) -> bool {
    let database = rusqlite::Connection::open(config.with_file_name("usage.sqlite")).unwrap();
    let found: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    found == "ok"
}

#[tokio::test]
async fn usage_survives_a_kill() {
    let (sandbox, config) = furnish("killed", "").await;
    let first = Process::start(&config);
    for stream in [false, true, false] {
        assert_eq!(first.ask(stream).await, 200);
    }
    first.written().await;
    const BY: &str = "/-/usage?by=pool,account,key,model,tag,minute&format=csv";
    let before = first.get(BY).await;
    first.kill();
    assert!(is_whole(&config));

    let second = Process::start(&config);
    assert_eq!(second.get(BY).await, before);
    assert!(before.contains("openai,org,k1,gpt-4o,team-a,"), "{before}");
    // Later usage is added. A kill at any moment does not damage the file.
    for _ in 0..3 {
        assert_eq!(second.ask(false).await, 200);
    }
    second.written().await;
    // It is killed while it answers these requests.
    let mut many: JoinSet<_> =
        (0..50).map(|_| second.client.request(second.request(true))).collect();
    assert!(many.join_next().await.unwrap().is_ok());
    second.kill();
    assert!(is_whole(&config));

    let third = Process::start(&config);
    let report: Value = serde_json::from_str(&third.get("/-/usage?by=tag").await).unwrap();
    let books = sandbox.stats().total();
    let figure = |name: &str| report["total"][name].as_u64().unwrap();
    assert!((6..=books.accepted).contains(&figure("requests")), "{report} {books:?}");
    // 2 tokens of prompt and 10 of answer each.
    let exact = figure("requests") - figure("estimated_requests");
    assert_eq!(figure("output") - figure("estimated_output"), 10 * exact);
    let bytes = fs::read(config.with_file_name("usage.sqlite")).unwrap();
    assert!(!bytes.windows(6).any(|part| part == b"canary"), "a secret is in the database");
    third.kill();
}

#[tokio::test]
async fn a_daily_quota_and_a_dead_key_survive_a_kill() {
    let limit = r#"limits = ["5 requests/day burst 5"]"#;
    let (sandbox, config) = furnish("quota", limit).await;
    let first = Process::start(&config);
    sandbox.fail(Fault::revoke("sk-canary-1"));
    let mut sent = 0;
    // The key that is refused costs one of the five.
    while sandbox.stats().total().requests < 3 {
        assert_eq!(first.ask(false).await, 200);
        sent += 1;
    }
    first.written().await;
    first.kill();

    let second = Process::start(&config);
    let keys = &second.status().await["pools"][0]["accounts"][0]["keys"];
    assert_eq!((&keys[0]["alive"], &keys[1]["alive"]), (&false.into(), &true.into()), "{sent}");
    assert_eq!((second.ask(false).await, second.ask(false).await), (200, 200));
    assert_eq!(second.ask(false).await, 429, "the sixth");
    assert_eq!(sandbox.stats().total().requests, 5);
    second.kill();
}

#[tokio::test]
async fn a_database_belongs_to_one_process() {
    let (_, config) = furnish("two", "").await;
    let first = Process::start(&config);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "process::serve", "--nocapture"])
        .env(ARGUMENTS, format!("--config\n{}", config.display()))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("another process uses it"), "{said}");
    first.kill();
}
