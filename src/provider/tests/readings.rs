//! What the headers of a response report about limits.

use super::*;
use crate::limit::Metered::{self, InputTokens, OutputTokens, Requests, Tokens};

/// Limit, remaining and milliseconds to the reset.
type Line = (Metered, Option<u64>, Option<u64>, Option<u64>);

fn read(provider: &dyn Provider, pairs: &[(&'static str, &str)]) -> Vec<Line> {
    readings(provider, StatusCode::OK, &headers(pairs))
        .into_iter()
        .map(|reading| {
            let reset = reading.reset.map(|reset| reset.as_millis() as u64);
            (reading.metered, reading.limit, reading.remaining, reset)
        })
        .collect()
}

#[test]
fn openai() {
    let lines = read(
        &OpenAi::default(),
        &[
            ("x-ratelimit-limit-requests", "30000"),
            ("x-ratelimit-limit-tokens", "150000000"),
            ("x-ratelimit-limit-input-images", "50000"),
            ("x-ratelimit-limit-tokens_usage_based", "7"),
            ("x-ratelimit-remaining-requests", "29999"),
            ("x-ratelimit-remaining-tokens", "149999225"),
            ("x-ratelimit-reset-requests", "2ms"),
            ("x-ratelimit-reset-tokens", "6m0s"),
            ("retry-after", "60"),
        ],
    );
    assert_eq!(
        lines,
        [
            (Requests, Some(30_000), Some(29_999), Some(2)),
            (Tokens, Some(150_000_000), Some(149_999_225), Some(360_000)),
        ]
    );
}

#[test]
fn a_project_with_a_limit_of_its_own_counts_where_it_is_tighter() {
    let project = |left: &str| {
        read(
            &OpenAi::default(),
            &[
                ("x-ratelimit-limit-requests", "10000"),
                ("x-ratelimit-remaining-requests", "90"),
                ("x-ratelimit-reset-requests", "6ms"),
                ("x-ratelimit-limit-project-requests", "500"),
                ("x-ratelimit-remaining-project-requests", left),
                ("x-ratelimit-reset-project-requests", "9s"),
            ],
        )
    };
    assert_eq!(project("89"), [(Requests, Some(500), Some(89), Some(9_000))]);
    assert_eq!(project("400"), [(Requests, Some(10_000), Some(90), Some(6))]);
}

#[test]
fn anthropic() {
    let lines = read(
        &Anthropic::default(),
        &[
            ("date", "Thu, 15 Jan 2026 19:59:00 GMT"), // our clock is a minute fast
            ("anthropic-ratelimit-requests-limit", "4000"),
            ("anthropic-ratelimit-requests-remaining", "3999"),
            ("anthropic-ratelimit-requests-reset", "2026-01-15T19:59:00Z"),
            ("anthropic-ratelimit-tokens-limit", "280000"),
            ("anthropic-ratelimit-tokens-remaining", "80000"),
            ("anthropic-ratelimit-tokens-reset", "1970-01-01T00:00:00Z"),
            ("anthropic-ratelimit-input-tokens-limit", "200000"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-01-15T20:00:12Z"),
            ("anthropic-ratelimit-output-tokens-limit", "80000"),
            ("anthropic-ratelimit-output-tokens-remaining", "80000"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-01-15T19:58:59Z"),
            ("anthropic-priority-input-tokens-limit", "7"),
            ("anthropic-ratelimit-priority-tokens-limit", "7"),
        ],
    );
    assert_eq!(
        lines,
        [
            (Requests, Some(4_000), Some(3_999), None),
            (Tokens, Some(280_000), Some(80_000), None),
            (InputTokens, Some(200_000), Some(0), Some(72_000)),
            (OutputTokens, Some(80_000), Some(80_000), None),
        ]
    );
}

#[test]
fn anthropic_on_its_compatible_path() {
    let lines = read(
        &Anthropic::default(),
        &[
            ("x-ratelimit-requests", "4000"),
            ("x-ratelimit-remaining-requests", "3999"),
            ("x-ratelimit-reset-requests", "0s"),
            ("x-ratelimit-tokens", "2400000"),
        ],
    );
    assert_eq!(
        lines,
        [(Requests, Some(4_000), Some(3_999), Some(0)), (Tokens, Some(2_400_000), None, None),]
    );
}

#[test]
fn generic() {
    let generic = Generic::new("https://api.example.com");
    for reset in ["14", "14s", "1768507214", "1768507214000", "2026-01-15T20:00:14Z"] {
        for prefix in ["x-ratelimit", "ratelimit"] {
            let mut map = HeaderMap::new();
            for (name, value) in
                [("limit", "5000"), ("remaining", "4988"), ("reset", reset), ("used", "12")]
            {
                let name = HeaderName::try_from(format!("{prefix}-{name}")).unwrap();
                map.insert(name, value.parse().unwrap());
            }
            let all = readings(&generic, StatusCode::OK, &map);
            let [line] = all.as_slice() else { panic!("{all:?}") };
            assert_eq!(
                (line.metered, line.limit, line.remaining, line.reset),
                (Requests, Some(5_000), Some(4_988), Some(Duration::from_secs(14))),
                "{prefix} {reset}"
            );
        }
    }
    let both = [("x-ratelimit-remaining", "5"), ("ratelimit", "\"a\";r=5;t=9")];
    assert_eq!(read(&generic, &both), [(Requests, None, Some(5), None)], "not told twice");
    let of_tokens = [("x-ratelimit-remaining-tokens", "5"), ("ratelimit", "\"a\";r=7;t=9")];
    let both = [(Tokens, None, Some(5), None), (Requests, None, Some(7), Some(9_000))];
    assert_eq!(read(&generic, &of_tokens), both);
    let older_draft = [("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "99")];
    assert_eq!(read(&generic, &older_draft), [(Requests, Some(100), Some(99), None)]);
}

#[test]
fn gemini_reports_no_limits() {
    assert_eq!(read(&Gemini::default(), &[("x-ratelimit-remaining-requests", "5")]), []);
}

#[test]
fn limits_in_a_401_are_ignored() {
    let headers = headers(&[
        ("x-ratelimit-limit", "60"),
        ("x-ratelimit-remaining", "55"),
        ("x-ratelimit-remaining-requests", "55"),
        ("ratelimit", "\"a\";r=55"),
    ]);
    for provider in all() {
        assert_eq!(readings(&*provider, StatusCode::UNAUTHORIZED, &headers), [], "{provider:?}");
    }
}

#[test]
fn unlimited_and_malformed_figures_are_ignored() {
    for value in [
        "-1",
        "9223372036854767616",
        "4611686018427387904",
        "99999999999999999999999",
        "",
        "many",
        "1.5",
        "0x7",
        "\u{661}",
    ] {
        let pairs = [
            ("x-ratelimit-limit-requests", value),
            ("x-ratelimit-remaining-requests", value),
            ("x-ratelimit-reset-requests", "1s"),
        ];
        assert_eq!(read(&OpenAi::default(), &pairs), [], "{value}");
    }
    let beside = [
        ("x-ratelimit-limit-tokens", "-1"),
        ("x-ratelimit-remaining-tokens", "5"),
        ("x-ratelimit-reset-tokens", "-3s"),
    ];
    assert_eq!(read(&OpenAi::default(), &beside), [(Tokens, None, Some(5), None)]);
}

#[test]
fn of_a_header_sent_twice_the_lower_figure_counts() {
    let twice = [
        ("x-ratelimit-remaining-tokens", "5"),
        ("x-ratelimit-remaining-tokens", "3"),
        ("x-ratelimit-remaining-tokens", "junk"),
        ("x-ratelimit-reset-tokens", "1s"),
        ("x-ratelimit-reset-tokens", "9s"),
    ];
    assert_eq!(read(&OpenAi::default(), &twice), [(Tokens, None, Some(3), Some(9_000))]);
}
