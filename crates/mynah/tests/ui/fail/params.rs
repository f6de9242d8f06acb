//! Params with marks that cannot hold.

#[mynah::service]
trait Marks {
    async fn beside(&self, #[params] all: Value, other: u8);
    async fn stream(&self, #[params] all: Incoming<u8>);
    async fn options(&self, #[params(all)] all: Value);
    async fn both(&self, #[params] #[default] all: Value);
    async fn doubled(&self, #[default] #[default = 1] count: u8);
    async fn twice(&self, #[params] #[params] all: Value);
    async fn option(&self, #[default = Some(1)] count: Option<u8>);
    async fn callback(&self, #[default] told: Callback<u8>);
    async fn list(&self, #[default(1)] count: u8);
    async fn context(&self, #[default] cx: &Context);
}

fn main() {}
