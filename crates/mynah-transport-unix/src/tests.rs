use super::*;
use mynah_protocol::{Accepted, Dialer as _, Evidence, EvidenceKey, Listener as _};
use mynah_protocol::{TransportError, TransportErrorKind};
use std::future::poll_fn;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A directory of its own for a test.
struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn files(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.0.path()).unwrap();
        files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

async fn accept(listener: &mut UnixListener) -> Result<Accepted<UnixStream>, TransportError> {
    poll_fn(|cx| listener.poll_accept(cx)).await.unwrap()
}

/// Both sides of a connection, which carries bytes both ways.
async fn connect(
    listener: &mut UnixListener,
    address: impl Into<UnixAddress>,
) -> (Evidence, Evidence) {
    let dialer = UnixDialer::new(address);
    let (near, far) = tokio::join!(dialer.dial(), accept(listener));
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    near.connection.write_all(b"ping").await.unwrap();
    far.connection.write_all(b"pong").await.unwrap();
    let mut heard = [0; 4];
    near.connection.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"pong");
    far.connection.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"ping");
    (near.evidence, far.evidence)
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode()
        & 0o777
}

fn refused(path: &Path) -> TransportError {
    UnixListener::bind(path).unwrap_err()
}

/// A socket file of a server that was killed.
fn leave_stale(path: &Path) {
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
}

#[tokio::test]
async fn u1_the_kernel_says_who_the_peer_is() {
    let directory = Directory::new();
    let path = directory.path("a");
    let mut listener = UnixListener::bind(path.as_path()).unwrap();
    let address = format!("unix:{}", path.display());
    assert_eq!(listener.address(), address);
    let (near, far) = connect(&mut listener, path.as_path()).await;
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    for evidence in [&near, &far] {
        assert_eq!(evidence.text(EvidenceKey::TRANSPORT), Some("unix"));
        assert_eq!(evidence.integer(EvidenceKey::USER_ID), Some(user.into()));
        assert_eq!(evidence.integer(EvidenceKey::GROUP_ID), Some(group.into()));
        assert_eq!(
            evidence.integer(EvidenceKey::PROCESS_ID),
            Some(std::process::id().into())
        );
    }
    let address = Some(address.as_str());
    assert_eq!(near.text(EvidenceKey::REMOTE_ADDRESS), address);
    assert_eq!(far.text(EvidenceKey::LOCAL_ADDRESS), address);
    let shown = format!("unix uid={user} pid={}", std::process::id());
    assert_eq!(far.to_string(), shown);
}

#[tokio::test]
async fn u1_permission_bits_are_those_that_were_chosen() {
    let directory = Directory::new();
    for (bits, name) in [
        (0o600, "a"),
        (0o660, "b"),
        (0o666, "c"),
        (0o777, "d"),
        (0o200, "e"),
    ] {
        let path = directory.path(name);
        let options = UnixOptions::default().with_mode(bits);
        let _listener = UnixListener::bind_with(path.as_path(), &options).unwrap();
        assert_eq!(mode(&path), bits, "{bits:o}");
    }
    let path = directory.path("f");
    let _listener = UnixListener::bind(path.as_path()).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&directory.path("f.lock")), 0o600);
    let options = UnixOptions::default().with_mode(0o1600);
    let error = UnixListener::bind_with(directory.path("g"), &options).unwrap_err();
    assert!(error.chain().contains("0o1600"), "{}", error.chain());
}

/// Not even before the bits are set: the file comes into being with those of the socket.
#[cfg(target_os = "linux")]
#[test]
fn u1_there_is_no_moment_with_wider_permissions() {
    let directory = Directory::new();
    let path = directory.path("a");
    let socket = listen::socket().unwrap();
    let socket = std::fs::File::from(socket);
    socket
        .set_permissions(std::fs::Permissions::from_mode(0o600))
        .unwrap();
    let name = rustix::net::SocketAddrUnix::new(&path).unwrap();
    rustix::net::bind(&socket, &name).unwrap();
    assert_eq!(mode(&path), 0o600);
    // What other servers do, for comparison: as wide as the umask lets it be.
    let wide = directory.path("b");
    leave_stale(&wide);
    assert_ne!(mode(&wide), 0o600);
}

#[tokio::test]
async fn u1_a_stale_file_is_replaced() {
    let directory = Directory::new();
    let path = directory.path("a");
    leave_stale(&path);
    assert!(path.exists());
    let mut listener = UnixListener::bind(path.as_path()).unwrap();
    connect(&mut listener, path.as_path()).await;
    drop(listener);
    // As after a server that was killed with its lock file in place.
    leave_stale(&path);
    std::fs::write(directory.path("a.lock"), "").unwrap();
    let mut listener = UnixListener::bind(path.as_path()).unwrap();
    connect(&mut listener, path.as_path()).await;
    drop(listener);
    assert_eq!(directory.files(), [""; 0]);
}

