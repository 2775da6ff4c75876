//! Models that the path of a request names.

use std::borrow::Cow;

use http::Uri;
use percent_encoding::percent_decode_str;

/// Where a path names the model.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ModelPath {
    /// In the last part, before a colon and what is to be done:
    /// `/v1beta/models/gemini-2.5-flash:streamGenerateContent`.
    BeforeColon {
        /// What is done when the answer is a stream.
        stream: &'static str,
    },
    /// Behind this part: `/openai/deployments/my-gpt/chat/completions`.
    Behind {
        /// The part of the path before the model.
        part: &'static str,
        /// How the end of the path differs when the answer is a stream.
        stream: Option<&'static str>,
    },
    /// The kind of request, by which GitHub meters.
    Kind(fn(&str) -> &'static str),
}

impl ModelPath {
    /// The model, and whether the answer is a stream if the path says so.
    pub(super) fn read<'a>(&self, uri: &'a Uri) -> Option<(Cow<'a, str>, Option<bool>)> {
        let path = uri.path();
        let (model, is_stream) = match self {
            Self::BeforeColon { stream } => {
                let (model, method) = path.rsplit('/').next()?.split_once(':')?;
                (model, Some(method == *stream))
            }
            Self::Behind { part, stream } => {
                let mut parts = path.split('/');
                parts.find(|other| other == part)?;
                let model = parts.next()?;
                (model, stream.map(|stream| path.ends_with(stream)))
            }
            Self::Kind(kind) => (kind(path), None),
        };
        // What is no UTF-8 is no name of a model either.
        let model = percent_decode_str(model).decode_utf8().ok()?;
        (!model.is_empty()).then_some((model, is_stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &ModelPath, uri: &str) -> Option<(String, Option<bool>)> {
        let uri = uri.parse().unwrap();
        path.read(&uri).map(|(model, stream)| (model.into_owned(), stream))
    }

    #[test]
    fn a_model_is_found_before_a_colon() {
        let path = ModelPath::BeforeColon { stream: "streamGenerateContent" };
        let some = |model: &str, stream| Some((model.to_owned(), Some(stream)));
        assert_eq!(read(&path, "/v1beta/models/m:generateContent"), some("m", false));
        assert_eq!(read(&path, "/v1beta/models/m:streamGenerateContent?alt=sse"), some("m", true));
        assert_eq!(read(&path, "/v1beta/models"), None);
        assert_eq!(read(&path, "/v1beta/models/:generateContent"), None);
    }

    #[test]
    fn a_model_is_found_behind_a_part_of_the_path() {
        let path = ModelPath::Behind { part: "model", stream: Some("-stream") };
        let some = |model: &str, stream| Some((model.to_owned(), Some(stream)));
        assert_eq!(read(&path, "/model/a.b-v1%3A0/converse"), some("a.b-v1:0", false));
        assert_eq!(read(&path, "/model/a.b-v1:0/converse-stream"), some("a.b-v1:0", true));
        assert_eq!(read(&path, "/model"), None);
        assert_eq!(read(&path, "/model//converse"), None);
        assert_eq!(read(&path, "/models/m/converse"), None);
        assert_eq!(read(&path, "/model/%ff/converse"), None);
    }
}
