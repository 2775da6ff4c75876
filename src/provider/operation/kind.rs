//! What a request does: its kind, how it reaches what it is about, and what follows from both.

use std::{borrow::Cow, fmt};

use http::Method;

/// What a request does, in the kinds of requests that its provider distinguishes.
///
/// A refusal often proves only that one key may not do one kind of thing. So the kinds of requests of
/// each provider are distinguished, by method and path alone:
///
/// ```
/// use http::{Method, Uri};
/// use tower_key_rotation::{OpenAi, provider::{Access, Kind, Provider}};
///
/// let uri = Uri::from_static("/v1/files/file-abc/content");
/// let operation = OpenAi::default().operation(&Method::GET, &uri);
/// assert_eq!((operation.kind(), operation.access()), (Kind::Files, Access::Read));
/// assert_eq!(operation.to_string(), "files.read");
/// assert!(operation.names() && operation.is_free());
/// ```
///
/// A kind is found by the first segment that is a collection of the provider's, behind whatever base
/// path stands before it: `/v1/chat/completions` and `/openai/deployments/x/chat/completions` are both
/// `chat`. A path that no dialect knows is an operation by its first segment behind a version:
/// `GET /api/v3/repos/a/b` is `repos.read`.
///
/// Two operations with one [`name`](Self::name) are one and the same to a permission. They may still
/// differ in whether they [create](Self::creates) or [name](Self::names) something, and are unequal
/// then.
///
/// There are few [kinds](Kind), but callers choose the names of others: bound what is kept for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation<'a> {
    pub(super) kind: Kind,
    pub(super) access: Access,
    pub(super) generates: bool,
    pub(super) is_free: bool,
    pub(super) creates: bool,
    pub(super) names: bool,
    /// Of others; empty for known kinds.
    pub(super) segment: &'a str,
}

impl<'a> Operation<'a> {
    /// What a request does of which nothing is known. It is displayed as `-`.
    pub const UNKNOWN: Operation<'static> = Operation::of_segment("-", Access::Write);

    /// An operation of no known kind.
    pub(super) const fn of_segment(segment: &'a str, access: Access) -> Self {
        let (generates, is_free, creates, names) = (false, false, false, false);
        Self { kind: Kind::Other, access, generates, is_free, creates, names, segment }
    }