#[tokio::test]
async fn u1_a_live_socket_is_never_removed() {
    let directory = Directory::new();
    // One of ours.
    let ours = directory.path("ours");
    let mut first = UnixListener::bind(ours.as_path()).unwrap();
    let error = refused(&ours);
    assert_eq!(error.kind(), TransportErrorKind::Address);
    assert!(
        error.chain().contains("another server listens there"),
        "{}",
        error.chain()
    );
    connect(&mut first, ours.as_path()).await;
    // One of ours whose lock file was cleaned away.
    std::fs::remove_file(directory.path("ours.lock")).unwrap();
    refused(&ours);
    // What it was asked with.
    drop(accept(&mut first).await);
    connect(&mut first, ours.as_path()).await;
    // One that knows nothing of locks.
    let path = directory.path("theirs");
    let theirs = std::os::unix::net::UnixListener::bind(&path).unwrap();
    refused(&path);
    let error = refused(&path);
    assert_eq!(error.kind(), TransportErrorKind::Address);
    let (_near, _far) = (
        std::os::unix::net::UnixStream::connect(&path).unwrap(),
        theirs.accept().unwrap(),
    );
    // One of another type.
    let path = directory.path("datagrams");
    let _datagrams = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    refused(&path);
    assert!(path.exists());
}

/// As many as wait for the kernel: it is busy, not stale.
#[tokio::test]
async fn u1_a_socket_with_a_full_backlog_is_live() {
    let directory = Directory::new();
    let path = directory.path("a");
    let options = UnixOptions::default().with_backlog(0);
    let mut listener = UnixListener::bind_with(path.as_path(), &options).unwrap();
    let waiting = std::os::unix::net::UnixStream::connect(&path).unwrap();
    std::fs::remove_file(directory.path("a.lock")).unwrap();
    refused(&path);
    // A dialer waits for its turn.
    let dialer = UnixDialer::new(path.as_path());
    let mut dial = dialer.dial();
    let early = tokio::select! {
        done = &mut dial => Some(done),
        () = tokio::time::sleep(Duration::from_millis(20)) => None,
    };
    assert!(early.is_none(), "there is room");
    let _first = accept(&mut listener).await.unwrap();
    let _second = dial.await.unwrap();
    drop(waiting);
    // Or gives up in the end.
    let quick = UnixOptions::default().with_connect_timeout(Duration::from_millis(5));
    let error = dialer.options(quick).dial().await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::TimedOut);
}

#[tokio::test]
async fn u1_files_that_are_no_sockets_are_left_alone() {
    let directory = Directory::new();
    let file = directory.path("file");
    std::fs::write(&file, "mine").unwrap();
    let link = directory.path("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    std::fs::create_dir(directory.path("directory")).unwrap();
    for name in ["file", "link", "directory"] {
        let error = refused(&directory.path(name));
        assert!(error.chain().contains("no socket"), "{}", error.chain());
    }
    assert_eq!(std::fs::read_to_string(&link).unwrap(), "mine");
    let mut left = directory.files();
    left.sort();
    assert_eq!(left, ["directory", "file", "link"]);
    // Nor is a lock file followed to somewhere else.
    let path = directory.path("a");
    std::os::unix::fs::symlink(&file, directory.path("a.lock")).unwrap();
    let error = refused(&path);
    assert!(error.chain().contains("a.lock"), "{}", error.chain());
    assert!(!path.exists());
}

/// Every thread binds the same path, with a stale file in it: one has it, the others are told so.
#[tokio::test]
async fn u1_of_servers_that_race_for_a_path_exactly_one_wins() {
    let directory = Directory::new();
    let path = directory.path("a");
    for round in 0..50 {
        if round % 2 == 0 {
            leave_stale(&path);
        }
        let barrier = Arc::new(Barrier::new(8));
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let (barrier, path) = (Arc::clone(&barrier), path.clone());
                tokio::task::spawn_blocking(move || {
                    barrier.wait();
                    UnixListener::bind(path)
                })
            })
            .collect();
        let mut winners = Vec::new();
        for racer in racers {
            match racer.await.unwrap() {
                Ok(listener) => winners.push(listener),
                Err(error) => assert_eq!(error.kind(), TransportErrorKind::Address),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        connect(&mut winners[0], path.as_path()).await;
        drop(winners);
        assert_eq!(directory.files(), [""; 0], "round {round}");
    }
}

/// Servers come and go on one path: each that comes finds it free or taken, and none goes with the file of another.
#[tokio::test]
async fn u1_servers_that_come_and_go_keep_their_own_file() {
    let directory = Directory::new();
    let path = directory.path("a");
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let path = path.clone();
            tokio::task::spawn_blocking(move || {
                let mut held = 0;
                for _ in 0..200 {
                    if let Ok(listener) = UnixListener::bind(path.as_path()) {
                        let there = std::os::unix::net::UnixStream::connect(&path);
                        there.expect("its file is there as long as it lives");
                        drop(listener);
                        held += 1;
                    }
                }
                held
            })
        })
        .collect();
    let mut held = 0;
    for worker in workers {
        held += worker.await.unwrap();
    }
    assert!(held > 0);
    assert_eq!(directory.files(), [""; 0]);
}

