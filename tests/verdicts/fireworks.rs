use tower_key_rotation::provider::Fireworks;

use super::*;

#[test]
fn verdicts() {
    shown();
}

pub(super) fn shown() -> Shown {
    table(
        &Fireworks::default(),
        &[
            (
                "too many, with a text for an error",
                429,
                &[],
                r#"{"error":"Too Many Requests","message":"You have exceeded your usage limits"}"#,
                limited(UNKNOWN, ACCOUNT),
                "fireworks/rate-limit",
            ),
            (
                "too many, with an object for an error",
                429,
                &[],
                r#"{"error":{"code":"RATE_LIMIT","message":"rate limit exceeded"}}"#,
                limited(UNKNOWN, ACCOUNT),
                "fireworks/rate-limit",
            ),
            (
                "capacity",
                429,
                &[],
                r#"{"error":{"message":"Request didn't generate first token before the given deadline"}}"#,
                overloaded(UNKNOWN).inferred(),
                "fireworks/capacity",
            ),
            (
                "has not paid",
                412,
                &[],
                r#"{"error":{"code":"PRECONDITION_FAILED","message":"Account nine is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices."}}"#,
                quota(UNKNOWN, ACCOUNT),
                "fireworks/suspended",
            ),
            (
                "an adapter that cannot be loaded",
                412,
                &[],
                r#"{"error":{"code":"PRECONDITION_FAILED","message":"failed to load adapter"}}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "wrong key, as 403",
                403,
                &[],
                r#"{"error":"unauthorized"}"#,
                KEY_IN_DOUBT,
                "fireworks/invalid-key",
            ),
            (
                "forbidden",
                403,
                &[],
                r#"{"error":{"message":"You may not deploy this model"}}"#,
                PERMISSION_IN_DOUBT,
                "status/403",
            ),
            (
                "wrong key",
                401,
                &[],
                r#"{"error":{"message":"The API key you provided is invalid."}}"#,
                KEY_REJECTED,
                "body/key",
            ),
            (
                "no plan",
                402,
                &[],
                r#"{"error":{"message":"Payment required"}}"#,
                quota(UNKNOWN, ACCOUNT).inferred(),
                "status/402",
            ),
            (
                "a wrong name of a model, or one of another account",
                404,
                &[],
                r#"{"error":{"message":"Model not found, inaccessible, and/or not deployed","code":"NOT_FOUND"}}"#,
                PERMISSION_IN_DOUBT,
                "status/404-or-no-access",
            ),
            ("unavailable", 503, &[], "", overloaded(UNKNOWN).inferred(), "status/overloaded"),
            (
                "unknown to its own proxy",
                520,
                &[HTML],
                BLOCKED,
                overloaded(UNKNOWN).inferred(),
                "fireworks/unavailable",
            ),
            (
                "server error",
                500,
                &[],
                r#"{"error":{"message":"Internal"}}"#,
                TRANSIENT.inferred(),
                "status/5xx",
            ),
        ],
    )
}
