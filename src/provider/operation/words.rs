//! What the segments of documented paths mean.

use super::{kind::Kind, segments::Segments};

/// The kind of a collection, by its segment. Providers document each of them (2026-11), except for the
/// names of some kinds: they are here so that no unknown path can pass for a known operation.
///
/// - <https://github.com/openai/openai-python/blob/main/api.md>
/// - <https://github.com/anthropics/anthropic-sdk-python/blob/main/api.md>
/// - <https://ai.google.dev/api/all-methods>
/// - <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html>
/// - <https://docs.cohere.com/reference/about>
/// - <https://docs.mistral.ai/api>
pub(super) fn collection(word: &str, ahead: Segments<'_>) -> Option<Kind> {
    Some(match word {
        "chat" | "sonar" => Kind::Chat,
        "messages" => Kind::Messages,
        // Perplexity's `agent` is its own name for it
        // (<https://docs.perplexity.ai/docs/grounded-llm/openai-compatibility>).
        "responses" | "agent" => Kind::Responses,
        "embeddings" | "embed" | "contextualizedembeddings" => Kind::Embeddings,
        "models"
        | "engines"
        | "language-models"
        | "embedding-models"
        | "image-generation-models"
        | "video-generation-models" => Kind::Models,
        "completions" | "complete" => Kind::Completions,
        "model" => return of_bedrock_model(ahead),
        "generate" | "summarize" => Kind::Generate,
        "interactions" => Kind::Interactions,
        "files" => Kind::Files,
        "images" | "image" | "image_generation" => Kind::Images,
        "audio" | "tts" | "stt" => Kind::Audio,
        "video" | "videos" => Kind::Video,
        "moderations" => Kind::Moderations,
        "rerank" | "reranking" => Kind::Rerank,
        "realtime" | "live" => Kind::Realtime,
        "uploads" => Kind::Uploads,
        "batches" | "batch" | "batchPredictionJobs" | "batchInferenceJobs" => Kind::Batches,
        "fine_tuning" | "fine-tuning" | "fine-tunes" | "finetuning" | "tunedModels"
        | "tuningJobs" => Kind::FineTuning,
        "vector_stores" | "vector-stores" | "fileSearchStores" | "corpora" => Kind::VectorStores,
        "conversations" => Kind::Conversations,
        "assistants" | "threads" | "chatkit" => Kind::Assistants,
        "cachedContents" | "cached-contents" => Kind::CachedContents,
        "count-tokens" | "tokenize" | "detokenize" | "tokenize-text" => Kind::CountTokens,
        "administration" | "organization" | "organizations" | "projects" | "workspaces"
        | "dashboard" | "usage" | "costs" | "billing" | "credits" | "activity" | "generation"
        | "api_keys" | "api-key" | "key" | "keys" | "check-api-key" | "user" | "users" | "me"
        | "balance" => Kind::Administration,
        // Mistral's.
        "fim" if ahead.begins_with("completions") => Kind::Completions,
        "agents" if ahead.begins_with("completions") => Kind::Chat,
        // Fireworks': `/inference/v1/workflows/accounts/fireworks/models/flux/text_to_image`.
        "workflows" if ahead.begins_with("accounts") => Kind::Images,
        _ => return None,
    })
}

/// `/model/{id}/converse`, whose id may have slashes.
fn of_bedrock_model(ahead: Segments<'_>) -> Option<Kind> {
    match ahead.word(ahead.last()).as_str() {
        "converse"
        | "converse-stream"
        | "invoke"
        | "invoke-with-response-stream"
        | "invoke-with-bidirectional-stream" => Some(Kind::Generate),
        "count-tokens" => Some(Kind::CountTokens),
        _ => None,
    }
}

/// What is done to a model, behind a colon at the end of the path.
pub(super) fn verb(path: &str) -> Option<Kind> {
    // `/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent`
    if path.starts_with("/ws/") {
        return Some(Kind::Realtime);
    }
    let path = Segments::new(path);
    let last = path.last();
    let (model, verb) = last
        .rsplit_once(':')
        .or_else(|| last.rsplit_once("%3A"))
        .or_else(|| last.rsplit_once("%3a"))?;
    Some(match path.word(verb).as_str() {
        "generateContent"
        | "streamGenerateContent"
        | "generateAnswer"
        | "generateMessage"
        | "generateText"
        | "rawPredict"
        | "streamRawPredict" => Kind::Generate,
        "embedContent" | "batchEmbedContents" | "embedText" | "batchEmbedText" => Kind::Embeddings,
        // Vertex AI's models for embeddings are asked so; here it is for images.
        "predict" if model.contains("embedding") => Kind::Embeddings,
        "predict" => Kind::Images,
        "predictLongRunning" => Kind::Video,
        "batchGenerateContent" | "asyncBatchEmbedContent" => Kind::Batches,
        "countTokens" | "computeTokens" | "countMessageTokens" | "countTextTokens" => {
            Kind::CountTokens
        }
        _ => return None,
    })
}

/// Whether a segment behind a collection is no id yet.
pub(super) fn is_part_of(kind: Kind, word: &str) -> bool {
    match kind {
        Kind::Chat => matches!(word, "completions" | "deferred-completion"),
        Kind::Responses => word == "compact",
        Kind::Audio => matches!(
            word,
            "transcriptions" | "translations" | "speech" | "voices" | "voice_consents"
        ),
        Kind::Video => {
            matches!(word, "generations" | "jobs" | "edits" | "extensions" | "characters")
        }
        Kind::Realtime => matches!(
            word,
            "sessions" | "transcription_sessions" | "client_secrets" | "calls" | "translations"
        ),
        Kind::Files => word == "upload",
        Kind::Batches => word == "jobs",
        Kind::FineTuning => matches!(
            word,
            "jobs"
                | "models"
                | "finetuned-models"
                | "checkpoints"
                | "alpha"
                | "graders"
                | "run"
                | "validate"
        ),
        Kind::Assistants => matches!(word, "threads" | "sessions" | "runs"),
        _ => false,
    }
}

/// Whether an account keeps what is in a collection, so that others do not know its ids.
pub(super) fn keeps(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Chat
            | Kind::Responses
            | Kind::Interactions
            | Kind::Audio
            | Kind::Video
            | Kind::Realtime
            | Kind::Files
            | Kind::Uploads
            | Kind::Batches
            | Kind::FineTuning
            | Kind::VectorStores
            | Kind::Conversations
            | Kind::Assistants
            | Kind::CachedContents
    )
}

/// The same, of collections that are no kinds of their own.
pub(super) fn is_kept(segment: &str) -> bool {
    matches!(
        segment,
        "agents"
            | "async-invoke"
            | "connectors"
            | "containers"
            | "datasets"
            | "deployments"
            | "embed-jobs"
            | "environments"
            | "evals"
            | "libraries"
            | "memory_stores"
            | "operations"
            | "predictions"
            | "prompts"
            | "sessions"
            | "skills"
            | "vaults"
            | "webhooks"
    )
}
