//! One replica's line to the provider that all share. It ends with the replica.

use std::sync::Arc;

use async_trait::async_trait;
use ciba_gateway::ciba::{AuthReqId, CheckAnswer, PollAnswer, RedirectCode, StartAnswer, Tokens};
use ciba_gateway::identity::Identity;
use ciba_gateway::phone::PhoneNumber;
use ciba_gateway::provider::{IdentifyError, Provider, ProviderProblem};
use ciba_gateway::session::Terms;
use tokio_util::sync::CancellationToken;

use super::fake_provider::FakeProvider;

pub(crate) struct ProviderLine {
    provider: Arc<FakeProvider>,
    /// Which replica it is of.
    asker: usize,
    cut: CancellationToken,
}

impl ProviderLine {
    /// Once it is `cut` requests under way break off; nothing comes back, and
    /// nothing goes out.
    pub(crate) fn new(provider: Arc<FakeProvider>, asker: usize, cut: CancellationToken) -> Self {
        Self { provider, asker, cut }
    }

    async fn through<T>(&self, request: impl Future<Output = T>) -> T {
        match self.cut.run_until_cancelled(request).await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Provider for ProviderLine {
    async fn user_exists(&self, _: &PhoneNumber) -> CheckAnswer {
        self.through(self.provider.user_exists(self.asker)).await
    }

    async fn start(&self, terms: &Terms) -> StartAnswer {
        self.through(self.provider.start(self.asker, terms)).await
    }

    async fn poll(&self, auth_req_id: &AuthReqId) -> PollAnswer {
        self.through(self.provider.poll(self.asker, auth_req_id)).await
    }

    fn offers_redirect(&self) -> bool {
        true
    }

    async fn exchange_code(&self, code: &RedirectCode) -> PollAnswer {
        self.through(self.provider.exchange_code(self.asker, code)).await
    }

    async fn request_of(&self, tokens: &Tokens) -> Result<AuthReqId, IdentifyError> {
        self.provider.request_of(tokens)
    }

    async fn identify(&self, tokens: &Tokens, terms: &Terms) -> Result<Identity, IdentifyError> {
        self.through(self.provider.identify(self.asker, tokens, terms)).await
    }

    async fn revoke(&self, tokens: &Tokens) {
        self.through(self.provider.revoke(self.asker, tokens)).await;
    }

    async fn check(&self) -> Result<(), ProviderProblem> {
        Ok(())
    }
}
