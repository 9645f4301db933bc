//! `projected`: several sources in one volume.

use k8s_openapi::api::core::v1::{ProjectedVolumeSource, VolumeProjection};

use super::VolumeError;
use super::content::{Files, Source, default_mode};
use super::keys::Reference;
use super::token::Wanted;

/// The volume's sources in their order.
pub(super) fn files(source: &ProjectedVolumeSource) -> Result<Files<'_>, VolumeError> {
    let sources = source.sources.iter().flatten().map(one);
    Ok(Files {
        default_mode: default_mode(source.default_mode),
        sources: sources.collect::<Result<_, _>>()?,
    })
}

fn one(projection: &VolumeProjection) -> Result<Source<'_>, VolumeError> {
    if let Some(source) = &projection.config_map {
        return Ok(Source::Keys(Reference::of_config_map(source)));
    }
    if let Some(source) = &projection.secret {
        return Ok(Source::Keys(Reference::of_secret(source)));
    }
    if let Some(source) = &projection.downward_api {
        let items = source.items.as_deref().unwrap_or_default();
        return Ok(Source::DownwardApi(items));
    }
    if let Some(source) = &projection.service_account_token {
        return Ok(Source::Token(Wanted::of(source)));
    }
    Err(VolumeError::Unsupported(
        if projection.cluster_trust_bundle.is_some() {
            "projected.clusterTrustBundle"
        } else {
            "projected.podCertificate"
        },
    ))
}
