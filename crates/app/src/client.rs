//! The command line's view of a running service: the public HTTP API, with the credentials of the local file.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_lc_rs::hmac;
use reqwest::{Method, RequestBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Name of the credentials file in the data directory; readable by its owner only.
pub(crate) const CREDENTIALS_FILE: &str = "credentials.json";

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a request may take behind which there is work.
const WORK_TIMEOUT: Duration = Duration::from_hours(1);

/// Where the service is and who we are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Credentials {
    /// Address of the service, such as `http://127.0.0.1:8480`.
    pub(crate) url: String,
    /// The client id.
    pub(crate) client_id: String,
    /// The client's secret.
    pub(crate) client_secret: String,
    /// The organisation.
    pub(crate) org: String,
    /// The sandbox.
    pub(crate) sandbox: String,
}

impl Credentials {
    /// Reads the file that the service wrote on its first start.
    pub(crate) fn read(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(CREDENTIALS_FILE);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "no credentials at {}: start the service first (`offtake serve`), or name its --data-dir",
                path.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
    }
}

/// A request and its answer, for commands that show them.
pub(crate) struct Exchange {
    /// Status of the answer.
    pub(crate) status: u16,
    /// Body of the answer, JSON or null.
    pub(crate) body: Value,
}

/// Speaks to the service.
pub(crate) struct Client {
    http: reqwest::Client,
    credentials: Credentials,
    token: String,
}

impl Client {
    /// Gets a token for the local credentials.
    pub(crate) async fn connect(data_dir: &Path) -> Result<Self> {
        Self::with_credentials(Credentials::read(data_dir)?).await
    }

    /// Gets a token for these credentials.
    pub(crate) async fn with_credentials(credentials: Credentials) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("setting up the HTTP client")?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", credentials.client_id.as_str()),
            ("client_secret", credentials.client_secret.as_str()),
            ("scope", "openid,session,AdobeID,read_organizations"),
        ];
        let response = http
            .post(format!("{}/ims/token/v3", credentials.url))
            .form(&form)
            .send()
            .await
            .with_context(|| {
                format!(
                    "no service answers at {}: is `offtake serve` running?",
                    credentials.url
                )
            })?;
        let status = response.status();
        let body: Value = response
            .json()
            .await
            .context("the token answer is not JSON")?;
        let Some(token) = body.get("access_token").and_then(Value::as_str) else {
            bail!("the service refused our credentials ({status}): {body}");
        };
        Ok(Self {
            http,
            token: token.to_owned(),
            credentials,
        })
    }

    /// Sends a request with the documented headers and returns whatever is answered.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Exchange> {
        let mut request = self.request(&method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request, &format!("{method} {path}")).await
    }

    /// The organisation that we belong to.
    pub(crate) fn org(&self) -> &str {
        &self.credentials.org
    }

    /// The address of the service.
    pub(crate) fn url(&self) -> &str {
        &self.credentials.url
    }

    /// An answer that is not JSON.
    pub(crate) async fn text(&self, path: &str) -> Result<String> {
        let request = self.request(&Method::GET, path);
        let response = request.send().await.with_context(|| path.to_owned())?;
        let response = response
            .error_for_status()
            .with_context(|| path.to_owned())?;
        response.text().await.with_context(|| path.to_owned())
    }

    /// A request with the documented headers.
    fn request(&self, method: &Method, path: &str) -> RequestBuilder {
        self.http
            .request(method.clone(), format!("{}{path}", self.credentials.url))
            .bearer_auth(&self.token)
            .header("x-api-key", &self.credentials.client_id)
            .header("x-gw-ims-org-id", &self.credentials.org)
            .header("x-sandbox-name", &self.credentials.sandbox)
    }

    /// Patches a resource as it was read.
    pub(crate) async fn patch(&self, path: &str, etag: &str, patch: &Value) -> Result<Value> {
        let request = self
            .request(&Method::PATCH, path)
            .header("If-Match", etag)
            .json(patch);
        accepted(answer(request, &format!("PATCH {path}")).await?)
    }

    /// Names a body in a few characters. Keyed, because a body may hold secrets and the name is shown.
    pub(crate) fn fingerprint(&self, body: &Value) -> String {
        let secret = self.credentials.client_secret.as_bytes();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let tag = hmac::sign(&key, body.to_string().as_bytes());
        hex::encode(tag.as_ref()).chars().take(16).collect()
    }

    /// As [`call`](Self::call), for requests whose work takes its time.
    pub(crate) async fn call_patiently(&self, method: Method, path: &str) -> Result<Value> {
        let request = self.request(&method, path).timeout(WORK_TIMEOUT);
        accepted(answer(request, &format!("{method} {path}")).await?)
    }

    /// Sends a request and returns the body of a 2xx answer; anything else is an error that says why.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        accepted(self.send(method, path, body).await?)
    }
}

async fn answer(request: RequestBuilder, what: &str) -> Result<Exchange> {
    let response = request.send().await.with_context(|| what.to_owned())?;
    let status = response.status().as_u16();
    let bytes = response
        .bytes()
        .await
        .with_context(|| format!("reading the answer of {what}"))?;
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes)
            .with_context(|| format!("the answer of {what} ({status}) is not JSON"))?
    };
    Ok(Exchange { status, body })
}

/// The body of a 2xx answer.
fn accepted(exchange: Exchange) -> Result<Value> {
    if !(200..300).contains(&exchange.status) {
        bail!("{}", refusal(&exchange));
    }
    Ok(exchange.body)
}

/// What the service said, in a sentence, with its advice.
fn refusal(exchange: &Exchange) -> String {
    let text = |pointer: &str| exchange.body.pointer(pointer).and_then(Value::as_str);
    let message = ["/detail", "/errorMessage", "/message", "/title"]
        .into_iter()
        .find_map(text)
        .unwrap_or("the service gave no reason");
    let code = text("/report/additionalContext/code")
        .or_else(|| text("/error_code"))
        .unwrap_or("-");
    let advice =
        text("/report/additionalContext/advice").map_or(String::new(), |it| format!(" {it}"));
    format!("{message} ({} {code}){advice}", exchange.status)
}
