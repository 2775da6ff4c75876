//! How many tokens a text has: estimated by its size, or counted by a [`Tokenizer`].

use std::{fmt, sync::Arc};

/// About how many tokens a prompt of a size has.
///
/// It need not be right for every text: the pool learns a correction for each model from real usage
/// ([`KeyPool`](crate::KeyPool)).
///
/// ```
/// use tower_key_rotation::provider::{ProviderSpec, TokenSize};
///
/// let spec = ProviderSpec::new("tiny", "https://api.example.com")
///     .reads_bodies()
///     .tokens(TokenSize::new(400, 1_000));
/// # let _ = spec;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenSize {
    /// Tokens in 1,000 bytes of text (UTF-8, as in the body, but without escapes).
    pub per_1000_bytes: u64,
    /// Tokens of a picture or another attachment, whatever its size in bytes.
    pub per_attachment: u64,
}

impl TokenSize {
    /// So many tokens in 1,000 bytes of text, and in an attachment.
    #[must_use]
    pub const fn new(per_1000_bytes: u64, per_attachment: u64) -> Self {
        Self { per_1000_bytes, per_attachment }
    }

    /// Four bytes are a token, and a picture is a thousand tokens: for providers that do not say.
    pub const USUAL: Self = Self { per_1000_bytes: 250, per_attachment: 1_000 };

    /// English text has about four characters per token
    /// (<https://help.openai.com/en/articles/4936856-what-are-tokens-and-how-to-count-them>), a picture
    /// of 1,024 x 1,024 in high detail 765 tokens
    /// (<https://platform.openai.com/docs/guides/images-vision#calculating-costs>).
    pub const OPENAI: Self = Self { per_1000_bytes: 250, per_attachment: 765 };

    /// A token is about 3.5 characters of English
    /// (<https://docs.claude.com/en/docs/about-claude/glossary#tokens>), and the largest picture that is
    /// not scaled down about 1,600 tokens (<https://docs.claude.com/en/docs/build-with-claude/vision>).
    pub const ANTHROPIC: Self = Self { per_1000_bytes: 286, per_attachment: 1_600 };

    /// A token is about four characters, and a picture 258 tokens for each tile of 768 x 768; four tiles
    /// here (<https://ai.google.dev/gemini-api/docs/tokens>).
    pub const GEMINI: Self = Self { per_1000_bytes: 250, per_attachment: 1_032 };

    /// How many bytes of text have so many tokens.
    pub(super) fn bytes_of(self, tokens: usize) -> usize {
        let per = usize::try_from(self.per_1000_bytes).unwrap_or(usize::MAX).max(1);
        tokens.saturating_mul(1_000) / per
    }

    /// A character of English is about 0.3 tokens
    /// (<https://api-docs.deepseek.com/quick_start/token_usage>). It takes no pictures.
    pub const DEEPSEEK: Self = Self { per_1000_bytes: 300, ..Self::USUAL };
}

/// How the output cap of a request (`max_tokens`) counts against limits on tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputCap {
    /// Whole, when the request arrives.
    Reserved,
    /// Not at all: what is really produced counts.
    Produced,
    /// The provider does not say, or not always the same.
    Unknown,
}

/// Counts the tokens of texts, in place of an estimate by their bytes: see
/// [`KeyPoolBuilder::tokenizer`](crate::KeyPoolBuilder::tokenizer).
///
/// It is called on the path of every request, once for each text of its prompt and for its tools. It must
/// not block. It need not be exact: the pool learns a correction, as for estimates.
///
/// ```
/// use tower_key_rotation::provider::Tokenizer;
///
/// #[derive(Debug)]
/// struct Words;
///
/// impl Tokenizer for Words {
///     fn count(&self, _model: Option<&str>, text: &str) -> u64 {
///         text.split_whitespace().count() as u64
///     }
/// }
/// ```
pub trait Tokenizer: fmt::Debug + Send + Sync + 'static {
    /// How many tokens a text has for a model, which is named as in the request.
    fn count(&self, model: Option<&str>, text: &str) -> u64;
}

impl<T: Tokenizer + ?Sized> Tokenizer for Arc<T> {
    fn count(&self, model: Option<&str>, text: &str) -> u64 {
        (**self).count(model, text)
    }
}
