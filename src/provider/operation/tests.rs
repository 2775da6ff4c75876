//! Operations of documented and of unknown paths.
//!
//! Long, for it is one table of paths.

use std::sync::Arc;

use fastrand::Rng;
use http::{Method, Uri};

use super::{
    Access, Kind, Operation, Operations,
    kind::{ALL, OPERATIONS},
    read::usual,
    segments::has_dot_segments,
};
use crate::provider::{Builtin, Provider};

/// Method, dialect, path, name, and what else is true of it: it `g`enerates, `c`reates, `n`ames, is `f`ree.
const ROWS: &str = "
POST openai /v1/chat/completions chat g
POST openai /v1/chat/completions?stream=true chat g
POST openai /v1/chat/completions/ chat g
POST openai //v1//chat//completions// chat g
POST openai /v1/ch%61t/completions chat g
POST openai /v1/%63%68%61%74/completions chat g
POST openai /%76%31/chat/completions chat g
POST openai /tenant-a/v1/chat/completions chat g
POST openai /tenant-a/chat/completions chat g
POST openai /fireworks-ai/v1/chat/completions chat g
POST openai /api/coding/paas/v4/chat/completions chat g
POST openai /hf-inference/models/mistralai/Mistral-7B-v0.2/v1/chat/completions chat g
GET openai /v1/chat/completions chat.read f
GET openai /v1/chat/completions/chatcmpl-1 chat.read nf
POST openai /v1/chat/completions/chatcmpl-1 chat n
DELETE openai /v1/chat/completions/chatcmpl-1 chat.delete nf
GET openai /v1/chat/completions/chatcmpl-1/messages chat.read nf
POST openai /v1/completions completions g
POST openai /v1/engines/davinci/completions completions g
POST openai /v1/responses responses gc
POST openai /v1/responses/ responses gc
GET openai /v1/responses responses gc
HEAD openai /v1/responses responses.read f
OPTIONS openai /v1/responses responses.read f
GET openai /v1/responses/resp_1 responses.read nf
DELETE openai /v1/responses/resp_1 responses.delete nf
POST openai /v1/responses/resp_1/cancel responses n
GET openai /v1/responses/resp_1/input_items responses.read nf
POST openai /v1/responses/compact responses g
POST openai /v1/responses/input_tokens count-tokens f
POST openai /v1/responses/input_tokens?beta=true count-tokens f
POST openai /v1/embeddings embeddings g
POST openai /v1/moderations moderations f
POST openai /v1/images/generations images g
POST openai /v1/images/edits images g
POST openai /v1/images/variations images g
POST openai /v1/audio/speech audio g
POST openai /v1/audio/transcriptions audio g
POST openai /v1/audio/translations audio g
POST openai /v1/audio/voices audio c
DELETE openai /v1/audio/voices/v1 audio.delete nf
POST openai /v1/videos video gc
GET openai /v1/videos video.read f
GET openai /v1/videos/video_1 video.read nf
GET openai /v1/videos/video_1/content video.read nf
POST openai /v1/videos/video_1/remix video gcn
POST openai /v1/videos/edits video gc
POST openai /v1/videos/characters video c
GET openai /v1/videos/characters/char_1 video.read nf
GET openai /v1/realtime?model=gpt-realtime realtime g
GET openai /v1/realtime/ realtime g
POST openai /v1/realtime/calls realtime gc
POST openai /v1/realtime/calls/rtc_1/hangup realtime n
POST openai /v1/realtime/client_secrets realtime -
POST openai /v1/realtime/transcription_sessions realtime -
POST openai /v1/files files cf
GET openai /v1/files files.read f
GET openai /v1/files/file-1 files.read nf
GET openai /v1/files/chat files.read nf
GET openai /v1/files/v1/content files.read nf
GET openai /v1/files/chat/completions files.read nf
GET openai /v1/files/file%2D1 files.read nf
DELETE openai /v1/files/file-1 files.delete nf
GET openai /v1/files/file-1/content files.read nf
POST openai /v1/uploads uploads cf
POST openai /v1/uploads/upload_1/parts uploads nf
POST openai /v1/uploads/upload_1/complete uploads cnf
POST openai /v1/uploads/upload_1/cancel uploads nf
POST openai /v1/batches batches c
GET openai /v1/batches batches.read f
GET openai /v1/batches/batch_1 batches.read nf
POST openai /v1/batches/batch_1/cancel batches n
POST openai /v1/fine_tuning/jobs fine-tuning c
GET openai /v1/fine_tuning/jobs fine-tuning.read f
GET openai /v1/fine_tuning/jobs/ftjob-1/events fine-tuning.read nf
POST openai /v1/fine_tuning/jobs/ftjob-1/cancel fine-tuning n
POST openai /v1/fine_tuning/alpha/graders/run fine-tuning -
POST openai /v1/fine_tuning/checkpoints/ft:m/permissions fine-tuning n
POST openai /v1/vector_stores vector-stores c
POST openai /v1/vector_stores/vs_1/files vector-stores n
POST openai /v1/vector_stores/vs_1/search vector-stores n
POST openai /v1/conversations conversations c
POST openai /v1/conversations/conv_1/items conversations n
POST openai /v1/assistants assistants c
POST openai /v1/threads assistants c
POST openai /v1/threads/runs assistants gc
POST openai /v1/threads/thread_1/messages assistants n
POST openai /v1/threads/thread_1/runs assistants gn
POST openai /v1/threads/thread_1/runs/run_1/submit_tool_outputs assistants gn
POST openai /v1/threads/thread_1/runs/run_1/cancel assistants n
POST openai /v1/chatkit/sessions assistants c
GET openai /v1/chatkit/threads/cthr_1/items assistants.read nf
GET openai /v1/models models.read f
GET openai /v1/models/gpt-5 models.read f
GET openai /v1/models/chat models.read f
GET openai /v1/models/chat/completions models.read f
GET openai /v1/models/meta-llama/Llama-3:free models.read f
GET openai /v1/models/meta%2Fllama%3Afree models.read f
DELETE openai /v1/models/ft:gpt-5:org::1 models.delete nf
GET openai /v1/organization/usage/completions administration.read f
POST openai /v1/organization/projects/proj_1/api_keys administration f
GET openai /v1/projects/proj_1/roles administration.read f
GET openai /v1/dashboard/billing/usage administration.read f
GET openai /v1/usage administration.read f
POST openai /v1/containers containers c
GET openai /v1/containers/cntr_1/files/cfile_1/content containers.read n
POST openai /v1/evals/eval_1/runs evals n
POST openai /v1/ocr ocr -
GET openai / /.read -
GET openai /v1 /.read -
POST openai /openai/v1/ / -
POST openai /v1/../v1/chat/completions - -
POST openai /v1/files/../chat/completions - -
POST openai /v1/files/%2e%2E/chat/completions - -
POST openai /v1/files/x%2F..%2F..%2Fchat%2Fcompletions - -
POST openai /v1/files/.%5C - -
POST openai /v1%2Fchat%2Fcompletions - -
POST openai /v1/my%20thing - -
POST openai /v1/files.read - -
POST anthropic /v1/messages messages g
POST anthropic /v1/messages?beta=true messages g
POST anthropic /v1/messages/count_tokens count-tokens f
POST anthropic /v1/messages/count%5Ftokens count-tokens f
POST anthropic /v1/messages/batches batches c
GET anthropic /v1/messages/batches/msgbatch_1/results batches.read nf
POST anthropic /v1/messages/batches/msgbatch_1/cancel batches n
POST anthropic /v1/complete completions g
POST anthropic /v1/chat/completions chat g
GET anthropic /v1/organizations/me administration.read f
GET anthropic /v1/organizations/usage_report/messages administration.read f
POST anthropic /v1/files files cf
POST anthropic /v1/deployments/depl_1/run deployments n
POST anthropic /v1/sessions sessions c
GET anthropic /v1/sessions/sesn_1/events sessions.read n
POST gemini /v1beta/models/gemini-2.5-flash:generateContent generate g
POST gemini /v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse generate g
POST gemini /v1beta/models/gemini-2.5-flash%3AgenerateContent generate g
POST gemini /v1beta/models/gemini-2.5-flash:generate%43ontent/ generate g
POST gemini /v1beta/tunedModels/mine:generateContent generate g
POST gemini /v1beta1/projects/p/locations/l/publishers/google/models/m:generateContent generate g
POST gemini /v1beta/models/m:countTokens count-tokens f
POST gemini /v1beta/models/m:embedContent embeddings g
POST gemini /v1beta/models/m:batchEmbedContents embeddings g
POST gemini /v1beta/models/m:asyncBatchEmbedContent batches c
POST gemini /v1beta/models/m:batchGenerateContent batches c
POST gemini /v1beta/models/imagen-4:predict images g
POST gemini /v1/publishers/google/models/gemini-embedding-001:predict embeddings g
POST gemini /v1beta/models/veo-3:predictLongRunning video gc
GET gemini /v1beta/models/veo-3/operations/op1 video.read nf
POST gemini /v1beta/models/m:unheardOf models -
GET gemini /v1beta/models models.read f
GET gemini /v1beta/models/gemini-2.5-flash models.read f
POST gemini /v1beta/openai/chat/completions chat g
POST gemini /v1beta/openai/embeddings embeddings g
POST gemini /v1/projects/p/locations/l/endpoints/openapi/chat/completions chat g
POST gemini /v1beta/cachedContents cached-contents c
PATCH gemini /v1beta/cachedContents/abc cached-contents n
POST gemini /v1/projects/p/locations/l/cachedContents cached-contents c
POST gemini /upload/v1beta/files files cf
POST gemini /v1beta/files:register files cf
GET gemini /v1beta/files/abc files.read nf
GET gemini /download/v1beta/files/abc:download?alt=media files.read nf
POST gemini /v1beta/batches/b1:cancel batches n
POST gemini /v1beta/fileSearchStores vector-stores c
POST gemini /v1beta/fileSearchStores/s1:importFile vector-stores n
POST gemini /v1beta/interactions interactions gc
GET gemini /v1beta/interactions/i1 interactions.read nf
POST gemini /v1beta/interactions/i1/cancel interactions n
GET gemini /ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent realtime g
POST azure /openai/deployments/x/chat/completions?api-version=1 chat g
POST azure /openai/deployments/chat/embeddings embeddings g
POST azure /openai/deployments/files/audio/transcriptions audio g
POST azure /openai/v1/responses responses gc
GET azure /openai/responses/resp_1 responses.read nf
POST azure /models/chat/completions chat g
POST azure /models/images/embeddings embeddings g
POST azure /anthropic/v1/messages messages g
POST azure /openai/files files cf
POST azure /api/projects/p/openai/v1/responses responses gc
POST azure /api/projects/p/threads assistants c
GET azure /openai/v1/video/generations/jobs/task_1 video.read nf
POST azure /openai/v1/video/generations/jobs video gc
POST bedrock /model/us.amazon.nova-v1%3A0/converse generate g
POST bedrock /model/us.amazon.nova-v1:0/converse-stream generate g
POST bedrock /model/converse/invoke generate g
POST bedrock /model/arn:aws:bedrock:us-east-1:1:inference-profile/x/invoke-with-response-stream generate g
POST bedrock /model/chat/count-tokens count-tokens f
POST bedrock /openai/v1/chat/completions chat g
POST bedrock /async-invoke async-invoke c
GET bedrock /async-invoke/arn%3Aaws async-invoke.read n
POST bedrock /guardrail/g/version/1/apply guardrail -
POST cohere /v2/chat chat g
POST cohere /v1/generate generate g
POST cohere /v1/summarize generate g
POST cohere /v2/embed embeddings g
POST cohere /v2/rerank rerank g
POST cohere /v1/tokenize count-tokens f
POST cohere /v1/check-api-key administration f
POST cohere /v1/classify classify -
POST cohere /v1/embed-jobs embed-jobs c
POST cohere /v1/finetuning/finetuned-models fine-tuning c
GET cohere /v1/finetuning/finetuned-models/m/events fine-tuning.read nf
POST cohere /v2/batches/b:cancel batches n
POST cohere /compatibility/v1/chat/completions chat g
POST groq /openai/v1/chat/completions chat g
POST groq /openai/v1/audio/transcriptions audio g
GET groq /openai/v1/files/f/content files.read nf
POST mistral /v1/fim/completions completions g
POST mistral /v1/agents/completions chat g
POST mistral /v1/agents agents c
POST mistral /v1/chat/moderations moderations -
POST mistral /v1/moderations moderations -
POST mistral /v1/batch/jobs batches c
GET mistral /v1/batch/jobs/j batches.read nf
POST mistral /v1/conversations conversations gc
POST mistral /v1/conversations/c conversations gn
POST mistral /v1/conversations/c/restart conversations gcn
GET mistral /v1/audio/transcriptions/realtime realtime g
POST openrouter /api/v1/chat/completions chat g
POST openrouter /api/v1/messages messages g
GET openrouter /api/v1/models/deepseek/deepseek-r1:free/endpoints models.read f
GET openrouter /api/v1/credits administration.read f
GET openrouter /api/v1/generation?id=gen-1 administration.read f
POST fireworks /inference/v1/chat/completions chat g
POST fireworks /inference/v1/workflows/accounts/fireworks/models/flux/text_to_image images g
GET fireworks /v1/accounts/me/models/m models.read f
POST fireworks /v1/accounts/me/datasets datasets c
GET fireworks /v1/accounts accounts.read -
POST deepseek /chat/completions chat g
POST deepseek /beta/completions completions g
POST deepseek /anthropic/v1/messages messages g
GET deepseek /user/balance administration.read f
POST perplexity /v1/sonar chat g
POST perplexity /v1/agent responses gc
POST perplexity /async/chat/completions chat gc
GET perplexity /v1/async/sonar/req_1 chat.read nf
POST perplexity /search search -
POST together /v1/rerank rerank g
POST together /v1/fine-tunes fine-tuning c
POST together /v1/files/upload files cf
POST xai /v1/images/generations images g
POST xai /v1/videos/generations video gc
GET xai /v1/videos/req_1 video.read nf
GET xai /v1/chat/deferred-completion/req_1 chat.read nf
GET xai /v1/language-models models.read f
POST xai /v1/tokenize-text count-tokens f
GET xai /v1/api-key administration.read f
GET github /repos/a/b repos.read -
POST github /repos/a/b/issues repos -
DELETE github /repos/a/b repos.delete -
GET github /search/code?q=x search.read -
POST github /graphql graphql -
GET github /api/v3/search/users search.read -
POST github /api/graphql graphql -
GET generic /v1/files/f files.read -
GET generic /v3.1/weather weather.read -
GET generic /2/tweets tweets.read -
GET generic /2024-10/products products.read -
POST generic /api/chat.postMessage chat.postMessage -
PUT generic /things things -
GET generic /api/v1 /.read -
GET generic /%72epos -.read -
";

