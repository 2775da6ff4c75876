//! A configuration that changes while the gateway serves, with a real file and a real signal.

use std::{fs, path::PathBuf, process::Command, sync::Arc, time::Duration};

use axum::body::Body;
use http::{Request, header};
use tokio::time::sleep;
use tower::ServiceExt;
use tower_key_rotation::{
    event::Event,
    pool::Events,
    sandbox::{Dialect, Sandbox, Script},
    snapshot::Snapshot,
};

use crate::gateway::{
    args::Args,
    config::{Config, Surroundings},
    reload,
    routes::Gateway,
    upstream::Upstream,
};

/// A gateway that follows a file of its own.
struct Followed {
    gateway: Arc<Gateway>,
    file: PathBuf,
    sandbox: Sandbox,
    events: Events,
}

impl Followed {
    fn new(name: &str, text: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tkr-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("keys.toml");
        fs::write(&file, text).unwrap();
        fs::write(folder.join("secret"), "sk-canary").unwrap();
        let args = Args { config: Some(file.clone()), ..Args::default() };
        let around = Surroundings { env: &|_| None, folder: std::path::Path::new("") };
        let followed = reload::Followed::new(args.clone());
        let config = Config::load(&args, &around).unwrap();
        let sandbox = super::sandbox(Dialect::OpenAi, Script::new());
        let upstream = Upstream::Sandbox(sandbox.clone());
        let gateway = Arc::new(Gateway::new(config, &upstream).unwrap());
        let events = gateway.pools()[0].keys.events();
        tokio::spawn(followed.follow(Arc::clone(&gateway)));
        Self { gateway, file, sandbox, events }
    }

    /// Writes the file, and waits until the gateway has checked it.
    async fn write(&self, text: &str) {
        fs::write(&self.file, text).unwrap();
        sleep(Duration::from_secs(5)).await;
    }

    async fn chat(&self, token: &str) -> u16 {
        let request = Request::post("http://127.0.0.1/v1/chat/completions")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::from(super::chat("gpt-4o", false)));
        let router = Arc::clone(&self.gateway).router();
        router.oneshot(request.unwrap()).await.unwrap().status().as_u16()
    }

    fn snapshot(&self) -> Snapshot {
        self.gateway.pools()[0].keys.snapshot()
    }

    fn keys(&self) -> Vec<String> {
        let set = self.gateway.pools()[0].keys.key_set();
        set.keys().iter().map(|key| key.id.to_string()).collect()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.file.parent().unwrap());
    }
}

fn text(token: &str, in_pool: &str, accounts: &str) -> String {
    format!(
        r#"
client_tokens = ["{token}"]
[[pool]]
name = "openai"
provider = "openai"
{in_pool}
{accounts}
"#
    )
}

const FIRST: &str = r#"
[[pool.account]]
name = "org"
limits = ["600 requests/min"]
keys = [{ id = "k1", secret = "file:secret" }]
"#;
const SECOND: &str = r#"
[[pool.account]]
name = "org-2"
keys = [{ id = "k2", secret = "sk-canary-2" }]
"#;

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_applied_and_an_invalid_one_is_not() {
    let mut gateway = Followed::new("reload", &text("t-1", "", FIRST));
    assert_eq!(gateway.chat("t-1").await, 200);

    gateway
        .write(&text("t-2", "", &FIRST.replace("600", "60").replace("}]", "}]\nweight = 2")))
        .await;
    assert_eq!((gateway.chat("t-1").await, gateway.chat("t-2").await), (401, 200));
    assert_eq!(gateway.snapshot().accounts[0].meters[0].limit, "60 requests/min");

    gateway.write(&text("t-2", "max_wait = \"1s\"", SECOND)).await;
    assert_eq!(gateway.keys(), ["k2"]);
    assert_eq!(gateway.chat("t-2").await, 200);
    assert_eq!(gateway.sandbox.stats().account("org-2").accepted, 1);

    while let Ok(Some(_)) = gateway.events.try_recv() {}
    let bad = [
        "not toml".to_owned(),
        text("t-3", "", &SECOND.replace("sk-canary-2", "")),
        text("t-3", "", &format!("{SECOND}{}", FIRST.replace("600", "0"))),
        text("t-3", "", &FIRST.replace("file:secret", "file:nowhere")),
    ];
    for bad in bad {
        gateway.write(&bad).await;
        assert_eq!((gateway.chat("t-3").await, gateway.chat("t-2").await), (401, 200), "{bad}");
        assert_eq!(gateway.keys(), ["k2"], "{bad}");
        assert_eq!(gateway.events.try_recv(), Ok(None), "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hangup_signal_reloads_the_secrets_outside_the_file() {
    let mut gateway = Followed::new("hangup", &text("t-1", "", FIRST));
    // The gateway waits for the signal after it has checked the file.
    sleep(Duration::from_secs(3)).await;
    fs::write(gateway.file.with_file_name("secret"), "sk-canary-2").unwrap();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(gateway.events.try_recv(), Ok(None), "the file itself has not changed");
    let hangup = Command::new("kill").args(["-HUP", &std::process::id().to_string()]).status();
    assert!(hangup.unwrap().success());
    let told = gateway.events.recv().await;
    assert!(
        matches!(&told, Ok(Event::ConfigChanged(changes)) if changes.keys_replaced.len() == 1),
        "{told:?}"
    );
    assert_eq!(gateway.chat("t-1").await, 200);
    assert_eq!(gateway.sandbox.stats().account("org-2").accepted, 1);
}

#[tokio::test(start_paused = true)]
async fn changes_that_need_a_restart_are_listed() {
    let followed = Followed::new("restart", &text("t-1", "", FIRST));
    let read = |text: String| {
        let around = Surroundings { env: &|_| None, folder: followed.file.parent().unwrap() };
        let listen = crate::gateway::config::Listen::default();
        crate::gateway::config::read_file("keys.toml".into(), &text, listen, &around).unwrap()
    };
    let others = "[[pool]]\nname = \"other\"\nprovider = \"openai\"\n";
    let changed = format!(
        "listen = \"0.0.0.0:99\"\n{}{others}{FIRST}",
        text("t-1", "max_wait = \"1s\"\nqueue = 5\nmodels = [\"x*\"]", FIRST)
    );
    let later = followed.gateway.reload(read(changed)).unwrap();
    assert_eq!(
        later,
        [
            "listen is now 0.0.0.0:99",
            "pool \"openai\": models changed",
            "pool \"openai\": max_wait changed",
            "pool \"openai\": queue changed",
            "pool \"other\" is new",
        ]
    );
    assert_eq!(followed.chat("t-1").await, 200);
    let none = text("t-1", "", FIRST).replace("\"openai\"\nprovider", "\"another\"\nprovider");
    let later = followed.gateway.reload(read(none)).unwrap();
    assert_eq!(later, ["pool \"another\" is new", "pool \"openai\" is gone"]);
    assert_eq!(followed.chat("t-1").await, 200);
}
