//! Responses that real providers sent, judged and read: verdicts as those who sorted them say, headers,
//! models and usage as a plain second reading finds them.
//!
//! They are not part of the project. `RECORDINGS_DIR` names a folder of them, one JSON file for each
//! response in a folder for each provider; [`recording`] says what is in a file.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod coverage;
mod estimate;
mod expected;
mod headers;
mod recording;
mod requests;
mod usage;

use std::{io::Write, sync::Arc};

use http::StatusCode;
use tower_key_rotation::provider::{Answer, Builtin, Provider, Ruling, StreamEvent};

use self::{coverage::Coverage, recording::Recording};

/// The dialect that is spoken in a folder. A provider without a dialect of its own has the one that is
/// like it.
fn dialect(folder: &str) -> Arc<dyn Provider> {
    let like = match folder {
        "vertex" => "gemini",
        "huggingface" | "zai" => "openai",
        folder => folder,
    };
    like.parse().unwrap_or(Builtin::Generic).provider("https://api.example.com")
}

fn judged(provider: &dyn Provider, recording: &Recording, body: &[u8]) -> Ruling {
    let Recording { status, headers, now, .. } = recording;
    let status = StatusCode::from_u16(*status).unwrap();
    provider.classify(&Answer::new(status, headers, *now).with_body(body))
}

/// Of the events of an answer that began well, those that are errors are seen to be, and no others.
fn errors_are_seen(provider: &dyn Provider, recording: &Recording) -> coverage::Found {
    if recording.is_refusal() {
        return Ok(0);
    }
    let errors = recording.errors_within();
    for document in recording.documents() {
        let data = document.to_string().into_bytes();
        let is_error = provider.is_error(&StreamEvent::data(&data));
        if is_error != errors.contains(&data) {
            return Err(format!("seen as an error: {is_error}, {document}"));
        }
    }
    Ok(0)
}

/// Past the test harness, which hides what succeeds.
fn say(text: impl std::fmt::Display) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

#[test]
fn every_recording_is_read_as_expected() {
    let Some(folder) = std::env::var_os("RECORDINGS_DIR") else {
        say("recordings left out: set RECORDINGS_DIR to a folder of them");
        return;
    };
    let recordings = recording::all(folder.as_ref());
    assert!(!recordings.is_empty(), "RECORDINGS_DIR has no recordings in it");
    let mut coverage = Coverage::default();
    for recording in &recordings {
        let provider = dialect(&recording.provider);
        coverage.look(&recording.provider, &recording.name, |seen| {
            if recording.is_refusal() {
                let ruling = judged(&*provider, recording, &recording.body);
                seen.verdict(expected::check(recording, &ruling));
            }
            for error in recording.errors_within() {
                let ruling = judged(&*provider, recording, &error);
                seen.verdict(expected::check_within(&error, &ruling));
            }
            seen.verdict(errors_are_seen(&*provider, recording));
            seen.headers(headers::check(&*provider, recording));
            seen.request(requests::check(&*provider, recording));
            seen.usage(usage::check(&*provider, recording));
        });
    }
    say(&coverage);
    assert!(coverage.problems.is_empty(), "{:#?}", coverage.problems);
}
