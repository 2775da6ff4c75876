//! The layer.

use tower_layer::Layer;

use crate::KeyPool;

use super::service::KeyRotation;

/// Wraps services in [`KeyRotation`]. All state is in the pool: services made by several layers over
/// one pool share its limits.
#[derive(Clone, Debug)]
#[must_use]
pub struct KeyRotationLayer {
    pool: KeyPool,
    annotate: bool,
}

impl KeyRotationLayer {
    /// A layer over a pool.
    pub fn new(pool: &KeyPool) -> Self {
        Self { pool: pool.clone(), annotate: true }
    }

    /// Whether accepted responses carry [`KeyUsed`](crate::KeyUsed) in their extensions; they do by
    /// default. It is all that this layer allocates on its fast path. Refusals carry it always.
    pub fn annotate(mut self, annotate: bool) -> Self {
        self.annotate = annotate;
        self
    }
}

impl<S> Layer<S> for KeyRotationLayer {
    type Service = KeyRotation<S>;

    fn layer(&self, inner: S) -> KeyRotation<S> {
        KeyRotation::new(inner, &self.pool).annotate(self.annotate)
    }
}
