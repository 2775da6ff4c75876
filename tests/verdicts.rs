//! What each dialect makes of a refusal: one row for each kind that providers are known to send,
//! and for what the things between us and them make of it.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use tower_key_rotation::{
    Anthropic, Gemini, Generic, OpenAi, Scope, Verdict,
    provider::{Answer, Provider},
};

/// Name, status, headers, body, verdict.
type Row = (&'static str, u16, &'static [(&'static str, &'static str)], &'static str, Verdict);

const ACCOUNT: Scope = Scope::Account;
const MODEL: Scope = Scope::Model;
const UNKNOWN: Option<Duration> = None;

const fn ms(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

const fn s(seconds: u64) -> Option<Duration> {
    ms(seconds * 1_000)
}

const fn limited(retry_after: Option<Duration>, scope: Scope) -> Verdict {
    Verdict::RateLimited { retry_after, scope }
}

const fn quota(retry_after: Option<Duration>, scope: Scope) -> Verdict {
    Verdict::QuotaExhausted { retry_after, scope }
}

const fn overloaded(retry_after: Option<Duration>) -> Verdict {
    Verdict::Overloaded { retry_after }
}

use Verdict::{CallerFault, KeyRejected, ModelRefused, Transient};

/// Noon of 2026-01-15 in California is 20:00 here.
const DATE: (&str, &str) = ("date", "Thu, 15 Jan 2026 20:00:00 GMT");
const HTML: (&str, &str) = ("content-type", "text/html; charset=UTF-8");
const BLOCKED: &str = "<!DOCTYPE html><html><title>Attention Required!</title></html>";
const UPSTREAM: &str = "upstream connect error or disconnect/reset before headers";

fn check(provider: &dyn Provider, rows: &[Row]) {
    for (name, status, headers, body, expected) in rows {
        let mut map = HeaderMap::new();
        for (name, value) in *headers {
            map.append(*name, value.parse().unwrap());
        }
        let answer = Answer {
            status: StatusCode::from_u16(*status).unwrap(),
            headers: &map,
            body: body.as_bytes(),
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_768_507_200 - 3_600), // an hour slow
        };
        assert_eq!(provider.classify(&answer), *expected, "{}: {name}", provider.name());
    }
}

/// What comes from proxies, gateways and load balancers, whatever is behind them.
#[test]
fn in_between() {
    let rows: &[Row] = &[
        ("plain 503", 503, &[], UPSTREAM, overloaded(UNKNOWN)),
        ("HTML 502", 502, &[HTML], "<html>Bad Gateway</html>", Transient),
        ("HTML 503", 503, &[HTML, ("retry-after", "7")], "<html></html>", overloaded(s(7))),
        ("HTML 504", 504, &[HTML], "<html>Gateway Time-out</html>", Transient),
        ("HTML 500 undeclared", 500, &[], "  <h1>Oops</h1>", Transient),
        ("Cloudflare 524", 524, &[HTML], BLOCKED, Transient),
        ("firewall", 403, &[HTML], BLOCKED, CallerFault),
        ("proxy asks who we are", 401, &[HTML], "<html>Sign in</html>", Transient),
        (
            "a page, but the challenge is real",
            401,
            &[HTML, ("www-authenticate", "Bearer realm=\"api\"")],
            "<html>Sign in</html>",
            KeyRejected,
        ),
        ("HTML 404", 404, &[HTML], "<html>nginx</html>", CallerFault),
        ("401 and not a word", 401, &[], "", KeyRejected),
        ("408", 408, &[], "", Transient),
        ("413 in plain text", 413, &[], "length limit exceeded", CallerFault),
        ("empty 500", 500, &[], "", Transient),
        ("501", 501, &[], "{}", Transient),
        ("529", 529, &[], "", overloaded(UNKNOWN)),
        ("429 and not a word", 429, &[], "", limited(UNKNOWN, MODEL)),
        ("402 and not a word", 402, &[], "", quota(UNKNOWN, ACCOUNT)),
        ("422", 422, &[], r#"{"detail":[{"loc":["body"]}]}"#, CallerFault),
    ];
    check(&OpenAi::default(), rows);
    check(&Anthropic::default(), rows);
    check(&Gemini::default(), rows);
    let no_models = |verdict: &Verdict| match *verdict {
        Verdict::RateLimited { retry_after, .. } => limited(retry_after, ACCOUNT),
        other => other,
    };
    let rows: Vec<Row> =
        rows.iter().map(|row| (row.0, row.1, row.2, row.3, no_models(&row.4))).collect();
    check(&Generic::new("https://api.example.com"), &rows);
    // Cloudflare's 1015 is about our address: no account cools for it.
    let rows: &[Row] =
        &[("429 page", 429, &[HTML, ("retry-after", "30")], BLOCKED, overloaded(s(30)))];
    check(&OpenAi::default(), rows);
    check(&Anthropic::default(), rows);
    check(&Gemini::default(), rows);
}

#[test]
fn openai() {
    const RPM: &str = r#"{"error":{"message":"Rate limit reached for gpt-4o in organization org-1 on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s. Visit https://platform.openai.com to learn more.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    const WORDLESS: &str = r#"{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}"#;
    check(
        &OpenAi::default(),
        &[
            (
                "requests per minute, told by header; most of the day's requests remain",
                429,
                &[
                    ("retry-after", "19"),
                    ("retry-after-ms", "19400"),
                    ("x-ratelimit-remaining-requests", "196"),
                    ("x-ratelimit-reset-requests", "21m36.001s"),
                ],
                RPM,
                limited(ms(19_400), MODEL),
            ),
            ("told by message", 429, &[], RPM, limited(s(20), MODEL)),
            (
                "the message goes before the reset",
                429,
                &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "9m")],
                RPM,
                limited(s(20), MODEL),
            ),
            (
                "told by the reset of what is used up",
                429,
                &[
                    ("x-ratelimit-remaining-requests", "5"),
                    ("x-ratelimit-reset-requests", "14m24s"),
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "8.64s"),
                ],
                WORDLESS,
                limited(ms(8_640), MODEL),
            ),
            (
                "both used up: the later",
                429,
                &[
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "120ms"),
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "6m0s"),
                ],
                WORDLESS,
                limited(s(360), MODEL),
            ),
            ("nothing told", 429, &[("retry-after", "0")], WORDLESS, limited(UNKNOWN, MODEL)),
            ("negative wait", 429, &[("retry-after", "-5")], WORDLESS, limited(UNKNOWN, MODEL)),
            (
                "too steep a ramp",
                429,
                &[("retry-after", "3")],
                r#"{"error":{"type":"rate_limit_error","code":"slow_down","message":"Slow down"}}"#,
                limited(s(3), ACCOUNT),
            ),
            (
                "larger than the limit",
                429,
                &[("x-ratelimit-remaining-tokens", "1000000"), ("x-ratelimit-reset-tokens", "0s")],
                r#"{"error":{"message":"Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 52013.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
                CallerFault,
            ),
            (
                "no credit",
                429,
                &[],
                r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
                quota(UNKNOWN, ACCOUNT),
            ),
            (
                "no credit, by type only",
                429,
                &[],
                r#"{"error":{"type":"insufficient_quota","code":null}}"#,
                quota(UNKNOWN, ACCOUNT),
            ),
            (
                "quota with a wait that is about something else still is quota",
                429,
                &[("retry-after", "20")],
                r#"{"error":{"type":"insufficient_quota","code":"project_spend_limit_exceeded"}}"#,
                quota(s(20), ACCOUNT),
            ),
            (
                "spend limit of the organisation",
                429,
                &[],
                r#"{"error":{"type":"billing","code":"organization_spend_limit_exceeded"}}"#,
                quota(UNKNOWN, ACCOUNT),
            ),
            (
                "billing hard limit, told with 400",
                400,
                &[],
                r#"{"error":{"code":"billing_hard_limit_reached","message":"Billing hard limit has been reached","type":"invalid_request_error"}}"#,
                quota(UNKNOWN, ACCOUNT),
            ),
            (
                "wrong key",
                401,
                &[("www-authenticate", "Bearer realm=\"OpenAI API\"")],
                r#"{"error":{"message":"Incorrect API key provided: sk-no.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
                KeyRejected,
            ),
            (
                "account closed, hidden under 429",
                429,
                &[],
                r#"{"error":{"message":"Your access was terminated","type":"access_terminated","code":null}}"#,
                KeyRejected,
            ),
            (
                "restricted key",
                401,
                &[],
                r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: model.request.","type":"invalid_request_error","code":null}}"#,
                ModelRefused,
            ),
            (
                "good from other addresses",
                401,
                &[],
                r#"{"error":{"message":"Your request IP is not on the list","type":"invalid_request_error","code":"ip_not_authorized"}}"#,
                ModelRefused,
            ),
            (
                "no key sent",
                401,
                &[],
                r#"{"error":{"message":"You didn't provide an API key. You need to","type":"invalid_request_error","code":null}}"#,
                CallerFault,
            ),
            (
                "country",
                403,
                &[],
                r#"{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported","type":"request_forbidden"}}"#,
                CallerFault,
            ),
            (
                "wrong endpoint for the model",
                403,
                &[],
                r#"{"error":{"message":"You are not allowed to sample from this model","type":"invalid_request_error","code":null}}"#,
                CallerFault,
            ),
            (
                "model not in the project",
                403,
                &[],
                r#"{"error":{"message":"Project `proj_1` does not have access to model `gpt-4o`","type":"invalid_request_error","code":"model_not_found"}}"#,
                ModelRefused,
            ),
            (
                "wrong name of a model",
                404,
                &[],
                r#"{"error":{"message":"The model `gpt-nine` does not exist or you do not have access to it.","type":"invalid_request_error","code":"model_not_found"}}"#,
                CallerFault,
            ),
            (
                "context length",
                400,
                &[],
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
                CallerFault,
            ),
            (
                "a prompt that speaks of quota is not quota",
                400,
                &[],
                r#"{"error":{"message":"Invalid value: 'insufficient_quota'","type":"invalid_request_error","code":"invalid_value"}}"#,
                CallerFault,
            ),
            (
                "server error",
                500,
                &[],
                r#"{"error":{"message":"The server had an error","type":"server_error","code":"server_error"}}"#,
                Transient,
            ),
            (
                "overloaded, told with 500",
                500,
                &[],
                r#"{"error":{"message":"Please retry","type":"service_unavailable_error","code":"server_is_overloaded"}}"#,
                overloaded(UNKNOWN),
            ),
            (
                "body cut off",
                429,
                &[("retry-after", "4")],
                r#"{"error":{"message":"Rate li"#,
                limited(s(4), MODEL),
            ),
            ("not JSON", 429, &[], "Too many requests, try again in 1m12s.", limited(s(72), MODEL)),
        ],
    );
}

