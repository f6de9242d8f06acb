//! Delays: as written down, bounded, repeatable.

use super::*;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

fn check(mut backoff: Backoff, expected: &[u64]) {
    let got: Vec<u64> = expected
        .iter()
        .map(|_| u64::try_from(backoff.next_delay().as_millis()).unwrap())
        .collect();
    assert_eq!(got, expected, "{backoff:?}");
}

#[test]
fn grows_up_to_the_cap() {
    let plain = Backoff::new().with_jitter_percent(0);
    check(
        plain.clone(),
        &[
            100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000,
        ],
    );
    check(plain.clone().with_factor_percent(100), &[100, 100, 100]);
    check(plain.clone().with_factor_percent(0), &[100, 100, 100]);
    check(plain.clone().with_factor_percent(150), &[100, 150, 225]);
    check(
        plain.clone().with_first(40 * MS).with_cap(30 * MS),
        &[30, 30],
    );
    check(plain.clone().with_first(Duration::ZERO), &[1, 2, 4]);
    check(
        plain.with_first(Duration::ZERO).with_cap(Duration::ZERO),
        &[1, 1],
    );
}

#[test]
fn the_sequence_of_a_seed_is_fixed() {
    // Written down: a change of it is a change for whoever wrote a seed down.
    check(Backoff::new().with_seed(7), &[80, 198, 219, 566, 1238]);
    check(Backoff::new().with_seed(8), &[69, 138, 262, 585, 1548]);
}

#[test]
fn a_stable_connection_begins_anew_and_another_does_not() {
    let mut backoff = Backoff::new()
        .with_jitter_percent(0)
        .with_stable_after(1000 * MS);
    assert_eq!(backoff.next_delay(), 100 * MS);
    assert!(!backoff.lived(999 * MS));
    assert_eq!(backoff.next_delay(), 200 * MS);
    assert_eq!(backoff.attempt(), 2);
    assert!(backoff.lived(1000 * MS));
    assert_eq!(backoff.attempt(), 0);
    assert_eq!(backoff.next_delay(), 100 * MS);
}

#[test]
fn extremes_neither_overflow_nor_take_long() {
    let huge = Backoff::new()
        .with_first(Duration::MAX)
        .with_cap(Duration::MAX)
        .with_factor_percent(u32::MAX)
        .with_jitter_percent(u32::MAX)
        .with_seed(u64::MAX);
    let most = Duration::from_nanos(u64::MAX);
    assert!(huge.delay(u32::MAX, u64::MAX) <= most);
    let slow = Backoff::new()
        .with_first(Duration::from_nanos(1))
        .with_factor_percent(101)
        .with_cap(Duration::MAX);
    assert!(slow.delay(u32::MAX, 0) <= most);
}

prop_compose! {
    fn any_backoff()(
        first in 0_u64..100_000,
        factor in 0_u32..1000,
        cap in 0_u64..10_000_000,
        jitter in 0_u32..200,
        stable in 0_u64..1000,
        seed in any::<u64>(),
    ) -> Backoff {
        Backoff::new()
            .with_first(Duration::from_micros(first))
            .with_factor_percent(factor)
            .with_cap(Duration::from_micros(cap))
            .with_jitter_percent(jitter)
            .with_stable_after(Duration::from_millis(stable))
            .with_seed(seed)
    }
}

proptest! {
    /// Every delay is within its bounds, the same seed gives the same sequence, and after a stable connection the
    /// delays are as at the beginning.
    #[test]
    fn delays_are_bounded_repeatable_and_begin_anew(
        backoff in any_backoff(),
        lives in prop::collection::vec(prop::option::of(0_u64..2000), 1..60),
    ) {
        let (mut one, mut two) = (backoff.clone(), backoff.clone());
        let cap = backoff.cap.max(SHORTEST);
        let mut last_full = Duration::ZERO;
        for life in lives {
            if let Some(life) = life {
                let life = Duration::from_millis(life);
                let before = one.attempt();
                let stable = one.lived(life);
                prop_assert_eq!(stable, life >= backoff.stable_after);
                prop_assert_eq!(one.attempt(), if stable { 0 } else { before });
                prop_assert_eq!(two.lived(life), stable);
            }
            let attempt = one.attempt();
            let full = backoff.clone().with_jitter_percent(0).delay(attempt, 0);
            let delay = one.next_delay();
            prop_assert_eq!(delay, two.next_delay());
            let jitter = backoff.jitter_percent.min(100);
            prop_assert!(full >= SHORTEST.min(cap) && full <= cap);
            prop_assert!(delay <= full);
            prop_assert!(delay >= full.saturating_sub(full * jitter / 100));
            if attempt > 0 {
                prop_assert!(full >= last_full);
            } else {
                prop_assert_eq!(full, backoff.first.clamp(SHORTEST, cap));
            }
            last_full = full;
        }
    }

    /// Seeds matter: a crowd does not come back at the same time.
    #[test]
    fn different_seeds_spread(seed in any::<u64>()) {
        let spread: std::collections::HashSet<Duration> = (0..64)
            .map(|more| Backoff::new().with_seed(seed.wrapping_add(more)).next_delay())
            .collect();
        prop_assert!(spread.len() > 60);
    }
}
