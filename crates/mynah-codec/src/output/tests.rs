use super::*;

fn put(out: &mut Output, bytes: &[u8]) -> FrameSpan {
    out.frame(Lane::Data, |buffer| {
        buffer.extend_from_slice(bytes);
        Ok(())
    })
    .unwrap()
}

fn take(out: &mut Output) -> (Vec<u8>, Vec<usize>) {
    let mut chunk = OutputChunk::default();
    out.take(Lane::Data, &mut chunk);
    (chunk.bytes, chunk.ends)
}

#[test]
fn a_frame_that_fails_leaves_nothing() {
    let mut out = Output::new();
    put(&mut out, b"ab");
    let failed = out.frame(Lane::Data, |buffer| {
        buffer.extend_from_slice(b"half");
        Err(EncodeError::TooLarge { len: 9, limit: 4 })
    });
    assert!(failed.is_err());
    assert_eq!(take(&mut out), (b"ab".to_vec(), vec![2]));
}

#[test]
fn withdrawn_frames_do_not_leave() {
    let mut out = Output::new();
    put(&mut out, b"gone");
    assert_eq!(take(&mut out).0, b"gone");
    let a = put(&mut out, b"a");
    let bb = put(&mut out, b"bb");
    let ccc = put(&mut out, b"ccc");
    let dd = put(&mut out, b"dd");
    assert!(out.withdraw(bb) && out.withdraw(a));
    assert_eq!(out.data_len(), 5);
    assert!(out.withdraw(dd));
    assert_eq!(take(&mut out), (b"ccc".to_vec(), vec![3]));
    assert!(!out.withdraw(ccc), "it has left");
    assert!(out.is_empty());
}

#[test]
fn withdrawing_newest_first_holds_no_bytes() {
    let mut out = Output::new();
    for _ in 0..1000 {
        let a = put(&mut out, b"aaaa");
        let b = put(&mut out, b"bbbb");
        assert!(out.withdraw(a) && out.withdraw(b));
        assert_eq!(out.data_held(), 0);
    }
}
