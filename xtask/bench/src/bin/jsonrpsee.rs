//! jsonrpsee over WebSocket without TLS, by its own types, without its macros. A payload is a text
//! in base64, as JSON has no other way; limits are raised where the load asks for more than its
//! defaults allow.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jsonrpsee_core::client::ClientT as _;
use jsonrpsee_core::params::ArrayParams;
use jsonrpsee_server::types::ErrorObjectOwned;
use jsonrpsee_server::{RpcModule, ServerBuilder, ServerConfig};
use jsonrpsee_ws_client::{WsClient, WsClientBuilder};
use mynah_bench::{
    Address, Bytes, Contender, Echo, Failure, Listening, Load, MAX_MESSAGE, Tally, TypedEcho,
    echo_tasks,
};
use std::process::ExitCode;
use std::sync::Arc;

/// Calls in flight on a connection, and connections; its defaults are 256 and 100.
const MANY: u16 = 4096;

#[derive(Clone)]
struct Jsonrpsee(Arc<WsClient>);

impl Contender for Jsonrpsee {
    async fn serve(listener: Listening, _: &str) -> Result<(), Failure> {
        let listener = listener.tcp()?;
        let most = u32::try_from(MAX_MESSAGE)?;
        let config = ServerConfig::builder()
            .ws_only()
            .set_tcp_no_delay(true)
            .max_connections(MANY.into())
            .set_message_buffer_capacity(MANY.into())
            .max_request_body_size(most)
            .max_response_body_size(most)
            .build();
        let server = ServerBuilder::with_config(config).build_from_tcp(listener.into_std()?)?;
        let mut module = RpcModule::new(());
        module.register_method("echo", |params, (), _| params.one::<Echo>())?;
        module.register_method("blob", |params, (), _| {
            // Decoded and encoded again: the handler wants bytes.
            let payload = BASE64_STANDARD.decode(params.one::<String>()?);
            let payload = payload
                .map_err(|error| ErrorObjectOwned::owned(1, error.to_string(), None::<()>))?;
            Ok::<_, ErrorObjectOwned>(BASE64_STANDARD.encode(payload))
        })?;
        server.start(module).stopped().await;
        Ok(())
    }

    async fn connect(address: Option<Address>, _: &str) -> Result<Self, Failure> {
        let address = address.ok_or("jsonrpsee needs an address")?.tcp()?;
        let most = u32::try_from(MAX_MESSAGE)?;
        let client = WsClientBuilder::new()
            .set_tcp_no_delay(true)
            .max_concurrent_requests(MANY.into())
            .max_request_size(most)
            .max_response_size(most)
            .build(format!("ws://{address}"))
            .await?;
        Ok(Self(Arc::new(client)))
    }

    async fn load(&self, load: &Load) -> Result<Tally, Failure> {
        echo_tasks(self, load).await
    }

    async fn blob(&self, payload: Bytes) -> Result<Bytes, Failure> {
        let mut params = ArrayParams::new();
        params.insert(BASE64_STANDARD.encode(payload))?;
        let came: String = self.0.request("blob", params).await?;
        Ok(Bytes::from(BASE64_STANDARD.decode(came)?))
    }
}

impl TypedEcho for Jsonrpsee {
    async fn echo(&self, value: Echo) -> Result<Echo, Failure> {
        let mut params = ArrayParams::new();
        params.insert(value)?;
        Ok(self.0.request("echo", params).await?)
    }
}

fn main() -> ExitCode {
    mynah_bench::run::<Jsonrpsee>()
}
