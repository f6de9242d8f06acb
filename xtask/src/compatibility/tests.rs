use super::*;

const LINES: &str = "\
transport\ttcp\t-\torder\tholds
transport\ttcp\t-\thalf_close\tcarried
transport\ttcp\tnative/cbor\tcalls\tcarried
transport\ttcp\tnative/cbor\tten_thousand_calls\tholds
transport\ttcp\tnative/cbor\tresult_streams\tcarried
transport\ttcp\tcbor-rpc/json\tcalls\tcarried
transport\ttcp\tcbor-rpc/json\tresult_streams\trefused
transport\ttcp\tcbor-rpc/json\tdeadlines\tkept
dialect\t-\tnative/cbor\tround_trip\tholds
dialect\t-\tnative/cbor\tcalls\tcarried
";

#[test]
fn a_cell_says_what_was_shown() {
    let page = table::write(&Report::parse(LINES).unwrap()).unwrap();
    let has = |line: &str| assert!(page.contains(line), "{line}\n{page}");
    has("## Calls over tcp\n\n| dialect/format | cbor-rpc/json | native/cbor |");
    has("| calls | in part | yes |");
    has("| result streams | refused | yes |");
    has("| deadlines | own side | - |");
    has("| half close | yes |");
    has("| round trip | yes |");
}

#[test]
fn what_does_not_apply_says_why() {
    let more = "\
transport\tfleet\t-\torder\tmoot: nobody is there
transport\tfleet\t-\tsilence\tmoot: nobody is there
transport\tfleet\t-\thalf_close\tmoot: nobody is there
transport\tfleet\t-\tevidence\tholds
";
    let page = table::write(&Report::parse(&format!("{LINES}{more}")).unwrap()).unwrap();
    let has = |line: &str| assert!(page.contains(line), "{line}\n{page}");
    has("| order | n/a | in part |");
    has("| half close | n/a | yes |");
    has("| evidence | yes | - |");
    has("\n- order, half close (fleet): nobody is there.\n");
    let none = Report::parse("transport\tfleet\t-\torder\tmoot: \n").unwrap_err();
    assert!(
        none.to_string().contains("nothing that a case shows"),
        "{none}"
    );
}

#[test]
fn a_case_that_did_not_pass_is_missed() {
    let whole = table::write(&Report::parse(LINES).unwrap()).unwrap();
    let less: String = LINES
        .lines()
        .filter(|line| !line.ends_with("native/cbor\tresult_streams\tcarried"))
        .map(|line| format!("{line}\n"))
        .collect();
    let less = table::write(&Report::parse(&less).unwrap()).unwrap();
    let difference = first_difference(&whole, &less).unwrap();
    let expected = "- | result streams | refused | yes |\n+ | result streams | refused | - |";
    assert_eq!(difference, expected);
    assert_eq!(first_difference(&whole, &whole), None);
}

#[test]
fn what_cannot_be_right_is_refused() {
    let check = |line: &str, part: &str| {
        let parsed = Report::parse(&format!("{LINES}{line}\n"));
        let error = parsed.and_then(|report| table::write(&report)).unwrap_err();
        assert!(error.to_string().contains(part), "{line}: {error}");
    };
    check("transport\ttcp\t-\torder", "is no line of a report");
    check(
        "transport\ttcp\t-\torder\tfine",
        "nothing that a case shows",
    );
    check("carrier\ttcp\t-\torder\tholds", "is no suite");
    check(
        "transport\ttcp\t-\tpigeons\tholds",
        "no row of the table shows pigeons of tcp",
    );
    check(
        "transport\ttcp\t-\thalf_close\tkept",
        "has shown something else",
    );
    let empty = table::write(&Report::parse("").unwrap()).unwrap_err();
    assert!(empty.to_string().contains("did not run"), "{empty}");
}
