//! Refusals that are easily misunderstood, end to end: how often the provider is called, what the caller
//! sees, and the state of keys and accounts afterwards. Long, for it is one table.

use std::{io::Write, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use tower_key_rotation::sandbox::{Dialect, Fault, Script};

use crate::{
    gateway::{routes::Gateway, upstream::Upstream},
    start::{chat, sandbox, two_accounts},
};

/// A refusal: its description, provider and content, the expected verdict and rule, what the caller sees, and
/// what changes for keys and accounts.
struct Trap {
    what: &'static str,
    from: Dialect,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: Vec<u8>,
    verdict: &'static str,
    rule: &'static str,
    seen: Seen,
    left: Left,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    /// A good answer: another key or a later attempt succeeded.
    Answer,
    /// The refusal, byte for byte, after one call.
    Refusal,
}

/// What has changed afterwards.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Left {
    Nothing,
    DeadKey,
    /// A key rests for the model.
    RefusedModel,
    /// An account rests for this many seconds.
    AccountOut(f64),
    /// An account rests for the model for this many seconds.
    ModelOut(f64),
}
use Dialect::{Anthropic, Gemini, OpenAi};
use Left::{AccountOut, DeadKey, ModelOut, Nothing, RefusedModel};
use Seen::{Answer, Refusal};

const HTML: (&str, &str) = ("content-type", "text/html; charset=UTF-8");
const PAGE: &str = "<!DOCTYPE html><html><title>Attention Required!</title></html>";
const RATE: &str =
    r#"{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}"#;
const QUOTA: &str =
    r#"{"error":{"message":"No.","type":"insufficient_quota","code":"insufficient_quota"}}"#;
/// Without a time to wait: the first steps of the backoffs.
const SECOND: f64 = 1.0;
const FIVE_MINUTES: f64 = 300.0;

/// A refusal after which another key succeeds.
fn passing(
    what: &'static str,
    (from, status): (Dialect, u16),
    headers: &'static [(&'static str, &'static str)],
    body: impl Into<Vec<u8>>,
    (verdict, rule): (&'static str, &'static str),
    left: Left,
) -> Trap {
    Trap { what, from, status, headers, body: body.into(), verdict, rule, seen: Answer, left }
}

/// A refusal that is the fault of the caller.
fn theirs(
    what: &'static str,
    (from, status): (Dialect, u16),
    headers: &'static [(&'static str, &'static str)],
    body: impl Into<Vec<u8>>,
    rule: &'static str,
) -> Trap {
    let (body, verdict) = (body.into(), "caller_fault");
    Trap { what, from, status, headers, body, verdict, rule, seen: Refusal, left: Nothing }
}

const LIMITED: (&str, &str) = ("rate_limited", "openai/rate-limit");
const NO_QUOTA: (&str, &str) = ("quota_exhausted", "openai/insufficient-quota");

/// The first step of the backoff for an account that alone reports an overload.
const OVERLOAD: f64 = 0.25;

/// 429 for the rate, for the quota, and for our address.
fn too_many() -> Vec<Trap> {
    let page = ("overloaded", "page/429");
    let daily = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota exceeded","details":[
        {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}]}}"#;
    let minute = daily.replace("PerDay", "PerMinute");
    let exhausted = "quota_exhausted";
    vec![
        passing("rate", (OpenAi, 429), &[("retry-after", "7")], RATE, LIMITED, ModelOut(7.0)),
        passing("quota", (OpenAi, 429), &[], QUOTA, NO_QUOTA, AccountOut(FIVE_MINUTES)),
        passing("our address", (OpenAi, 429), &[HTML], PAGE, page, ModelOut(OVERLOAD)),
        passing(
            "RetryInfo",
            (Gemini, 429),
            &[],
            minute,
            ("rate_limited", "gemini/rate-limit"),
            ModelOut(34.0),
        ),
        passing(
            "a quota of the day whose RetryInfo misleads",
            (Gemini, 429),
            &[("date", "Thu, 15 Jan 2026 20:00:00 GMT")],
            daily,
            (exhausted, "gemini/daily-quota"),
            ModelOut(12.0 * 3_600.0),
        ),
        passing(
            "a low balance as 400",
            (Anthropic, 400),
            &[],
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
            (exhausted, "anthropic/no-credit"),
            AccountOut(FIVE_MINUTES),
        ),
    ]
}

