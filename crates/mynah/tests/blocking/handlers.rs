//! Handlers that block: bounded threads, and none that waits for a peer that has gone.

use crate::support::{LONG, until};
use mynah::blocking::{self, BlockingPool};
use mynah::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// What a caller serves for the handlers.
#[mynah::service]
trait Home {
    async fn double(&self, value: u64) -> u64;
    async fn never(&self);
}

struct MyHome;

impl Home for MyHome {
    async fn double(&self, value: u64) -> u64 {
        2 * value
    }
    async fn never(&self) {
        std::future::pending::<()>().await;
    }
}

#[mynah::service]
trait Shop {
    /// Holds its thread until the gate is open.
    #[blocking]
    fn hold(&self) -> u64;
    #[blocking]
    fn thread(&self) -> bool;
    #[blocking]
    fn home(&self, cx: &Context, value: u64) -> Result<u64, RpcError>;
    #[blocking]
    fn total(&self, values: Incoming<u64>) -> Result<u64, RpcError>;
    #[blocking]
    fn told(&self, cx: &Context, below: u64, told: Callback<u64>) -> Result<u64, RpcError>;
    /// Waits for something that never comes: a call back, an item, an answer, a future.
    #[blocking]
    fn waits(
        &self,
        cx: &Context,
        how: u8,
        values: Incoming<u64>,
        asked: Callback<u64, u64>,
    ) -> Result<u64, RpcError>;
    #[blocking]
    fn panics(&self);
    /// Numbers of an iterator that blocks in the midst, until the gate is open.
    fn lines(&self, up_to: u64, gate_at: u64) -> impl Stream<Item = u64> + Send;
}

#[derive(Clone, Default)]
struct MyShop {
    open: Arc<(Mutex<bool>, Condvar)>,
    holding: Arc<AtomicUsize>,
    waiting: Arc<AtomicUsize>,
    ends: Arc<Mutex<Vec<String>>>,
    threads: Arc<Mutex<Vec<ThreadId>>>,
    /// Iterators that were dropped.
    dropped: Arc<AtomicUsize>,
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl MyShop {
    fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }

    fn wait(
        cx: &Context,
        how: u8,
        values: Incoming<u64>,
        asked: &Callback<u64, u64>,
    ) -> Result<u64, RpcError> {
        match how {
            0 => {
                let home: HomeClient<blocking::Peer> = cx.peer().blocking()?.client();
                home.never().no_deadline().wait()?;
            }
            1 => {
                for value in values.blocking()? {
                    value.map_err(|end| RpcError::new(ErrorCode::UNCODED, end.to_string()))?;
                }
            }
            2 => drop(cx.wait(asked.call(0))??),
            _ => cx.wait(std::future::pending::<()>())?,
        }
        Ok(0)
    }
}

impl Shop for MyShop {
    fn hold(&self) -> u64 {
        self.holding.fetch_add(1, Ordering::SeqCst);
        let open = self.open.0.lock().unwrap();
        drop(self.open.1.wait_while(open, |open| !*open).unwrap());
        self.holding.fetch_sub(1, Ordering::SeqCst);
        7
    }

    fn thread(&self) -> bool {
        self.threads.lock().unwrap().push(thread::current().id());
        // What needs a runtime finds that of the server.
        tokio::runtime::Handle::try_current().is_ok()
    }

    fn home(&self, cx: &Context, value: u64) -> Result<u64, RpcError> {
        let home: HomeClient<blocking::Peer> = cx.peer().blocking()?.client();
        let once = home.double(value).wait()?;
        // The same through an async client.
        let home: HomeClient = cx.peer().client();
        Ok(cx.wait(home.double(once).into_future())??)
    }

    fn total(&self, values: Incoming<u64>) -> Result<u64, RpcError> {
        let mut total = 0;
        for value in values.blocking()? {
            total += value.map_err(|end| RpcError::new(ErrorCode::UNCODED, end.to_string()))?;
        }
        Ok(total)
    }

    fn told(&self, cx: &Context, below: u64, told: Callback<u64>) -> Result<u64, RpcError> {
        for value in 0..below {
            cx.wait(told.send(value))??;
        }
        Ok(below)
    }

