//! Requests to a provider and its responses, byte by byte.

use http::HeaderValue;
use http_body_util::BodyExt;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{
    before,
    gateway::upstream::Upstream,
    origin::Origin,
    start::{one_pool, start},
};

#[tokio::test]
async fn headers_of_one_connection_are_not_passed_on() {
    let origin = Origin::bind().await;
    let gateway = before(&origin).await;
    let mut request = gateway.post("/openai/v1/x?a=1&key=caller&b=2", "{}");
    for (name, value) in [
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("proxy-authorization", "Basic x"),
        ("te", "gzip"),
        ("authorization", "Bearer caller"),
        ("x-end-to-end", "1"),
    ] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let answer = "HTTP/1.1 302 Found\r\nlocation: https://elsewhere.example/\r\nconnection: x-hop\r\n\
                  x-hop: 1\r\nkeep-alive: timeout=9\r\nproxy-authenticate: Basic\r\nx-end-to-end: 1\r\n\
                  transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let (seen, response) = tokio::join!(origin.answer(answer), gateway.send(request));

    let seen = seen.to_ascii_lowercase();
    assert!(seen.starts_with("post /v1/x?a=1&b=2 http/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("host: {}\r\n", &origin.url["http://".len()..])), "{seen}");
    assert!(
        seen.contains("x-end-to-end: 1\r\n") && seen.contains("content-length: 2\r\n"),
        "{seen}"
    );
    assert!(seen.contains("authorization: bearer sk-canary\r\n"), "{seen}");
    for gone in ["x-hop", "proxy-", "te:", "caller", "keep-alive"] {
        assert!(!seen.contains(gone), "{gone} was passed on:\n{seen}");
    }
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], "https://elsewhere.example/");
    assert_eq!(response.headers()["x-end-to-end"], "1");
    for gone in ["x-hop", "keep-alive", "proxy-authenticate", "connection"] {
        assert!(!response.headers().contains_key(gone), "{gone} was returned");
    }
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "ok");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_cannot_be_reached_is_a_502_without_secrets() {
    let origin = Origin::bind().await;
    let gateway = before(&origin).await;
    drop(origin);
    let (status, body) = gateway.json(gateway.post("/openai/v1/x?token=canary", "{}")).await;
    assert_eq!((status, &body["error"]["code"]), (502, &"upstream_unreachable".into()));
    assert!(body["error"]["message"].as_str().unwrap().contains("refused"), "{body}");
    assert!(!body.to_string().contains("canary"), "{body}");
}

/// Gives the same answer to each request, and returns the requests.
fn served(origin: Origin) -> UnboundedReceiver<String> {
    let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    let (sender, requests) = unbounded_channel();
    tokio::spawn(async move { while sender.send(origin.answer(answer).await).is_ok() {} });
    requests
}

#[tokio::test]
async fn a_key_with_its_own_endpoint_is_sent_only_there() {
    let (origin, own) = (Origin::bind().await, Origin::bind().await);
    let base = format!("base_url = \"{}/base\"", origin.url);
    let endpoint = format!("endpoint = \"{}/eu\"", own.url);
    let key = format!("keys = [{{ id = \"k2\", secret = \"sk-eu\", {endpoint} }}]");
    let eu = format!("[[pool.account]]\nname = \"eu\"\n{key}");
    let gateway = start(one_pool("openai", "", &base, &eu), Upstream::providers().unwrap()).await;
    let own_host = format!("host: {}\r\n", &own.url["http://".len()..]);
    let (mut at_base, mut at_own) = (served(origin), served(own));
    for _ in 0..2 {
        assert_eq!(gateway.send(gateway.post("/openai/v1/x", "{}")).await.status(), 200);
    }
    let (here, there) = (at_base.try_recv().unwrap(), at_own.try_recv().unwrap());
    assert!(
        at_base.try_recv().is_err() && at_own.try_recv().is_err(),
        "a request went to the wrong server"
    );
    assert!(here.starts_with("POST /base/v1/x HTTP/1.1\r\n"), "{here}");
    assert!(here.contains("authorization: Bearer sk-canary\r\n"), "{here}");
    assert!(there.starts_with("POST /eu/base/v1/x HTTP/1.1\r\n"), "{there}");
    assert!(there.contains("authorization: Bearer sk-eu\r\n"), "{there}");
    assert!(there.contains(&own_host), "{there}");
}
