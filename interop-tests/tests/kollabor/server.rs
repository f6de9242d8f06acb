//! R: a server of this side, the client of the package. Each scenario holds the checks of its number.

use crate::harness::RustServer;
use interop_tests::python::{Venv, run_scenario};

/// Runs one scenario; behind it nothing is in use.
async fn scenario(name: &str) {
    let server = RustServer::start().await;
    let path = server.socket.text();
    run_scenario(Venv::Kollabor, "kollabor_client.py", &[&path, name]).await;
    let report = server.handle.drain(std::time::Duration::from_secs(5)).await;
    assert!(report.is_complete(), "{name}: {report}");
}

macro_rules! scenarios {
    ($($test:ident => $name:literal;)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            scenario($name).await;
        }
    )* };
}

scenarios! {
    check_01_r_requests_are_answered_byte_for_byte => "shapes";
    check_02_r_values_come_back_as_they_went => "values";
    check_03_r_kinds_of_errors_reach_their_classes => "errors";
    check_05_r_requests_in_every_shape => "requests";
    check_06_r_junk_is_skipped => "junk";
    check_07_r_requests_without_id_or_method_are_answered => "unusable";
    check_08_r_cr_lf_last_lines_and_half_closed_connections => "ends";
    check_09_r_64_at_once_and_in_one_write => "concurrent";
    check_10_r_large_results_and_requests => "sizes";
    check_11_r_deadlines_and_abandoned_calls => "timeouts";
    check_12_r_a_server_that_closes => "peer_closes";
    check_13_r_connections_are_independent => "connections";
    check_14_r_nan_large_integers_and_half_pairs => "odd";
}