    /// The operation with a [`name`](Self::name), as far as a name says: an operation of its own if the name
    /// is not known.
    #[must_use]
    pub fn named(name: &'a str) -> Self {
        let known = OPERATIONS.iter().position(|known| *known == name);
        let Some(slot) = known else {
            let accesses = [Access::Read, Access::Delete];
            let with_suffix = accesses
                .into_iter()
                .find_map(|access| Some((name.strip_suffix(access.suffix())?, access)));
            let (segment, access) = with_suffix.unwrap_or((name, Access::Write));
            return Self::of_segment(segment, access);
        };
        let (kind, access) = (ALL[slot / 3], ACCESSES[slot % 3]);
        let generates = kind.asks_a_model() && access == Access::Write;
        Self { kind, access, generates, ..Self::of_segment("", access) }
    }

    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it reads, writes or deletes.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.access
    }

    /// Its name: `chat`, `files`, `files.read`, `files.delete`. Others are named by a segment of their
    /// path, of at most 64 bytes, or `-` where that is too long or not plain. What has no suffix writes.
    #[must_use]
    pub fn name(&self) -> Cow<'a, str> {
        match (self.slot(), self.access) {
            (Some(slot), _) => Cow::Borrowed(OPERATIONS[slot]),
            (None, Access::Write) => Cow::Borrowed(self.segment),
            (None, access) => Cow::Owned([self.segment, access.suffix()].concat()),
        }
    }

    /// Whether a model works for it at once, which is charged: it is metered in tokens or money.
    ///
    /// Batches do not: what they generate is charged when they run
    /// (<https://developers.openai.com/api/docs/guides/batch>, 2026-11). Nor does cancelling or reading
    /// what was generated.
    #[must_use]
    pub const fn generates(&self) -> bool {
        self.generates
    }

    /// Whether it is known that nothing is charged for it, in tokens or money. Requests may still be
    /// limited.
    ///
    /// What neither [generates](Self::generates) nor is free may be charged in some other way, or
    /// nothing is known of it.
    ///
    /// - Reading and deleting what an account keeps, of all known kinds.
    /// - Counting tokens
    ///   (<https://platform.claude.com/docs/en/build-with-claude/token-counting>,
    ///   <https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html>, 2026-11).
    /// - Moderations: "Moderation models are free models"
    ///   (<https://developers.openai.com/api/docs/models/omni-moderation-latest>, 2026-11). Mistral's
    ///   are not known to be.
    /// - Files, whole or in parts
    ///   (<https://platform.claude.com/docs/en/build-with-claude/files>,
    ///   <https://ai.google.dev/gemini-api/docs/files>, 2026-11): they are charged as part of a prompt.
    /// - Administration.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.is_free
    }

    /// What is charged for it when it is answered. What is not known is taken for charged in tokens.
    pub(crate) const fn billing(&self) -> Billing {
        match self.kind {
            _ if self.is_free => Billing::Nothing,
            Kind::Other | Kind::Moderations => Billing::Tokens,
            _ if !self.generates => Billing::Nothing,
            Kind::Images | Kind::Audio | Kind::Video | Kind::Realtime => Billing::Units,
            _ => Billing::Tokens,
        }
    }

    /// Whether the account keeps something new for it, whose id stands in the answer. No
    /// other account knows that id.
    ///
    /// Responses are kept unless the body says `"store": false`; chat completions only where it says
    /// `"store": true`, so they do not count
    /// (<https://platform.openai.com/docs/api-reference/responses/create>, 2026-11).
    #[must_use]
    pub const fn creates(&self) -> bool {
        self.creates
    }

    /// Whether the path names something that one account keeps, by its id: `/v1/files/file-abc`.
    ///
    /// Models are not kept, except one that is deleted. What a body or query names is not seen here.
    #[must_use]
    pub const fn names(&self) -> bool {
        self.names
    }

    /// The segment of its path that an operation of no known kind goes by, or `-` or `/`.
    #[must_use]
    pub const fn segment(&self) -> Option<&'a str> {
        match self.kind {
            Kind::Other => Some(self.segment),
            _ => None,
        }
    }

    /// How many [`slot`](Self::slot)s there are.
    pub(crate) const SLOTS: usize = Kind::Other.index() * 3;

    /// A number for each known kind and access. Others are distinguished by their
    /// [`segment`](Self::segment) and access.
    pub(crate) const fn slot(&self) -> Option<usize> {
        match self.kind {
            Kind::Other => None,
            kind => Some(kind.index() * 3 + self.access as usize),
        }
    }
}

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.slot() {
            Some(slot) => f.write_str(OPERATIONS[slot]),
            None => write!(f, "{}{}", self.segment, self.access.suffix()),
        }
    }
}

/// What is charged for an operation when it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Billing {
    /// Nothing: it is free, or what it begins is charged later.
    Nothing,
    /// Tokens.
    #[default]
    Tokens,
    /// Pictures, seconds or characters; tokens only where the answer reports them.
    Units,
}

/// Defines [`Kind`] with the name of each kind, and the names of all known operations.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What a request is about, in the kinds of requests that providers distinguish.
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
    /// OpenAI's responses, which are kept unless the request says otherwise.
    Responses = "responses",
    /// Anthropic's messages.
    Messages = "messages",
    /// Everything that generates from a prompt in another way: Gemini's `generateContent`, Bedrock's `converse` and
    /// `invoke`, Cohere's `generate`.
    ///
    /// Bedrock's two are one kind, because one permission is for both: `bedrock:InvokeModel`, or for
    /// streams `bedrock:InvokeModelWithResponseStream`
    /// (<https://docs.aws.amazon.com/bedrock/latest/userguide/inference-prereq.html>, 2026-11).
    Generate = "generate",
    /// Gemini's interactions, which are kept unless the request says otherwise.
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
const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::Delete];

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
