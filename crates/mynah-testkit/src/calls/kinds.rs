//! Plain calls, and what goes beside them.

use super::service::{back, echo, fail, metadata, nowhere, remaining, steps, touch, wait, who};
use super::{CallCase, Far, Joint, cases, eventually};
use crate::failure::{Because as _, Shown, Verdict, ensure};
use mynah_peer::{CallError, Peer};
use mynah_protocol::ErrorCode;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(super) const CASES: &[CallCase] = cases! {
    calls, ten_thousand_calls, large_calls_both_ways, calls_back, errors, notifications, metadata_beside,
    side_messages, deadlines, evidence_of_the_caller,
};

/// Whether a call was refused because the wire has no word for it; any other end is a failure.
pub(super) fn refused<T: Debug, E: Debug>(what: &str, outcome: Result<T, CallError<E>>) -> Verdict {
    match outcome {
        Err(CallError::Unsupported { .. }) => Ok(Shown::Refused),
        other => Err(crate::Failure::new(format!(
            "the profile says that {what} cannot be carried, and it ended with {other:?}"
        ))),
    }
}

/// Both sides call, and get their own answers.
async fn calls(joint: &Joint<'_>) -> Verdict {
    let joined = joint.join().await?;
    for text in ["", "a", "\u{e4}\u{1f426} \"\\\n", &"x".repeat(70_000)] {
        for (side, peer) in joined.callers() {
            // The side that accepts may have to hear something first.
            let answer = echo(peer, text).await;
            let answer = answer.because(&format!("a call of the {side} side"))?;
            ensure(answer == text, || {
                format!("{side}: {text:?} came back as {answer:?}")
            })?;
        }
    }
    joined.idle().await?;
    Ok(Shown::Carried)
}

/// Ten thousand small ones, a hundred at a time.
async fn ten_thousand_calls(joint: &Joint<'_>) -> Verdict {
    let joined = joint.join().await?;
    for round in 0..100 {
        let calls: Vec<_> = (0..100)
            .map(|number| echo(&joined.near, format!("{round}.{number}")).start())
            .collect();
        for (number, call) in calls.into_iter().enumerate() {
            let answer = call.await.because(&format!("call {round}.{number}"))?;
            ensure(answer == format!("{round}.{number}"), || {
                format!("call {round}.{number} got the answer of {answer}")
            })?;
        }
    }
    joined.idle().await?;
    Ok(Shown::Holds)
}

/// Both sides send large params and large answers at once.
async fn large_calls_both_ways(joint: &Joint<'_>) -> Verdict {
    async fn talk(peer: &Peer) -> Result<(), crate::Failure> {
        let text = "0123456789abcdef".repeat(1 << 16);
        let calls: Vec<_> = (0..4).map(|_| echo(peer, text.clone()).start()).collect();
        for call in calls {
            let answer = call.await.because("a large call")?;
            ensure(answer == text, || "a large text was changed".to_owned())?;
        }
        Ok(())
    }
    let joined = joint.join().await?;
    echo(&joined.near, "ready").await.because("a small call")?;
    match &joined.far {
        Far::One(far) => drop(tokio::try_join!(talk(&joined.near), talk(far))?),
        Far::Group(_) => talk(&joined.near).await?,
    }
    joined.idle().await?;
    Ok(Shown::Holds)
}

/// A handler calls back over the connection that its call came by.
async fn calls_back(joint: &Joint<'_>) -> Verdict {
    let joined = joint.join().await?;
    for (side, peer) in joined.callers() {
        let seen = match side {
            "near" => &joined.near_seen,
            _ => &joined.far_seen,
        };
        let answer = back(peer, "there and back").await;
        if let (Far::Group(_), Err(CallError::Application(error))) = (&joined.far, &answer) {
            let echoes = seen.echoes.load(std::sync::atomic::Ordering::SeqCst);
            let refused = error.message().contains("cannot be called");
            ensure(refused && echoes == 0, || {
                format!("a call back ended with {error:?}, after {echoes} echoes")
            })?;
            joined.idle().await?;
            return Ok(Shown::Refused);
        }
        let answer = answer.because("a call")?;
        ensure(answer == "there and back", || format!("it was {answer:?}"))?;
        let echoes = seen.echoes.load(std::sync::atomic::Ordering::SeqCst);
        ensure(echoes == 1, || {
            format!("the side that called was called back {echoes} times")
        })?;
    }
    joined.idle().await?;
    Ok(Shown::Carried)
}

/// What a handler returns as its error arrives, as far as the wire has words for it.
async fn errors(joint: &Joint<'_>) -> Verdict {
    let joined = joint.join().await?;
    let error = fail(&joined.near, 77, "it is \u{201c}wrong\u{201d}").await;
    let Err(CallError::Application(error)) = error else {
        return Err(crate::Failure::new(format!(
            "the error of a handler arrived as {error:?}"
        )));
    };
    ensure(error.message() == "it is \u{201c}wrong\u{201d}", || {
        format!("the text of an error arrived as {:?}", error.message())
    })?;
    let unknown = nowhere(&joined.near).await;
    ensure(unknown.is_err(), || {
        "a method that nobody has gave an answer".to_owned()
    })?;
    echo(&joined.near, "and on")
        .await
        .because("a call after errors")?;
    joined.idle().await?;
    if !joined.profile.capabilities.error_codes {
        return Ok(Shown::Kept);
    }
    ensure(error.code() == ErrorCode::application(77), || {
        format!("the code of an error arrived as {}", error.code())
    })?;
    ensure(
        error.data().and_then(mynah_protocol::Value::as_u64) == Some(7),
        || format!("the data of an error arrived as {:?}", error.data()),
    )?;
    let code = match unknown {
        Err(CallError::Application(error) | CallError::Remote(error)) => Some(error.code()),
        _ => None,
    };
    ensure(code == Some(ErrorCode::METHOD_NOT_FOUND), || {
        format!("a method that nobody has was answered with {code:?}")
    })?;
    Ok(Shown::Carried)
}

