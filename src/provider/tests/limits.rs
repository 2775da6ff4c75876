//! For what each limit holds, how it comes back and its period.

use super::*;
use crate::limit::Metered::{self, InputTokens, OutputTokens, Requests, Tokens};

/// Metered, scope, refill, seconds of the period; limit, remaining, seconds to the reset.
type Whole = (Metered, Scope, Refill, Option<u64>, Option<u64>, Option<u64>, Option<u64>);

fn whole(provider: &dyn Provider, pairs: &[(&'static str, &str)]) -> Vec<Whole> {
    let all = readings(provider, StatusCode::OK, &headers(pairs));
    let told = |reading: LimitReading| {
        let LimitReading { metered, scope, refill, period, limit, remaining, reset } = reading;
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        (metered, scope, refill, seconds(period), limit, remaining, seconds(reset))
    };
    all.into_iter().map(told).collect()
}

/// Whose a limit is, how it comes back and per how long: as each provider documents it.
#[test]
fn every_dialect_reports_scope_refill_and_period() {
    use crate::verdict::Scope::{Account, Model};
    use Refill::{Fixed, Rolling};
    const NOON: (&str, &str) = ("date", "Thu, 15 Jan 2026 20:00:00 GMT");
    let (day, minute, month) = (Some(86_400), Some(60), Some(30 * 86_400));

    assert_eq!(
        whole(
            &Groq::default(),
            &[
                ("x-ratelimit-limit-requests", "14400"),
                ("x-ratelimit-remaining-requests", "14370"),
                ("x-ratelimit-reset-requests", "2m59.56s"),
                ("x-ratelimit-limit-tokens", "18000"),
                ("x-ratelimit-remaining-tokens", "17997"),
                ("x-ratelimit-reset-tokens", "7.66s"),
            ]
        ),
        [
            (Requests, Model, Rolling, day, Some(14_400), Some(14_370), Some(179)),
            (Tokens, Model, Rolling, minute, Some(18_000), Some(17_997), Some(7)),
        ]
    );
    assert_eq!(
        whole(
            &AzureOpenAi::new("https://r.openai.azure.com"),
            &[
                ("x-ratelimit-limit-requests", "120"),
                ("x-ratelimit-remaining-requests", "119"),
                ("x-ratelimit-reset-requests", "500"),
                ("x-ratelimit-renewalperiod-requests", "10"),
                ("x-ratelimit-limit-tokens", "-1"),
                ("x-ratelimit-remaining-tokens", "9"),
                ("x-ratelimit-reset-tokens", "60"),
            ]
        ),
        [
            (Requests, Model, Fixed, Some(10), Some(120), Some(119), None),
            (Tokens, Model, Fixed, minute, None, Some(9), None),
        ]
    );
    assert_eq!(
        whole(
            &Mistral::default(),
            &[
                ("x-ratelimit-limit-req-minute", "360"),
                ("x-ratelimit-remaining-req-minute", "357"),
                ("x-ratelimit-limit-req-10-second", "60"),
                ("x-ratelimit-remaining-req-10-second", "50"),
                ("x-ratelimit-limit-tokens-minute", "75000"),
                ("x-ratelimit-remaining-tokens-minute", "74932"),
                ("x-ratelimit-tokens-query-cost", "68"),
                ("x-ratelimitbysize-limit-month", "900"),
                ("x-ratelimitbysize-remaining-month", "899"),
                ("x-ratelimit-remaining-audio-seconds-minute", "3"),
            ]
        ),
        [
            (Requests, Model, Fixed, minute, Some(360), Some(357), None),
            (Requests, Model, Fixed, Some(10), Some(60), Some(50), None),
            (Tokens, Model, Fixed, minute, Some(75_000), Some(74_932), None),
            (Tokens, Model, Fixed, month, Some(900), Some(899), None),
        ]
    );
    assert_eq!(
        whole(
            &Cerebras::default(),
            &[
                ("x-ratelimit-limit-requests-hour", "900"),
                ("x-ratelimit-remaining-requests-hour", "899"),
                ("x-ratelimit-limit-tokens-day", "1000000"),
                ("x-ratelimit-remaining-tokens-day", "999961"),
                ("x-ratelimit-reset-tokens-day", "3563.6066987514496"),
                ("x-ratelimit-remaining-tokens-minute", "9223372036854767616"),
            ]
        ),
        [
            (Requests, Model, Rolling, Some(3_600), Some(900), Some(899), None),
            (Tokens, Model, Rolling, day, Some(1_000_000), Some(999_961), Some(3_563)),
        ]
    );
    assert_eq!(
        whole(
            &Together::default(),
            &[
                ("x-ratelimit", "false"),
                ("x-ratelimit-limit", "10"),
                ("x-ratelimit-remaining", "19"),
                ("x-ratelimit-reset", "2"),
            ]
        ),
        [(Requests, Model, Rolling, Some(1), Some(10), Some(19), Some(2))]
    );
    assert_eq!(
        whole(
            &Fireworks::default(),
            &[
                ("x-ratelimit-limit-tokens-prompt", "60000"),
                ("x-ratelimit-remaining-tokens-prompt", "59954"),
                ("x-ratelimit-limit-tokens-cache-adjusted-prompt", "60000"),
                ("x-ratelimit-remaining-tokens-cache-adjusted-prompt", "59000"),
                ("x-ratelimit-limit-tokens-generated", "6000"),
                ("x-ratelimit-remaining-tokens-generated", "5469"),
                ("x-ratelimit-over-limit", "yes"),
            ]
        ),
        [
            (InputTokens, Account, Rolling, minute, Some(60_000), Some(59_000), None),
            (OutputTokens, Account, Rolling, minute, Some(6_000), Some(5_469), None),
        ]
    );
    assert_eq!(
        whole(
            &Cohere::default(),
            &[
                ("x-trial-endpoint-call-limit", "40"),
                ("x-trial-endpoint-call-remaining", "32"),
                ("x-endpoint-monthly-call-limit", "1000"),
            ]
        ),
        [(Requests, Model, Fixed, minute, Some(40), Some(32), None)]
    );
    let millis_since_1970 = [
        NOON,
        ("x-ratelimit-limit", "20"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1768507260000"),
    ];
    assert_eq!(
        whole(&OpenRouter::default(), &millis_since_1970),
        [(Requests, Model, Fixed, None, Some(20), Some(0), Some(60))]
    );
    for (resource, period) in [("core", 3_600), ("search", 60), ("code_search", 60)] {
        let pairs = [
            NOON,
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-remaining", "4957"),
            ("x-ratelimit-reset", "1768507290"),
            ("x-ratelimit-used", "43"),
            ("x-ratelimit-resource", resource),
        ];
        assert_eq!(
            whole(&GitHub::default(), &pairs),
            [(Requests, Model, Fixed, Some(period), Some(5_000), Some(4_957), Some(90))]
        );
    }
    assert_eq!(
        whole(
            &XAi::default(),
            &[("x-ratelimit-limit-requests", "480"), ("x-ratelimit-remaining-requests", "479")]
        ),
        [(Requests, Model, Rolling, None, Some(480), Some(479), None)]
    );
    let silent: [&dyn Provider; 4] = [
        &Bedrock::region("us-east-1"),
        &DeepSeek::default(),
        &Perplexity::default(),
        &Gemini::default(),
    ];
    for provider in silent {
        let pairs = [("x-ratelimit-limit-requests", "9"), ("x-ratelimit-remaining-requests", "9")];
        assert_eq!(whole(provider, &pairs), [], "{provider:?}");
    }
}

#[test]
fn resets_do_not_depend_on_our_clock() {
    let headers = headers(&[
        ("date", "Thu, 15 Jan 2026 20:00:00 GMT"),
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1768507290"),
    ]);
    for skew in [0, NOW - 86_400, NOW + 86_400] {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(skew);
        let answer = Answer::new(StatusCode::OK, &headers, now);
        let mut resets = Vec::new();
        GitHub::default().readings(&answer, &mut |reading| resets.push(reading.reset));
        assert_eq!(resets, [Some(Duration::from_secs(90))], "{skew}");
    }
}
