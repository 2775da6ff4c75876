//! What comes from proxies, gateways and load balancers, whatever is behind them.

use tower_key_rotation::{Anthropic, Gemini, Generic, OpenAi};

use super::*;

#[test]
fn verdicts() {
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
