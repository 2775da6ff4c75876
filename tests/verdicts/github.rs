use tower_key_rotation::provider::GitHub;

use super::*;

#[test]
fn verdicts() {
    shown();
}

pub(super) fn shown() -> Shown {
    table(
        &GitHub::default(),
        &[
            (
                "used up, as 403",
                403,
                &[
                    DATE,
                    ("x-ratelimit-limit", "5000"),
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1768508100"),
                    ("x-ratelimit-resource", "core"),
                ],
                r#"{"message":"API rate limit exceeded for user ID 1.","documentation_url":"https://docs.github.com/"}"#,
                limited(s(900), MODEL),
                "github/rate-limit",
            ),
            (
                "used up, as 429",
                429,
                &[DATE, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1768507230")],
                r#"{"message":"API rate limit exceeded for user ID 1."}"#,
                limited(s(30), MODEL),
                "github/rate-limit",
            ),
            (
                "used up, without its headers",
                403,
                &[],
                r#"{"message":"API rate limit exceeded for installation ID 1."}"#,
                limited(UNKNOWN, MODEL),
                "github/rate-limit",
            ),
            (
                "secondary, with a wait",
                403,
                &[("retry-after", "30"), ("x-ratelimit-remaining", "4980")],
                r#"{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}"#,
                limited(s(30), ACCOUNT),
                "github/secondary-limit",
            ),
            (
                "secondary, without",
                403,
                &[("x-ratelimit-remaining", "4980"), ("x-ratelimit-reset", "900")],
                r#"{"message":"You have exceeded a secondary rate limit."}"#,
                limited(s(60), ACCOUNT),
                "github/secondary-limit",
            ),
            (
                "secondary, in older words",
                403,
                &[],
                r#"{"message":"You have triggered an abuse detection mechanism."}"#,
                limited(s(60), ACCOUNT),
                "github/secondary-limit",
            ),
            (
                "too many, without a reason",
                429,
                &[("retry-after", "5")],
                r#"{"message":"Too many requests"}"#,
                limited(s(5), MODEL).inferred(),
                "status/429",
            ),
            (
                "not for this token; another one may succeed",
                403,
                &[("x-ratelimit-remaining", "4996")],
                r#"{"message":"Resource not accessible by personal access token"}"#,
                PERMISSION_IN_DOUBT,
                "status/403",
            ),
            (
                "push access",
                403,
                &[("x-ratelimit-remaining", "53")],
                r#"{"message":"Must have push access to repository"}"#,
                PERMISSION_IN_DOUBT,
                "status/403",
            ),
            (
                "a token that an organisation does not know",
                403,
                &[("x-ratelimit-remaining", "4990")],
                r#"{"message":"Resource protected by organization SAML enforcement. You must grant your token access to it."}"#,
                PERMISSION_IN_DOUBT,
                "status/403",
            ),
            (
                "bad token, with the limits of the address",
                401,
                &[
                    ("x-ratelimit-limit", "60"),
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "9"),
                ],
                r#"{"message":"Bad credentials"}"#,
                KEY_REJECTED,
                "body/key",
            ),
            (
                "not there, or not to be seen",
                404,
                &[("x-ratelimit-remaining", "4476")],
                r#"{"message":"Not Found"}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "unicorn",
                503,
                &[HTML, ("x-ratelimit-remaining", "4968")],
                BLOCKED,
                overloaded(UNKNOWN).inferred(),
                "status/overloaded",
            ),
            (
                "broken",
                500,
                &[],
                r#"{"message":"Server Error"}"#,
                TRANSIENT.inferred(),
                "status/5xx",
            ),
            (
                "invalid",
                422,
                &[],
                r#"{"message":"Validation Failed","errors":[]}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
        ],
    )
}
