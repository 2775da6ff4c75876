//! The bodies of responses, generated while they are read.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::sandbox::{
    dialect::{Answer, frames},
    directory::KeyIndex,
    error::SandboxError,
    faults::StreamFault,
    request::ParsedRequest,
    route::Delivery,
    state::Shared,
};

/// The body of a sandbox's response.
///
/// A stream generates each event when it is polled. The request counts as in flight until its body has
/// ended or is dropped.
pub struct SandboxBody {
    content: Content,
    /// None in a refusal, and after the answer has ended.
    in_flight: Option<InFlight>,
}

enum Content {
    Whole { bytes: Bytes, tokens: u64 },
    Stream(Box<Stream>),
    Ended,
}

struct Stream {
    answer: Answer,
    /// The number of the next frame.
    next: u64,
    gap: Duration,
    /// The time until the next frame, while it is running.
    pause: Option<Pin<Box<Sleep>>>,
    fault: Option<StreamFault>,
}

impl SandboxBody {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { content: Content::Whole { bytes, tokens: 0 }, in_flight: None }
    }

    pub(super) fn answer(
        answer: Answer,
        gap: Duration,
        fault: Option<StreamFault>,
        in_flight: InFlight,
    ) -> Self {
        let content = if answer.delivery == Delivery::Whole {
            let bytes = Bytes::from(frames::whole(&answer).to_string());
            Content::Whole { bytes, tokens: answer.tokens }
        } else {
            Content::Stream(Box::new(Stream { answer, next: 0, gap, pause: None, fault }))
        };
        Self { content, in_flight: Some(in_flight) }
    }

    /// Ends the request, which frees its concurrency before the caller drops the body.
    fn end(&mut self, finished: bool) {
        self.content = Content::Ended;
        if let Some(mut in_flight) = self.in_flight.take() {
            in_flight.finished = finished;
        }
    }
}

impl Body for SandboxBody {
    type Data = Bytes;
    type Error = SandboxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SandboxError>>> {
        let this = self.get_mut();
        let (piece, ended) = match &mut this.content {
            Content::Ended => return Poll::Ready(None),
            Content::Whole { bytes, tokens } => {
                let piece = Piece::Data { bytes: std::mem::take(bytes), tokens: *tokens };
                (piece, true)
            }
            Content::Stream(stream) => ready!(stream.poll_next(cx)),
        };
        if let (Some(in_flight), Piece::Data { tokens, .. }) = (&mut this.in_flight, &piece) {
            in_flight.generated(*tokens);
        }
        if ended {
            this.end(matches!(piece, Piece::Data { .. }));
        }
        Poll::Ready(Some(match piece {
            Piece::Data { bytes, .. } | Piece::Error(bytes) => Ok(Frame::data(bytes)),
            Piece::Cut => Err(SandboxError::StreamCut),
        }))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole { bytes, .. } => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Content::Stream(_) => SizeHint::default(),
            Content::Ended => SizeHint::with_exact(0),
        }
    }
}

impl fmt::Debug for SandboxBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = match &self.content {
            Content::Whole { .. } => "whole",
            Content::Stream(_) => "stream",
            Content::Ended => "ended",
        };
        f.debug_struct("SandboxBody").field("content", &content).finish_non_exhaustive()
    }
}

/// What a body yields next.
enum Piece {
    Data {
        bytes: Bytes,
        tokens: u64,
    },
    /// The error event that ends a stream.
    Error(Bytes),
    Cut,
}

impl Stream {
    /// The next piece, and whether it is the last.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(Piece, bool)> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        match self.fault {
            Some(StreamFault::Cut(after)) if after == self.next => {
                return Poll::Ready((Piece::Cut, true));
            }
            Some(StreamFault::Error(after) | StreamFault::QuotaExhausted(after))
                if after == self.next =>
            {
                let error = frames::error_frame(&self.answer, self.next);
                return Poll::Ready((Piece::Error(error), true));
            }
            Some(StreamFault::Stall(after, time)) if after == self.next => {
                self.fault = None;
                self.pause_for(time);
                return self.poll_next(cx);
            }
            _ => {}
        }
        let frame = frames::frame(&self.answer, self.next);
        self.next += 1;
        if !self.gap.is_zero() {
            self.pause_for(self.gap);
        }
        let piece = Piece::Data { bytes: frame.bytes, tokens: frame.tokens };
        Poll::Ready((piece, self.next == self.answer.frame_count()))
    }

    fn pause_for(&mut self, time: Duration) {
        self.pause = Instant::now().checked_add(time).map(|at| Box::pin(sleep_until(at)));
    }
}

/// A request whose answer has not ended. Its drop frees the concurrency and counts the end.
pub(super) struct InFlight {
    shared: Arc<Shared>,
    key: KeyIndex,
    /// None if limits do not count the request.
    model: Option<Arc<str>>,
    streamed: bool,
    prompt_tokens: u64,
    /// Tokens of the answer that were generated so far.
    answer_tokens: u64,
    finished: bool,
}

impl InFlight {
    pub(super) fn new(shared: &Arc<Shared>, key: KeyIndex, request: &ParsedRequest) -> Self {
        Self {
            shared: Arc::clone(shared),
            key,
            model: request.model.clone(),
            streamed: request.delivery.is_stream(),
            prompt_tokens: request.prompt.tokens,
            answer_tokens: 0,
            finished: false,
        }
    }

    /// Counts a part of the answer.
    fn generated(&mut self, tokens: u64) {
        self.answer_tokens += tokens;
        self.shared.state().recorder.count(Some(self.key), |counts| {
            counts.answer_tokens += tokens;
            counts.events += u64::from(self.streamed);
        });
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if let Some(model) = &self.model
            && let Some(limits) = state.limits.get_mut(self.key.account)
        {
            limits.end(model);
        }
        state.recorder.count(Some(self.key), |counts| {
            counts.in_flight -= 1;
            if self.finished {
                counts.finished += 1;
                counts.finished_prompt_tokens += self.prompt_tokens;
                counts.finished_answer_tokens += self.answer_tokens;
            }
            if self.streamed {
                let count = if self.finished {
                    &mut counts.streams_finished
                } else {
                    &mut counts.streams_cut
                };
                *count += 1;
            }
        });
    }
}