#[test]
fn anthropic() {
    const TOKENS: &str = r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of 450,000 input tokens per minute"}}"#;
    check(
        &Anthropic::default(),
        &[
            (
                "tokens per minute",
                429,
                &[
                    DATE,
                    ("retry-after", "65"),
                    ("x-should-retry", "true"),
                    ("anthropic-ratelimit-input-tokens-remaining", "0"),
                    ("anthropic-ratelimit-input-tokens-reset", "2026-01-15T20:01:12Z"),
                ],
                TOKENS,
                limited(s(65), MODEL),
            ),
            (
                "told by the reset, by the provider's clock",
                429,
                &[
                    DATE,
                    ("anthropic-ratelimit-input-tokens-remaining", "0"),
                    ("anthropic-ratelimit-input-tokens-reset", "2026-01-15T20:01:12Z"),
                ],
                TOKENS,
                limited(s(72), MODEL),
            ),
            (
                "a reset of 1970",
                429,
                &[
                    DATE,
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-requests-reset", "1970-01-01T00:00:00Z"),
                ],
                TOKENS,
                limited(UNKNOWN, MODEL),
            ),
            (
                "too many connections",
                429,
                &[("x-should-retry", "true")],
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"Number of concurrent connections has exceeded your rate limit"}}"#,
                limited(UNKNOWN, MODEL),
            ),
            (
                "prompt larger than the limit",
                429,
                &[
                    ("x-should-retry", "false"),
                    ("anthropic-ratelimit-input-tokens-limit", "450000"),
                    ("anthropic-ratelimit-input-tokens-remaining", "450000"),
                ],
                TOKENS,
                CallerFault,
            ),
            (
                "should not be retried, and yet with a wait: a limit",
                429,
                &[("x-should-retry", "false"), ("retry-after", "41")],
                TOKENS,
                limited(s(41), MODEL),
            ),
            (
                "the month's spend",
                429,
                &[DATE],
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"Spend limit","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
                quota(s(16 * 86_400 + 4 * 3_600), ACCOUNT),
            ),
            (
                "no credit",
                400,
                &[("x-should-retry", "false")],
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
                quota(UNKNOWN, ACCOUNT),
            ),
            (
                "a caller who speaks of credit",
                400,
                &[],
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"tools.0.name: 'Your credit balance is too low' is not a name"}}"#,
                CallerFault,
            ),
            (
                "usage limit with a date",
                400,
                &[DATE],
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits. You will regain access on 2026-01-16 at 00:00 UTC."}}"#,
                quota(s(4 * 3_600), ACCOUNT),
            ),
            (
                "usage limit of a workspace, with no date",
                400,
                &[DATE],
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified workspace API usage limits."}}"#,
                quota(UNKNOWN, ACCOUNT),
            ),
            (
                "organisation disabled",
                400,
                &[],
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"This organization has been disabled."}}"#,
                KeyRejected,
            ),
            (
                "prompt too long",
                400,
                &[],
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}"#,
                CallerFault,
            ),
            (
                "wrong key",
                401,
                &[],
                r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
                KeyRejected,
            ),
            (
                "bill unpaid",
                402,
                &[],
                r#"{"type":"error","error":{"type":"billing_error","message":"Payment required"}}"#,
                quota(UNKNOWN, ACCOUNT),
            ),
            (
                "no permission",
                403,
                &[],
                r#"{"type":"error","error":{"type":"permission_error","message":"Your API key does not have permission to use the specified resource"}}"#,
                ModelRefused,
            ),
            (
                "forbidden address",
                403,
                &[],
                r#"{"error":{"type":"forbidden","message":"Request not allowed"}}"#,
                CallerFault,
            ),
            (
                "no such model",
                404,
                &[],
                r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-nine"}}"#,
                CallerFault,
            ),
            (
                "body too large",
                413,
                &[],
                r#"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#,
                CallerFault,
            ),
            (
                "server error",
                500,
                &[],
                r#"{"type":"error","error":{"type":"api_error","message":"Internal server error"}}"#,
                Transient,
            ),
            (
                "overloaded",
                529,
                &[("x-should-retry", "true")],
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                overloaded(UNKNOWN),
            ),
            (
                "compatible path",
                429,
                &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "12s")],
                r#"{"error":{"code":"rate_limit_error","message":"Too many","type":"rate_limit_error","param":null}}"#,
                limited(s(12), MODEL),
            ),
        ],
    );
}