fn dialect(name: &str) -> Arc<dyn Provider> {
    let dialect: Builtin = name.parse().unwrap();
    dialect.provider("https://api.example.com")
}

fn marks(operation: &Operation<'_>) -> String {
    let marks = [
        (operation.generates(), 'g'),
        (operation.creates(), 'c'),
        (operation.names(), 'n'),
        (operation.is_free(), 'f'),
    ];
    let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| mark).collect();
    if marks.is_empty() { "-".to_owned() } else { marks }
}

#[test]
fn documented_paths_have_their_operation() {
    let mut wrong = Vec::new();
    for row in ROWS.lines().filter(|row| !row.is_empty()) {
        let [method, name, path, expected @ ..] = &row.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let (method, uri): (Method, Uri) = (method.parse().unwrap(), path.parse().unwrap());
        let provider = dialect(name);
        let operation = provider.operation(&method, &uri);
        let read = [&operation.to_string(), &*marks(&operation)].join(" ");
        if read != expected.join(" ") {
            wrong.push(format!("{row}\n  is {read}"));
        }
        assert_eq!(operation.name(), operation.to_string(), "{row}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Permissions are refused by name: a row that one reads otherwise than another is a hole.
#[test]
fn a_base_path_does_not_change_an_operation() {
    let paths = ["chat/completions", "responses", "messages/count_tokens", "files", "models/a:b"];
    for path in paths {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let plain = format!("/v1/{path}");
            let plain = Operations::Collections.read(&method, &plain);
            for base in
                ["/openai/v1", "/api/v1", "/inference/v1", "/v1beta/openai", "/a/b/c/v2", ""]
            {
                for end in ["", "/", "//"] {
                    let path = format!("{base}/{path}{end}");
                    let operation = Operations::Collections.read(&method, &path);
                    assert_eq!(operation, plain, "{method} {path}");
                }
            }
        }
    }
}

#[test]
fn the_short_cut_agrees_with_the_walk() {
    let mut found = 0;
    let paths = ROWS.lines().filter_map(|row| row.split(' ').nth(2));
    for path in paths.chain(["/inference/v1/chat/completions", "/v1/messages"]) {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            for operations in [Operations::Collections, Operations::Mistral, Operations::Gemini] {
                if usual(path).is_some() {
                    found += 1;
                    let walked = operations.by_collection(&method, path);
                    assert_eq!(operations.read(&method, path), walked, "{method} {path}");
                }
            }
        }
    }
    assert!(found > 50, "{found}");
}

#[test]
fn known_operations_have_numbers_and_names_of_their_own() {
    let mut slots = Vec::new();
    for kind in ALL {
        for access in [Access::Read, Access::Write, Access::Delete] {
            let operation = Operation { kind, access, ..Operation::UNKNOWN };
            assert_eq!(ALL[kind.index()], kind);
            match operation.slot() {
                Some(slot) => {
                    slots.push(slot);
                    let name = [kind.name(), access.suffix()].concat();
                    assert_eq!((OPERATIONS[slot], operation.segment()), (&*name, None));
                }
                None => assert_eq!(kind, Kind::Other),
            }
        }
    }
    assert_eq!(slots, (0..Operation::SLOTS).collect::<Vec<_>>());
    assert_eq!(ALL.len(), Kind::COUNT);
    let mut names = OPERATIONS.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Operation::SLOTS);
}