    fn waits(
        &self,
        cx: &Context,
        how: u8,
        values: Incoming<u64>,
        asked: Callback<u64, u64>,
    ) -> Result<u64, RpcError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let waited = Self::wait(cx, how, values, &asked);
        let end = waited.as_ref().unwrap_err().to_string();
        self.ends.lock().unwrap().push(end);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        waited
    }

    fn panics(&self) {
        panic!("on purpose");
    }

    fn lines(&self, up_to: u64, gate_at: u64) -> impl Stream<Item = u64> + Send {
        let shop = self.clone();
        let dropped = Dropped(Arc::clone(&self.dropped));
        blocking::stream((0..up_to).inspect(move |number| {
            let _held = &dropped;
            assert!(*number < 1000, "on purpose");
            if *number == gate_at {
                shop.hold();
            }
        }))
    }
}

fn serve(shop: &MyShop, pool: BlockingPool) -> blocking::ServerHandle {
    blocking::Server::new()
        .register(ShopService::new(shop.clone()))
        .with(|server| server.blocking_pool(pool))
        .listen("tcp://127.0.0.1:0")
        .io_threads(1)
        .start()
        .unwrap()
}

fn connect(server: &blocking::ServerHandle) -> blocking::Peer {
    let connector = mynah::connector(server.address()).unwrap();
    let connector = connector.register(HomeService::new(MyHome));
    connector.connect_blocking().unwrap()
}

#[test]
fn beyond_threads_and_queue_calls_are_busy_and_do_not_run() {
    let shop = MyShop::default();
    let server = serve(&shop, BlockingPool::new(2, 3));
    let client: ShopClient<blocking::Peer> = connect(&server).client();
    let running: Vec<_> = (0..2).map(|_| client.hold().start()).collect();
    until("both run", || shop.holding.load(Ordering::SeqCst) == 2);
    let queued: Vec<_> = (0..3).map(|_| client.hold().start()).collect();
    // They are there before the next: calls of one connection arrive in order.
    for _ in 0..3 {
        let busy = client.hold().wait();
        assert!(matches!(busy, Err(CallError::Busy { .. })), "{busy:?}");
    }
    // One that is cancelled in the queue does not run.
    let mut queued = queued.into_iter();
    drop(queued.next());
    shop.open();
    for call in running.into_iter().chain(queued) {
        assert_eq!(call.wait().unwrap(), 7);
    }
    // Afterwards there is room.
    assert_eq!(client.hold().wait().unwrap(), 7);
    until("nothing runs", || {
        let here = server.peers().pop().unwrap();
        here.caller().stats().handlers_running == 0
    });
}

#[test]
fn they_run_on_threads_of_their_own_in_the_runtime_of_the_server() {
    let shop = MyShop::default();
    let server = serve(&shop, BlockingPool::new(2, 16));
    let client: ShopClient<blocking::Peer> = connect(&server).client();
    for _ in 0..20 {
        assert!(client.thread().wait().unwrap());
    }
    let mut threads = shop.threads.lock().unwrap().clone();
    threads.sort_by_key(|id| format!("{id:?}"));
    threads.dedup();
    assert!(threads.len() <= 2 && !threads.contains(&thread::current().id()));
    let error = client.panics().wait().unwrap_err();
    assert!(error.to_string().contains("internal error"), "{error}");
    assert!(client.thread().wait().unwrap());
}

#[test]
fn they_call_back_read_input_and_tell_with_blocking_means() {
    let shop = MyShop::default();
    let server = serve(&shop, BlockingPool::new(4, 16));
    let client: ShopClient<blocking::Peer> = connect(&server).client();
    assert_eq!(client.home(5).wait().unwrap(), 20);
    assert_eq!(client.total(0..1000).wait().unwrap(), 499_500);
    let heard = Arc::new(Mutex::new(0));
    let hears = Arc::clone(&heard);
    let told = client.told(100, move |value| *hears.lock().unwrap() += value);
    assert_eq!(told.wait().unwrap(), 100);
    assert_eq!(*heard.lock().unwrap(), 4950);
}

