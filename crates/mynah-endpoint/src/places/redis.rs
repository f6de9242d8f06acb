//! `redis://host:port/db`, `rediss://host:port/db` and `redis+unix:/path`.

use crate::endpoint::Url;
use crate::error::EndpointError;
use crate::percent;
use crate::place::{BoxListener, BoxTransport, Dialing, Listening, Place};
use crate::query::Query;
use async_trait::async_trait;
use mynah_protocol::{Accepted, Dialer, FormatId, Listener, Offer, TransportError};
use mynah_transport_redis_streams::{RedisDialer, RedisListener, RedisOptions, RedisTopology};
use std::fmt;
use std::task::{Context, Poll, ready};
use std::time::Duration;

pub(super) fn read(url: &mut Url<'_>) -> Result<Box<dyn Place>, EndpointError> {
    read_as(url, "redis:")
}

pub(super) fn read_tls(url: &mut Url<'_>) -> Result<Box<dyn Place>, EndpointError> {
    if !cfg!(feature = "redis-streams-tls") {
        return Err(url.wrong("rediss needs the feature redis-streams-tls"));
    }
    read_as(url, "rediss:")
}

pub(super) fn read_unix(url: &mut Url<'_>) -> Result<Box<dyn Place>, EndpointError> {
    if !url.address.starts_with('/') {
        return Err(url.wrong("a Unix socket of Redis is redis+unix:///path"));
    }
    read_as(url, "redis+unix:")
}

fn read_as(url: &mut Url<'_>, scheme: &str) -> Result<Box<dyn Place>, EndpointError> {
    if !url.address.starts_with("//") {
        return Err(url.wrong(
            "Redis is redis://host:port/db, with user:password@ before the host if need be",
        ));
    }
    let mut options = RedisOptions::new(format!("{scheme}{}", url.address));
    let shown = format!("{scheme}{}", without_user(url.address));
    let query = &mut url.query;
    let known = "db is the number of a database";
    if let Some(db) = query.take("db", known, |text| text.parse::<u32>().ok())? {
        options.url = format!("{}?db={db}", options.url);
    }
    let known = "prefix is a text, where % and two hexadecimal digits are any byte";
    if let Some(prefix) = query.take("prefix", known, text)? {
        options.prefix = prefix;
    }
    let known =
        "instance is a text of 1 to 128 bytes, where % and two hexadecimal digits are any byte";
    options.instance = query.take("instance", known, text)?;
    let formats = [
        ("json", FormatId::Json),
        ("cbor", FormatId::Cbor),
        ("messagepack", FormatId::MessagePack),
    ];
    if let Some(format) = query.choose("format", &formats)? {
        options.format = format;
    }
    let words = [("group", false), ("sessions", true)];
    options.sessions = query.choose("calls", &words)?.unwrap_or(false);
    let known = "concurrency is a number from 1";
    let number = |text: &str| text.parse().ok().filter(|number: &usize| *number > 0);
    if let Some(concurrency) = query.take("concurrency", known, number)? {
        options.concurrency = concurrency;
    }
    let known = "serial is the name of a service whose calls run one after the other";
    for service in query.take_all("serial", known, text)? {
        options = options.with_serial(service);
    }
    let known = "max_deliveries is a number from 1";
    let number = |text: &str| text.parse().ok().filter(|number: &u32| *number > 0);
    if let Some(deliveries) = query.take("max_deliveries", known, number)? {
        options.max_deliveries = deliveries;
    }
    for (name, field) in [
        ("claim_idle", &mut options.claim_idle),
        ("reply_ttl", &mut options.reply_ttl),
        ("block", &mut options.block),
        ("early_calls", &mut options.early_calls),
        ("response_timeout", &mut options.response_timeout),
        ("connect_timeout", &mut options.connect_timeout),
        ("wait_timeout", &mut options.wait_timeout),
    ] {
        let known = "times are a number with a unit: 500ms, 10s, 5min";
        if let Some(time) = query.take(name, known, duration)? {
            *field = time;
        }
    }
    let known = "wait is how many replicas are to have what is written";
    if let Some(replicas) = query.take("wait", known, |text| text.parse().ok())? {
        options.wait_replicas = replicas;
    }
    let words = [("publish", true)];
    options.publish_events = query.choose("events", &words)?.unwrap_or(false);
    let words = [("always", true)];
    options.require_fsync = query.choose("appendfsync", &words)?.unwrap_or(false);
    options.topology = topology(query)?;
    let known = "ca is the path of a file with certificates in PEM";
    let read = |path: &str| std::fs::read(text(path)?).ok();
    options.root_certificates = query.take("ca", known, read)?;
    Ok(Box::new(Redis { shown, options }))
}

