//! The layer of the middleware.

use tower_layer::Layer;

use crate::KeyPool;

use super::{
    options::{Options, define_option_setters},
    service::KeyRotation,
};

/// Wraps services in [`KeyRotation`].
///
/// All state is in the pool: services made by several layers over one pool share its limits.
#[derive(Clone, Debug)]
#[must_use]
pub struct KeyRotationLayer {
    pool: KeyPool,
    options: Options,
}

impl KeyRotationLayer {
    /// A layer over a pool, with the default options.
    pub fn new(pool: &KeyPool) -> Self {
        Self { pool: pool.clone(), options: Options::default() }
    }

    define_option_setters!();
}

impl<S> Layer<S> for KeyRotationLayer {
    type Service = KeyRotation<S>;

    fn layer(&self, inner: S) -> KeyRotation<S> {
        KeyRotation::with_options(inner, self.pool.clone(), self.options)
    }
}
