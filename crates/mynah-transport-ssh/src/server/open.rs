//! From a socket to the subsystem.

use super::SUBSYSTEM;
use super::door::Door;
use super::handler::{ServerHandler, Shared};
use super::meter::Meter;
use super::options::SshServerOptions;
use super::stream::SshServerStream;
use super::supervise::Supervisor;
use crate::duplex::{Eof, duplex};
use crate::elastic::{Elastic, ElasticControl, WRITE_CAP_BYTES};
use mynah_protocol::{Accepted, EvidenceKey, TransportError, TransportErrorKind};
use russh::server::{Config, Msg, run_stream};
use russh::{Channel, ChannelMsg};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

/// What all connections of a listener share.
pub(super) struct Common {
    pub(super) options: Arc<SshServerOptions>,
    pub(super) config: Arc<Config>,
    pub(super) door: Arc<Door>,
}

/// Ends the session when nobody wants it any more: its tasks would wait for the peer.
struct Ending(Option<ElasticControl>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(control) = &self.0 {
            control.end(io::ErrorKind::ConnectionAborted, "nobody was let in");
        }
    }
}

/// Does all that comes before the subsystem, and leaves a task behind that minds the connection.
///
/// Dropped, it ends the connection.
pub(super) async fn open(
    common: Arc<Common>,
    stream: TcpStream,
    remote: SocketAddr,
) -> Result<Accepted<SshServerStream>, TransportError> {
    let options = &common.options;
    let failed = |kind, what: String| {
        TransportError::new(kind, format!("ssh connection from {remote}: {what}"))
    };
    let place = common.door.enter(remote.ip());
    let evicted = place.evicted();
    let shared = Shared::new(place);
    let local = stream.local_addr()?;
    let (read, write) = halves(stream)?;
    let (metered, meter) = Meter::on(read, options.max_early_bytes);
    let (elastic, control) = Elastic::new(metered, write, WRITE_CAP_BYTES);
    let mut ending = Ending(Some(control.clone()));
    let (sender, mut receiver) = mpsc::channel(1);
    let handler = ServerHandler::new(options, remote, &shared, (meter, control.clone()), sender);
    let opening = async {
        let mut session = run_stream(Arc::clone(&common.config), elastic, handler)
            .await
            .map_err(|error| error.to_string())?;
        let Some((mut channel, evidence)) = receiver.recv().await else {
            return Err(match (&mut session).await {
                Ok(()) => "it went before it was let in".to_owned(),
                Err(error) => error.to_string(),
            });
        };
        if !granted(&mut channel).await {
            return Err("it went without the subsystem".to_owned());
        }
        Ok((session, channel, evidence))
    };
    let opened = tokio::select! {
        opened = opening => opened,
        () = tokio::time::sleep(options.login_timeout) => {
            Err(format!("not let in within {:?}", options.login_timeout))
        }
        () = evicted.notified() => {
            Err("others came before it was let in, and too many wait".to_owned())
        }
    };
    let (session, channel, evidence) = opened.map_err(|why| {
        let notes = shared.notes().map(|notes| format!(" ({notes})"));
        failed(
            TransportErrorKind::Denied,
            why + notes.as_deref().unwrap_or_default(),
        )
    })?;
    let evidence = evidence.with(EvidenceKey::LOCAL_ADDRESS, local.to_string());
    let (read, write) = channel.split();
    let write = Arc::new(write);
    let (duplex, state) = duplex(read, Arc::clone(&write), control, Eof::HalfClose, || None);
    ending.0 = None;
    let supervisor = Supervisor {
        session,
        channel: write,
        state,
        options: Arc::clone(options),
        _place: shared.take_place(),
    };
    tokio::spawn(supervisor.run());
    Ok(Accepted {
        connection: SshServerStream(duplex),
        evidence,
    })
}

/// Both halves of a socket that sends at once: russh writes once for all that is ready, and without this an answer waits
/// for an acknowledgement.
fn halves(stream: TcpStream) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    stream.set_nodelay(true)?;
    Ok(stream.into_split())
}

/// Waits for the subsystem. What is asked for besides was refused already; bytes that come before it belong to nothing.
async fn granted(channel: &mut Channel<Msg>) -> bool {
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::RequestSubsystem { name, .. } if name == SUBSYSTEM => return true,
            ChannelMsg::Close => return false,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sockets_do_not_delay() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (read, write) = halves(far.unwrap().0).unwrap();
        assert!(read.as_ref().nodelay().unwrap() && write.as_ref().nodelay().unwrap());
        drop(near);
    }
}
