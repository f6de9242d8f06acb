use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split};

fn over(
    pipe_bytes: usize,
    cap: usize,
) -> (
    Elastic<tokio::io::ReadHalf<tokio::io::DuplexStream>>,
    ElasticControl,
    tokio::io::DuplexStream,
) {
    let (near, far) = duplex(pipe_bytes);
    let (read, write) = split(near);
    let (elastic, control) = Elastic::new(read, write, cap);
    (elastic, control, far)
}

#[tokio::test]
async fn a_write_does_not_wait_for_the_socket() {
    let (mut elastic, control, mut far) = over(16, 4096);
    elastic.write_all(&[7; 4000]).await.unwrap();
    elastic.flush().await.unwrap();
    assert!(
        (3900..=4000).contains(&control.high_water()),
        "{}",
        control.high_water()
    );
    let mut all = vec![0; 4000];
    far.read_exact(&mut all).await.unwrap();
    assert!(all.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn more_than_the_cap_ends_the_connection() {
    let (mut elastic, control, _far) = over(16, 1000);
    elastic.write_all(&[0; 1000]).await.unwrap();
    let error = elastic.write_all(&[0; 100]).await.unwrap_err();
    assert!(error.to_string().contains("at most 1000"), "{error}");
    let error = elastic.read_u8().await.unwrap_err();
    assert!(error.to_string().contains("at most 1000"), "{error}");
    assert!(control.ended().is_some());
}

#[tokio::test]
async fn who_waits_for_room_is_woken() {
    let (mut elastic, control, mut far) = over(16, 4096);
    elastic.write_all(&[0; 2000]).await.unwrap();
    let waits = std::future::poll_fn(|cx| control.poll_below(cx, 1000));
    let mut most = vec![0; 1200];
    let (read, ()) = tokio::join!(far.read_exact(&mut most), waits);
    read.unwrap();
}

#[tokio::test]
async fn what_was_written_last_arrives_though_the_session_is_gone() {
    let (mut elastic, _control, mut far) = over(16, 4096);
    elastic.write_all(&[5; 3000]).await.unwrap();
    drop(elastic);
    let mut all = Vec::new();
    far.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len(), 3000);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_holds_up_the_end_for_a_while_only() {
    let (mut elastic, control, _far) = over(16, 4096);
    elastic.write_all(&[5; 3000]).await.unwrap();
    drop(elastic);
    while control.ended().is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(control.ended().unwrap().0, io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn reading_pauses_and_goes_on_and_ends() {
    let (mut elastic, control, mut far) = over(64, 4096);
    control.set_paused(true);
    assert!(control.silent_since().is_none());
    far.write_all(b"ab").await.unwrap();
    let mut read = std::pin::pin!(elastic.read_u8());
    for _ in 0..10 {
        let early = std::future::poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await;
        assert!(early.is_pending());
        tokio::task::yield_now().await;
    }
    control.set_paused(false);
    assert_eq!(read.await.unwrap(), b'a');
    control.end(io::ErrorKind::TimedOut, "nobody there");
    let error = elastic.read_u8().await.unwrap_err();
    assert_eq!(error.to_string(), "nobody there");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}
