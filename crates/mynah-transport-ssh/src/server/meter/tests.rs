use super::*;
use crate::elastic::Elastic;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// A reader of as much as is asked for, on a meter that may be opened with the control.
fn metered(most: usize) -> (Metered<tokio::io::Repeat>, Meter, ElasticControl) {
    let (metered, meter) = Meter::on(tokio::io::repeat(0), most);
    let (_elastic, control) = Elastic::new(tokio::io::empty(), tokio::io::sink(), 1);
    (metered, meter, control)
}

async fn read(metered: &mut Metered<tokio::io::Repeat>, bytes: usize) -> io::Result<()> {
    let mut buffer = vec![0; bytes];
    metered.read_exact(&mut buffer).await.map(|_read| ())
}

#[tokio::test(start_paused = true)]
async fn before_authentication_all_counts() {
    let (mut reads, _meter, control) = metered(1000);
    read(&mut reads, 600).await.unwrap();
    control.carried(1_000_000);
    tokio::time::advance(Duration::from_secs(100)).await;
    read(&mut reads, 400).await.unwrap();
    let error = read(&mut reads, 1).await.unwrap_err();
    assert!(
        error.to_string().contains("before authentication"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn then_what_carries_nothing_does() {
    let (mut reads, meter, control) = metered(0);
    meter.open(&control);
    let all = usize::try_from(IDLE_BYTES).unwrap();
    read(&mut reads, all).await.unwrap();
    // What carries something has no end.
    for _ in 0..1000 {
        control.carried(100_000);
        read(&mut reads, 100_000).await.unwrap();
    }
    // What carries nothing may come slowly.
    for _ in 0..1000 {
        tokio::time::advance(Duration::from_millis(500)).await;
        read(&mut reads, 2 << 10).await.unwrap();
    }
    // Time in small pieces is time too.
    for _ in 0..10_000 {
        tokio::time::advance(Duration::from_micros(100)).await;
        let _nothing = meter.lock().read(0);
    }
    read(&mut reads, 4000).await.unwrap();
    // Nobody saves for later.
    tokio::time::advance(Duration::from_secs(1_000_000)).await;
    control.carried(u64::MAX);
    let error = read(&mut reads, all + 1).await.unwrap_err();
    assert!(error.to_string().contains("carries nothing"), "{error}");
}
