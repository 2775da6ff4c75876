//! A hyper-util client with key rotation and without a server: the shortest use of the stack.
//!
//! The provider is a sandbox on a free port of this machine. For a real provider, leave out [`provider`] and
//! `origin`, and give the client a TLS connector.

use std::error::Error;

use http::{Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper::{body::Bytes, server::conn::http1};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};
use tower_key_rotation::{
    Account, ApiKey, KeyPool, KeyUsed, Limit, OpenAi, ReplayBody, RotationStack, Trail,
    sandbox::{Dialect, Fault, Sandbox},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let limit = Limit::requests(120).per_minute().burst(4);
    let sandbox = Sandbox::builder(Dialect::OpenAi)
        .account("org-a", [limit.clone()], ["sk-sandbox-a1", "sk-sandbox-a2"])
        .account("org-b", [limit.clone()], ["sk-sandbox-b1"])
        .build();
    let origin = provider(sandbox.clone()).await?;

    let pool = KeyPool::builder(OpenAi::default())
        .origin(&origin)
        .account(
            Account::new("org-a")
                .limit(limit.clone())
                .key(ApiKey::new("sk-sandbox-a1").id("a1"))
                .key(ApiKey::new("sk-sandbox-a2").id("a2")),
        )
        .account(Account::new("org-b").limit(limit).key(ApiKey::new("sk-sandbox-b1").id("b1")))
        .build()?;
    let client = Client::builder(TokioExecutor::new()).build_http::<ReplayBody>();
    let service = ServiceBuilder::new().layer(RotationStack::new(&pool)).service(client);

    for number in 1..=12 {
        if number == 5 {
            println!("-- the provider revokes a1");
            sandbox.fail(Fault::revoke("sk-sandbox-a1"));
        }
        let request = Request::post(format!("{origin}/v1/chat/completions"))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::<Bytes>::from(
                r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}"#,
            ))?;
        let response = service.clone().oneshot(request).await?;
        let status = response.status();
        if let Some(used) = response.extensions().get::<KeyUsed>() {
            let trail = response.extensions().get::<Trail>();
            let attempts = trail.map_or(1, |trail| trail.attempts().len());
            let (key, waited) = (&used.key, used.waited.as_millis());
            println!(
                "{number}: {status} with key {key}, attempts: {attempts}, {waited} ms in the queue"
            );
        }
        response.into_body().collect().await?;
    }
    Ok(())
}

/// Serves the sandbox on a free port, and returns its origin.
async fn provider(sandbox: Sandbox) -> Result<String, std::io::Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(sandbox.clone());
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(origin)
}
