//! The sum of all usage that was read is the sum that the provider counted.

use tower_key_rotation::{KeyUsed, Verdict, sandbox::Fault};

use super::*;

#[tokio::test(start_paused = true)]
async fn the_usage_read_is_the_usage_the_provider_counted() {
    for api in APIS {
        for stream in [false, true] {
            let setup = Setup::with(api, &[], |sandbox| sandbox.answer(Script::new().tokens(57)));
            for _ in 0..5 {
                read(setup.ask(api.request(stream)).await.into_body()).await;
            }
            let counts = setup.sandbox.stats().total();
            let all = setup.kept.all();
            assert_eq!(all.len(), 5, "{api:?} {stream}");
            assert!(all.iter().all(|usage| !usage.is_estimated), "{api:?} {stream}: {all:?}");
            let (input, output) = all.iter().fold((0, 0), |(input, output), usage| {
                (input + usage.all_input(), output + usage.all_output())
            });
            assert_eq!((input, output), (counts.prompt_tokens, counts.answer_tokens), "{api:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn usage_is_recorded_by_key() {
    let setup = Setup::new(Api::Messages, &[]);
    for _ in 0..10 {
        read(setup.ask(Api::Messages.request(true)).await.into_body()).await;
    }
    let kept = setup.kept.0.lock().unwrap().clone();
    for (id, secret) in [("k1", "org-1-1"), ("k2", "org-2-1")] {
        let of_key =
            kept.iter().filter(|(key, _)| key == id).map(|(_, usage)| usage.unwrap().all_output());
        assert_eq!(of_key.sum::<u64>(), setup.sandbox.stats().key(secret).answer_tokens, "{id}");
    }
}

/// Random requests. Some are cut, some fail before their answer, some in the middle of it, and some are
/// refused. Finished requests are exact, and all others that were accepted are estimated.
#[tokio::test(start_paused = true)]
async fn a_thousand_mixed_requests_add_up() {
    for api in APIS {
        let mut rng = fastrand::Rng::with_seed(11);
        let setup = Setup::with(api, &[], |sandbox| sandbox.answer(Script::new().tokens(20)));
        let (mut finished, mut cut, mut refused) = (0, 0, 0);
        for _ in 0..1_000 {
            match rng.u8(0..12) {
                0 => setup.sandbox.fail(Fault::overload(1)),
                1 => setup.sandbox.fail(Fault::cut_streams(rng.u64(0..4), 1)),
                2 => setup.sandbox.fail(Fault::stream_error(rng.u64(0..8), 1)),
                _ => false,
            };
            let (before, known) = (setup.sandbox.stats().total(), setup.kept.all().len());
            let stream = rng.bool();
            let response = setup.ask(api.request(stream)).await;
            let used = response.extensions().get::<KeyUsed>().map(|used| used.verdict);
            let most = if rng.u8(0..4) == 0 { rng.usize(0..12) } else { usize::MAX };
            let mut body = response.into_body();
            let mut frames = 0;
            while frames < most && body.frame().await.is_some_and(|frame| frame.is_ok()) {
                frames += 1;
            }
            drop(body);

            let is_finished = match stream {
                true => setup.sandbox.stats().total().streams_finished > before.streams_finished,
                // The whole body was read before it was passed on.
                false => true,
            };
            let all = setup.kept.all();
            let (records, last) = match used {
                Some(Verdict::Accepted) => (&all[known..all.len() - 1], all.last()),
                _ => (&all[known..], None),
            };
            // Attempts that broke off before the caller saw any of them.
            assert!(records.iter().all(|usage| usage.is_estimated), "{api:?}: {records:?}");
            match last {
                None => refused += 1,
                Some(usage) if is_finished => {
                    assert_eq!((usage.is_estimated, usage.all_output()), (false, 20), "{api:?}");
                    finished += 1;
                }
                Some(usage) => {
                    assert!(usage.is_estimated && usage.all_output() <= 25, "{api:?}: {usage:?}");
                    cut += 1;
                }
            }
        }
        assert!(finished > 500 && cut > 50, "{api:?}: {finished} {cut} {refused}");
        assert_eq!(setup.in_flight(), 0);
    }
}
