//! Azure Blob Storage.
//!
//! Which account: the connection string of the settings, `account_name`, `AZURE_STORAGE_CONNECTION_STRING`,
//! `AZURE_STORAGE_ACCOUNT` or `AZURE_STORAGE_ACCOUNT_NAME`. Credentials: the account's key or a shared access signature
//! from the same places (`AZURE_STORAGE_KEY`, `AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_SAS_TOKEN`); then what
//! Azure's own libraries take: a service principal (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET`),
//! workload identity, the login of the `az` program, the machine's identity.

use opendal::{Operator, services};
use reqsign_azure_storage::{Credential, DefaultCredentialProvider, StaticCredentialProvider};
use reqsign_core::ProvideCredentialChain;

use super::super::url::{RemoteSpec, UrlError};
use super::commands::WithCommands;
use super::http::Http;
use super::{Listing, Service, Work, Writes, check_endpoint, first_var, operator, shown};
use crate::config::Secret;

/// A container.
pub(super) struct Azure {
    container: String,
    prefix: String,
    account: String,
    endpoint: String,
    key: Option<Secret>,
    signature: Option<Secret>,
    anonymous: bool,
}

/// What stands in a connection string.
#[derive(Default)]
struct Connection {
    account: Option<String>,
    key: Option<Secret>,
    signature: Option<Secret>,
    endpoint: Option<String>,
}

impl Connection {
    fn parse(text: &str) -> Self {
        let field = |name: &str| {
            let mut fields = text.split(';').filter_map(|field| field.trim().split_once('='));
            fields
                .find(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_empty())
                .map(|(_, value)| value.to_owned())
        };
        let account = field("AccountName");
        let suffix = field("EndpointSuffix");
        let made = account.as_ref().zip(suffix).map(|(account, suffix)| {
            let protocol = field("DefaultEndpointsProtocol").unwrap_or_else(|| "https".to_owned());
            format!("{protocol}://{account}.blob.{suffix}")
        });
        let emulated = field("UseDevelopmentStorage").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if emulated {
            // The emulator's well-known account, which is no secret.
            return Self {
                account: Some("devstoreaccount1".to_owned()),
                key: Some(Secret::new(
                    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
                )),
                signature: None,
                endpoint: Some("http://127.0.0.1:10000/devstoreaccount1".to_owned()),
            };
        }
        Self {
            account,
            key: field("AccountKey").map(Secret::new),
            signature: field("SharedAccessSignature").map(Secret::new),
            endpoint: field("BlobEndpoint").or(made),
        }
    }
}

impl Azure {
    pub(super) fn new(
        container: &str,
        prefix: &str,
        endpoint: Option<String>,
        spec: &RemoteSpec,
    ) -> Result<Self, UrlError> {
        let own = spec.account_name.is_some() || spec.account_key.is_some() || spec.sas_token.is_some();
        let connection = match &spec.connection_string {
            Some(text) => Connection::parse(text.expose()),
            // Who names an account does not want another one that happens to be in the environment.
            None if own => Connection::default(),
            None => first_var(&["AZURE_STORAGE_CONNECTION_STRING"])
                .map(|text| Connection::parse(&text))
                .unwrap_or_default(),
        };
        let account = spec
            .account_name
            .clone()
            .or(connection.account)
            .or_else(|| first_var(&["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"]));
        let endpoint = match endpoint.or(connection.endpoint) {
            Some(endpoint) => Some(check_endpoint(endpoint.trim_end_matches('/'))?),
            None => account
                .as_ref()
                .map(|account| format!("https://{account}.blob.core.windows.net")),
        };
        let (Some(account), Some(endpoint)) = (account, endpoint) else {
            return Err(UrlError::Setting {
                setting: "account_name",
                why: "an Azure container is in a storage account; AZURE_STORAGE_ACCOUNT and \
                      AZURE_STORAGE_CONNECTION_STRING are not set either",
            });
        };
        let secret = |text: Option<String>| text.map(Secret::new);
        let key = spec
            .account_key
            .clone()
            .or(connection.key)
            .or_else(|| secret(first_var(&["AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"])));
        let signature = spec
            .sas_token
            .clone()
            .or(connection.signature)
            .or_else(|| secret(first_var(&["AZURE_STORAGE_SAS_TOKEN"])).filter(|_| key.is_none()));
        Ok(Self {
            container: container.to_owned(),
            prefix: prefix.to_owned(),
            account,
            endpoint,
            key,
            signature: signature.map(|text| Secret::new(text.expose().trim_start_matches('?'))),
            anonymous: spec.anonymous,
        })
    }

    fn chain(&self) -> ProvideCredentialChain<Credential> {
        let chain = ProvideCredentialChain::new();
        if let Some(signature) = &self.signature {
            return chain.push(StaticCredentialProvider::new_sas_token(signature.expose()));
        }
        if let Some(key) = &self.key {
            return chain.push(StaticCredentialProvider::new_shared_key(&self.account, key.expose()));
        }
        chain.push(WithCommands(DefaultCredentialProvider::new()))
    }

    fn client(&self, http: &Http) -> opendal::Result<Operator> {
        let mut builder = services::Azblob::default()
            .container(&self.container)
            .root(&self.prefix)
            .endpoint(&self.endpoint)
            .account_name(&self.account)
            .credential_provider_chain(self.chain());
        if self.anonymous {
            builder = builder.skip_signature();
        }
        operator(builder, http)
    }
}

impl Service for Azure {
    fn describe(&self) -> String {
        shown("azure", &self.container, &self.prefix, Some(&self.endpoint))
    }

    fn container(&self) -> &'static str {
        "container"
    }

    fn operator<'a>(&'a self, http: &'a Http) -> Work<'a, Operator> {
        Box::pin(std::future::ready(self.client(http)))
    }

    fn writes(&self) -> Writes {
        Writes::Conditional
    }

    fn listing(&self) -> Listing {
        Listing::Flat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings() {
        let one = Connection::parse(
            "DefaultEndpointsProtocol=https;AccountName=lab;AccountKey=aGk=;EndpointSuffix=core.windows.net",
        );
        assert_eq!(one.account.as_deref(), Some("lab"));
        assert_eq!(one.key.unwrap().expose(), "aGk=");
        assert_eq!(one.endpoint.as_deref(), Some("https://lab.blob.core.windows.net"));
        let other = Connection::parse("BlobEndpoint=http://127.0.0.1:1/x;SharedAccessSignature=sv=1&sig=a;");
        assert_eq!(other.endpoint.as_deref(), Some("http://127.0.0.1:1/x"));
        assert_eq!(other.signature.unwrap().expose(), "sv=1&sig=a");
        assert!(Connection::parse("UseDevelopmentStorage=true").endpoint.is_some());
    }
}
