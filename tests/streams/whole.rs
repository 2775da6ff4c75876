//! Errors inside a 200 that is no stream, for dialects that send such errors.

use http_body_util::Channel;
use tower_key_rotation::provider::OpenRouter;

use super::*;

/// A pool of a router that may answer 200 before it has an answer.
fn router() -> KeyPool {
    let pool = KeyPool::builder(OpenRouter::default()).origin("https://api.openai.com");
    let keys = [1, 2].map(|i| ApiKey::new(secret(i)).id(format!("k{i}")));
    keys.into_iter().fold(pool, KeyPoolBuilder::key).build().unwrap()
}

const ERROR: &str = " \n { \"error\" : {\"code\": 502, \"message\": \"Provider returned error\"}, \"user_id\": \"u\"}\n";
const GOOD: &str =
    "\n\n{\"id\":\"gen-1\",\"error\":null,\"choices\":[{\"message\":{\"content\":\"Hi\"}}]}";

#[tokio::test(start_paused = true)]
async fn an_error_in_place_of_an_answer_sends_the_request_to_another_key() {
    for size in [1, 2, 5, 1_000] {
        let cut = |body: &str| body.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
        let inner = answers("application/json", vec![cut(ERROR), cut(GOOD)]);
        let response = send(&router(), inner, Style::Chat.request()).await;
        let tried = attempts(&response);
        assert_eq!((tried.len(), tried[0].1), (2, Verdict::Transient), "{tried:?}");
        assert_eq!(read(response.into_body()).await, GOOD);
    }
}

#[tokio::test(start_paused = true)]
async fn if_all_keys_answer_with_an_error_the_last_one_is_passed_on() {
    let inner = answers("application/json", vec![vec![Bytes::from(ERROR)]]);
    let response = send(&router(), inner, Style::Chat.request()).await;
    assert_eq!((response.status().as_u16(), verdict(&response)), (200, Verdict::Transient));
    assert_eq!(read(response.into_body()).await, ERROR);
}

/// The member `error` may come anywhere in an object: 4 KiB of it are held back.
#[tokio::test(start_paused = true)]
async fn a_good_answer_is_passed_on_after_its_first_four_kib() {
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(8);
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let inner = tower::service_fn(move |_: Request<ReplayBody>| {
        let body = body.lock().unwrap().take().unwrap();
        let response = Response::builder().header("content-type", "application/json");
        ready(Ok::<_, Infallible>(response.body(body).unwrap()))
    });
    let pool = router();
    let mut call = tokio_test::task::spawn(send(&pool, inner, Style::Chat.request()));
    for piece in ["\n", "{", " \"em"] {
        sender.send_data(Bytes::from(piece)).await.unwrap();
        assert!(call.poll().is_pending(), "it is passed on after {piece:?}");
    }
    sender.send_data(Bytes::from("bedding\": \"".to_owned() + &"A".repeat(4_096))).await.unwrap();
    let std::task::Poll::Ready(response) = call.poll() else { panic!("held back") };
    assert_eq!(verdict(&response), Verdict::Accepted);
}

#[tokio::test(start_paused = true)]
async fn answers_of_an_odd_shape_are_accepted() {
    for body in
        ["", "null", "[]", "[1]", "\"error\"", "{}", "{\"error\"", "{\"error\":null}", "<html>"]
    {
        let inner = answers("application/json", vec![vec![Bytes::from(body)]]);
        let response = send(&router(), inner, Style::Chat.request()).await;
        assert_eq!(verdict(&response), Verdict::Accepted, "{body}");
        assert_eq!(read(response.into_body()).await, body);
    }
}
