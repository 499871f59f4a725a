# Writes build/provenance.hpp: what the result file says about the binary that made it.
execute_process(COMMAND git -C ${PROJECT_SOURCE_DIR} describe --always --dirty --tags
                OUTPUT_VARIABLE TEMBLOR_GIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT TEMBLOR_GIT)
  set(TEMBLOR_GIT "unknown")
endif()
string(TOUPPER "${CMAKE_BUILD_TYPE}" _type)
set(TEMBLOR_FLAGS "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${_type}} -march=${TEMBLOR_ARCH}")
string(STRIP "${TEMBLOR_FLAGS}" TEMBLOR_FLAGS)
set(TEMBLOR_LIBRARIES "Eigen ${Eigen3_VERSION}" "oneTBB ${TBB_VERSION}" "Boost ${Boost_VERSION_STRING}"
    "HDF5 ${HDF5_VERSION}" "toml++ ${tomlplusplus_VERSION}" "nlohmann-json ${nlohmann_json_VERSION}"
    "OpenSSL ${OPENSSL_VERSION}" "zlib ${ZLIB_VERSION_STRING}")
list(JOIN TEMBLOR_LIBRARIES ", " TEMBLOR_LIBRARIES)
configure_file(${PROJECT_SOURCE_DIR}/cmake/provenance.hpp.in ${PROJECT_BINARY_DIR}/generated/provenance.hpp @ONLY)
target_include_directories(temblor_core PRIVATE ${PROJECT_BINARY_DIR}/generated)
