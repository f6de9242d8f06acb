//! The same conversations awaited and waited for.

use crate::support::*;
use futures::StreamExt as _;
use mynah::blocking;
use mynah::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

macro_rules! awaited {
    ($call:expr) => {
        $call.await
    };
}

macro_rules! waited {
    ($call:expr) => {
        $call.wait()
    };
}

macro_rules! all_awaited {
    ($call:expr) => {
        $call
            .start()
            .map(Result::unwrap)
            .collect::<Vec<u64>>()
            .await
    };
}

macro_rules! all_waited {
    ($call:expr) => {
        $call.wait().map(Result::unwrap).collect::<Vec<u64>>()
    };
}

/// What is said, whichever way it is waited for.
macro_rules! conversation {
    ($desk:ident, $finish:ident, $all:ident) => {
        assert_eq!($finish!($desk.add(2, 3)).unwrap(), 5);
        let error = $finish!($desk.add(i64::MAX, 1)).unwrap_err();
        let CallError::Application(error) = error else {
            panic!("{error}")
        };
        assert_eq!(error.code(), ErrorCode::application(1));
        // Streams of results.
        assert_eq!($all!($desk.count(4)), [0, 1, 2, 3]);
        assert_eq!($all!($desk.count(0)), Vec::<u64>::new());
        assert_eq!($all!($desk.count(10_000)).len(), 10_000);
        // Whatever can be iterated, as a stream.
        assert_eq!($finish!($desk.sum(vec![1, 2, 3])).unwrap(), 6);
        assert_eq!($finish!($desk.sum(0..10_000)).unwrap(), 49_995_000);
        assert_eq!(
            $finish!($desk.sum(futures::stream::iter([7, 8]))).unwrap(),
            15
        );
        assert_eq!($finish!($desk.sum(std::iter::empty())).unwrap(), 0);
        // Callbacks, in order and before the result.
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        let told = $finish!($desk.tell(500, move |value| hears.lock().unwrap().push(value)));
        assert_eq!(told.unwrap(), 500);
        assert_eq!(*heard.lock().unwrap(), (0..500).collect::<Vec<u64>>());
        let asked = $finish!($desk.ask(100, blocking::answer(|value| Ok(2 * value))));
        assert_eq!(asked.unwrap(), 9900);
        let refuse = blocking::answer(|value| match value {
            0 => Ok(1),
            _ => Err(RpcError::new(ErrorCode::application(4), "no more")),
        });
        let refused = $finish!($desk.ask(100, refuse)).unwrap_err();
        let CallError::Application(refused) = refused else {
            panic!("{refused}")
        };
        assert_eq!(refused.code(), ErrorCode::application(4));
        // Deadlines, and calls that were started.
        let late = $finish!($desk.hang().deadline(Duration::from_millis(20)));
        assert!(matches!(late, Err(CallError::Deadline)), "{late:?}");
        let calls: Vec<_> = (0..20).map(|value| $desk.add(value, 1).start()).collect();
        let mut sums = Vec::new();
        for call in calls {
            sums.push($finish!(call).unwrap());
        }
        assert_eq!(sums, (1..21).collect::<Vec<i64>>());
        $finish!($desk.note("a".into())).unwrap();
        $finish!($desk.note("b".into())).unwrap();
        assert_eq!($finish!($desk.noted()).unwrap(), ["a", "b"]);
    };
}

#[tokio::test]
async fn awaited() {
    for query in ["", "?format=json"] {
        let server = Server::new().register(DeskService::new(MyDesk::default()));
        let server = server.listen("tcp://127.0.0.1:0").start().await.unwrap();
        let url = format!("{}{query}", server.address());
        let desk: DeskClient = mynah::connect(&url).await.unwrap().client();
        conversation!(desk, awaited, all_awaited);
    }
}

#[test]
fn waited() {
    for query in ["", "?format=json", "?format=messagepack"] {
        let server = serve("tcp://127.0.0.1:0");
        let url = format!("{}{query}", server.address());
        let desk: Client = blocking::connect(&url).unwrap().client();
        conversation!(desk, waited, all_waited);
    }
}
