//! Calls by a URL, and how they end.

use crate::sshd::Sshd;
use crate::worker;
use mynah::EvidenceKey;

#[mynah::service]
trait Backup {
    async fn host(&self) -> String;
}

#[tokio::test]
async fn a_typed_call_over_ssh() {
    let server = Sshd::start("");
    let peer = mynah::connect(&worker::url(&server, "")).await.unwrap();
    assert_eq!(peer.evidence().text(EvidenceKey::TRANSPORT), Some("ssh"));
    let backup: BackupClient = peer.client();
    backup.host().await.unwrap();
}

/// SSH3: what a shell prints before the worker begins is skipped when that is asked for, and is a clear error when not.
#[tokio::test]
async fn a_banner_before_the_protocol() {
    // As a shell does that has an `echo` in the file which it reads first.
    let server =
        Sshd::start("ForceCommand echo You have new mail.; eval \"$SSH_ORIGINAL_COMMAND\"");
    let url = worker::url(&server, "");
    let refused = match mynah::connect(&url).await {
        Ok(peer) => {
            let backup: BackupClient = peer.client();
            backup.host().await.unwrap_err().to_string()
        }
        Err(error) => error.to_string(),
    };
    assert!(refused.contains("does not speak native"), "{refused}");

    let peer = mynah::connect(&format!("{url}&banner=1000")).await.unwrap();
    let backup: BackupClient = peer.client();
    backup.host().await.unwrap();

    // A cap is a cap.
    let refused = mynah::connect(&format!("{url}&banner=5"))
        .await
        .unwrap_err();
    let refused = error_chain(&refused);
    assert!(
        refused.contains("more than 5 bytes came before"),
        "{refused}"
    );
    assert!(refused.contains("You have new mail"), "{refused}");
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