#[tokio::test]
async fn u1_only_its_own_file_is_removed() {
    let directory = Directory::new();
    let path = directory.path("a");
    let listener = UnixListener::bind(path.as_path()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(listener);
    assert!(
        std::fs::symlink_metadata(&path)
            .unwrap()
            .file_type()
            .is_socket()
    );
    std::os::unix::net::UnixStream::connect(&path).unwrap();
    drop(other);
    // Nothing there at all is fine too.
    let listener = UnixListener::bind(path.as_path()).unwrap();
    std::fs::remove_file(&path).unwrap();
    drop(listener);
    assert_eq!(directory.files(), [""; 0]);
}

#[tokio::test]
async fn u1_paths_that_are_too_long_are_refused_with_the_limit() {
    let directory = Directory::new();
    let path = directory.path(&"a".repeat(MAX_ADDRESS_BYTES));
    let bytes = path.as_os_str().len();
    let errors = [
        refused(&path),
        UnixDialer::new(path.as_path()).dial().await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), TransportErrorKind::Address);
        let text = error.chain();
        let part = format!("of {bytes} bytes exceeds limit of {MAX_ADDRESS_BYTES}");
        assert!(text.contains(&part), "{text}");
    }
    assert_eq!(directory.files(), [""; 0]);
    // The longest one works, its lock file beside it.
    let room = MAX_ADDRESS_BYTES - directory.path("").as_os_str().len();
    let path = directory.path(&"a".repeat(room));
    assert_eq!(path.as_os_str().len(), MAX_ADDRESS_BYTES);
    let mut listener = UnixListener::bind(path.as_path()).unwrap();
    connect(&mut listener, path.as_path()).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn u1_abstract_names_have_no_file() {
    // Shared by all processes of the machine: a name that nobody else has.
    let name = format!("mynah/test/{}", std::process::id());
    let address = UnixAddress::Abstract(name.clone().into_bytes());
    let mut listener = UnixListener::bind(address.clone()).unwrap();
    assert_eq!(listener.address(), format!("unix:@{name}"));
    let (near, _far) = connect(&mut listener, address.clone()).await;
    let remote = near.text(EvidenceKey::REMOTE_ADDRESS);
    assert_eq!(remote, Some(format!("unix:@{name}").as_str()));
    let error = UnixListener::bind(address.clone()).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Address);
    drop(listener);
    let error = UnixDialer::new(address.clone()).dial().await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Refused);
    drop(UnixListener::bind(address).unwrap());
}

#[tokio::test]
async fn u1_users_who_may_not_be_there_are_turned_away() {
    let directory = Directory::new();
    let user = rustix::process::geteuid().as_raw();
    let nobody = UnixOptions::default().with_peers(AllowedPeers::Users(vec![user + 1]));
    let path = directory.path("a");
    let mut listener = UnixListener::bind_with(path.as_path(), &nobody).unwrap();
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let error = accept(&mut listener).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Denied);
    assert!(error.to_string().contains(&user.to_string()), "{error}");
    // It is closed, and the next one is looked at.
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut client, &mut rest).unwrap();
    let _client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    accept(&mut listener).await.unwrap_err();
    // The side that connects looks too.
    let dialer = UnixDialer::new(path.as_path()).options(nobody);
    let error = dialer.dial().await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Denied);
    for peers in [
        AllowedPeers::Any,
        AllowedPeers::SameUser,
        AllowedPeers::Users(vec![user]),
    ] {
        let path = directory.path("b");
        let options = UnixOptions::default().with_peers(peers);
        let mut listener = UnixListener::bind_with(path.as_path(), &options).unwrap();
        connect(&mut listener, path.as_path()).await;
    }
}

#[tokio::test]
async fn listeners_of_others_are_taken_over() {
    let directory = Directory::new();
    let path = directory.path("a");
    let bound = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut listener = UnixListener::from_std(bound).unwrap();
    assert_eq!(
        listener.local_address(),
        Some(&UnixAddress::from(path.as_path()))
    );
    connect(&mut listener, path.as_path()).await;
    drop(listener);
    // Whoever made it removes it.
    assert!(path.exists());
}

#[tokio::test]
async fn errors_say_what_was_tried() {
    let directory = Directory::new();
    let path = directory.path("nobody");
    let error = UnixDialer::new(path.as_path()).dial().await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Refused);
    let text = error.chain();
    let what = format!("cannot connect to unix:{}: ", path.display());
    assert!(text.starts_with(&what), "{text}");
    let error = refused(&directory.path("no/directory"));
    let text = error.chain();
    assert!(text.contains("cannot listen on unix:"), "{text}");
    assert!(text.contains("no/directory.lock"), "{text}");
}
