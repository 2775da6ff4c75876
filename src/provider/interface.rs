//! The trait that every dialect implements.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use super::{
    exchange::{Answer, Call},
    limits::LimitReading,
    operation::Operation,
    request_body::{BodyEdit, Estimate},
    rule::Ruling,
    spec::ProviderSpec,
    stream_events,
    tokens::OutputCap,
};
use crate::{
    Exhausted,
    stream::{Framing, StreamEvent},
    usage::{Usage, UsageReader},
};

/// A dialect: what is known of a provider, and how the library uses it.
///
/// Only [`spec`](Self::spec) is required. Every other method has a default that follows the
/// [`ProviderSpec`]; override those in which your provider differs. All methods are called on the path
/// of a request: they must not block, and must not panic on anything that a provider or a caller can
/// send.
///
/// `Arc<P>` and `Box<P>` are providers too, also for `P = dyn Provider`.
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// What is known of the provider, as data.
    fn spec(&self) -> &ProviderSpec;

    /// What a request does, by its method and path. By default: by the collections that providers of
    /// models have, or by the first segment of the path, as [`ProviderSpec::operations`] says.
    fn operation<'a>(&self, method: &Method, uri: &'a Uri) -> Operation<'a> {
        self.spec().operations.read(method, uri.path())
    }

    /// Reads the model and the tokens that a request asks for.
    fn estimate<'a>(&self, call: &Call<'a>) -> Estimate<'a> {
        self.spec().estimate(call)
    }

    /// Judges a failure: a response with a status of 400 or above, or an error event inside a response
    /// with a status of 200. The data of such an event is the body of the answer.
    fn classify(&self, answer: &Answer<'_>) -> Ruling {
        self.spec().judge(answer)
    }

    /// Reads the limits that the headers of a response report, and calls `report` once for each.
    fn readings(&self, answer: &Answer<'_>, report: &mut dyn FnMut(LimitReading)) {
        self.spec().limits.read(answer, report);
    }

    /// How to cut the body of a successful response into events, if errors can come in it. `None`: no
    /// errors can, and the body is passed on unread. By default the content type and
    /// [`ProviderSpec::errors_in`] decide.
    ///
    /// `streamed` says whether the request asked for a stream, as far as [`estimate`](Self::estimate)
    /// can know.
    fn framing(&self, headers: &HeaderMap, streamed: bool) -> Option<Framing> {
        stream_events::framing(headers, streamed, self.spec().errors_in)
    }

    /// Whether an event of a stream carries no content yet, such as Anthropic's `ping` or a chunk in
    /// which everything is empty. Until the first event with content, the request can still be sent
    /// with another key.
    fn is_prelude(&self, event: &StreamEvent<'_>) -> bool {
        stream_events::is_prelude(event)
    }

    /// Whether an event is the last of its stream, such as `[DONE]`. The usage is known by then, even if
    /// the caller does not read the rest.
    fn is_end(&self, event: &StreamEvent<'_>) -> bool {
        stream_events::is_end(event)
    }

    /// Whether an event only ends the answer or reports its usage. A stream with nothing before such an
    /// event is empty and counts as failed: another key may do better.
    fn is_empty_end(&self, event: &StreamEvent<'_>) -> bool {
        stream_events::is_empty_end(event)
    }

    /// Whether an event of a stream is an error. Its data is then judged as the body of a response is.
    ///
    /// It is called for every event of a stream and must be fast for events that are no error.
    fn is_error(&self, event: &StreamEvent<'_>) -> bool {
        stream_events::is_error(event)
    }

    /// What reads the usage from a successful response to a request that is charged; `None` if the response does not report it. By
    /// default it reads JSON and server-sent events by [`ProviderSpec::usage`], and headers by
    /// [`ProviderSpec::usage_headers`].
    fn usage_reader(&self, headers: &HeaderMap) -> Option<UsageReader> {
        let spec = self.spec();
        let reports_usage = !spec.usage.is_empty() && stream_events::is_stream_or_json(headers);
        reports_usage.then(|| {
            let reader = UsageReader::new(spec.usage);
            match spec.usage_headers {
                Some(names) => reader.headers(names, headers),
                None => reader,
            }
        })
    }

    /// What to change in the body of a request for a stream so that the stream reports its usage. `None` if
    /// it reports the usage anyhow ([`UsageShape::on_request`](crate::usage::UsageShape::on_request)) or
    /// if the caller has decided already. It is called for requests for streams only.
    fn ask_usage(&self, call: &Call<'_>) -> Option<BodyEdit> {
        // Chat completions, and the older completions.
        let is_on_request = call.uri().path().ends_with("/completions")
            && self.spec().usage.iter().any(|shape| shape.on_request);
        is_on_request.then(|| call.json().with_usage()).flatten()
    }

    /// Whether an event exists only to report usage. It is left out of a stream if the library asked for
    /// it and the caller did not.
    fn is_usage_alone(&self, event: &StreamEvent<'_>) -> bool {
        stream_events::is_usage_alone(event)
    }

    /// How many tokens of a prompt count against limits: all of them, or only those that were not
    /// [read from a cache](ProviderSpec::counts_cache_reads).
    fn counted_input(&self, usage: &Usage) -> u64 {
        let all = usage.all_input();
        match self.spec().counts_cache_reads {
            true => all,
            false => all.saturating_sub(usage.cache_read),
        }
    }

    /// Whether a limit on tokens gets back what a request reserved and did not use. By default only where
    /// [produced](OutputCap::Produced) tokens count.
    fn gives_back(&self) -> bool {
        self.spec().output_cap == OutputCap::Produced
    }

    /// Whether a request may be sent again after a broken connection or a 5xx, when the provider may
    /// have begun to work on it.
    fn may_repeat(&self, method: &Method) -> bool {
        self.spec().may_repeat(method)
    }

    /// The JSON body of the response when no key is left, in the shape of the provider's own errors.
    fn refusal_body(&self, exhausted: &Exhausted) -> Bytes {
        self.spec().error_shape.body(exhausted)
    }
}

