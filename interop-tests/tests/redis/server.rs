//! RS: a server of this side, a client of the package. The names say which checks a scenario holds.

use crate::harness::{CMDS, PREFIX, Redis, WORK, drained};
use mynah::redis_streams::RedisOptions;

async fn scenario(name: &str, options: fn(RedisOptions) -> RedisOptions) {
    let redis = Redis::start().await;
    let own = redis.options().with_instance("srv-1");
    let server = redis.serve_with(options(own)).await;
    redis.scenario(name).await;
    redis.settled(CMDS).await;
    redis.settled(WORK).await;
    drained(server).await;
}

macro_rules! scenarios {
    ($($test:ident => $name:literal $(, $options:expr)?;)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let options: &[fn(RedisOptions) -> RedisOptions] = &[$($options)?];
            scenario($name, options.first().copied().unwrap_or(|options| options)).await;
        }
    )* };
}

scenarios! {
    check_01_16_17_18_rs_values_come_back_as_they_went => "values";
    check_03_04_12_rs_ids_and_replies_byte_for_byte => "shapes";
    check_05_06_07_09_rs_errors => "errors";
    check_10_11_rs_notifications => "notifications", |options| options.with_serial("arith");
    check_11_12_rs_fields_of_entries => "fields";
    check_13_rs_malformed_messages => "malformed";
    check_13_rs_malformed_entries => "entries";
    check_19_20_rs_64_at_once_and_timeouts => "concurrent";
    check_19_21_rs_four_clients => "four";
    check_21_32_rs_a_client_that_stops => "stopping";
    check_31_rs_names_with_hyphens => "names";
    check_33_rs_a_thousand_calls_leave_nothing => "thousand";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_02_rs_streams_groups_and_consumers_are_named_as_clamator_names_them() {
    let redis = Redis::start().await;
    let server = redis.serve("srv-1").await;
    redis.scenario("names").await;
    for (stream, group) in [(CMDS, "arith"), (WORK, "fleet-work")] {
        assert_eq!(stream, format!("{PREFIX}:cmds:{group}"));
        let groups = redis.ask(&["XINFO", "GROUPS", stream]).await;
        assert_eq!(groups.items().len(), 1, "{groups:?}");
        let name = groups.items()[0].field("name").expect("a name");
        assert_eq!(name.as_text(), Some(group));
    }
    let consumers = redis.ask(&["XINFO", "CONSUMERS", WORK, "fleet-work"]).await;
    let consumers: Vec<_> = consumers
        .items()
        .iter()
        .filter_map(|consumer| consumer.field("name")?.as_text())
        .collect();
    assert_eq!(consumers, ["fleet-work:srv-1"]);
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_22_rs_calls_while_no_server_is_there_run_when_one_comes() {
    let redis = Redis::start().await;
    // Once there was one: the group is older than the call.
    drained(redis.serve("srv-1").await).await;
    let call = redis.scenario("early");
    let serve = async {
        redis
            .until("the call is written", async || {
                redis.number(&["XLEN", CMDS]).await == 1
            })
            .await;
        redis.serve("srv-2").await
    };
    let ((), server) = tokio::join!(call, serve);
    redis.settled(CMDS).await;
    drained(server).await;
}