/// Keys, models and regions.
fn forbidden() -> Vec<Trap> {
    let rejected = |rule| ("key_rejected", rule);
    let refused = ("permission_refused", "openai/no-model-access");
    vec![
        passing(
            "an invalid key as 400",
            (Gemini, 400),
            &[],
            r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
            rejected("gemini/invalid-key"),
            DeadKey,
        ),
        passing(
            "an invalid key",
            (OpenAi, 401),
            &[],
            r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#,
            rejected("openai/invalid-key"),
            DeadKey,
        ),
        passing(
            "no access to the model",
            (OpenAi, 403),
            &[],
            r#"{"error":{"message":"Project `proj_1` does not have access to model `gpt-4o`","code":"model_not_found"}}"#,
            refused,
            RefusedModel,
        ),
        passing(
            "the same as 404",
            (OpenAi, 404),
            &[],
            r#"{"error":{"message":"Project `proj_1` does not have access to model `gpt-4o`","code":"model_not_found"}}"#,
            refused,
            RefusedModel,
        ),
        passing(
            "no such model, or no access",
            (OpenAi, 404),
            &[],
            r#"{"error":{"message":"The model `gpt-4o` does not exist or you do not have access to it.","code":"model_not_found"}}"#,
            ("permission_refused", "openai/unknown-model-or-no-access"),
            RefusedModel,
        ),
        theirs(
            "a region",
            (OpenAi, 403),
            &[],
            r#"{"error":{"message":"Country, region, or territory not supported","code":"unsupported_country_region_territory"}}"#,
            "openai/region",
        ),
        theirs(
            "a region as 400",
            (Gemini, 400),
            &[],
            r#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#,
            "gemini/region",
        ),
        // It may be about the key, until another key gets the same answer.
        passing(
            "a firewall's page",
            (OpenAi, 403),
            &[HTML],
            PAGE,
            ("permission_refused", "status/403"),
            RefusedModel,
        ),
        passing(
            "a broken proxy's 401",
            (OpenAi, 401),
            &[HTML],
            PAGE,
            ("transient", "page/401"),
            Nothing,
        ),
    ]
}

/// Overloads and failures.
fn failing() -> Vec<Trap> {
    let overloaded = |rule| ("overloaded", rule);
    vec![
        passing(
            "529",
            (Anthropic, 529),
            &[],
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            overloaded("anthropic/overloaded"),
            ModelOut(OVERLOAD),
        ),
        passing(
            "503",
            (OpenAi, 503),
            &[],
            "{}",
            overloaded("status/overloaded"),
            ModelOut(OVERLOAD),
        ),
        passing("a page", (OpenAi, 502), &[HTML], PAGE, ("transient", "status/5xx"), Nothing),
    ]
}

/// Bodies that are hard to read.
fn bodies() -> Vec<Trap> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(QUOTA.as_bytes()).unwrap();
    let ten_megabytes = |start: &str| format!("{start}{}", " ".repeat(10 << 20));
    let limited = ("rate_limited", "status/429");
    let out = AccountOut(FIVE_MINUTES);
    let quota =
        |what, headers, body: Vec<u8>| passing(what, (OpenAi, 429), headers, body, NO_QUOTA, out);
    vec![
        passing("empty", (OpenAi, 429), &[], "", limited, ModelOut(SECOND)),
        quota("truncated", &[], QUOTA[..QUOTA.len() - 9].into()),
        quota("gzip", &[("content-encoding", "gzip")], gzip.finish().unwrap()),
        quota("brotli", &[("content-encoding", "br")], brotli(QUOTA)),
        quota("not UTF-8", &[], [b"{\"x\":\"\xff\xfe\",", &QUOTA.as_bytes()[1..]].concat()),
        quota("10 MB", &[], ten_megabytes(QUOTA).into()),
        theirs(
            "10 MB of the caller's",
            (OpenAi, 400),
            &[],
            ten_megabytes(r#"{"error":{"message":"No."}}"#),
            "status/4xx",
        ),
        theirs("nothing at all", (OpenAi, 422), &[], "", "status/4xx"),
    ]
}

/// The data as brotli, in one uncompressed block.
fn brotli(text: &str) -> Vec<u8> {
    // WBITS 16 (0), then a meta-block that is not the last (0), four nibbles of length (00), its length less
    // one (16 bits), uncompressed (1); then an empty last block.
    let bits = (1_u32 << 20) | ((text.len() as u32 - 1) << 4);
    [&bits.to_le_bytes()[..3], text.as_bytes(), &[0x03]].concat()
}