#[test]
fn no_unknown_path_passes_for_a_known_operation() {
    for name in OPERATIONS {
        for method in [Method::PUT, Method::DELETE, Method::HEAD] {
            let path = format!("/v1/{name}");
            let operation = Operations::Collections.read(&method, &path);
            let is_known = operation.slot().is_some();
            assert!(is_known || !OPERATIONS.contains(&&*operation.name()), "{method} {path}");
        }
    }
}

#[test]
fn an_unknown_path_has_an_operation_of_its_own() {
    assert_eq!(Operation::UNKNOWN.to_string(), "-");
    assert_eq!(Operation::UNKNOWN.name(), "-");
    assert_eq!(Operation::UNKNOWN.slot(), None);
    assert_eq!(marks(&Operation::UNKNOWN), "-");
}

/// A path that seems to be free and is not would be a hole in every budget.
#[test]
fn dot_segments_are_seen_however_they_are_written() {
    for path in [
        "/..",
        "/../",
        "/a/..",
        "/a/./b",
        "/%2e",
        "/%2E./",
        "/a%2f..%2Fb",
        "/a\\..\\b",
        "/a/..;x=1/b",
    ] {
        assert!(has_dot_segments(path), "{path}");
    }
    for path in ["/", "/a.b", "/..a", "/a..", "/...", "/a/.b/c.", "/v1.0//x", "/%2ea", "/a;../b"] {
        assert!(!has_dot_segments(path), "{path}");
    }
}

