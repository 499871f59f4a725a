#pragma once

namespace temblor::hdf5 {

/// The HDF5 library may crash on a damaged file (1.10.8 does on about one randomly spoilt file in 200). After
/// this call a fatal signal inside it ends the process with exit code 3 and a message that names the file;
/// elsewhere signals do what they did before. Called once, by main.
void explain_crashes();

}  // namespace temblor::hdf5
