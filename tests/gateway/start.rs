//! A gateway started on a free port, and a client for it.

use std::{path::Path, sync::Arc};

use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower_key_rotation::sandbox::{Dialect, Sandbox, Script};

use crate::gateway::{
    config::{Config, Listen, Surroundings, read_file},
    routes::Gateway,
    serve::serve,
    upstream::Upstream,
};

/// A running gateway. It stops when this is dropped.
pub(crate) struct Started {
    pub(crate) url: String,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) client: Client<HttpConnector, Full<Bytes>>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) served: JoinHandle<()>,
}

/// The same with a second account, `org-2`.
pub(crate) fn two_accounts(provider: &str, in_pool: &str) -> Config {
    let second =
        "[[pool.account]]\nname = \"org-2\"\nkeys = [{ id = \"k2\", secret = \"sk-canary-2\" }]";
    one_pool(provider, "", in_pool, second)
}

/// A file with one pool of one account and the given lines before it and in it.
pub(crate) fn one_pool(provider: &str, before: &str, in_pool: &str, in_account: &str) -> Config {
    let text = format!(
        r#"listen = "127.0.0.1:0"
{before}
[[pool]]
name = "{provider}"
provider = "{provider}"
{in_pool}
[[pool.account]]
name = "org"
keys = [{{ id = "k1", secret = "sk-canary" }}]
{in_account}
"#
    );
    let around = Surroundings { env: &|_| None, folder: Path::new("") };
    read_file("keys.toml".to_owned(), &text, Listen::default(), &around).unwrap()
}

pub(crate) fn sandbox(dialect: Dialect, script: Script) -> Sandbox {
    let sandbox = Sandbox::builder(dialect).account("org", [], ["sk-canary"]);
    sandbox.account("org-2", [], ["sk-canary-2"]).answer(script).build()
}

pub(crate) async fn start(config: Config, upstream: Upstream) -> Started {
    let listener = TcpListener::bind(config.listen).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = Arc::new(Gateway::new(config, &upstream).unwrap());
    let (stop, stopped) = oneshot::channel();
    let stopped = async move { drop(stopped.await) };
    let served = tokio::spawn(serve(listener, Arc::clone(&gateway).router(), stopped));
    let client = Client::builder(TokioExecutor::new()).build_http();
    Started { url, gateway, client, stop: Some(stop), served }
}

impl Started {
    pub(crate) fn post(&self, path: &str, body: impl Into<String>) -> Request<Full<Bytes>> {
        Request::post(format!("{}{path}", self.url))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body.into()))
            .unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Request<Full<Bytes>> {
        Request::get(format!("{}{path}", self.url)).body(Full::default()).unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.client.request(request).await.unwrap()
    }

    /// Status, and the whole body as text.
    pub(crate) async fn text(&self, request: Request<Full<Bytes>>) -> (u16, String) {
        let response = self.send(request).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Status, and the body as JSON.
    pub(crate) async fn json(&self, request: Request<Full<Bytes>>) -> (u16, serde_json::Value) {
        let (status, text) = self.text(request).await;
        let json = serde_json::from_str(&text);
        (status, json.unwrap_or_else(|_| panic!("{status}: {text}")))
    }
}

/// A chat completion request.
pub(crate) fn chat(model: &str, stream: bool) -> String {
    format!(
        r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"Hello"}}]}}"#
    )
}
