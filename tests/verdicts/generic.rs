use tower_key_rotation::provider::Generic;

use super::*;

#[test]
fn verdicts() {
    shown();
}

pub(super) fn shown() -> Shown {
    table(
        &Generic::new("https://api.example.com"),
        &[
            (
                "wait in seconds",
                429,
                &[("retry-after", "20")],
                "",
                limited(s(20), ACCOUNT).inferred(),
                "generic/429",
            ),
            (
                "wait as a date",
                429,
                &[DATE, ("retry-after", "Thu, 15 Jan 2026 20:00:20 GMT")],
                "",
                limited(s(20), ACCOUNT).inferred(),
                "generic/429",
            ),
            (
                "reset as a time in seconds",
                429,
                &[DATE, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1768507260")],
                "",
                limited(s(60), ACCOUNT),
                "generic/429",
            ),
            (
                "reset as a time in milliseconds",
                429,
                &[DATE, ("ratelimit-remaining", "0"), ("ratelimit-reset", "1768507260000")],
                "",
                limited(s(60), ACCOUNT),
                "generic/429",
            ),
            (
                "wait in the RateLimit header",
                429,
                &[("ratelimit", "\"default\";r=0;t=30")],
                "",
                limited(s(30), ACCOUNT),
                "generic/429",
            ),
            (
                "something remains, so its reset is not the wait",
                429,
                &[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "30")],
                "",
                limited(UNKNOWN, ACCOUNT).inferred(),
                "generic/429",
            ),
            (
                "a limiter's own page",
                429,
                &[HTML],
                "<html>429</html>",
                limited(UNKNOWN, ACCOUNT).inferred(),
                "generic/429",
            ),
            (
                "used up, as 403",
                403,
                &[DATE, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1768507260")],
                r#"{"message":"API rate limit exceeded for user ID 1."}"#,
                limited(s(60), ACCOUNT),
                "generic/403-used-up",
            ),
            (
                "403 with a wait",
                403,
                &[("retry-after", "9")],
                "",
                limited(s(9), ACCOUNT).inferred(),
                "generic/403-with-wait",
            ),
            (
                "secondary limit without details",
                403,
                &[("x-ratelimit-remaining", "4980"), ("x-ratelimit-reset", "900")],
                r#"{"message":"You have exceeded a secondary rate limit. Please wait."}"#,
                limited(s(60), ACCOUNT),
                "generic/secondary-limit",
            ),
            (
                "forbidden",
                403,
                &[("x-ratelimit-remaining", "4996")],
                r#"{"message":"Resource not accessible by integration"}"#,
                PERMISSION_IN_DOUBT,
                "status/403",
            ),
            (
                "bad key, with the limits of the address",
                401,
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-limit", "60")],
                r#"{"message":"Bad credentials"}"#,
                KEY_REJECTED,
                "body/key",
            ),
            (
                "something about the key, as 400",
                400,
                &[],
                r#"{"error":"The api key is not enabled"}"#,
                KEY_IN_DOUBT,
                "status/400-about-the-key",
            ),
            (
                "pay",
                402,
                &[],
                r#"{"error":"no funds"}"#,
                quota(UNKNOWN, ACCOUNT).inferred(),
                "status/402",
            ),
            ("broken", 500, &[], r#"{"message":"oops"}"#, TRANSIENT.inferred(), "status/5xx"),
            ("not found", 404, &[], r#"{"message":"Not Found"}"#, CALLER_FAULT, "status/4xx"),
            (
                "unicorn",
                503,
                &[HTML, ("x-ratelimit-remaining", "9")],
                BLOCKED,
                overloaded(UNKNOWN).inferred(),
                "status/overloaded",
            ),
        ],
    )
}
