//! RS: a server of this side, the client core of the package. The names say which checks a scenario holds.

use crate::service::{ArithService, Here};
use interop_tests::python::{Venv, run_scenario};
use mynah::prelude::*;

async fn scenario(name: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket").display().to_string();
    let server = Server::new()
        .register(ArithService::new(Here::default()))
        .listen(&format!("unix:{path}?dialect=jsonrpc&profile=clamator"))
        .start()
        .await
        .expect("the socket can be made");
    run_scenario(Venv::Clamator, "clamator_client.py", &[&path, name]).await;
    let report = server.drain(std::time::Duration::from_secs(5)).await;
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
    check_01_16_17_18_rs_values_come_back_as_they_went => "values";
    check_03_04_12_rs_ids_and_replies_byte_for_byte => "shapes";
    check_05_06_07_09_rs_errors => "errors";
    check_10_11_rs_notifications => "notifications";
    check_13_rs_malformed_messages => "malformed";
    check_19_20_rs_64_at_once_and_timeouts => "concurrent";
}
