//! A stack built from tower's own parts: `retry(buffer(balance(concurrency + rate + header)))`.

use std::{
    future::{Ready, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::Full;
use tower::{
    BoxError, Service, ServiceBuilder,
    balance::p2c::Balance,
    discover::ServiceList,
    limit::{ConcurrencyLimit, RateLimit, rate::Rate},
    load::Constant,
    retry::Policy,
};
use tower_http::set_header::SetRequestHeader;

use super::driver::Inner;

pub(crate) fn stack(
    keys: usize,
) -> impl Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error = BoxError> + use<>
{
    let service = |key| {
        let header = SetRequestHeader::overriding(Inner::default(), AUTHORIZATION, bearer(key));
        let rate = RateLimit::new(header, Rate::new(u64::MAX, Duration::from_secs(60)));
        Constant::new(ConcurrencyLimit::new(rate, 1_000), 1)
    };
    let services: Vec<_> = (0..keys).map(service).collect();
    ServiceBuilder::new()
        .retry(Again { left: 3 })
        .buffer(1_024)
        .service(Balance::new(ServiceList::new::<Request<Full<Bytes>>>(services)))
}

pub(crate) fn bearer(key: usize) -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Bearer {}", super::pools::secret(key))).unwrap();
    value.set_sensitive(true);
    value
}

/// A retry after a 429.
#[derive(Clone)]
struct Again {
    left: u32,
}

impl<A: Clone, B, E> Policy<Request<A>, Response<B>, E> for Again {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<A>,
        result: &mut Result<Response<B>, E>,
    ) -> Option<Ready<()>> {
        let refused = result
            .as_ref()
            .is_ok_and(|response| response.status() == StatusCode::TOO_MANY_REQUESTS);
        self.left = self.left.checked_sub(1).filter(|_| refused)?;
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &Request<A>) -> Option<Request<A>> {
        Some(request.clone())
    }
}