impl Provider for ProviderSpec {
    fn spec(&self) -> &ProviderSpec {
        self
    }
}

macro_rules! pass_on {
    ($pointer:ident) => {
        impl<P: Provider + ?Sized> Provider for $pointer<P> {
            fn spec(&self) -> &ProviderSpec {
                (**self).spec()
            }

            fn operation<'a>(&self, method: &Method, uri: &'a Uri) -> Operation<'a> {
                (**self).operation(method, uri)
            }

            fn estimate<'a>(&self, call: &Call<'a>) -> Estimate<'a> {
                (**self).estimate(call)
            }

            fn classify(&self, answer: &Answer<'_>) -> Ruling {
                (**self).classify(answer)
            }

            fn readings(&self, answer: &Answer<'_>, report: &mut dyn FnMut(LimitReading)) {
                (**self).readings(answer, report);
            }

            fn framing(&self, headers: &HeaderMap, streamed: bool) -> Option<Framing> {
                (**self).framing(headers, streamed)
            }

            fn is_prelude(&self, event: &StreamEvent<'_>) -> bool {
                (**self).is_prelude(event)
            }

            fn is_end(&self, event: &StreamEvent<'_>) -> bool {
                (**self).is_end(event)
            }

            fn is_empty_end(&self, event: &StreamEvent<'_>) -> bool {
                (**self).is_empty_end(event)
            }

            fn is_error(&self, event: &StreamEvent<'_>) -> bool {
                (**self).is_error(event)
            }

            fn usage_reader(&self, headers: &HeaderMap) -> Option<UsageReader> {
                (**self).usage_reader(headers)
            }

            fn ask_usage(&self, call: &Call<'_>) -> Option<BodyEdit> {
                (**self).ask_usage(call)
            }

            fn is_usage_alone(&self, event: &StreamEvent<'_>) -> bool {
                (**self).is_usage_alone(event)
            }

            fn counted_input(&self, usage: &Usage) -> u64 {
                (**self).counted_input(usage)
            }

            fn gives_back(&self) -> bool {
                (**self).gives_back()
            }

            fn may_repeat(&self, method: &Method) -> bool {
                (**self).may_repeat(method)
            }

            fn refusal_body(&self, exhausted: &Exhausted) -> Bytes {
                (**self).refusal_body(exhausted)
            }
        }
    };
}

pass_on!(Arc);
pass_on!(Box);
