//! Refusals of proxies, gateways and load balancers, for every dialect.

use tower_key_rotation::{Anthropic, Gemini, OpenAi, provider::Generic};

use super::*;

#[test]
fn verdicts() {
    let rows: &[Row] = &[
        ("plain 503", 503, &[], UPSTREAM, overloaded(UNKNOWN).inferred(), "status/overloaded"),
        ("HTML 502", 502, &[HTML], "<html>Bad Gateway</html>", TRANSIENT.inferred(), "status/5xx"),
        (
            "HTML 503",
            503,
            &[HTML, ("retry-after", "7")],
            "<html></html>",
            overloaded(s(7)).inferred(),
            "status/overloaded",
        ),
        (
            "HTML 504",
            504,
            &[HTML],
            "<html>Gateway Time-out</html>",
            TRANSIENT.inferred(),
            "status/5xx",
        ),
        ("HTML 500 undeclared", 500, &[], "  <h1>Oops</h1>", TRANSIENT.inferred(), "status/5xx"),
        ("Cloudflare 524", 524, &[HTML], BLOCKED, TRANSIENT.inferred(), "status/5xx"),
        ("firewall", 403, &[HTML], BLOCKED, PERMISSION_IN_DOUBT, "status/403"),
        (
            "a proxy asks for authentication",
            401,
            &[HTML],
            "<html>Sign in</html>",
            TRANSIENT.inferred(),
            "page/401",
        ),
        (
            "a page, but the challenge is real",
            401,
            &[HTML, ("www-authenticate", "Bearer realm=\"api\"")],
            "<html>Sign in</html>",
            KEY_IN_DOUBT,
            "status/401",
        ),
        ("HTML 404", 404, &[HTML], "<html>nginx</html>", CALLER_FAULT, "status/4xx"),
        ("401 and not a word", 401, &[], "", KEY_IN_DOUBT, "status/401"),
        ("408", 408, &[], "", TRANSIENT.inferred(), "status/408"),
        ("413 in plain text", 413, &[], "length limit exceeded", CALLER_FAULT, "status/4xx"),
        ("empty 500", 500, &[], "", TRANSIENT.inferred(), "status/5xx"),
        ("501", 501, &[], "{}", TRANSIENT.inferred(), "status/5xx"),
        ("529", 529, &[], "", overloaded(UNKNOWN).inferred(), "status/overloaded"),
        ("429 and not a word", 429, &[], "", limited(UNKNOWN, MODEL).inferred(), "status/429"),
        ("402 and not a word", 402, &[], "", quota(UNKNOWN, ACCOUNT).inferred(), "status/402"),
        ("422", 422, &[], r#"{"detail":[{"loc":["body"]}]}"#, CALLER_FAULT, "status/4xx"),
    ];
    check(&OpenAi::default(), rows);
    check(&Anthropic::default(), rows);
    check(&Gemini::default(), rows);
    let no_models = |expected: &Expected| match expected.verdict {
        Verdict::RateLimited { .. } => expected.of(ACCOUNT),
        _ => *expected,
    };
    let own = |rule: &'static str| if rule == "status/429" { "generic/429" } else { rule };
    let generic = |row: &Row| (row.0, row.1, row.2, row.3, no_models(&row.4), own(row.5));
    let rows: Vec<Row> = rows.iter().map(generic).collect();
    check(&Generic::new("https://api.example.com"), &rows);
    // Cloudflare's 1015 is about our address: no account cools for it.
    let rows: &[Row] = &[(
        "429 page",
        429,
        &[HTML, ("retry-after", "30")],
        BLOCKED,
        overloaded(s(30)).of(PROVIDER).inferred(),
        "page/429",
    )];
    check(&OpenAi::default(), rows);
    check(&Anthropic::default(), rows);
    check(&Gemini::default(), rows);
}
