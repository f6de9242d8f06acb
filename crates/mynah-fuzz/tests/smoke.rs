//! A short random run of every target without libFuzzer: variants of the inputs that are kept.
//!
//! The seed is the same each time, so that what is said of a tree does not depend on luck. `MYNAH_FUZZ_SEED=n` takes
//! another, `MYNAH_FUZZ_SEED=random` one that nobody has tried, and `MYNAH_FUZZ_RUNS=n` makes it as long as is wanted.

mod inputs;

use mynah_fuzz::{Random, TARGETS, Target, mutate};
use std::hash::{BuildHasher as _, RandomState};

/// The seed when none is given.
const SEED: u64 = 20_261_129;
/// Variants of each target. A few seconds for all of them together.
const RUNS: usize = 3000;

#[test]
fn every_target_holds_on_variants_of_its_inputs() {
    let seed = match std::env::var("MYNAH_FUZZ_SEED").as_deref() {
        Ok("random") => RandomState::new().hash_one(0) >> 16,
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => SEED,
    };
    let runs = std::env::var("MYNAH_FUZZ_RUNS").map_or(RUNS, |runs| runs.parse().unwrap());
    println!("MYNAH_FUZZ_SEED={seed}, {runs} variants of each target");
    for target in TARGETS {
        let inputs = inputs::of(target.name);
        let mut random = Random::new(seed);
        for _ in 0..runs {
            let one = &inputs[random.below(inputs.len())].1;
            let other = &inputs[random.below(inputs.len())].1;
            let input = mutate(one, other, target.grain, &mut random);
            let shown = Shown {
                target,
                seed,
                input: &input,
            };
            (target.run)(&input);
            drop(shown);
        }
    }
}

/// Prints what broke a target.
struct Shown<'a> {
    target: &'a Target,
    seed: u64,
    input: &'a [u8],
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex: String = self
                .input
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let name = self.target.name;
            eprintln!("{name} does not hold; MYNAH_FUZZ_SEED={}", self.seed);
            eprintln!("printf '{hex}' | xxd -r -p > crates/mynah-fuzz/regressions/{name}/NEW");
        }
    }
}

/// The same seed makes the same inputs, or a failure could not be run again.
#[test]
fn a_seed_says_everything() {
    let input = [0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 7];
    for target in TARGETS {
        let run = |seed| {
            let mut random = Random::new(seed);
            let mut one = || mutate(&input, &input[2..], target.grain, &mut random);
            (0..50).map(|_| one()).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}