/// Every notification arrives once.
async fn notifications(joint: &Joint<'_>) -> Verdict {
    const COUNT: u64 = 1_000;
    let joined = joint.join().await?;
    if !joined.profile.capabilities.notifications {
        return refused("a notification", touch(&joined.near, 1).await);
    }
    for number in 1..=COUNT {
        touch(&joined.near, number)
            .await
            .because("a notification")?;
    }
    let expected = (COUNT * (COUNT + 1) / 2, COUNT);
    let seen = || *joined.far_seen.touched.borrow();
    eventually(
        || seen() == expected,
        || {
            format!(
                "{COUNT} notifications were sent, seen were (sum, count) {:?}",
                seen()
            )
        },
    )
    .await?;
    // None comes twice.
    echo(&joined.near, "last").await.because("a call")?;
    ensure(seen() == expected, || {
        "a notification came twice".to_owned()
    })?;
    joined.idle().await?;
    Ok(Shown::Carried)
}

/// What travels beside the params.
async fn metadata_beside(joint: &Joint<'_>) -> Verdict {
    let joined = joint.join().await?;
    let call = metadata(&joined.near, "tenant").metadata("tenant", "blue \u{1f426}");
    let answer = call.await;
    if !joined.profile.capabilities.metadata {
        return refused("metadata", answer);
    }
    let answer = answer.because("a call with metadata")?;
    ensure(answer.as_deref() == Some("blue \u{1f426}"), || {
        format!("metadata arrived as {answer:?}")
    })?;
    let none = metadata(&joined.near, "tenant").await.because("a call")?;
    ensure(none.is_none(), || {
        format!("metadata came from nowhere: {none:?}")
    })?;
    joined.idle().await?;
    Ok(Shown::Carried)
}

/// Progress and logs arrive in order, and ahead of the end of their call.
async fn side_messages(joint: &Joint<'_>) -> Verdict {
    const COUNT: u64 = 20;
    let joined = joint.join().await?;
    let heard: Arc<Mutex<(Vec<u64>, Vec<String>)>> = Arc::default();
    let lock = |heard: &Mutex<(Vec<u64>, Vec<String>)>| {
        heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    };
    let (progress, log) = (Arc::clone(&heard), Arc::clone(&heard));
    let call = steps(&joined.near, COUNT)
        .on_progress(move |step: u64| {
            let mut heard = progress.lock().unwrap_or_else(PoisonError::into_inner);
            heard.0.push(step);
        })
        .on_log(move |_level, line: String| {
            let mut heard = log.lock().unwrap_or_else(PoisonError::into_inner);
            heard.1.push(line);
        });
    let count = call.await.because("a call that tells how far it is")?;
    ensure(count == COUNT, || format!("its result was {count}"))?;
    let (steps, lines) = lock(&heard);
    joined.idle().await?;
    if !joined.profile.capabilities.side_messages {
        ensure(steps.is_empty() && lines.is_empty(), || {
            "the profile says that side messages cannot be carried, and they came".to_owned()
        })?;
        return Ok(Shown::Refused);
    }
    ensure(steps == (0..COUNT).collect::<Vec<_>>(), || {
        format!("progress arrived as {steps:?}")
    })?;
    let expected: Vec<_> = (0..COUNT).map(|step| format!("step {step}")).collect();
    ensure(lines == expected, || {
        format!("the log arrived as {lines:?}")
    })?;
    Ok(Shown::Carried)
}

/// A deadline ends the call on both sides, and the callee knows what is left where the wire says it.
async fn deadlines(joint: &Joint<'_>) -> Verdict {
    let joined = joint.join().await?;
    echo(&joined.near, "ready").await.because("a call")?;
    let late = wait(&joined.near).deadline(Duration::from_millis(30)).await;
    ensure(matches!(late, Err(CallError::Deadline)), || {
        format!("a call beyond its deadline ended with {late:?}")
    })?;
    if joined.profile.capabilities.deadline || joined.profile.capabilities.cancel {
        joined.far_seen.all_over().await?;
    }
    let given = Duration::from_secs(500);
    let left = remaining(&joined.near).deadline(given).await;
    let left = left.because("a call")?;
    if !joined.profile.capabilities.deadline {
        return Ok(Shown::Kept);
    }
    ensure(
        left.is_some_and(|left| (1..=500_000).contains(&left)),
        || format!("of {given:?} the callee has {left:?} milliseconds left"),
    )?;
    joined.idle().await?;
    Ok(Shown::Carried)
}

/// A handler sees what the transport knows of the caller.
async fn evidence_of_the_caller(joint: &Joint<'_>) -> Verdict {
    let joined = joint.join().await?;
    for (side, peer) in joined.callers() {
        let kind = who(peer).await.because("a call")?;
        ensure(kind.as_ref().is_some_and(|kind| !kind.is_empty()), || {
            format!("who answers the {side} side does not know by what it is connected")
        })?;
    }
    Ok(Shown::Holds)
}
