//! The kinds of requests that providers tell apart, and how they are reached.

use std::fmt;

use http::Method;

use super::Operation;

/// Defines [`Kind`] with the name of each kind, and the names of all known operations.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What a request is about, as providers tell kinds of requests apart.
        ///
        /// Keys are granted permissions by these kinds, limits and outages differ by them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
            /// None of these: the first segment of the path says what it is.
            Other,
        }

        const KINDS: [&str; Kind::COUNT] = [$($name,)* "other"];

        /// The names of known operations, by [`Operation::slot`]: accesses stand in the order of
        /// [`Access`].
        pub(crate) const OPERATIONS: [&str; Operation::SLOTS] =
            [$(concat!($name, ".read"), $name, concat!($name, ".delete"),)*];

        pub(super) const ALL: [Kind; Kind::COUNT] = [$(Kind::$kind,)* Kind::Other];
    };
}

kinds! {
    /// Chat completions, of OpenAI's dialect and Cohere's.
    Chat = "chat",
    /// Completions of a text, the older kind, and of code.
    Completions = "completions",
    /// OpenAI's responses, which are kept unless told otherwise.
    Responses = "responses",
    /// Anthropic's messages.
    Messages = "messages",
    /// Whatever else generates from a prompt: Gemini's `generateContent`, Bedrock's `converse` and
    /// `invoke`, Cohere's `generate`.
    ///
    /// Bedrock's two are one kind, because one permission is for both: `bedrock:InvokeModel`, or for
    /// streams `bedrock:InvokeModelWithResponseStream`
    /// (<https://docs.aws.amazon.com/bedrock/latest/userguide/inference-prereq.html>, 2026-11).
    Generate = "generate",
    /// Gemini's interactions, which are kept unless told otherwise.
    Interactions = "interactions",
    /// Embeddings.
    Embeddings = "embeddings",
    /// Images: made, edited, varied.
    Images = "images",
    /// Speech, transcriptions, translations, voices.
    Audio = "audio",
    /// Videos.
    Video = "video",
    /// Moderations and other classifications of chats.
    Moderations = "moderations",
    /// Documents brought into an order.
    Rerank = "rerank",
    /// Sessions in both directions, by WebSocket or WebRTC.
    Realtime = "realtime",
    /// Files.
    Files = "files",
    /// Files in parts.
    Uploads = "uploads",
    /// Many requests at once, answered later.
    Batches = "batches",
    /// Fine-tuning, and what comes of it.
    FineTuning = "fine-tuning",
    /// Stores of documents to search.
    VectorStores = "vector-stores",
    /// Conversations that an account keeps.
    Conversations = "conversations",
    /// Assistants and their threads.
    Assistants = "assistants",
    /// Prompts that an account keeps.
    CachedContents = "cached-contents",
    /// Which models there are.
    Models = "models",
    /// How many tokens a prompt has.
    CountTokens = "count-tokens",
    /// The account itself: organisations, projects, keys, usage, costs.
    Administration = "administration",
}

impl Kind {
    /// How many there are.
    pub const COUNT: usize = Self::Other.index() + 1;

    /// Its number, below [`COUNT`](Self::COUNT).
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// A short lower-case name, such as `fine-tuning`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        KINDS[self.index()]
    }

    /// Whether a model works on a request of this kind before it is answered.
    pub(super) const fn asks_a_model(self) -> bool {
        matches!(
            self,
            Self::Chat
                | Self::Completions
                | Self::Responses
                | Self::Messages
                | Self::Generate
                | Self::Interactions
                | Self::Embeddings
                | Self::Images
                | Self::Audio
                | Self::Video
                | Self::Rerank
                | Self::Realtime
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whether a request reads, writes or deletes: permissions differ by it.
///
/// A restricted key of OpenAI's has "None, Read, Write, or request-specific permissions" for each
/// resource (<https://help.openai.com/en/articles/8867743>, 2026-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Access {
    /// `GET`, `HEAD` and `OPTIONS`, except a `GET` that opens a WebSocket.
    Read,
    /// Every other method.
    Write,
    /// `DELETE`.
    Delete,
}

/// In the order of their numbers.
pub(super) const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::Delete];

impl Access {
    pub(super) fn of(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => Self::Read,
            Method::DELETE => Self::Delete,
            _ => Self::Write,
        }
    }

    /// What an operation's name ends with.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Read => ".read",
            Self::Write => "",
            Self::Delete => ".delete",
        }
    }
}
