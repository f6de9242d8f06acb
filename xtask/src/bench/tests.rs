use super::contenders::{Contender, contenders};
use super::costs::{callgrind_total, strace_total};
use super::figures::{Figures, Sample, median};
use super::options::{Options, chosen};
use super::pair::Load;
use super::scenario::{Case, Mode, Scenario};
use super::{goals, tables};
use std::path::Path;

fn listed() -> Vec<Contender> {
    contenders(
        include_str!("../../bench/contenders.toml"),
        Path::new("/programs"),
    )
    .unwrap()
}

fn names(contenders: &[Contender]) -> Vec<&str> {
    contenders
        .iter()
        .map(|contender| contender.name.as_str())
        .collect()
}

fn sample(contender: &str, round: usize, cpu_ns: f64) -> Sample {
    Sample {
        contender: contender.to_owned(),
        case: Case::calls(Mode::Same, Load::new(1, 64)),
        round,
        calls: 1000.0,
        elapsed_ns: 1e6,
        cpu_ns: cpu_ns * 1000.0,
        p50_ns: None,
        p99_ns: None,
        busy_p50_ns: None,
        busy_p99_ns: None,
        busy_bytes: 0.0,
        busy_elapsed_ns: 0.0,
        server_bytes: [0.0; 2],
        client_bytes: 0.0,
        asked: None,
    }
}

/// A thousand items in so many nanoseconds.
fn stream(contender: &str, elapsed_ns: f64) -> Sample {
    Sample {
        case: first(Scenario::Stream),
        elapsed_ns,
        ..sample(contender, 0, 1.0)
    }
}

