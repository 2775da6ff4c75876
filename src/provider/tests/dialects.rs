//! How keys are sent, what requests ask for, what may be repeated, and our own refusals.

use http::{Method, Uri};

use super::*;
use crate::{
    Exhausted,
    error::Reason,
    provider::{AuthScheme, Call},
};

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

fn estimate<'a>(provider: &dyn Provider, uri: &'a Uri, body: &'a [u8]) -> Estimate<'a> {
    let headers = HeaderMap::new();
    // The answer borrows from URI and body only, but `Call` has one lifetime for all.
    let call = Call::new(&Method::POST, uri, &headers).with_body(body);
    let Estimate { model, input_tokens, output_tokens, stream } = provider.estimate(&call);
    let model = model.map(|model| model.into_owned().into());
    Estimate { model, input_tokens, output_tokens, stream }
}

#[test]
fn each_path_has_its_auth_scheme() {
    let carrier = |provider: &dyn Provider, path: &str| {
        let spec = provider.spec();
        spec.auth_schemes()[spec.auth_scheme_of(&uri(&format!("{}{path}", spec.origin)))].clone()
    };
    let header = |name| AuthScheme::Header(HeaderName::from_static(name));
    let anthropic = Anthropic::default();
    let gemini = Gemini::default();
    assert_eq!(carrier(&OpenAi::default(), "/v1/responses"), AuthScheme::Bearer);
    assert_eq!(carrier(&anthropic, "/v1/messages?beta=true"), header("x-api-key"));
    assert_eq!(carrier(&anthropic, "/v1/chat/completions"), AuthScheme::Bearer);
    assert_eq!(carrier(&gemini, "/v1beta/models/m:generateContent"), header("x-goog-api-key"));
    assert_eq!(carrier(&gemini, "/v1beta/openai/chat/completions"), AuthScheme::Bearer);

    let generic = Generic::new("https://maps.example.com");
    assert_eq!(carrier(&generic, "/"), AuthScheme::Bearer);
    let generic =
        generic.header(HeaderName::from_static("x-key")).key_parameter("key").name("maps");
    assert_eq!(carrier(&generic, "/"), header("x-key"));
    assert_eq!(generic.spec().name, "maps");
    assert_eq!(generic.spec().key_parameter.as_deref(), Some("key"));
    assert_eq!(gemini.spec().key_parameter.as_deref(), Some("key"));
    assert_eq!(anthropic.spec().key_parameter, None);
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
fn generic_counts_a_body_as_one_request() {
    let body = br#"{"model":"volvo","max_tokens":7}"#;
    let generic = Generic::new("https://cars.example.com");
    assert_eq!(estimate(&generic, &uri("/v1/cars"), body), Estimate::default());
    assert_eq!(estimate(&OpenAi::default(), &uri("/v1"), body).model.as_deref(), Some("volvo"));
}

#[test]
fn only_generic_dialects_do_not_repeat_a_post() {
    for provider in all() {
        let name = &*provider.spec().name;
        let is_generic = matches!(name, "generic" | "github");
        assert_eq!(provider.may_repeat(&Method::POST), !is_generic, "{name}");
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
fn our_refusals_have_the_shape_of_the_providers_errors() {
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
fn our_refusals_are_classified_by_their_own_dialect() {
    const FIVE: Duration = Duration::from_secs(5);
    let busy = Exhausted::new(Reason::Busy, Some(Duration::from_secs(5)));
    let headers = headers(&[("retry-after", "5")]);
    for provider in all() {
        let Ruling { verdict, .. } = provider.classify(
            &Answer::new(busy.status(), &headers, SystemTime::UNIX_EPOCH)
                .with_body(&provider.refusal_body(&busy)),
        );
        assert!(
            matches!(verdict, crate::Verdict::RateLimited { retry_after: Some(FIVE), .. }),
            "{provider:?}: {verdict:?}"
        );
    }
}
