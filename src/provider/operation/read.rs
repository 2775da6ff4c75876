//! From method and path to an operation.

use http::Method;

use super::{
    kind::{Access, Kind, Operation},
    segments::{Segments, Word, has_dot_segments},
    words::{collection, is_kept, is_part_of, keeps, verb},
};

/// How a dialect distinguishes its operations.
///
/// Providers of models share one table, because no segment means two things to two of them. What one
/// of them does differently stands here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operations {
    /// By the collections that providers of models have.
    Collections,
    /// As these, but a conversation is charged, and moderations may be
    /// (<https://docs.mistral.ai/api>, 2026-11).
    Mistral,
    /// As these, and by what is done, behind a colon (<https://ai.google.dev/api/all-methods>, 2026-11).
    Gemini,
    /// By the first segment, whatever it is.
    BySegment,
}

/// Longer base paths are not looked through.
const DEEPEST: usize = 16;

impl Operations {
    pub(in crate::provider) fn read<'a>(self, method: &Method, path: &'a str) -> Operation<'a> {
        if self == Self::BySegment {
            return by_segment(method, path);
        }
        if *method == Method::POST
            && let Some(operation) = usual(path)
        {
            return operation;
        }
        if has_dot_segments(path) {
            return Operation::of_segment("-", Access::of(method));
        }
        if self == Self::Gemini
            && let Some(kind) = verb(path)
        {
            return self.of_kind(kind, method, Segments::NONE);
        }
        self.by_collection(method, path)
    }

    /// By the first collection behind the base path.
    ///
    /// Behind a version the next segment decides: what follows is an id or belongs to it. Without one, an
    /// unknown segment may be a gateway's own, so that a collection is looked for behind it, of those
    /// that are worth it: `/tenant/chat/completions`.
    pub(super) fn by_collection<'a>(self, method: &Method, path: &'a str) -> Operation<'a> {
        let mut ahead = Segments::new(path);
        let mut other = None;
        let mut found = None;
        let mut is_behind_version = false;
        let mut is_behind_unknown = false;
        let mut is_later = false;
        for _ in 0..DEEPEST {
            let Some(segment) = ahead.next() else { break };
            let word = ahead.word(segment);
            match self.part(word.as_str(), is_behind_version, ahead) {
                Part::Version => (is_behind_version, is_behind_unknown) = (true, false),
                Part::Base => {}
                Part::Later => is_later = true,
                Part::Named => {
                    other.get_or_insert((segment, ahead));
                    ahead.next();
                }
                // A model's own path may be before what it is asked: `/models/m/v1/chat/completions`.
                Part::Collection(Kind::Models)
                    if Access::of(method) == Access::Write && !ahead.is_empty() =>
                {
                    found.get_or_insert((Kind::Models, ahead));
                    (is_behind_version, is_behind_unknown) = (false, true);
                }
                Part::Collection(kind) if !is_behind_unknown || kind.asks_a_model() => {
                    found = Some((kind, ahead));
                    break;
                }
                _ if is_behind_version => {
                    other = Some((segment, ahead));
                    break;
                }
                _ => {
                    other.get_or_insert((segment, ahead));
                    is_behind_unknown = true;
                }
            }
        }
        match (found, other) {
            (Some((kind, ahead)), _) => {
                let operation = self.of_kind(kind, method, ahead);
                let creates = operation.creates || is_later && operation.generates;
                Operation { creates, ..operation }
            }
            (None, Some((segment, ahead))) => of_other(segment, method, ahead),
            (None, None) => Operation::of_segment("/", Access::of(method)),
        }
    }

    fn part(self, word: &str, is_behind_version: bool, ahead: Segments<'_>) -> Part {
        let word = match self {
            Self::Gemini => word.split(':').next().unwrap_or(word),
            _ => word,
        };
        match word {
            _ if is_version(word) => Part::Version,
            "api" | "openai" | "anthropic" | "inference" | "beta" => Part::Base,
            // Perplexity's (<https://docs.perplexity.ai/api-reference/async-sonar-post>, 2026-11).
            "async" => Part::Later,
            // Azure's, whose names are chosen by their owners.
            "deployments" | "projects" if !is_behind_version => Part::Named,
            // Fireworks' (<https://docs.fireworks.ai/api-reference/create-dataset>, 2026-11).
            "accounts" => Part::Named,
            // Vertex AI's.
            "projects" | "locations" | "publishers" | "endpoints" if self == Self::Gemini => {
                Part::Named
            }
            _ => collection(word, ahead).map_or(Part::Unknown, Part::Collection),
        }
    }

    /// The operation on a collection, or on what stands behind it.
    fn of_kind<'a>(self, kind: Kind, method: &Method, mut ahead: Segments<'_>) -> Operation<'a> {
        let kind = self.within(kind, &mut ahead);
        let mut word = Word::NONE;
        let whole = ahead;
        let last_is = |word| whole.ends_with(word);
        while is_part_of(kind, ahead.peek().as_str()) {
            word = ahead.next_word();
        }
        let word = word.as_str();
        let has_id = !ahead.is_empty();

        let access = match Access::of(method) {
            // A WebSocket is opened by a GET, and written to
            // (<https://developers.openai.com/api/docs/guides/websocket-mode>, 2026-11).
            Access::Read
                if matches!(kind, Kind::Realtime | Kind::Responses)
                    && !has_id
                    && *method == Method::GET =>
            {
                Access::Write
            }
            access => access,
        };
        let writes = access == Access::Write;
        let creates = match kind {
            Kind::Responses | Kind::Interactions => !has_id && word != "compact",
            Kind::Audio => !has_id && matches!(word, "voices" | "voice_consents"),
            // Of a video, another one.
            Kind::Video => !has_id || last_is("remix"),
            Kind::Realtime => !has_id && word == "calls",
            // Of the parts, a file.
            Kind::Uploads => !has_id || last_is("complete"),
            Kind::FineTuning => !has_id && !matches!(word, "run" | "validate"),
            // Of a conversation, another one.
            Kind::Conversations => !has_id || last_is("restart"),
            Kind::Files
            | Kind::Batches
            | Kind::VectorStores
            | Kind::Assistants
            | Kind::CachedContents => !has_id,
            _ => false,
        };
        let names = match kind {
            Kind::Models => access == Access::Delete,
            _ => has_id && keeps(kind),
        };
        let generates = match kind {
            Kind::Audio => !matches!(word, "voices" | "voice_consents"),
            Kind::Video => (!has_id && word != "characters") || last_is("remix"),
            Kind::Realtime => !has_id && !word.ends_with("sessions") && word != "client_secrets",
            Kind::Chat | Kind::Responses | Kind::Interactions => !has_id,
            Kind::Conversations => self == Self::Mistral,
            Kind::Assistants => last_is("runs") || last_is("submit_tool_outputs"),
            kind => kind.asks_a_model(),
        };
        let is_free = match kind {
            Kind::CountTokens | Kind::Administration | Kind::Files | Kind::Uploads => true,
            Kind::Moderations => !writes || self != Self::Mistral,
            _ => !writes,
        };
        Operation {
            kind,
            access,
            generates: writes && generates,
            is_free,
            creates: writes && creates,
            names,
            segment: "",
        }
    }

    /// What is a kind of its own within a collection.
    fn within(self, kind: Kind, ahead: &mut Segments<'_>) -> Kind {
        let mut behind = *ahead;
        let word = behind.next_word();
        match (kind, word.as_str()) {
            (Kind::Responses, "input_tokens") | (Kind::Messages, "count_tokens") => {
                Kind::CountTokens
            }
            (Kind::Messages, "batches") => {
                *ahead = behind;
                Kind::Batches
            }
            (Kind::Chat, "moderations" | "classifications") => Kind::Moderations,
            (Kind::Images, "embeddings") => Kind::Embeddings,
            // `/v1/audio/transcriptions/realtime`
            (Kind::Audio, _) if behind.begins_with("realtime") => {
                *ahead = Segments::NONE;
                Kind::Realtime
            }
            // A video that is being made: `/v1beta/models/veo/operations/abc`.
            (Kind::Models, _) if self == Self::Gemini && behind.begins_with("operations") => {
                Kind::Video
            }
            _ => kind,
        }
    }
}

