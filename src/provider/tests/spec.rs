//! What each dialect's spec means: where keys are sent and how, and what requests ask for.

use http::Uri;

use super::*;

#[test]
fn every_dialect_has_its_origin_and_auth_scheme() {
    let spec: Vec<_> = all()
        .iter()
        .map(|provider| {
            let spec = provider.spec();
            let carrier = match &spec.auth_schemes()[0] {
                AuthScheme::Bearer => "bearer".to_owned(),
                AuthScheme::Header(name) => name.to_string(),
            };
            format!("{} {} {carrier}", spec.name, spec.origin)
        })
        .collect();
    assert_eq!(
        spec,
        [
            "openai https://api.openai.com bearer",
            "anthropic https://api.anthropic.com x-api-key",
            "gemini https://generativelanguage.googleapis.com x-goog-api-key",
            "azure https://r.openai.azure.com api-key",
            "bedrock https://bedrock-runtime.us-east-1.amazonaws.com bearer",
            "cerebras https://api.cerebras.ai bearer",
            "cohere https://api.cohere.com bearer",
            "deepseek https://api.deepseek.com bearer",
            "fireworks https://api.fireworks.ai bearer",
            "github https://api.github.com bearer",
            "groq https://api.groq.com bearer",
            "mistral https://api.mistral.ai bearer",
            "openrouter https://openrouter.ai bearer",
            "perplexity https://api.perplexity.ai bearer",
            "together https://api.together.xyz bearer",
            "xai https://api.x.ai bearer",
            "generic https://api.example.com bearer",
        ]
    );
}

#[test]
fn paths_of_another_dialect_take_its_auth_scheme() {
    for (provider, path) in [
        (&DeepSeek::default() as &dyn Provider, "/anthropic/v1/messages"),
        (&AzureOpenAi::new("https://r.services.ai.azure.com"), "/anthropic/v1/messages"),
    ] {
        let spec = provider.spec();
        let carrier = &spec.auth_schemes()[spec.auth_scheme_of(&path.parse().unwrap())];
        assert_eq!(*carrier, AuthScheme::Header(HeaderName::from_static("x-api-key")), "{path}");
        assert_eq!(spec.auth_scheme_of(&"/v1/chat/completions".parse().unwrap()), 0);
    }
}

#[test]
fn required_headers_are_those_of_the_dialect() {
    let headers = |provider: &dyn Provider| {
        let headers = provider.spec().headers.iter();
        let lines = headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(headers(&Anthropic::default()), ["anthropic-version: 2023-06-01"]);
    assert_eq!(
        headers(&GitHub::default()),
        [
            "user-agent: tower-key-rotation",
            "accept: application/vnd.github+json",
            "x-github-api-version: 2022-11-28",
        ]
    );
    let others = all().into_iter().filter(|p| !matches!(&*p.spec().name, "anthropic" | "github"));
    others.for_each(|provider| assert!(provider.spec().headers.is_empty(), "{provider:?}"));
}

#[test]
fn models_are_read_from_paths_and_bodies() {
    const CHAT: &[u8] = br#"{"model":"m","stream":true,"max_tokens":7}"#;
    const NOVA: &[u8] = br#"{"messages":[],"inferenceConfig":{"maxTokens":9}}"#;
    let azure = AzureOpenAi::new("https://r.openai.azure.com");
    let bedrock = Bedrock::region("us-east-1");
    let github = GitHub::default();
    for (provider, path, body, model, output, stream) in [
        (&Groq::default() as &dyn Provider, "/openai/v1/chat/completions", CHAT, "m", 7, true),
        (&azure, "/openai/deployments/d/chat/completions?api-version=1", CHAT, "d", 7, true),
        (&azure, "/openai/v1/chat/completions", CHAT, "m", 7, true),
        (&azure, "/openai/v1/responses", CHAT, "m", 7, true),
        (&bedrock, "/model/us.amazon.nova-v1%3A0/converse", NOVA, "us.amazon.nova-v1:0", 9, false),
        (&bedrock, "/model/nova/converse-stream", NOVA, "nova", 9, true),
        (&bedrock, "/model/nova/invoke-with-response-stream", b"{}", "nova", 0, true),
        (&bedrock, "/openai/v1/chat/completions", CHAT, "m", 7, true),
        (&github, "/search/code?q=x", b"", "code_search", 0, false),
        (&github, "/search/issues?q=x", b"", "search", 0, false),
        (&github, "/graphql", b"{}", "graphql", 0, false),
        (&github, "/repos/a/search", b"", "core", 0, false),
        (&github, "/api/v3/search/users", b"", "search", 0, false),
    ] {
        let uri: Uri = path.parse().unwrap();
        let headers = HeaderMap::new();
        let call = Call::new(&Method::POST, &uri, &headers).with_body(body);
        let read = provider.estimate(&call);
        assert_eq!(read.model.as_deref(), Some(model), "{path}");
        assert_eq!((read.output_tokens, read.stream), (output, stream), "{path}");
    }
}

#[test]
fn names_of_rules_are_short_and_no_rule_is_wrong() {
    for provider in all() {
        for rule in &provider.spec().rules {
            let name = rule.name();
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-/".contains(c);
            assert!(name.chars().all(plain) && name.contains('/') && name.len() <= 40, "{name}");
            assert_eq!(rule.problem(), None, "{name}");
        }
    }
}
