//! Pure algorithms over incident evidence: ranking, fingerprints, similarity.
