use super::costs::{callgrind_total, strace_total};
use super::pair::Load;
use super::table::{markdown, median};
use super::{Contender, Mode, Options, Sample, chosen, contenders};
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
        mode: Mode::Same,
        load: Load::new(1, 64),
        round,
        calls: 1000.0,
        elapsed_ns: 1e6,
        cpu_ns: cpu_ns * 1000.0,
        p50_ns: None,
        p99_ns: None,
    }
}

#[test]
fn each_kind_of_contender_has_one_floor() {
    for in_process in [false, true] {
        let contenders = listed();
        let floors = contenders
            .iter()
            .filter(|one| one.in_process == in_process && one.floor);
        assert_eq!(floors.count(), 1);
    }
}

#[test]
fn a_contender_without_a_program_is_refused() {
    let text = "[[contender]]\nname = \"x\"\nuser_allocations = 0";
    assert!(contenders(text, Path::new("/")).is_err());
}

#[test]
fn a_choice_brings_the_floor_of_its_kind() {
    let only = ["tarpc-json".to_owned()];
    assert_eq!(
        names(&chosen(listed(), &only).unwrap()),
        ["raw", "tarpc-json"]
    );
    let only = ["mpsc + oneshot".to_owned()];
    assert_eq!(names(&chosen(listed(), &only).unwrap()), ["mpsc + oneshot"]);
    let error = chosen(listed(), &["nobody".to_owned()])
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("no contender nobody; there are: raw, "),
        "{error}"
    );
}

#[test]
fn options_are_read_and_mistakes_refused() {
    let parse = |line: &str| {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    };
    assert_eq!(parse("").unwrap().rounds, 3);
    assert_eq!(parse("--quick").unwrap().rounds, 1);
    assert_eq!(parse("--quick --rounds 5").unwrap().rounds, 5);
    assert_eq!(
        parse("--pin mt,same").unwrap().modes,
        [Mode::Multi, Mode::Same]
    );
    for line in [
        "--rounds",
        "--rounds 0",
        "--rounds x",
        "--pin other",
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

#[test]
fn ratios_are_taken_inside_a_round() {
    let contenders = chosen(listed(), &["tarpc-json".to_owned()]).unwrap();
    // The machine is ten times slower in the second round; the ratio is not.
    let samples = [
        sample("raw", 0, 100.0),
        sample("tarpc-json", 0, 400.0),
        sample("raw", 1, 1000.0),
        sample("tarpc-json", 1, 4000.0),
    ];
    let text = markdown(&contenders, &samples, &[], 2);
    let row = text
        .lines()
        .find(|line| line.starts_with("| tarpc-json |"))
        .unwrap();
    let cells: Vec<_> = row.split('|').map(str::trim).collect();
    assert_eq!(cells[5..7], ["2.20", "4.00"], "{row}");
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