fn first(scenario: Scenario) -> Case {
    *scenario.cases().first().unwrap()
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn row(text: &str, start: &str) -> Vec<String> {
    let line = text.lines().find(|line| line.starts_with(start)).unwrap();
    line.split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn each_kind_of_contender_has_one_floor() {
    for kind in ["tcp", "unix", "pipes", "in process"] {
        let contenders = listed();
        let floors = contenders
            .iter()
            .filter(|one| one.kind() == kind && one.floor);
        assert_eq!(floors.count(), 1);
    }
}

#[test]
fn a_contender_without_a_program_is_refused() {
    let text = "[[contender]]\nname = \"x\"\nuser_allocations = 0";
    assert!(contenders(text, Path::new("/")).is_err());
}

#[test]
fn a_contender_of_an_unknown_scenario_is_refused() {
    let text =
        "[[contender]]\nname = \"x\"\nprogram = \"x\"\nuser_allocations = 0\nscenarios = [\"y\"]";
    let error = contenders(text, Path::new("/")).unwrap_err().to_string();
    assert!(error.contains("no scenario"), "{error}");
}

#[test]
fn a_choice_brings_the_floor_of_its_kind() {
    let (scenarios, contenders) = chosen(listed(), &words("tarpc-json")).unwrap();
    assert_eq!(names(&contenders), ["raw", "tarpc-json"]);
    assert_eq!(scenarios, Scenario::ALL);
    let only = ["mpsc + oneshot".to_owned()];
    assert_eq!(
        names(&chosen(listed(), &only).unwrap().1),
        ["mpsc + oneshot"]
    );
    let error = chosen(listed(), &words("nobody")).unwrap_err().to_string();
    assert!(
        error.starts_with("no scenario and no contender nobody; there are: calls, "),
        "{error}"
    );
    assert!(error.contains("costs; raw, "), "{error}");
}

#[test]
fn scenarios_are_chosen_by_name_alone_or_with_contenders() {
    let (scenarios, contenders) = chosen(listed(), &words("stream idle")).unwrap();
    assert_eq!(scenarios, [Scenario::Stream, Scenario::Idle]);
    let mut unasked = listed();
    unasked.retain(|contender| !contender.on_request);
    assert_eq!(names(&contenders), names(&unasked));
    // What is there on request is there when its transport is named, and then alone.
    let (_, contenders) = chosen(listed(), &words("ssh")).unwrap();
    assert!(
        contenders
            .iter()
            .all(|one| one.on_request && one.kind() == "ssh")
    );
    assert_eq!(contenders.len() + unasked.len(), listed().len());
    assert!(contenders.iter().any(|one| one.floor));
    let (scenarios, contenders) = chosen(listed(), &words("bulk tonic")).unwrap();
    assert_eq!(scenarios, [Scenario::Bulk]);
    assert_eq!(names(&contenders), ["raw", "tonic"]);
}

#[test]
fn every_scenario_that_somebody_takes_part_in_has_its_floor() {
    let contenders = listed();
    let raw = contenders.first().unwrap();
    for scenario in Scenario::ALL {
        let peers = |one: &&Contender| one.held_to.is_none() && one.takes_part(scenario);
        if contenders.iter().filter(peers).count() > 0 {
            assert!(raw.takes_part(scenario), "{}", scenario.name());
        }
    }
}

#[test]
fn no_case_is_there_twice() {
    let cases: Vec<Case> = Scenario::ALL
        .iter()
        .flat_map(|scenario| scenario.cases())
        .collect();
    for (at, case) in cases.iter().enumerate() {
        assert!(!cases[..at].contains(case), "{case:?}");
    }
}

#[test]
fn options_are_read_and_mistakes_refused() {
    let parse = |line: &str| Options::parse(&words(line));
    assert_eq!(parse("").unwrap().rounds, 3);
    assert_eq!(parse("--quick").unwrap().rounds, 1);
    assert_eq!(parse("--quick --rounds 5").unwrap().rounds, 5);
    assert_eq!(
        parse("--pin mt,same").unwrap().modes,
        [Mode::Multi, Mode::Same]
    );
    let options = parse("--only stream bulk,idle --quick --only raw").unwrap();
    assert_eq!(options.only, ["stream", "bulk", "idle", "raw"]);
    assert_eq!(options.rounds, 1);
    for line in [
        "--rounds",
        "--rounds 0",
        "--rounds x",
        "--pin other",
        "--only",
        "--only --quick",
        "--fast",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn medians() {
    assert_eq!(median(vec![]), None);
    assert_eq!(median(vec![3.0]), Some(3.0));
    assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
}

fn text_of(contenders: &[Contender], samples: &[Sample], rounds: usize) -> String {
    tables::markdown(&Figures {
        contenders,
        samples,
        costs: &[],
        rounds,
    })
}

#[test]
fn ratios_are_taken_inside_a_round() {
    let (_, contenders) = chosen(listed(), &words("tarpc-json")).unwrap();
    // The machine is ten times slower in the second round; the ratio is not.
    let samples = [
        sample("raw", 0, 100.0),
        sample("tarpc-json", 0, 400.0),
        sample("raw", 1, 1000.0),
        sample("tarpc-json", 1, 4000.0),
    ];
    let mut one = samples[0].clone();
    one.case = first(Scenario::Calls);
    let samples = [&samples[..], &[one]].concat();
    let text = text_of(&contenders, &samples, 2);
    assert_eq!(
        row(&text, "| tarpc-json |")[5..7],
        ["2.20", "4.00"],
        "{text}"
    );
}

#[test]
fn a_goal_is_met_or_not_and_said_beside_the_figure() {
    let contenders = listed();
    // A thousand items in 50 us are 20 million a second.
    for (elapsed_ns, verdict) in [(50_000.0, "yes"), (100_000.0, "no")] {
        let samples = [stream("raw", 10_000.0), stream("mynah-cbor", elapsed_ns)];
        let text = text_of(&contenders, &samples, 1);
        let cells = row(&text, "| mynah-cbor |");
        assert_eq!(cells[6..8], ["at least 15 M items/s", verdict], "{text}");
        assert_eq!(row(&text, "| raw |")[6..8], ["-", "-"], "{text}");
        assert_eq!(row(&text, "| server stream |")[5], verdict, "{text}");
        assert!(!text.contains("idle connection"), "{text}");
    }
}

#[test]
fn small_calls_beside_payloads_are_held_against_small_calls_alone() {
    let contenders = listed();
    let mut mixed = sample("mynah-cbor", 0, 1.0);
    let mut cases = Scenario::Mixed.cases().into_iter();
    mixed.case = cases.find(|case| case.mode == Mode::Split).unwrap();
    (mixed.p99_ns, mixed.busy_p99_ns) = (Some(20_000.0), Some(90_000.0));
    mixed.busy_bytes = 1048576.0;
    mixed.busy_elapsed_ns = 1e7;
    let text = text_of(&contenders, &[mixed], 1);
    let cells = row(&text, "| mynah-cbor |");
    assert_eq!(cells[6..8], ["4.50", "100"], "{text}");
    assert_eq!(cells[9], "yes", "{text}");
}

#[test]
fn a_machine_that_does_something_else_is_seen() {
    let contenders = listed();
    // Of 1 ms.
    for (cpu_ns, busy) in [(990.0, false), (600.0, true)] {
        let text = text_of(&contenders, &[sample("raw", 0, cpu_ns)], 1);
        assert_eq!(text.contains("busy with something else"), busy, "{text}");
    }
}

#[test]
fn what_is_held_to_goals_has_some() {
    for contender in listed() {
        if let Some(held_to) = &contender.held_to {
            let mut goals = goals::all().into_iter();
            assert!(goals.any(|goal| goal.held_to == held_to), "{held_to}");
        }
    }
}

#[test]
fn the_total_of_strace_is_found() {
    let text = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000120           1       120           read
 40.00    0.000080           2        40         3 futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.000200           1       160         3 total
";
    assert_eq!(strace_total(text), Some(160.0));
    assert_eq!(strace_total("nothing"), None);
}

#[test]
fn the_total_of_callgrind_is_found() {
    assert_eq!(
        callgrind_total("events: Ir\nfn=a\n1 2\n\ntotals: 123456\n"),
        Some(123_456.0)
    );
    assert_eq!(callgrind_total("events: Ir\n"), None);
}
