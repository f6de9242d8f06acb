use super::Direct;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{self, Poll, Wake, Waker};

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What one look at a waiting future comes to: how often it was polled, and how often it asked to be polled again.
fn look(direct: &Direct, looks: usize) -> Vec<(usize, usize)> {
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = task::Context::from_waker(&waker);
    let mut seat = direct.seat();
    let look = |_| {
        // Somebody rings for the task, over or not: what it has registered outlives it.
        direct.waker.wake_by_ref();
        let (mut polls, before) = (0, count.0.load(Ordering::SeqCst));
        let polled: Poll<()> = seat.poll(&mut cx, |_| {
            polls += 1;
            Poll::Pending
        });
        assert!(polled.is_pending());
        (polls, count.0.load(Ordering::SeqCst) - before)
    };
    (0..looks).map(look).collect()
}

/// A wait that outlives its connection goes on: with the next connection of a client that reconnects, say.
#[test]
fn one_that_waits_behind_the_end_of_the_task_does_not_spin() {
    let direct = Direct::new(Box::pin(async {}));
    assert_eq!(look(&direct, 4), [(1, 0); 4]);
    // Another one that begins to wait then.
    assert_eq!(look(&direct, 4), [(1, 0); 4]);
}

#[test]
fn a_task_that_waits_is_polled_once_for_each_ring() {
    let polls = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&polls);
    let direct = Direct::new(Box::pin(std::future::poll_fn(move |_| {
        own.fetch_add(1, Ordering::SeqCst);
        Poll::Pending
    })));
    assert_eq!(look(&direct, 4), [(1, 0); 4]);
    assert_eq!(polls.load(Ordering::SeqCst), 4);
}

#[test]
fn a_task_that_always_has_more_to_do_lets_others_have_their_turn() {
    let direct = Direct::new(Box::pin(std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Pending
    })));
    assert_eq!(look(&direct, 2), [(super::LOOKS, 1); 2]);
}
