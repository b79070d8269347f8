//! The gRPC client that `login`, `watch` and `demo` share.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::{EXIT_NO_PERMISSION, EXIT_SOFTWARE, EXIT_UNAVAILABLE, EXIT_USAGE, causes};
use crate::grpc::v1::login_service_client::LoginServiceClient;
use crate::grpc::v1::shop_qr_service_client::ShopQrServiceClient;

/// Where the gateway is and who is calling.
#[derive(Args, Clone)]
pub(super) struct Connection {
    /// The gateway's address; https:// for TLS.
    #[arg(long, env = "CIBA_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub(super) server: String,
    /// The client's API key; needed unless there is a certificate or a token.
    #[arg(long, env = "CIBA_API_KEY", hide_env_values = true, value_name = "KEY")]
    #[arg(required_unless_present_any = ["certificate_file", "token_file"])]
    pub(super) api_key: Option<String>,
    /// File with a token of the identity provider for the client, in the place of an
    /// API key; read for each call.
    #[arg(long, value_name = "FILE", conflicts_with = "api_key")]
    pub(super) token_file: Option<PathBuf>,
    /// File with a token of the identity provider for the agent; read for each call.
    #[arg(long, value_name = "FILE")]
    pub(super) agent_token_file: Option<PathBuf>,
    /// The agent who is asking.
    #[arg(long, env = "CIBA_AGENT", value_name = "ID")]
    pub(super) agent: Option<String>,
    /// PEM file with the authority that signed the gateway's certificate.
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// PEM file with the client's certificate and the chain above it.
    #[arg(long, value_name = "FILE", requires = "key_file", requires = "ca_file")]
    pub(super) certificate_file: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    pub(super) key_file: Option<PathBuf>,
}

pub(super) type Client = LoginServiceClient<InterceptedService<Channel, Credentials>>;
pub(super) type ShopClient = ShopQrServiceClient<InterceptedService<Channel, Credentials>>;

/// Puts the API key or the tokens, and the agent, into every call.
#[derive(Clone)]
pub(super) struct Credentials {
    authorization: Option<MetadataValue<Ascii>>,
    agent: Option<MetadataValue<Ascii>>,
    token_file: Option<PathBuf>,
    agent_token_file: Option<PathBuf>,
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        // Such tokens are short-lived: somebody writes new ones into the files.
        if let Some(file) = &self.token_file {
            request.metadata_mut().insert("authorization", token("--token-file", file, "Bearer ")?);
        }
        if let Some(file) = &self.agent_token_file {
            request.metadata_mut().insert("ciba-agent-token", token("--agent-token-file", file, "")?);
        }
        if let Some(agent) = &self.agent {
            request.metadata_mut().insert("ciba-agent-id", agent.clone());
        }
        Ok(request)
    }
}

impl Connection {
    /// A client; connects with the first call.
    pub(super) fn open(&self) -> Result<Client, Problem> {
        Ok(LoginServiceClient::with_interceptor(self.endpoint()?.connect_lazy(), self.credentials()?))
    }

    /// The same for shops' QR codes, of which there can be many in one answer.
    pub(super) fn open_shop(&self) -> Result<ShopClient, Problem> {
        let client = ShopQrServiceClient::with_interceptor(self.endpoint()?.connect_lazy(), self.credentials()?);
        Ok(client.max_decoding_message_size(MAX_CODES))
    }

    fn credentials(&self) -> Result<Credentials, Problem> {
        let authorization = self.api_key.as_deref().map(bearer).transpose()?;
        let agent = self.agent.as_deref().map(str::parse).transpose();
        let agent = agent.map_err(|_| Problem::input("the agent has characters that no agent id has"))?;
        let (token_file, agent_token_file) = (self.token_file.clone(), self.agent_token_file.clone());
        Ok(Credentials { authorization, agent, token_file, agent_token_file })
    }