/// What a segment is for.
enum Part {
    Version,
    /// Before the collections, and means nothing.
    Base,
    /// The same, but the answer is kept until it is asked for.
    Later,
    /// As a base, and the next one is its name.
    Named,
    Collection(Kind),
    Unknown,
}

/// What most requests do that are posted, found at once. The walk along the segments finds the same.
pub(super) fn usual(path: &str) -> Option<Operation<'static>> {
    const fn generating(kind: Kind, creates: bool) -> Operation<'static> {
        Operation { kind, generates: true, creates, segment: "", ..Operation::UNKNOWN }
    }
    match path {
        "/v1/chat/completions"
        | "/chat/completions"
        | "/openai/v1/chat/completions"
        | "/api/v1/chat/completions"
        | "/inference/v1/chat/completions" => Some(const { generating(Kind::Chat, false) }),
        "/v1/responses" => Some(const { generating(Kind::Responses, true) }),
        "/v1/messages" => Some(const { generating(Kind::Messages, false) }),
        "/v1/embeddings" => Some(const { generating(Kind::Embeddings, false) }),
        _ => None,
    }
}

/// By the first segment behind a version.
fn by_segment<'a>(method: &Method, path: &'a str) -> Operation<'a> {
    let mut segments = Segments::new(path).take(DEEPEST);
    let segment = segments.find(|word| *word != "api" && !is_version(word) && !is_number(word));
    Operation::of_segment(segment.map_or("/", named), Access::of(method))
}

/// An operation by a segment that is no known collection. Of some it is known that accounts keep
/// what is in them.
fn of_other<'a>(segment: &'a str, method: &Method, ahead: Segments<'_>) -> Operation<'a> {
    let access = Access::of(method);
    let operation = Operation::of_segment(named(segment), access);
    match is_kept(segment) {
        true if ahead.is_empty() => Operation { creates: access == Access::Write, ..operation },
        is_kept => Operation { names: is_kept, ..operation },
    }
}

/// A segment as a name. It comes from callers and is shown to operators, so it is short and plain, and
/// does not pass for another access.
fn named(segment: &str) -> &str {
    let is_plain = segment.len() <= 64
        && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~:@$".contains(&byte))
        && ![".", ".."].contains(&segment)
        && ![Access::Read, Access::Delete].iter().any(|access| segment.ends_with(access.suffix()));
    if is_plain { segment } else { "-" }
}

/// `v1`, `v1beta`, `v2.1`
fn is_version(word: &str) -> bool {
    match word.as_bytes() {
        [b'v', number, rest @ ..] => {
            number.is_ascii_digit()
                && rest.len() < 8
                && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'.')
        }
        _ => false,
    }
}

/// `2`, `2024-10`, as other providers' versions are written.
fn is_number(word: &str) -> bool {
    word.len() <= 10 && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}