#[test]
fn gemini() {
    check(
        &Gemini::default(),
        &[
            (
                "per minute",
                429,
                &[],
                r#"{"error":{"code":429,"message":"You exceeded your current quota. \n* Quota exceeded for metric: input_tokens, limit: 1000000, model: gemini-2.5-flash\nPlease retry in 21.861320108s.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"InputTokensPerModelPerMinute","quotaValue":"1000000"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"21s"}]}}"#,
                limited(s(21), MODEL),
            ),
            (
                "the same on the compatible path: an array",
                429,
                &[],
                r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota","details":[{"retryDelay":"48.5s"}]}}]"#,
                limited(ms(48_500), MODEL),
            ),
            (
                "told by message only",
                429,
                &[],
                r#"{"error":{"code":429,"message":"Quota exceeded. Please retry in 48.939935699s.","status":"RESOURCE_EXHAUSTED"}}"#,
                limited(Some(Duration::from_nanos(48_939_935_699)), MODEL),
            ),
            (
                "per day, with a delay that misleads",
                429,
                &[DATE],
                r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota","details":[{"violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel"},{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"250"}]},{"retryDelay":"33s"}]}}"#,
                quota(s(12 * 3_600), MODEL),
            ),
            (
                "a limit of 0 is not waited for",
                429,
                &[DATE],
                r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"* Quota exceeded for metric: free_tier_requests, limit: 0\nPlease retry in 49.02s.","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"49s"}]}}"#,
                quota(UNKNOWN, MODEL),
            ),
            (
                "Google's own capacity",
                429,
                &[],
                r#"{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED"}}"#,
                overloaded(UNKNOWN),
            ),
            (
                "interactions",
                429,
                &[],
                r#"{"error":{"code":"too_many_requests","message":"Too many requests"}}"#,
                limited(UNKNOWN, MODEL),
            ),
            (
                "details without a delay",
                429,
                &[],
                r#"{"error":{"status":"RESOURCE_EXHAUSTED","message":"Quota","details":[{"violations":[{"quotaId":"RequestsPerMinute"}]}]}}"#,
                limited(UNKNOWN, MODEL),
            ),
            (
                "prepaid credit used up",
                402,
                &[],
                r#"{"error":{"code":402,"message":"Your prepayment credits are depleted.","status":"RESOURCE_EXHAUSTED"}}"#,
                quota(UNKNOWN, ACCOUNT),
            ),
            (
                "the same, as told before",
                429,
                &[],
                r#"{"error":{"code":429,"message":"Your prepayment credits are depleted.","status":"RESOURCE_EXHAUSTED"}}"#,
                quota(UNKNOWN, ACCOUNT),
            ),
            (
                "wrong key",
                400,
                &[],
                r#"{"error":{"code":400,"message":"Nein.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#,
                KeyRejected,
            ),
            (
                "wrong key on the compatible path",
                400,
                &[],
                r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#,
                KeyRejected,
            ),
            (
                "leaked",
                403,
                &[],
                r#"{"error":{"code":403,"message":"Your API key was reported as leaked. Please use another API key.","status":"PERMISSION_DENIED"}}"#,
                KeyRejected,
            ),
            (
                "suspended",
                403,
                &[],
                r#"{"error":{"code":403,"message":"Permission denied: Consumer has been suspended.","status":"PERMISSION_DENIED","details":[{"reason":"CONSUMER_SUSPENDED"}]}}"#,
                KeyRejected,
            ),
            (
                "good from other addresses",
                403,
                &[],
                r#"{"error":{"code":403,"message":"IP","status":"PERMISSION_DENIED","details":[{"reason":"API_KEY_IP_ADDRESS_BLOCKED"}]}}"#,
                ModelRefused,
            ),
            (
                "no key sent",
                403,
                &[],
                r#"{"error":{"code":403,"message":"Method doesn't allow unregistered callers","status":"PERMISSION_DENIED"}}"#,
                CallerFault,
            ),
            (
                "another project's file",
                403,
                &[],
                r#"{"error":{"code":403,"message":"You do not have permission to access the File abc or it may not exist.","status":"PERMISSION_DENIED"}}"#,
                CallerFault,
            ),
            (
                "wrong kind of credential",
                401,
                &[],
                r#"{"error":{"code":401,"status":"UNAUTHENTICATED","details":[{"reason":"CREDENTIALS_MISSING"}]}}"#,
                CallerFault,
            ),
            (
                "bad argument",
                400,
                &[],
                r#"{"error":{"code":400,"message":"The requested combination is not supported","status":"INVALID_ARGUMENT"}}"#,
                CallerFault,
            ),
            (
                "country",
                400,
                &[],
                r#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#,
                CallerFault,
            ),
            (
                "no such model",
                404,
                &[],
                r#"{"error":{"code":404,"message":"models/nine is not found for API version v1beta","status":"NOT_FOUND"}}"#,
                CallerFault,
            ),
            (
                "overloaded",
                503,
                &[],
                r#"{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}"#,
                overloaded(UNKNOWN),
            ),
            (
                "internal",
                500,
                &[],
                r#"{"error":{"code":500,"message":"An internal error has occurred.","status":"INTERNAL"}}"#,
                Transient,
            ),
        ],
    );
}