/// Whatever a handler waits for, it is released when its peer is gone, and when its call is cancelled or late.
#[test]
fn one_that_waits_for_a_peer_that_has_gone_is_released() {
    let shop = MyShop::default();
    let server = serve(&shop, BlockingPool::new(4, 0));
    let ask = || async |_value: u64| std::future::pending::<Result<u64, RpcError>>().await;
    let wait = |peer: &blocking::Peer, how: u8| {
        let client: ShopClient<blocking::Peer> = peer.client();
        let never = futures::stream::pending::<u64>();
        client.waits(how, never, ask()).no_deadline().start()
    };
    for how in 0..4 {
        let peer = connect(&server);
        let call = wait(&peer, how);
        until("it waits", || shop.waiting.load(Ordering::SeqCst) == 1);
        // The process of the peer dies, as far as the server can see.
        let gone = thread::spawn(move || drop((call, peer)));
        until("it is released", || {
            shop.waiting.load(Ordering::SeqCst) == 0
        });
        gone.join().unwrap();
    }
    let peer = connect(&server);
    for how in 1..4 {
        let call = wait(&peer, how);
        until("it waits", || shop.waiting.load(Ordering::SeqCst) == 1);
        drop(call);
        until("it is released", || {
            shop.waiting.load(Ordering::SeqCst) == 0
        });
    }
    let client: ShopClient<blocking::Peer> = peer.client();
    let never = futures::stream::pending::<u64>();
    let late = client
        .waits(3, never, ask())
        .deadline(Duration::from_millis(50));
    assert!(late.wait().is_err());
    until("it is released", || {
        shop.waiting.load(Ordering::SeqCst) == 0
    });
    assert_eq!(shop.ends.lock().unwrap().len(), 8);
    // All threads are there again: there is no queue.
    let held: Vec<_> = (0..4).map(|_| client.hold().start()).collect();
    until("all run", || shop.holding.load(Ordering::SeqCst) == 4);
    shop.open();
    for call in held {
        assert_eq!(call.wait().unwrap(), 7);
    }
}

/// The same handlers, called in process: they wait for their turn, and one that nobody waits for does not run.
#[test]
fn in_process_they_wait_for_their_turn() {
    let shop = MyShop::default();
    let server = blocking::Server::new()
        .register(ShopService::new(shop.clone()))
        .with(|server| server.blocking_pool(BlockingPool::new(1, 0)))
        .listen("memory:blocking-turn");
    let _server = server.start().unwrap();
    let peer = blocking::connect("memory:blocking-turn").unwrap();
    let client: ShopClient<blocking::Peer> = peer.client();
    let first = client.hold().start();
    until("it runs", || shop.holding.load(Ordering::SeqCst) == 1);
    let (dropped, last) = (client.thread().start(), client.hold().start());
    drop(dropped);
    for _ in 0..3 {
        // In process a call that was started is a task: it hears that it was dropped when somebody drives it.
        peer.wait(tokio::task::yield_now()).unwrap();
    }
    shop.open();
    assert_eq!(first.wait().unwrap(), 7);
    assert_eq!(last.wait().unwrap(), 7);
    assert!(shop.threads.lock().unwrap().is_empty());
    assert!(client.thread().deadline(LONG).wait().unwrap());
}

/// An iterator that blocks is asked on the pool, as far as somebody takes what it gives, and goes with its stream.
#[test]
fn an_iterator_that_blocks_is_a_stream() {
    let shop = MyShop::default();
    let server = serve(&shop, BlockingPool::new(1, 0));
    let client: ShopClient<blocking::Peer> = connect(&server).client();
    let dropped = || shop.dropped.load(Ordering::SeqCst);
    let all: Result<Vec<u64>, _> = client.lines(500, u64::MAX).into_iter().collect();
    assert_eq!(all.unwrap(), (0..500).collect::<Vec<_>>());
    until("it is dropped", || dropped() == 1);
    let mut gated = client.lines(500, 100).wait();
    assert!(gated.by_ref().take(64).all(|number| number.is_ok()));
    until("it blocks", || shop.holding.load(Ordering::SeqCst) == 1);
    // Nothing else does: the one thread for connections is free.
    assert!(client.thread().wait().unwrap());
    drop(gated);
    shop.open();
    until("it is dropped", || dropped() == 2);
    // Its panic is that of the call.
    let ended = client.lines(2000, u64::MAX).wait().last().unwrap();
    assert!(ended.unwrap_err().to_string().contains("internal error"));
    until("it is dropped", || dropped() == 3);
}