/// Headers that are absent, doubled, negative, too large, in another unit, or by a wrong clock.
fn headers() -> Vec<Trap> {
    let limited = |what, headers, left| passing(what, (OpenAi, 429), headers, RATE, LIMITED, left);
    const DATE: (&str, &str) = ("date", "Thu, 15 Jan 2026 20:00:00 GMT");
    vec![
        limited("absent", &[], ModelOut(SECOND)),
        limited("doubled", &[("retry-after", "5"), ("retry-after", "50")], ModelOut(SECOND)),
        limited("negative", &[("retry-after", "-7")], ModelOut(SECOND)),
        limited("overflowing", &[("retry-after", "99999999999999999999")], ModelOut(SECOND)),
        limited("milliseconds for seconds", &[("retry-after", "60000000")], ModelOut(SECOND)),
        limited(
            "a time for a duration",
            &[
                DATE,
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "1768507230"),
            ],
            ModelOut(30.0),
        ),
        limited(
            "a date by a skewed clock",
            &[DATE, ("retry-after", "Thu, 15 Jan 2026 20:00:20 GMT")],
            ModelOut(20.0),
        ),
        limited(
            "several dimensions: the latest that is used up",
            &[
                ("x-ratelimit-remaining-requests", "7"),
                ("x-ratelimit-reset-requests", "23h"),
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "12s"),
                ("x-ratelimit-remaining-project-requests", "0"),
                ("x-ratelimit-reset-project-requests", "40s"),
            ],
            ModelOut(40.0),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_refusal_of_the_table_has_its_effect() {
    for trap in [too_many(), forbidden(), failing(), bodies(), headers()].into_iter().flatten() {
        check(&trap).await;
    }
}

async fn check(trap: &Trap) {
    let what = trap.what;
    let (name, path, body) = match trap.from {
        OpenAi => ("openai", "/v1/chat/completions", chat("gpt-4o", false)),
        Anthropic => (
            "anthropic",
            "/anthropic/v1/messages",
            chat("gpt-4o", false).replacen('{', "{\"max_tokens\":9,", 1),
        ),
        _ => (
            "gemini",
            "/gemini/v1beta/models/gpt-4o:generateContent",
            r#"{"contents":[{"parts":[{"text":"Hello"}]}]}"#.to_owned(),
        ),
    };
    let fake = sandbox(trap.from, Script::new());
    let mut refusal = Response::new(Bytes::from(trap.body.clone()));
    *refusal.status_mut() = trap.status.try_into().unwrap();
    for (name, value) in trap.headers {
        refusal.headers_mut().append(HeaderName::from_static(name), value.parse().unwrap());
    }
    fake.fail(Fault::respond_with(refusal, 1));
    let upstream = Upstream::Sandbox(fake.clone());
    let gateway = Arc::new(Gateway::new(two_accounts(name, ""), &upstream).unwrap()).router();

    let ask = |request: Request<Body>| {
        let gateway = gateway.clone();
        async move {
            let answer = gateway.oneshot(request).await.unwrap();
            let status = answer.status().as_u16();
            (status, answer.into_body().collect().await.unwrap().to_bytes())
        }
    };
    let request = Request::post(path).header("content-type", "application/json");
    let (status, answer) = ask(request.body(Body::from(body)).unwrap()).await;
    let (_, state) = ask(Request::get("/-/status").body(Body::empty()).unwrap()).await;
    let state: Value = serde_json::from_slice(&state).unwrap();
    let pool = &state["pools"][0];

    let calls = fake.stats().total().requests;
    match trap.seen {
        Answer => assert_eq!((status, calls), (200, 2), "{what}: {pool:#}"),
        Refusal => {
            assert_eq!((status, calls), (trap.status, 1), "{what}: {pool:#}");
            assert!(answer == trap.body, "{what}: {} bytes came", answer.len());
        }
    }
    assert_eq!(pool["verdicts"][trap.verdict], 1, "{what}: {pool:#}");
    let refused = pool["accounts"].as_array().unwrap().iter().filter_map(|account| {
        let (of_account, of_key) =
            (&account["last_refusal"]["rule"], &account["keys"][0]["last_refusal"]["rule"]);
        assert_eq!(of_account, of_key, "{what}: {pool:#}");
        of_account.as_str()
    });
    assert_eq!(refused.collect::<Vec<_>>(), [trap.rule], "{what}: {pool:#}");
    check_left(what, pool, trap.left);
}

/// The difference from before, with nothing left out.
fn check_left(what: &str, pool: &Value, expected: Left) {
    let all = |of: &Value| of.as_array().cloned().unwrap_or_default();
    let mut left = Vec::new();
    for account in all(&pool["accounts"]) {
        left.extend(account["cooling_for"].as_f64().map(AccountOut));
        left.extend((account["keys"][0]["alive"] == false).then_some(DeadKey));
    }
    for lane in all(&pool["lanes"]) {
        let cooling = lane["cooling"].as_object().cloned().unwrap_or_default();
        left.extend(cooling.values().filter_map(Value::as_f64).map(ModelOut));
        left.extend(all(&lane["refused"]).iter().map(|_| RefusedModel));
    }
    assert!(pool["braked_for"].is_null(), "{what}: {pool:#}");
    let is_expected = match (expected, left.as_slice()) {
        (Nothing, []) => true,
        (AccountOut(expected), [AccountOut(left)]) | (ModelOut(expected), [ModelOut(left)]) => {
            // A jitter is added, so that not all requests return at once. It is larger for a guess.
            let most = if [SECOND, FIVE_MINUTES].contains(&expected) { 1.25 } else { 1.06 };
            (expected * 0.99..=expected * most + 0.5).contains(left)
        }
        (expected, [left]) => expected == *left,
        _ => false,
    };
    assert!(is_expected, "{what}: {left:?}\n{pool:#}");
}