#[test]
fn generic() {
    check(
        &Generic::new("https://api.example.com"),
        &[
            ("wait told", 429, &[("retry-after", "20")], "", limited(s(20), ACCOUNT)),
            (
                "wait told as a date",
                429,
                &[DATE, ("retry-after", "Thu, 15 Jan 2026 20:00:20 GMT")],
                "",
                limited(s(20), ACCOUNT),
            ),
            (
                "told as a time in seconds",
                429,
                &[DATE, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1768507260")],
                "",
                limited(s(60), ACCOUNT),
            ),
            (
                "told as a time in milliseconds",
                429,
                &[DATE, ("ratelimit-remaining", "0"), ("ratelimit-reset", "1768507260000")],
                "",
                limited(s(60), ACCOUNT),
            ),
            (
                "told by RateLimit",
                429,
                &[("ratelimit", "\"default\";r=0;t=30")],
                "",
                limited(s(30), ACCOUNT),
            ),
            (
                "something remains, so its reset is not the wait",
                429,
                &[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "30")],
                "",
                limited(UNKNOWN, ACCOUNT),
            ),
            ("a limiter's own page", 429, &[HTML], "<html>429</html>", limited(UNKNOWN, ACCOUNT)),
            (
                "used up, told with 403",
                403,
                &[DATE, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1768507260")],
                r#"{"message":"API rate limit exceeded for user ID 1."}"#,
                limited(s(60), ACCOUNT),
            ),
            ("403 with a wait", 403, &[("retry-after", "9")], "", limited(s(9), ACCOUNT)),
            (
                "secondary limit of which nothing is told",
                403,
                &[("x-ratelimit-remaining", "4980"), ("x-ratelimit-reset", "900")],
                r#"{"message":"You have exceeded a secondary rate limit. Please wait."}"#,
                limited(s(60), ACCOUNT),
            ),
            (
                "forbidden",
                403,
                &[("x-ratelimit-remaining", "4996")],
                r#"{"message":"Resource not accessible by integration"}"#,
                CallerFault,
            ),
            (
                "bad key, with the limits of the address",
                401,
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-limit", "60")],
                r#"{"message":"Bad credentials"}"#,
                KeyRejected,
            ),
            ("pay", 402, &[], r#"{"error":"no funds"}"#, quota(UNKNOWN, ACCOUNT)),
            ("not found", 404, &[], r#"{"message":"Not Found"}"#, CallerFault),
            ("unicorn", 503, &[HTML, ("x-ratelimit-remaining", "9")], BLOCKED, overloaded(UNKNOWN)),
        ],
    );
}
