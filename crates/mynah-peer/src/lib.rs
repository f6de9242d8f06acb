//! What a program uses: peers, servers, routers, contexts and calls, on tokio.
