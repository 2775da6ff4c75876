//! Random traffic against the engine and the model at once.
//!
//! A run is a setting and a list of steps, both made from a seed. Each step carries its own seed and
//! reads what it is about from the state it meets, so that a run that fails can be shortened by
//! leaving out steps.

mod checks;
mod hot;
mod news;
mod play;
mod setting;
mod step;

use std::panic::{AssertUnwindSafe, catch_unwind};

use play::Play;
use setting::Setting;
use step::Step;

use super::model::Check;

/// The number of steps over all seeds, from this variable.
const STEPS: &str = "ENGINE_STEPS";
/// The first seed, from this variable.
const SEED: &str = "ENGINE_SEED";
const STEPS_A_RUN: usize = 400;

#[test]
fn the_engine_does_what_the_model_says() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let runs = number(STEPS).map_or(200, |steps| steps.div_ceil(STEPS_A_RUN as u64));
    let first = number(SEED).unwrap_or(0);
    for seed in first..first + runs {
        let mut rng = fastrand::Rng::with_seed(seed);
        let steps = step::list(&mut rng, STEPS_A_RUN);
        if play(seed, &steps, false).is_err() {
            let steps = shorten(seed, steps);
            let broken = play(seed, &steps, true).unwrap_err();
            panic!("seed {seed}, {} steps: {broken}", steps.len());
        }
    }
    println!("{} steps in {runs} runs", runs * STEPS_A_RUN as u64);
}

fn play(seed: u64, steps: &[Step], aloud: bool) -> Check {
    let run = || {
        let mut play = Play::new(Setting::new(seed), seed, aloud);
        steps.iter().enumerate().try_for_each(|(i, step)| {
            play.step(step).map_err(|broken| format!("after step {i} ({step:?}): {broken}"))
        })?;
        play.finish()
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("the engine panicked".into()))
}

/// Shortens a run: leaves out halves, quarters and so on, down to single steps, while it still
/// fails.
fn shorten(seed: u64, mut steps: Vec<Step>) -> Vec<Step> {
    let mut size = steps.len().div_ceil(2);
    loop {
        let mut place = 0;
        while place < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(place..(place + size).min(fewer.len()));
            if play(seed, &fewer, false).is_err() {
                steps = fewer;
            } else {
                place += size;
            }
        }
        if size == 1 {
            return steps;
        }
        size = size.div_ceil(2);
    }
}
