#pragma once

#include <temblor/campaign/certify.hpp>
#include <temblor/hdf5/file.hpp>

namespace temblor {

/// Writes a file of certificates (filetype temblor-certificates, docs/result-file.md), without provenance,
/// network_id and dataset_id; scales are attached by attach_scales.
void write_certificates(const hdf5::File& file, const CertifyRequest& request,
                        const Certificates& certificates);

}  // namespace temblor
