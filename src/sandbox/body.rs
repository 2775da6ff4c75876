//! The bodies of responses, made while they are read.

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
    SandboxError,
    dialect::Answer,
    faults::StreamFault,
    request::{Asked, Streaming},
    state::{Place, Shared},
};

/// The body of a sandbox's response.
///
/// A stream makes each event when it is polled for. The request counts as running until its body
/// has ended or is dropped.
pub struct SandboxBody {
    content: Content,
    /// None in a refusal, and once the answer has ended.
    ticket: Option<Ticket>,
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
    pause: Option<Pin<Box<Sleep>>>,
    fault: Option<StreamFault>,
}

impl SandboxBody {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { content: Content::Whole { bytes, tokens: 0 }, ticket: None }
    }

    pub(super) fn answer(
        answer: Answer,
        gap: Duration,
        fault: Option<StreamFault>,
        ticket: Ticket,
    ) -> Self {
        let content = if answer.streaming == Streaming::No {
            let bytes = Bytes::from(answer.whole().to_string());
            Content::Whole { bytes, tokens: answer.tokens }
        } else {
            Content::Stream(Box::new(Stream { answer, next: 0, gap, pause: None, fault }))
        };
        Self { content, ticket: Some(ticket) }
    }

    /// Ends the request, so that its place is free before the caller has dropped the body.
    fn end(&mut self, finished: bool) {
        self.content = Content::Ended;
        if let Some(ticket) = &mut self.ticket {
            ticket.finished = finished;
        }
        self.ticket = None;
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
        if let (Some(ticket), Piece::Data { tokens, .. }) = (&mut this.ticket, &piece) {
            ticket.made(*tokens);
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

/// What comes next.
enum Piece {
    Data {
        bytes: Bytes,
        tokens: u64,
    },
    /// The last words of a stream that goes wrong.
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
            Some(StreamFault::Error(after) | StreamFault::Exhausted(after))
                if after == self.next =>
            {
                return Poll::Ready((Piece::Error(self.answer.error_frame(self.next)), true));
            }
            Some(StreamFault::Stall(after, time)) if after == self.next => {
                self.fault = None;
                self.rest(time);
                return self.poll_next(cx);
            }
            _ => {}
        }
        let frame = self.answer.frame(self.next);
        self.next += 1;
        if !self.gap.is_zero() {
            self.rest(self.gap);
        }
        let piece = Piece::Data { bytes: frame.bytes, tokens: frame.tokens };
        Poll::Ready((piece, self.next == self.answer.frames()))
    }

    fn rest(&mut self, time: Duration) {
        self.pause = Instant::now().checked_add(time).map(|at| Box::pin(sleep_until(at)));
    }
}

/// The place of a running request: given back, and entered into the books, when it is dropped.
pub(super) struct Ticket {
    shared: Arc<Shared>,
    place: Place,
    /// None in a request that the limits do not count.
    model: Option<Arc<str>>,
    streamed: bool,
    prompt: u64,
    /// Tokens of the answer that were made.
    made: u64,
    finished: bool,
}

impl Ticket {
    pub(super) fn new(shared: &Arc<Shared>, place: Place, asked: &Asked) -> Self {
        Self {
            shared: Arc::clone(shared),
            place,
            model: asked.model.clone(),
            streamed: asked.streaming != Streaming::No,
            prompt: asked.prompt.tokens,
            made: 0,
            finished: false,
        }
    }

    /// A part of the answer was made.
    fn made(&mut self, tokens: u64) {
        self.made += tokens;
        self.shared.state().ledger.enter(Some(self.place), |tally| {
            tally.answer_tokens += tokens;
            tally.events += u64::from(self.streamed);
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if let Some(model) = &self.model
            && let Some(meters) = state.meters.get_mut(self.place.account)
        {
            meters.end(model);
        }
        state.ledger.enter(Some(self.place), |tally| {
            tally.in_flight -= 1;
            if self.finished {
                tally.finished += 1;
                tally.finished_prompt_tokens += self.prompt;
                tally.finished_answer_tokens += self.made;
            }
            if self.streamed {
                let count = if self.finished {
                    &mut tally.streams_finished
                } else {
                    &mut tally.streams_cut
                };
                *count += 1;
            }
        });
    }
}
