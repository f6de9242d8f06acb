use super::*;
use std::sync::Mutex;

#[test]
fn seeds_of_the_environment_are_a_number_or_a_range() {
    let check = |text, expected| assert_eq!(range(text), expected, "{text}");
    check("500", Some((1, 500)));
    check("1000..1500", Some((1000, 500)));
    check(" 3 .. 3 ", Some((3, 0)));
    check("9..3", None);
    check("many", None);
}

#[test]
fn a_failure_names_its_seeds() {
    let simulation = Simulation::new().seed(4);
    let failed = std::panic::catch_unwind(|| {
        simulation.run(async |seed| assert_ne!(seed, 4, "the fourth"));
    });
    let text = text_of(&*failed.unwrap_err()).to_owned();
    assert!(text.contains("MYNAH_SEED=4"), "{text}");
}

#[test]
fn a_seed_runs_in_virtual_time_on_a_thread_of_its_own() {
    let here = std::thread::current().id();
    let seen = Mutex::new(Vec::new());
    let day = Duration::from_secs(86_400);
    let simulation = Simulation::new().seed(7);
    simulation.run(async |seed| {
        let start = tokio::time::Instant::now();
        tokio::time::sleep(day).await;
        assert!(start.elapsed() >= day);
        seen.lock()
            .unwrap()
            .push((seed, std::thread::current().id()));
    });
    let seen = seen.into_inner().unwrap();
    assert!(
        matches!(seen.as_slice(), [(7, thread)] if *thread != here),
        "{seen:?}"
    );
}

#[test]
fn what_hangs_is_given_up() {
    let simulation = Simulation::new().patience(Duration::from_millis(20));
    let hangs = simulation.once(1, async |_| std::future::pending::<()>().await);
    assert!(hangs.unwrap_err().contains("hangs"));
}