fn topology(query: &mut Query<'_>) -> Result<RedisTopology, EndpointError> {
    #[derive(Clone, Copy)]
    enum Kind {
        Single,
        Cluster,
        Sentinel,
    }
    let words = [
        ("single", Kind::Single),
        ("cluster", Kind::Cluster),
        ("sentinel", Kind::Sentinel),
    ];
    let kind = query.choose("topology", &words)?;
    if matches!(kind, None | Some(Kind::Single)) {
        let why = "for topology=cluster and topology=sentinel only";
        query.refuse(&["node", "primary"], why)?;
        return Ok(RedisTopology::Single);
    }
    let nodes = query.take_all("node", "node is host:port", text)?;
    let known = "primary is the name under which sentinels know it, for topology=sentinel only";
    let primary = query.take("primary", known, |name| {
        text(name).filter(|_| matches!(kind, Some(Kind::Sentinel)))
    })?;
    Ok(match (kind, primary) {
        (Some(Kind::Sentinel), primary) => RedisTopology::Sentinel {
            primary: primary.unwrap_or_else(|| "mymaster".to_owned()),
            nodes,
        },
        _ => RedisTopology::Cluster { nodes },
    })
}

fn without_user(address: &str) -> String {
    let Some(rest) = address.strip_prefix("//") else {
        return address.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("//{host}"),
        None => address.to_owned(),
    }
}

fn text(value: &str) -> Option<String> {
    let bytes = percent::decode(value)?;
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.is_empty())
}

fn duration(text: &str) -> Option<Duration> {
    let at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(at)?;
    let number: u64 = number.parse().ok()?;
    let duration = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "min" => Duration::from_secs(number.checked_mul(60)?),
        _ => return None,
    };
    (!duration.is_zero()).then_some(duration)
}

/// A fleet on one Redis.
#[derive(Debug)]
struct Redis {
    shown: String,
    options: RedisOptions,
}

impl fmt::Display for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Place for Redis {
    fn dial(&self) -> Result<Dialing, TransportError> {
        let dialer = RedisDialer::new(self.options.clone())?;
        Ok(Dialing::Carrier(Box::new(Boxed(dialer))))
    }

    fn listen(&self) -> Result<Listening, TransportError> {
        let options = self.options.clone();
        Ok(Listening::Carrier(Box::pin(async move {
            let listener: BoxListener<BoxTransport> =
                Box::new(Boxed(RedisListener::bind(options).await?));
            Ok(listener)
        })))
    }
}

/// What it opens and accepts, behind a pointer.
struct Boxed<T>(T);

#[async_trait]
impl Dialer for Boxed<RedisDialer> {
    type Connection = BoxTransport;

    async fn dial(&self) -> Result<Accepted<BoxTransport>, TransportError> {
        let Accepted {
            connection,
            evidence,
        } = self.0.dial().await?;
        Ok(Accepted {
            connection: Box::pin(connection),
            evidence,
        })
    }
}

#[async_trait]
impl Listener for Boxed<RedisListener> {
    type Connection = BoxTransport;

    async fn open(&mut self, offer: &Offer) -> Result<(), TransportError> {
        self.0.open(offer).await
    }

    async fn close(&mut self) {
        self.0.close().await;
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Accepted<BoxTransport>, TransportError>>> {
        let accepted = ready!(self.0.poll_accept(cx));
        Poll::Ready(accepted.map(|accepted| {
            accepted.map(|accepted| Accepted {
                connection: Box::pin(accepted.connection) as BoxTransport,
                evidence: accepted.evidence,
            })
        }))
    }

    fn address(&self) -> String {
        self.0.address()
    }
}
