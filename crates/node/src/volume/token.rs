//! `serviceAccountToken` in a projected volume: a token for the pod, asked of the API server and renewed after
//! four fifths of its life (kubelet, `pkg/kubelet/token/token_manager.go`).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount, ServiceAccountTokenProjection};
use kube::api::{Api, PostParams};

use super::VolumeError;
use super::atomic::File;
use crate::pod::backoff::later;

/// Kubernetes' default for `expirationSeconds`.
const LIFE: i64 = 3600;

/// No token is kept longer than a day, whatever its life.
const LONGEST_USE: Duration = Duration::from_secs(24 * 3600);

/// A token that a volume wants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    audience: String,
    seconds: i64,
    path: String,
}

/// A token that was had.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// When a newer one is due.
    pub(crate) renew_at: Timestamp,
}

impl Wanted {
    pub(super) fn of(source: &ServiceAccountTokenProjection) -> Self {
        Self {
            audience: source.audience.clone().unwrap_or_default(),
            seconds: source.expiration_seconds.unwrap_or(LIFE),
            path: source.path.clone(),
        }
    }

    /// Asks the API server for a token that ends with the pod.
    pub(crate) async fn fetch(
        &self,
        client: &kube::Client,
        pod: &Pod,
        now: Timestamp,
    ) -> Result<Token, VolumeError> {
        let failed = |error: &dyn std::fmt::Display| VolumeError::Token(error.to_string());
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let account = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.service_account_name.as_deref())
            .unwrap_or("default");
        let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
        let answer = api
            .create_token_request(account, &PostParams::default(), &self.request(pod))
            .await
            .map_err(|error| failed(&error))?;
        let status = answer.status.unwrap_or_default();
        let (Some(text), Some(expires)) = (status.token, status.expiration_timestamp) else {
            return Err(failed(&"the answer holds no token"));
        };
        Ok(Token {
            renew_at: renew_at(now, expires.0),
            text,
        })
    }

    fn request(&self, pod: &Pod) -> TokenRequest {
        let audience = (!self.audience.is_empty()).then(|| self.audience.clone());
        TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: audience.map(|audience| vec![audience]),
                expiration_seconds: Some(self.seconds),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: pod.metadata.name.clone(),
                    uid: pod.metadata.uid.clone(),
                }),
            }),
            ..TokenRequest::default()
        }
    }
}

/// After four fifths of its life, at the latest after a day.
fn renew_at(now: Timestamp, expires: Timestamp) -> Timestamp {
    let life = Duration::try_from(expires.duration_since(now)).unwrap_or_default();
    later(now, (life * 4 / 5).min(LONGEST_USE))
}

/// The token's file.
pub(super) fn content(
    wanted: &Wanted,
    tokens: &BTreeMap<Wanted, String>,
    default_mode: u32,
) -> Result<Vec<(String, File)>, VolumeError> {
    let text = tokens
        .get(wanted)
        .ok_or_else(|| VolumeError::NotYet("the token".to_owned()))?;
    let file = File::new(text.clone().into_bytes(), default_mode);
    Ok(vec![(wanted.path.clone(), file)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_after_four_fifths_of_its_life_or_a_day() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(renew_at(at(0), at(1000)), at(800));
        assert_eq!(renew_at(at(0), at(1_000_000)), at(86_400));
        assert_eq!(renew_at(at(50), at(10)), at(50), "an expired one at once");
    }
}