    /// What the end of a stream means to who opened it: one that ended with its token
    /// is opened again with the token that the file has by then.
    pub(super) fn end_of_stream(&self, status: Status) -> Status {
        let has_file = self.token_file.is_some() || self.agent_token_file.is_some();
        let reason = status.get_error_details().error_info().map(|info| info.reason.clone());
        if has_file && reason.as_deref() == Some("CREDENTIAL_EXPIRED") {
            return Status::unavailable("the token has ended");
        }
        status
    }

    fn endpoint(&self) -> Result<Endpoint, Problem> {
        let endpoint = Endpoint::from_shared(self.server.clone())
            .map_err(|_| Problem::input("--server is not an address such as http://127.0.0.1:50051"))?
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_while_idle(true);
        let Some(file) = &self.ca_file else {
            return Ok(endpoint);
        };
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("--ca-file", file)?));
        if let (Some(certificate), Some(key)) = (&self.certificate_file, &self.key_file) {
            let certificate = read("--certificate-file", certificate)?;
            tls = tls.identity(Identity::from_pem(certificate, read("--key-file", key)?));
        }
        let problem =
            |error| Problem::input(format!("--ca-file or the certificate cannot be used: {}", causes(&error)));
        endpoint.tls_config(tls).map_err(problem)
    }
}

/// 200 codes with pictures of 2000 pixels.
const MAX_CODES: usize = 64 * 1024 * 1024;

/// What the file has now, after `scheme`.
fn token(option: &str, file: &Path, scheme: &str) -> Result<MetadataValue<Ascii>, Status> {
    let problem = |problem: String| Status::unauthenticated(format!("{option} {problem}"));
    let text = std::fs::read_to_string(file).map_err(|error| problem(format!("cannot be read: {error}")))?;
    let value = format!("{scheme}{}", text.trim()).parse();
    let mut value: MetadataValue<Ascii> = value.map_err(|_| problem("holds no token".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn bearer(key: &str) -> Result<MetadataValue<Ascii>, Problem> {
    let value = format!("Bearer {key}").parse();
    let mut value: MetadataValue<Ascii> =
        value.map_err(|_| Problem::input("the API key has characters that no key has"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn read(option: &str, file: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(file).map_err(|error| Problem::input(format!("{option} cannot be read: {error}")))
}

/// Whether to watch again: the gateway sends its watchers away, or the line is lost.
pub(super) fn is_passing(status: &Status) -> bool {
    std::error::Error::source(status).is_some() || matches!(status.code(), Code::Unavailable | Code::Aborted)
}

/// From the end of a stream to the next one, at least.
pub(super) const WATCH_AGAIN: Duration = Duration::from_secs(1);

/// Why a client command cannot go on.
pub(super) struct Problem {
    code: u8,
    message: String,
}

impl Problem {
    pub(super) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn input(message: impl Into<String>) -> Self {
        Self::new(EXIT_USAGE, message)
    }

    pub(super) fn exit(&self) -> ExitCode {
        super::fail(self.code, &self.message)
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        let code = match status.code() {
            Code::InvalidArgument | Code::Unimplemented | Code::AlreadyExists | Code::NotFound => EXIT_USAGE,
            Code::Unauthenticated | Code::PermissionDenied => EXIT_NO_PERMISSION,
            Code::Unavailable | Code::ResourceExhausted | Code::FailedPrecondition | Code::Aborted => EXIT_UNAVAILABLE,
            _ => EXIT_SOFTWARE,
        };
        let details = status.get_error_details();
        let mut message = match details.error_info() {
            Some(info) => format!("{} ({})", status.message(), info.reason),
            None => format!("{} ({})", status.message(), status.code()),
        };
        if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
            message.push_str(&format!("; try again in {} s", delay.as_secs().max(1)));
        }
        if let Some(source) = std::error::Error::source(&status) {
            message.push_str(": ");
            message.push_str(&causes(source));
        }
        Self { code, message }
    }
}