#[test]
fn every_operation_has_a_short_plain_name() {
    const PIECES: &[&str] = &[
        "/",
        "//",
        "v1",
        "v1beta",
        "api",
        "openai",
        "chat",
        "completions",
        "responses",
        "models",
        "files",
        "messages",
        "batches",
        "async",
        "accounts",
        "deployments",
        "audio",
        "realtime",
        ":",
        "%3A",
        "generateContent",
        "predict",
        "operations",
        "model",
        "converse",
        "..",
        ".",
        "%2e",
        "%2F",
        "%",
        "%f",
        "%ff",
        "%00",
        "é",
        "\"",
        "\n",
        "x",
        "videos",
        "remix",
        "threads",
        "runs",
        "ws",
        ".read",
        "-",
    ];
    let methods = [Method::GET, Method::POST, Method::DELETE, Method::CONNECT];
    let mut random = Rng::with_seed(7);
    let mut path = String::new();
    for _ in 0..20_000 {
        path.clear();
        for _ in 0..random.usize(..12) {
            match random.u8(..4) {
                0 => path.extend((0..random.usize(..90)).map(|_| random.char('\0'..'\u{300}'))),
                _ => {
                    path.push('/');
                    path.push_str(random.choice(PIECES).unwrap());
                }
            }
        }
        for operations in [
            Operations::Collections,
            Operations::Mistral,
            Operations::Gemini,
            Operations::BySegment,
        ] {
            for method in &methods {
                let operation = operations.read(method, &path);
                let name = operation.name();
                let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"%\\{}".contains(&byte);
                assert!(!name.is_empty() && name.len() <= 64 + ".delete".len(), "{path}: {name}");
                assert!(name.bytes().all(is_plain), "{path}: {name}");
                assert_eq!(name, operation.to_string(), "{path}");
                // What generates, writes; what is free, does not generate.
                assert!(!operation.generates() || operation.access() == Access::Write, "{path}");
                assert!(!operation.creates() || operation.access() == Access::Write, "{path}");
                assert!(!operation.generates() || !operation.is_free(), "{path}");
                assert!(operation.slot().is_none_or(|slot| slot < Operation::SLOTS), "{path}");
            }
        }
    }
}

#[test]
fn long_paths_are_not_walked_to_their_end() {
    let path = "/x".repeat(1_000) + "/v1/chat/completions";
    assert_eq!(Operations::Collections.read(&Method::POST, &path).name(), "x");
    let long = ["/v1/", &"y".repeat(64)].concat();
    assert_eq!(Operations::Collections.read(&Method::POST, &long).name(), &long[4..]);
    let longer = long + "y";
    assert_eq!(Operations::Collections.read(&Method::POST, &longer).name(), "-");
}
