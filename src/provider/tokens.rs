//! How many tokens a text has: by its size, about, or by a [`Tokenizer`], exactly.

use std::{fmt, sync::Arc};

/// How many tokens a prompt has by its size, about.
///
/// It need not be right for every text: how far off it is for the prompts of a model is measured
/// ([`KeyPool`](crate::KeyPool)).
///
/// ```
/// use tower_key_rotation::provider::{Facts, TokenSize};
///
/// let facts = Facts::new("tiny", "https://api.example.com")
///     .reads_bodies()
///     .tokens(TokenSize { per_1000_bytes: 400, ..TokenSize::USUAL });
/// # let _ = facts;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenSize {
    /// Tokens in 1,000 bytes of text (UTF-8, as in the body, but without escapes).
    pub per_1000_bytes: u64,
    /// Tokens of a picture, or of anything else that is attached, however many bytes it has.
    pub per_attachment: u64,
}

impl TokenSize {
    /// Four bytes are a token, and a picture is a thousand: of providers that say nothing of it.
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

/// Counts the tokens of texts, in place of an estimate by their bytes: see
/// [`KeyPoolBuilder::tokenizer`](crate::KeyPoolBuilder::tokenizer).
///
/// It is called on the path of every request, once for each text of its prompt and for its tools: it must
/// not block. It need not be exact: what its counts are off by is measured, as with estimates.
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
