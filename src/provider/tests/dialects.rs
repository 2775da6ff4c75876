//! How keys travel, what requests ask for, what may be repeated, and what we refuse with.

use http::{Method, Uri};

use super::*;
use crate::{
    Estimate, Exhausted, Reason,
    provider::{Call, Carrier},
};

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

fn estimate<'a>(provider: &dyn Provider, uri: &'a Uri, body: &'a [u8]) -> Estimate<'a> {
    let headers = HeaderMap::new();
    // The answer borrows from URI and body only, but `Call` has one lifetime for all.
    let call = Call { method: &Method::POST, uri, headers: &headers, body };
    let Estimate { model, input_tokens, output_tokens, stream } = provider.estimate(&call);
    let model = model.map(|model| model.into_owned().into());
    Estimate { model, input_tokens, output_tokens, stream }
}

#[test]
fn each_path_has_its_carrier() {
    let carrier = |provider: &dyn Provider, path: &str| {
        let facts = provider.facts();
        facts.carriers()[facts.carrier_of(&uri(&format!("{}{path}", facts.origin)))].clone()
    };
    let header = |name| Carrier::Header(HeaderName::from_static(name));
    let anthropic = Anthropic::default();
    let gemini = Gemini::default();
    assert_eq!(carrier(&OpenAi::default(), "/v1/responses"), Carrier::Bearer);
    assert_eq!(carrier(&anthropic, "/v1/messages?beta=true"), header("x-api-key"));
    assert_eq!(carrier(&anthropic, "/v1/chat/completions"), Carrier::Bearer);
    assert_eq!(carrier(&gemini, "/v1beta/models/m:generateContent"), header("x-goog-api-key"));
    assert_eq!(carrier(&gemini, "/v1beta/openai/chat/completions"), Carrier::Bearer);

    let generic = Generic::new("https://maps.example.com");
    assert_eq!(carrier(&generic, "/"), Carrier::Bearer);
    let generic =
        generic.header(HeaderName::from_static("x-key")).query_carrier("key").name("maps");
    assert_eq!(carrier(&generic, "/"), header("x-key"));
    assert_eq!(generic.facts().name, "maps");
    assert_eq!(generic.facts().query_carrier.as_deref(), Some("key"));
    assert_eq!(gemini.facts().query_carrier.as_deref(), Some("key"));
    assert_eq!(anthropic.facts().query_carrier, None);
}

#[test]
fn gemini_reads_the_model_from_the_path() {
    let gemini = Gemini::default();
    let body = br#"{"contents":[],"generationConfig":{"maxOutputTokens":7}}"#;
    let native =
        uri("https://g.example.com/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    let read = estimate(&gemini, &native, body);
    assert_eq!(read.model.as_deref(), Some("gemini-2.5-flash"));
    assert_eq!((read.input_tokens, read.output_tokens, read.stream), (1, 7, true));

    let native = uri("https://g.example.com/v1beta/models/gemini-2.5-flash:generateContent");
    assert!(!estimate(&gemini, &native, body).stream);
    assert_eq!(estimate(&gemini, &native, b"").model.as_deref(), Some("gemini-2.5-flash"));

    let compatible = uri("https://g.example.com/v1beta/openai/chat/completions");
    let body = br#"{"model":"models/gemini-2.5-flash","stream":true,"max_tokens":9}"#;
    let read = estimate(&gemini, &compatible, body);
    assert_eq!(read.model.as_deref(), Some("gemini-2.5-flash"), "one model, one name");
    assert_eq!((read.output_tokens, read.stream), (9, true));
}

#[test]
fn a_body_is_one_request_to_generic() {
    let body = br#"{"model":"volvo","max_tokens":7}"#;
    let generic = Generic::new("https://cars.example.com");
    assert_eq!(estimate(&generic, &uri("/v1/cars"), body), Estimate::default());
    assert_eq!(estimate(&OpenAi::default(), &uri("/v1"), body).model.as_deref(), Some("volvo"));
}

#[test]
fn only_what_is_no_model_fears_to_repeat_a_post() {
    for provider in all() {
        let name = &*provider.facts().name;
        let fears = matches!(name, "generic" | "github");
        assert_eq!(provider.may_repeat(&Method::POST), !fears, "{name}");
        assert!(provider.may_repeat(&Method::GET), "{name}");
    }
    let generic = Generic::new("https://api.example.com");
    for (method, may) in [
        (Method::GET, true),
        (Method::HEAD, true),
        (Method::OPTIONS, true),
        (Method::PUT, true),
        (Method::DELETE, true),
        (Method::TRACE, true),
        (Method::POST, false),
        (Method::PATCH, false),
        (Method::CONNECT, false),
    ] {
        assert_eq!(generic.may_repeat(&method), may, "{method}");
    }
}

#[test]
fn a_refusal_of_ours_has_the_shape_of_the_provider() {
    let busy = Exhausted::new(Reason::Busy, Some(Duration::from_millis(4_200)));
    let says = "every account is at its limits; try again in 5 s";
    let (openai, anthropic) = (OpenAi::default(), Anthropic::default());
    let (gemini, generic) = (Gemini::default(), Generic::new("https://api.example.com"));
    let body = |provider: &dyn Provider, exhausted| -> serde_json::Value {
        serde_json::from_slice(&provider.refusal_body(exhausted)).unwrap()
    };
    assert_eq!(
        body(&openai, &busy),
        serde_json::json!({"error": {
            "message": says, "type": "requests", "param": null, "code": "rate_limit_exceeded",
        }})
    );
    assert_eq!(
        body(&anthropic, &busy),
        serde_json::json!({"type": "error", "error": {"type": "rate_limit_error", "message": says}})
    );
    assert_eq!(
        body(&gemini, &busy),
        serde_json::json!({"error": {
            "code": 429, "status": "RESOURCE_EXHAUSTED", "message": says,
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "5s"}],
        }})
    );
    assert_eq!(
        body(&generic, &busy),
        serde_json::json!({"error": {"type": "busy", "message": says}})
    );

    let no_key = Exhausted::new(Reason::NoKey, None);
    assert_eq!(body(&openai, &no_key)["error"]["code"], "no_key_available");
    assert_eq!(body(&gemini, &no_key)["error"]["code"], 503);
    let too_large = Exhausted::new(Reason::TooLarge, None);
    assert_eq!(body(&openai, &too_large)["error"]["type"], "invalid_request_error");
    assert_eq!(body(&anthropic, &too_large)["error"]["type"], "request_too_large");
}

/// A pool of pools: what one answers, the next understands.
#[test]
fn our_own_refusals_are_read_as_meant() {
    const FIVE: Duration = Duration::from_secs(5);
    let busy = Exhausted::new(Reason::Busy, Some(Duration::from_secs(5)));
    let headers = headers(&[("retry-after", "5")]);
    for provider in all() {
        let Ruling { verdict, .. } = provider.classify(&Answer {
            status: busy.status(),
            headers: &headers,
            body: &provider.refusal_body(&busy),
            now: SystemTime::UNIX_EPOCH,
        });
        assert!(
            matches!(verdict, crate::Verdict::RateLimited { retry_after: Some(FIVE), .. }),
            "{provider:?}: {verdict:?}"
        );
    }
}
